//! Who may come in.

use super::{Fixture, add_communes, at, only, token};
use crate::{
    Scope,
    auth::{Role, Secret},
    db::DbError,
};

/// A token gives its name, role and communes; an unknown one gives nothing.
pub async fn tokens_open_their_scope<F: Fixture>() {
    let fixture = F::fresh().await;
    let db = fixture.open().await;
    add_communes(&db, &["dijon", "talant"]).await;
    let (soc, soc_secret) = token("soc-night", Role::Admin, None);
    let (local, local_secret) = token("mairie", Role::Reader, Some(&["talant", "dijon"]));
    db.add_token(soc.clone(), soc_secret.hash()).await.unwrap();
    db.add_token(local.clone(), local_secret.hash()).await.unwrap();

    let caller = db.authenticate(&soc_secret, at(1)).await.unwrap().unwrap();
    assert_eq!((caller.name.as_str(), caller.role), ("token:soc-night", Role::Admin));
    assert_eq!(caller.scope(), &Scope::all());
    let caller = db.authenticate(&local_secret, at(1)).await.unwrap().unwrap();
    assert_eq!(caller.role, Role::Reader);
    assert_eq!(caller.scope(), &only(&["dijon", "talant"]));
    for wrong in ["", "jqt_", &soc_secret.reveal()[..67], &soc_secret.reveal().to_uppercase()] {
        assert!(db.authenticate(&Secret::presented(wrong), at(1)).await.unwrap().is_none());
    }
    assert_eq!(db.tokens().await.unwrap(), [local, soc], "by name");
}

/// A token ends when it expires, and at once when it is revoked.
pub async fn tokens_end<F: Fixture>() {
    let fixture = F::fresh().await;
    let db = fixture.open().await;
    let (mut info, secret) = token("short", Role::Analyst, None);
    info.expires = Some(at(10));
    db.add_token(info, secret.hash()).await.unwrap();
    assert!(db.authenticate(&secret, at(9)).await.unwrap().is_some());
    assert!(db.authenticate(&secret, at(10)).await.unwrap().is_none());
    db.revoke_token("short").await.unwrap();
    assert!(db.authenticate(&secret, at(9)).await.unwrap().is_none());
    let missing = db.revoke_token("short").await;
    assert!(matches!(missing, Err(DbError::Missing { what: "token", .. })), "{missing:?}");
}

/// Names are unique and sane, communes exist, admins are not bounded.
pub async fn tokens_are_checked<F: Fixture>() {
    let fixture = F::fresh().await;
    let db = fixture.open().await;
    add_communes(&db, &["dijon"]).await;
    let (info, secret) = token("a", Role::Reader, Some(&["dijon"]));
    db.add_token(info.clone(), secret.hash()).await.unwrap();
    let (_, other) = token("a", Role::Reader, None);
    let twice = db.add_token(info, other.hash()).await;
    assert!(matches!(twice, Err(DbError::Exists { what: "token", .. })), "{twice:?}");
    assert!(db.authenticate(&other, at(0)).await.unwrap().is_none());

    let (unknown, secret) = token("b", Role::Reader, Some(&["dijon", "nowhere"]));
    let result = db.add_token(unknown, secret.hash()).await;
    assert!(matches!(result, Err(DbError::Missing { what: "commune", .. })), "{result:?}");
    let mut late = token("b", Role::Reader, None).0;
    late.expires = Some(at(0));
    for refused in [
        token("b", Role::Admin, Some(&["dijon"])).0,
        token("b", Role::Reader, Some(&[])).0,
        token("", Role::Reader, None).0,
        token("..", Role::Reader, None).0,
        token("a/b", Role::Reader, None).0,
        token("a\nb", Role::Reader, None).0,
        token(&"a".repeat(64), Role::Reader, None).0,
        late,
    ] {
        let result = db.add_token(refused, secret.hash()).await;
        assert!(matches!(result, Err(DbError::Refused(_))), "{result:?}");
    }
    assert_eq!(db.tokens().await.unwrap().len(), 1);
}
