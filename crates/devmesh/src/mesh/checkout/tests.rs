//! What a look at a checkout finds, and when it is news.

use std::path::Path;
use std::process::Command;

use super::{Known, changes, parse};

fn shown((paths, more): &super::Changes) -> (Vec<String>, u32) {
    (paths.iter().map(ToString::to_string).collect(), *more)
}

#[tokio::test]
async fn what_is_not_committed_is_found_and_no_lock_is_left() {
    let dir = tempfile::tempdir().unwrap();
    let run = |line: &str| {
        let mut sh = Command::new("sh");
        assert!(sh.args(["-ec", line]).current_dir(dir.path()).status().unwrap().success());
    };
    run("git init -q -b main; git config user.name a; git config user.email a@example.invalid; \
         mkdir src; echo 1 > src/a; echo 1 > 'b c'; git add -A; git commit -qm start");
    assert_eq!(shown(&changes(dir.path()).await.unwrap()), (Vec::new(), 0));
    run("echo 2 > src/a; git mv 'b c' d; mkdir new; echo 1 > new/e");
    let found = changes(dir.path()).await.unwrap();
    assert_eq!(shown(&found).0, ["b c", "d", "src/a", "new/"]);
    run("git add -A; git commit -qm more");
    assert_eq!(shown(&changes(dir.path()).await.unwrap()), (Vec::new(), 0));
    assert!(changes(Path::new("/")).await.is_none(), "no repository");
}

#[test]
fn a_report_is_bounded() {
    let list: String = (0..200).map(|n| format!(" M f{n}\0")).collect();
    let (paths, more) = parse(list.as_bytes());
    assert_eq!((paths.len(), more), (128, 72));
    assert_eq!(shown(&parse(b" M \xff\0 M a\0")), (vec!["a".to_owned()], 1));
}

#[test]
fn what_stands_is_told_once() {
    let change = || parse(b" M a\0");
    let mut known = Known::default();
    assert_eq!(known.look(change()), None, "it may be half written");
    let news = known.look(change());
    assert_eq!(news, Some(change()));
    assert_eq!(known.look(change()), Some(change()), "it was not taken");
    known.told = news;
    assert_eq!(known.look(change()), None);
    assert_eq!(known.look(parse(b"")), None);
    assert_eq!(known.look(parse(b"")), Some(parse(b"")), "committed");
}
