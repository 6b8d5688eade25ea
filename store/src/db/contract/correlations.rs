//! The state of correlations.

use super::{BUS, Fixture, at, position};
use crate::db::Position;

/// A state of many pieces.
fn state(bytes: usize, salt: u8) -> Vec<u8> {
    (0..bytes).map(|n| (n % 251) as u8 ^ salt).collect()
}

/// The last state that was saved is there, whole, with its position; also after a drop.
pub async fn the_last_state_is_kept<F: Fixture>() {
    let fixture = F::fresh().await;
    let db = fixture.open().await;
    assert_eq!(db.load_correlations(BUS, 0).await.unwrap(), None);
    for (bytes, next) in [(0, 1), (9_000_001, 5), (17, 5), (5_000_000, 9)] {
        let state = state(bytes, next as u8);
        db.save_correlations(&state, position(next), at(3)).await.unwrap();
        let kept = db.load_correlations(BUS, 0).await.unwrap().unwrap();
        assert_eq!((kept.next, kept.taken, kept.state.len()), (next, at(3), bytes));
        assert!(kept.state == state);
    }
    drop(db);
    let db = fixture.open().await;
    let kept = db.load_correlations(BUS, 0).await.unwrap().unwrap();
    assert!(kept.next == 9 && kept.state == state(5_000_000, 9));
}

/// Partitions have states of their own, and none moves back.
pub async fn states_never_move_back<F: Fixture>() {
    let fixture = F::fresh().await;
    let db = fixture.open().await;
    let of = |partition, next| Position { bus: BUS, partition, next };
    db.save_correlations(b"one", of(0, 7), at(0)).await.unwrap();
    db.save_correlations(b"two", of(1, 3), at(0)).await.unwrap();
    assert!(db.save_correlations(b"old", of(0, 6), at(0)).await.is_err());
    assert_eq!(db.load_correlations(BUS, 0).await.unwrap().unwrap().state, b"one");
    assert_eq!(db.load_correlations(BUS, 1).await.unwrap().unwrap().state, b"two");
    assert_eq!(db.load_correlations(BUS, 2).await.unwrap(), None);
}
