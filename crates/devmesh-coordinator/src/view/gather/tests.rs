//! Batches wait for many callers, never long, and not again where nobody came.

use super::*;

#[test]
fn few_callers_are_not_waited_for() {
    let mut gather = Gather::default();
    assert!(gather.goes(1, 0));
    gather.acknowledged(1, 0, 5);
    assert!(gather.goes(1, 5));
    gather.acknowledged(2, 1, 5);
    assert!(gather.goes(1, 5));
}

#[test]
fn most_of_those_in_play_are_waited_for() {
    let mut gather = Gather::default();
    gather.acknowledged(10, 6, 5);
    assert!(!gather.goes(11, 5));
    assert_eq!(gather.until(), Some(5 + HELD_MS_MAX));
    assert!(gather.goes(12, 6));
    assert_eq!(gather.until(), None);
    gather.acknowledged(12, 4, 7);
    assert!(gather.goes(12, 7));
}

#[test]
fn a_wait_in_vain_is_not_repeated_at_once() {
    let mut gather = Gather::default();
    gather.acknowledged(16, 0, 5);
    assert!(!gather.goes(1, 5));
    assert!(gather.goes(2, 5 + HELD_MS_MAX));
    for _ in 0..BATCHES_AT_ONCE {
        gather.acknowledged(16, 0, 20);
        assert!(gather.goes(1, 20));
    }
    gather.acknowledged(16, 0, 20);
    assert!(!gather.goes(1, 20));
}

#[test]
fn what_comes_after_the_time_finds_nobody_waiting_and_blames_nobody() {
    let mut gather = Gather::default();
    gather.acknowledged(16, 0, 5);
    assert_eq!(gather.until(), None);
    assert!(gather.goes(1, 500));
    gather.acknowledged(16, 0, 500);
    assert!(!gather.goes(1, 500));
}

#[test]
fn half_of_many_are_enough() {
    let mut gather = Gather::default();
    gather.acknowledged(40, 24, 5);
    assert!(!gather.goes(31, 5));
    assert!(gather.goes(32, 6));
}

#[test]
fn what_answers_nobody_is_held_for_a_moment() {
    let mut gather = Gather::default();
    assert!(!gather.goes_unawaited(5));
    assert_eq!(gather.until(), Some(5 + HELD_MS_MAX));
    assert!(!gather.goes_unawaited(5 + HELD_MS_MAX - 1));
    assert!(gather.goes_unawaited(5 + HELD_MS_MAX));
    assert_eq!(gather.until(), None);
    // What is waited for takes it along.
    assert!(!gather.goes_unawaited(20));
    assert!(gather.goes(2, 20));
    assert_eq!(gather.until(), None);
    assert!(!gather.goes_unawaited(30), "the next is held for as long again");
}
