//! Changes and their digests.

use super::*;

fn edit(path: &str, base: &str, now: &str) -> FileEdit {
    let name = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let path = RepoPath::new(path).unwrap();
    FileEdit { path, base: name(base), now: name(now), mode: None }
}

#[test]
fn the_same_change_has_the_same_digest_and_no_other_has() {
    let digest = |edits: &[FileEdit]| Change::of(edits.to_vec(), &[]).digest;
    let (a, b) = (edit("a", "1", "2"), edit("b", "1", "2"));
    let both = digest(&[a.clone(), b.clone()]);
    assert_eq!(both, digest(&[b.clone(), a.clone()]));
    let others = [
        vec![a.clone()],
        vec![edit("a", "", "2"), b.clone()],
        vec![edit("a", "1", ""), b.clone()],
        vec![edit("a", "2", "1"), b.clone()],
        vec![FileEdit { mode: Some("100755".into()), ..a.clone() }, b.clone()],
        vec![edit("c", "1", "2"), b],
    ];
    for other in others {
        assert_ne!(both, digest(&other), "{other:?}");
    }
    let unnamed = Change::of(vec![a.clone()], &["x".into()]);
    assert_ne!(unnamed.digest, digest(&[a]));
    assert_eq!((unnamed.edits.len(), unnamed.more), (1, 1));
}

#[test]
fn of_many_files_the_first_are_named_and_all_are_in_the_digest() {
    let edits = |n: usize| (0..n).map(|n| edit(&format!("f{n:04}"), "1", "2")).collect::<Vec<_>>();
    let (one, other) = (Change::of(edits(300), &[]), Change::of(edits(301), &[]));
    assert_eq!((one.edits.len(), one.more, other.more), (EDITS_MAX, 300 - 256, 301 - 256));
    assert_ne!(one.digest, other.digest);
    let long = (0..60).map(|n| edit(&format!("{n:02}/{}", vec!["x"; 400].join("/")), "1", "2"));
    let long = Change::of(long.collect(), &[]);
    let bytes: usize = long.edits.iter().map(|edit| edit.path.key().len()).sum();
    assert!(bytes <= EDITS_BYTES_MAX && long.more > 0, "{bytes}");
    assert!(Change::of(Vec::new(), &[]).is_empty() && !one.is_empty());
}
