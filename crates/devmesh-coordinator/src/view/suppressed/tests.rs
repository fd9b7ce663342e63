//! How long refusals are gathered, and of how many.

use super::*;

#[test]
fn refusals_are_gathered_for_a_minute_and_taken_once() {
    let mut suppressed = Suppressed::default();
    let (alice, bob) = (ActorId::new("alice").unwrap(), ActorId::new("bob").unwrap());
    suppressed.count(&bob, Code::LockConflict, 5);
    suppressed.count(&alice, Code::NotOwner, 1_000);
    suppressed.count(&bob, Code::LockConflict, 2_000);
    suppressed.count(&bob, Code::NotOwner, 59_000);
    assert_eq!(suppressed.take(GATHER_MS + 4), None);
    let counts = BTreeMap::from([(Code::LockConflict, 2), (Code::NotOwner, 1)]);
    assert_eq!(suppressed.take(GATHER_MS + 5), Some((bob, counts)));
    assert_eq!(suppressed.take(GATHER_MS + 5), None, "alice's minute is not over");
    let counts = BTreeMap::from([(Code::NotOwner, 1)]);
    assert_eq!(suppressed.take(GATHER_MS + 1_000), Some((alice, counts)));
}

#[test]
fn refusals_of_more_actors_than_are_kept_are_not_counted() {
    let mut suppressed = Suppressed::default();
    for n in 0..=ACTORS_MAX {
        suppressed.count(&ActorId::new(&format!("a{n}")).unwrap(), Code::NotOwner, 0);
    }
    let told = std::iter::from_fn(|| suppressed.take(GATHER_MS)).count();
    assert_eq!(told, ACTORS_MAX);
}
