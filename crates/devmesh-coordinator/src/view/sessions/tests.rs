//! Silence.

use super::*;

#[test]
fn silence_counts_from_the_later_of_the_last_beat_and_the_beginning_of_listening() {
    let mut sessions = Sessions::default();
    let alice = ActorId::new("alice").unwrap();
    let (one, two) = (SessionId::new("s1").unwrap(), SessionId::new("s2").unwrap());
    sessions.listen_from(100);
    assert_eq!(sessions.silent_ms(&alice, &one, 150), 50);
    sessions.hear(&alice, &one, 160);
    sessions.hear(&alice, &two, 200);
    assert_eq!(sessions.silent_ms(&alice, &one, 210), 50);
    assert_eq!(sessions.silent_ms(&alice, &two, 210), 10);
    sessions.listen_from(205);
    assert_eq!(sessions.silent_ms(&alice, &one, 210), 5);
    sessions.prune(200 + STRANGER_MS);
    assert_eq!(sessions.silent_ms(&alice, &two, 200 + STRANGER_MS), STRANGER_MS - 5);
    assert_eq!(sessions.count, 0);
}

#[test]
fn who_has_heard_nothing_at_all_has_listened_to_nobody() {
    let mut sessions = Sessions::default();
    let (alice, one) = (ActorId::new("alice").unwrap(), SessionId::new("s1").unwrap());
    sessions.hears(1_000);
    sessions.hear(&alice, &one, 1_000);
    sessions.hears(1_000 + BEAT_MS - 1);
    assert_eq!(sessions.silent_ms(&alice, &one, 5_000), 4_000);
    let heard_at = 1_000 + BEAT_MS - 1;
    assert!(sessions.is_listening(heard_at + BEAT_MS - 1));
    assert!(!sessions.is_listening(heard_at + BEAT_MS));
    sessions.hears(20_000);
    assert_eq!(sessions.silent_ms(&alice, &one, 20_100), 100);
}

#[test]
fn so_many_sessions_are_kept_and_those_go_on_being_heard() {
    let mut sessions = Sessions::default();
    let one = SessionId::new("s1").unwrap();
    let name = |n: usize| ActorId::new(&format!("a{n}")).unwrap();
    for n in 0..=HEARD_MAX {
        sessions.hear(&name(n), &one, 10);
    }
    assert_eq!(sessions.silent_ms(&name(HEARD_MAX - 1), &one, 15), 5);
    assert_eq!(sessions.silent_ms(&name(HEARD_MAX), &one, 15), 15, "one too many");
    sessions.hear(&name(0), &one, 12);
    assert_eq!(sessions.silent_ms(&name(0), &one, 15), 3);
    // Who was silent for long makes room.
    sessions.prune(11 + STRANGER_MS);
    sessions.hear(&name(HEARD_MAX), &one, 11 + STRANGER_MS);
    assert_eq!(sessions.silent_ms(&name(HEARD_MAX), &one, 15 + STRANGER_MS), 4);
}
