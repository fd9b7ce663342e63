//! What is kept and what goes.

use super::*;

#[test]
fn the_oldest_go_first_and_what_is_redacted_stays_away() {
    let mut texts = Texts::default();
    let big: Arc<str> = "x".repeat(BYTES_KEPT / 4).into();
    let name = |n: u8| Digest([n; 32]);
    for n in 0..6 {
        texts.insert(name(n), Arc::clone(&big));
    }
    let kept: Vec<u8> = (0..6).filter(|n| texts.get(&name(*n)).is_some()).collect();
    assert_eq!(kept, [2, 3, 4, 5]);
    texts.redact(name(3));
    texts.insert(name(3), "again".into());
    assert!(texts.get(&name(3)).is_none());
    assert!(texts.needs_no_storing(&name(3)));
    texts.insert(name(6), Arc::clone(&big));
    assert!(texts.get(&name(2)).is_some(), "the redacted one made room");
}

#[test]
fn a_text_that_comes_twice_counts_once() {
    let mut texts = Texts::default();
    let part: Arc<str> = "x".repeat(BYTES_KEPT / 4).into();
    let name = |n: u8| Digest([n; 32]);
    for _ in 0..9 {
        texts.insert(name(0), Arc::clone(&part));
    }
    (1..4).for_each(|n| texts.insert(name(n), Arc::clone(&part)));
    assert!((0..4).all(|n| texts.get(&name(n)).is_some()), "there is room for four");
    texts.insert(name(4), "x".into());
    assert!(texts.get(&name(0)).is_none(), "and for no more");
    assert!((1..5).all(|n| texts.get(&name(n)).is_some()));
}
