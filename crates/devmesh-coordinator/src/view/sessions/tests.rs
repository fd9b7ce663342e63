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
    assert!(sessions.is_listening(5_000) && !sessions.is_listening(20_000));
    sessions.hears(20_000);
    assert_eq!(sessions.silent_ms(&alice, &one, 20_100), 100);
}
