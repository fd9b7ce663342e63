//! What is still known of what was pushed.

use super::*;

fn after(pushed: &Pushed, rev: u64) -> Option<Vec<String>> {
    Some(pushed.after(rev)?.map(|frame| frame.as_str().to_owned()).collect())
}

#[test]
fn what_was_missed_is_what_came_after() {
    let mut pushed = Pushed::default();
    assert_eq!(after(&pushed, 0), Some(vec![]));
    for _ in 0..3 {
        pushed.add(|rev| rev.to_string());
    }
    assert_eq!(after(&pushed, 0), Some(vec!["1".into(), "2".into(), "3".into()]));
    assert_eq!(after(&pushed, 2), Some(vec!["3".into()]));
    assert_eq!(after(&pushed, 3), Some(vec![]));
    assert_eq!(after(&pushed, 4), None, "of another run");
}

#[test]
fn what_is_kept_is_bounded_by_number_and_by_size() {
    let mut pushed = Pushed::default();
    for _ in 0..FRAMES_MAX + 10 {
        pushed.add(|rev| rev.to_string());
    }
    assert_eq!(after(&pushed, 9), None);
    assert_eq!(after(&pushed, 10).map(|frames| frames.len()), Some(FRAMES_MAX));
    for _ in 0..4 {
        pushed.add(|_| "x".repeat(BYTES_MAX / 3));
    }
    assert!(pushed.bytes <= BYTES_MAX && pushed.frames.len() <= 3);
    pushed.add(|_| "x".repeat(BYTES_MAX + 1));
    assert!(pushed.frames.is_empty() && pushed.bytes == 0);
    assert_eq!(after(&pushed, pushed.rev()), Some(vec![]));
}

#[test]
fn a_snapshot_is_made_once_for_a_push() {
    let mut pushed = Pushed::default();
    let mut made = 0;
    let mut snapshot = |pushed: &mut Pushed| {
        pushed.snapshot(|rev| {
            made += 1;
            rev.to_string()
        })
    };
    assert_eq!(snapshot(&mut pushed).as_str(), "0");
    assert_eq!(snapshot(&mut pushed).as_str(), "0");
    pushed.add(|rev| rev.to_string());
    assert_eq!(snapshot(&mut pushed).as_str(), "1");
    assert_eq!(made, 2);
}

#[test]
fn lists_are_json() {
    assert_eq!(list([]), "[]");
    assert_eq!(lists([("a", vec!["1", "2"]), ("b", vec![])]), "{\"a\":[1,2],\"b\":[]}");
}
