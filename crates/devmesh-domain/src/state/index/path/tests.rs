//! What overlaps is found, and nothing else.

use devmesh_protocol::RepoPath;

use super::*;

fn repo() -> RepoId {
    RepoId::new("r").unwrap()
}

#[test]
fn over_finds_what_overlaps() {
    let keys = ["", "a", "a-b", "a.rs", "a/b", "a/b/c", "a/bc", "a0", "b", "a/b.c", "ab/c"];
    let mut paths = Paths::default();
    for (i, key) in keys.iter().enumerate() {
        paths.insert(&repo(), key, i);
    }
    let path = |key: &str| RepoPath::new(if key.is_empty() { "." } else { key }).unwrap();
    for asked in keys {
        let expected: BTreeSet<usize> =
            (0..keys.len()).filter(|i| path(keys[*i]).overlaps(&path(asked))).collect();
        let found: Vec<usize> = paths.over(&repo(), asked).collect();
        assert_eq!(found.len(), expected.len(), "{asked} finds nothing twice");
        assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), expected, "{asked}");
        let before: BTreeSet<usize> = paths.over_before(&repo(), asked, 5).collect();
        assert_eq!(before, expected.range(..5).copied().collect(), "{asked} before 5");
        let above: BTreeSet<usize> = paths.above(&repo(), asked).collect();
        let expected: BTreeSet<usize> =
            (0..keys.len()).filter(|i| path(keys[*i]).contains(&path(asked))).collect();
        assert_eq!(above, expected, "{asked}");
    }
}

#[test]
fn what_is_emptied_is_as_new() {
    let mut paths = Paths::default();
    paths.insert(&repo(), "a/b", 1_u64);
    paths.insert(&repo(), "a/b", 2);
    paths.remove(&repo(), "a/b", 1);
    assert_eq!(paths.at(&repo(), "a/b").collect::<Vec<_>>(), [2]);
    paths.remove(&repo(), "a/b", 2);
    assert_eq!(paths, Paths::default());
}

#[test]
fn what_is_on_one_path_stands_in_order() {
    let mut paths = Paths::default();
    let mut expected = BTreeSet::new();
    let found = |paths: &Paths<u64>| paths.at(&repo(), "a").collect::<Vec<_>>();
    for thing in [5, 3, 9, 3, 7, 1] {
        paths.insert(&repo(), "a", thing);
        expected.insert(thing);
        assert_eq!(found(&paths), expected.iter().copied().collect::<Vec<_>>());
    }
    let before: Vec<u64> = paths.over_before(&repo(), "a", 7).collect();
    assert_eq!(before, [1, 3, 5]);
    assert_eq!(paths.over_before(&repo(), "a", 1).count(), 0);
    for thing in [9, 4, 1, 5, 7, 3] {
        paths.remove(&repo(), "a", thing);
        expected.remove(&thing);
        assert_eq!(found(&paths), expected.iter().copied().collect::<Vec<_>>());
    }
    assert_eq!(paths, Paths::default());
}
