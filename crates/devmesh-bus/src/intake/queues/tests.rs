//! Turns and bounds.

use bytes::Bytes;
use devmesh_protocol::command::Encoding;
use devmesh_protocol::subject::Incoming;
use devmesh_protocol::{ActorId, HostId};

use super::super::{Message, ReplyTo};
use super::{Bounds, Queues};

fn actor(name: &str) -> ActorId {
    ActorId::new(name).unwrap()
}

fn message(incoming: Incoming, payload: &str) -> Message {
    Message {
        incoming,
        encoding: Encoding::Json,
        payload: Bytes::copy_from_slice(payload.as_bytes()),
        reply: ReplyTo("_R_.x".into()),
        is_over_bound: false,
    }
}

fn command(name: &str, payload: &str) -> Message {
    message(Incoming::Command { actor: actor(name), verb: "v".into() }, payload)
}

fn beat(name: &str, payload: &str) -> Message {
    message(Incoming::Beat { actor: actor(name) }, payload)
}

fn report(name: &str, payload: &str) -> Message {
    message(Incoming::Report { host: HostId::new(name).unwrap() }, payload)
}

fn put(queues: &Queues, messages: impl IntoIterator<Item = Message>) {
    queues.put(messages.into_iter().map(Ok));
}

fn take(queues: &Queues, limit: usize) -> Vec<String> {
    let mut taken = Vec::new();
    queues.take(&mut taken, limit);
    let text = |message: Message| {
        let payload = String::from_utf8_lossy(&message.payload).into_owned();
        if message.is_over_bound { format!("over {payload}") } else { payload }
    };
    taken.into_iter().map(text).collect()
}

#[test]
fn actors_are_served_in_turns_and_each_in_its_own_order() {
    let queues = Queues::new(Bounds::default());
    put(&queues, (0..100).map(|n| command("flood", &format!("f{n}"))));
    put(&queues, [command("calm", "c0"), command("calm", "c1"), command("other", "o0")]);
    assert_eq!(take(&queues, 6), ["f0", "c0", "o0", "f1", "c1", "f2"]);
    assert_eq!(take(&queues, 1), ["f3"]);
    assert_eq!(take(&queues, 1_000).len(), 96);
}

#[test]
fn over_its_bound_an_actor_is_refused_and_nobody_else() {
    let bounds = Bounds { requests_per_actor: 2, ..Bounds::default() };
    let queues = Queues::new(bounds);
    put(&queues, (0..5).map(|n| command("flood", &format!("f{n}"))));
    put(&queues, [command("calm", "c0")]);
    assert_eq!(take(&queues, 10), ["over ", "over ", "over ", "f0", "c0", "f1"]);
    put(&queues, [command("flood", "f5")]);
    assert_eq!(take(&queues, 10), ["f5"]);
}

/// The coordinator answers what comes marked `over` with `LIMIT_EXCEEDED`.
#[test]
fn r10_who_asks_too_often_is_refused() {
    let bound = Bounds::default().requests_per_actor;
    let queues = Queues::new(Bounds::default());
    put(&queues, (0..bound + 3).map(|n| command("polls", &format!("p{n}"))));
    put(&queues, [command("waits", "w0")]);
    let taken = take(&queues, bound + 10);
    assert_eq!(taken[..5], ["over ", "over ", "over ", "p0", "w0"], "nobody else is held up");
    assert_eq!(taken.len(), bound + 4);
    // What was answered makes room again.
    put(&queues, [command("polls", "again")]);
    assert_eq!(take(&queues, 1), ["again"]);
}

#[test]
fn bytes_are_bounded_for_one_and_for_all() {
    let bounds = Bounds { bytes_per_actor: 10, bytes: 15, ..Bounds::default() };
    let queues = Queues::new(bounds);
    put(&queues, [command("a", "12345678"), command("a", "123"), command("b", "12345678")]);
    put(&queues, [command("b", "1234567")]);
    assert_eq!(take(&queues, 10), ["over ", "over ", "12345678", "1234567"]);
    put(&queues, [command("b", "1234567890")]);
    assert_eq!(take(&queues, 10), ["1234567890"]);
}

#[test]
fn refusals_are_bounded_too() {
    let bounds = Bounds { requests_per_actor: 0, refusals: 2, ..Bounds::default() };
    let queues = Queues::new(bounds);
    put(&queues, (0..5).map(|_| command("flood", "")));
    assert_eq!(take(&queues, 10).len(), 2);
    assert_eq!(queues.dropped().get("over_bound"), Some(&3));
}

#[test]
fn heartbeats_pass_commands_and_the_oldest_go() {
    let bounds = Bounds { beats_per_actor: 2, ..Bounds::default() };
    let queues = Queues::new(bounds);
    put(&queues, [command("a", "c")]);
    put(&queues, (0..5).map(|n| beat("a", &format!("b{n}"))));
    put(&queues, [beat("b", "x")]);
    assert_eq!(take(&queues, 10), ["b3", "x", "b4", "c"]);
    assert_eq!(queues.dropped().get("beats"), Some(&3));
}

#[test]
fn of_a_hosts_reports_the_newest_counts() {
    let queues = Queues::new(Bounds::default());
    put(&queues, [report("h", "old"), report("h", "new")]);
    assert_eq!(take(&queues, 10), ["new"]);
    assert!(take(&queues, 10).is_empty());
}

#[test]
fn discarded_requests_are_gone_and_their_room_is_free() {
    let bounds = Bounds { bytes: 4, ..Bounds::default() };
    let queues = Queues::new(bounds);
    put(&queues, [command("a", "1234"), command("b", "1"), beat("a", "b")]);
    assert_eq!(queues.discard_requests(), 2);
    put(&queues, [command("b", "1234")]);
    assert_eq!(take(&queues, 10), ["b", "1234"]);
}

#[test]
fn what_is_not_let_in_is_counted() {
    let queues = Queues::new(Bounds::default());
    queues.put([Err("subject"), Err("subject"), Err("reply")]);
    assert_eq!(queues.dropped().get("subject"), Some(&2));
    assert_eq!(queues.dropped().get("reply"), Some(&1));
}

#[tokio::test]
async fn what_a_limit_left_behind_wakes_the_next_taker() {
    let queues = Queues::new(Bounds::default());
    put(&queues, [command("a", "1"), command("a", "2")]);
    queues.arrived().await;
    assert_eq!(take(&queues, 1), ["1"]);
    queues.arrived().await;
    assert_eq!(take(&queues, 1), ["2"]);
}
