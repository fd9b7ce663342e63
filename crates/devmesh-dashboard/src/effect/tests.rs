//! Queues that are full.

use super::*;

fn frame() -> Utf8Bytes {
    Utf8Bytes::from_static("x")
}

#[test]
fn who_does_not_keep_up_is_let_go_and_nobody_else() {
    let queues = Queues::default();
    let (slow, slow_gone) = queues.open(1);
    let (mut quick, quick_gone) = queues.open(2);
    // Said as a number: the bound is what keeps memory bounded.
    for n in 1..=256 {
        queues.send(1, frame());
        queues.send(2, frame());
        assert_eq!(quick.try_recv().unwrap(), frame());
        assert!(!slow_gone.is_cancelled(), "frame {n}");
    }
    queues.send(1, frame());
    assert!(slow_gone.is_cancelled() && !quick_gone.is_cancelled());
    assert_eq!(slow.len(), 256);
    queues.send(1, frame());
    assert_eq!(slow.len(), 256, "nothing more is held for it");
    assert_eq!(queues.lock().len(), 1);
}

#[test]
fn who_is_closed_is_told_and_forgotten() {
    let queues = Queues::default();
    let (_waiting, gone) = queues.open(1);
    queues.close(1);
    assert!(gone.is_cancelled() && queues.lock().is_empty());
    queues.close(1);
    queues.send(1, frame());
}
