//! What overlaps is found, and nothing else.

use devmesh_protocol::RepoPath;

use super::*;

fn repo() -> RepoId {
    RepoId::new("r").unwrap()
}

const KEYS: [&str; 11] =
    ["", "a", "a-b", "a.rs", "a/b", "a/b/c", "a/bc", "a0", "b", "a/b.c", "ab/c"];

fn path(key: &str) -> RepoPath {
    RepoPath::new(if key.is_empty() { "." } else { key }).unwrap()
}

/// Every choice of the keys, and in each every key asked for, there or not.
#[test]
fn over_finds_what_overlaps() {
    for chosen in 0..1_usize << KEYS.len() {
        let there = |i: &usize| chosen & 1 << i != 0;
        let mut paths = Paths::default();
        for i in (0..KEYS.len()).filter(there) {
            paths.insert(&repo(), KEYS[i], i);
        }
        for asked in KEYS {
            let of = |is: &dyn Fn(&RepoPath) -> bool| -> BTreeSet<usize> {
                (0..KEYS.len()).filter(there).filter(|i| is(&path(KEYS[*i]))).collect()
            };
            let overlaps = of(&|key| key.overlaps(&path(asked)));
            let found: Vec<usize> = paths.over(&repo(), asked).collect();
            assert_eq!(found.len(), overlaps.len(), "{asked} finds nothing twice");
            assert_eq!(found.iter().copied().collect::<BTreeSet<_>>(), overlaps, "{asked}");
            let lines: Vec<usize> = paths.lines_over(&repo(), asked).flatten().collect();
            assert_eq!(lines, found, "{asked} path by path");
            let before: BTreeSet<usize> = paths.over_before(&repo(), asked, 5).collect();
            assert_eq!(before, overlaps.range(..5).copied().collect(), "{asked} before 5");
            let above: Vec<usize> = paths.above(&repo(), asked).collect();
            let lengths: Vec<usize> = above.iter().map(|i| KEYS[*i].len()).collect();
            assert!(lengths.is_sorted(), "{asked}: highest first");
            assert_eq!(BTreeSet::from_iter(above), of(&|key| key.contains(&path(asked))));
        }
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
