//! What a search in vain is worth: it is not made again before something changes.

use devmesh_protocol::{At, TaskId};

use super::{STIRRED_MAX, Stirred};

fn searched() -> Stirred {
    let stirred = Stirred::default();
    stirred.remember_nothing(Some(At(100)));
    stirred.remember_no_reviewer();
    stirred
}

#[test]
fn a_search_in_vain_is_remembered_until_something_changes() {
    let mut stirred = searched();
    assert!(!stirred.is_fresh(At(99)) && !stirred.is_fresh_for_reviews());
    assert!(stirred.is_fresh(At(100)), "then an agent is asked again");
    let copy = stirred.clone();
    assert!(!copy.is_fresh(At(99)) && !copy.is_fresh_for_reviews(), "a copy knows it too");
    stirred.stir([]);
    assert!(stirred.is_fresh(At(0)) && stirred.is_fresh_for_reviews());
    stirred.remember_no_reviewer();
    assert!(stirred.is_fresh(At(0)) && !stirred.is_fresh_for_reviews(), "each by itself");
}

/// So many places are looked at one by one; of more, all are.
#[test]
fn so_many_places_are_named() {
    let mut stirred = searched();
    stirred.stir((0..STIRRED_MAX as u64).map(|n| (At(n), TaskId(n))));
    assert_eq!(stirred.only(At(0)).unwrap().len(), STIRRED_MAX);
    stirred.stir([(At(0), TaskId(0))]);
    assert_eq!(stirred.only(At(0)).unwrap().len(), STIRRED_MAX, "it is among them");
    stirred.stir([(At(0), TaskId(u64::MAX))]);
    assert_eq!(stirred.only(At(0)), None);
}
