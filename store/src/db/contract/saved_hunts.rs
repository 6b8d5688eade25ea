//! Queries that somebody keeps.

use super::{Fixture, add_communes, at, commune, only};
use crate::{
    Scope,
    db::{DbError, NewSavedHunt, SAVED_HUNTS_MAX},
};

fn hunt(name: &str, of: Option<&str>, shared: bool) -> NewSavedHunt {
    NewSavedHunt {
        name: name.to_owned(),
        query: "user.name:é".to_owned(),
        note: None,
        commune: of.map(commune),
        shared,
    }
}

/// Each sees what is theirs and what is shared with them, and nothing else.
pub async fn hunts_are_for_whom_they_are<F: Fixture>() {
    let fixture = F::fresh().await;
    let db = fixture.open().await;
    add_communes(&db, &["dijon", "talant"]).await;
    let (all, dijon) = (Scope::all(), only(&["dijon"]));
    let save = async |scope: &Scope, new: NewSavedHunt, owner: &str| {
        db.save_hunt(scope, new, owner, at(0)).await
    };
    let noted = NewSavedHunt { note: Some("pour l'ANSSI".into()), ..hunt("a", None, true) };
    let kept = save(&all, noted.clone(), "soc").await.unwrap();
    assert_eq!((kept.owner.as_str(), kept.note.as_deref()), ("soc", Some("pour l'ANSSI")));
    save(&all, hunt("b", Some("talant"), true), "soc").await.unwrap();
    save(&all, hunt("c", None, false), "soc").await.unwrap();
    save(&dijon, hunt("d", Some("dijon"), true), "ana").await.unwrap();
    save(&dijon, hunt("e", None, false), "ana").await.unwrap();
    save(&dijon, hunt("f", Some("dijon"), false), "ana").await.unwrap();
    drop(db);
    let db = fixture.open().await;
    let names = async |scope: &Scope, owner: &str| {
        let hunts = db.saved_hunts(scope, owner).await.unwrap();
        hunts.into_iter().map(|hunt| hunt.name).collect::<Vec<_>>()
    };
    assert_eq!(names(&all, "soc").await, ["a", "b", "c", "d"]);
    assert_eq!(names(&all, "soc-day").await, ["a", "b", "d"]);
    assert_eq!(names(&dijon, "ana").await, ["d", "e", "f"]);
    assert_eq!(names(&dijon, "bob").await, ["d"]);
    assert_eq!(names(&only(&["talant"]), "ana").await, ["b", "e"]);
    assert_eq!(names(&only(&[]), "x").await, [""; 0]);

    // What is not seen is not forgotten either.
    let of = async |scope: &Scope, owner: &str, name: &str| {
        let hunts = db.saved_hunts(scope, owner).await.unwrap();
        hunts.into_iter().find(|hunt| hunt.name == name).unwrap().id
    };
    for (name, owner) in [("a", "soc"), ("b", "soc"), ("c", "soc")] {
        let id = of(&all, owner, name).await;
        let gone = db.forget_hunt(&dijon, &id, "ana").await;
        assert!(matches!(gone, Err(DbError::Missing { what: "hunt", .. })), "{gone:?}");
    }
    let id = of(&dijon, "ana", "e").await;
    assert!(db.forget_hunt(&all, &id, "soc").await.is_err());
    assert_eq!(db.forget_hunt(&dijon, &id, "ana").await.unwrap().name, "e");
    assert!(db.forget_hunt(&dijon, &id, "ana").await.is_err());
    assert_eq!(names(&dijon, "ana").await, ["d", "f"]);
    assert_eq!(of(&all, "soc", "a").await, kept.id);
}

/// What nobody could use is refused.
pub async fn hunts_are_checked<F: Fixture>() {
    let fixture = F::fresh().await;
    let db = fixture.open().await;
    add_communes(&db, &["dijon"]).await;
    let dijon = only(&["dijon"]);
    let long = |chars: usize| "é".repeat(chars);
    for wrong in [
        hunt("", None, false),
        hunt(&long(101), None, false),
        NewSavedHunt { query: String::new(), ..hunt("a", None, false) },
        NewSavedHunt { query: long(9_000), ..hunt("a", None, false) },
        NewSavedHunt { note: Some(long(2_001)), ..hunt("a", None, false) },
        hunt("a", None, true),
    ] {
        let kept = db.save_hunt(&dijon, wrong, "ana", at(0)).await;
        assert!(matches!(kept, Err(DbError::Refused(_))), "{kept:?}");
    }
    for absent in ["talant", "quetigny"] {
        let kept = db.save_hunt(&dijon, hunt("a", Some(absent), false), "ana", at(0)).await;
        assert!(matches!(kept, Err(DbError::Missing { what: "commune", .. })), "{kept:?}");
    }
    for n in 0..SAVED_HUNTS_MAX {
        db.save_hunt(&dijon, hunt(&n.to_string(), None, false), "ana", at(0)).await.unwrap();
    }
    let same = db.save_hunt(&dijon, hunt("7", None, false), "ana", at(0)).await;
    assert!(matches!(same, Err(DbError::Refused(_))), "{same:?}");
    let more = db.save_hunt(&dijon, hunt("more", None, false), "ana", at(0)).await;
    assert!(matches!(more, Err(DbError::Refused(_))), "{more:?}");
    db.save_hunt(&dijon, hunt("7", None, false), "bob", at(0)).await.unwrap();
}
