//! Queries: who answers them, what is waited for and for how long, what only memory knows.

use devmesh_protocol::HostId;
use serde_json::{Value, json};

use super::soft::report;
use crate::fixture::{World, caller};
use crate::input::Input;

#[test]
fn who_does_not_lead_answers_no_query() {
    let mut world = World::led();
    world.furnish();
    let standby = world.add_node(None);
    world.pass(500);
    let seq = world.reader().chain().seq;
    world.ask(standby, "now", "state", json!({}));
    world.ask(standby, "there", "state", json!({ "at_least": seq }));
    world.pass(3_000);
    world.put(standby, Input::Tick);
    world.work();
    // Nor does it say that a record is not there which is.
    assert!(world.answered("now").is_none() && world.answered("there").is_none());
    assert!(world.nodes[standby].view.asked.is_empty());
}

#[test]
fn a_text_that_nobody_tells_is_waited_for_two_seconds() {
    let mut world = World::led();
    world.furnish();
    world.ok("alice", "note.share", json!({ "key": "k", "value": "what" }));
    world.nodes[0].runs = false;
    let second = world.add_node(None);
    world.until(5_000, |world| world.nodes[second].view.is_leading());
    // What it has stored itself is known to it.
    world.ok("alice", "note.share", json!({ "key": "a", "value": "v" }));
    world.texts_hang = true;
    world.ask(second, "q", "notes", json!({ "word": "else" }));
    world.pass(1_990);
    assert!(world.answered("q").is_none());
    world.pass(110);
    let result = &world.answered("q").expect("it goes without")["result"];
    assert_eq!((&result["notes"][0]["key"], &result["unread"]), (&json!("k"), &json!(["k"])));
    assert_eq!(
        result["notes"][1],
        Value::Null,
        "of the other it is known that it does not hold it"
    );
}

fn dropped(world: &mut World, call: &str) -> Value {
    world.ask(0, call, "state", json!({}));
    world.pass(20);
    world.answered(call).unwrap()["result"]["dropped"].clone()
}

#[test]
fn what_was_dropped_before_it_came_and_what_was_refused_is_counted_together() {
    let mut world = World::led();
    world.furnish();
    assert_eq!(dropped(&mut world, "none"), json!({}));
    for _ in 0..2 {
        let told = world.call("alice", "lock.acquire", json!({ "paths": [] }));
        assert_eq!(told["error"]["code"], "BAD_REQUEST");
    }
    let told = world.call("codex-1", "lock.acquire", json!({ "paths": ["a"], "mode": "read" }));
    assert_eq!(told["error"]["code"], "AGENT_NOT_REGISTERED");
    let at_the_door = [("BAD_REQUEST".to_owned(), 3), ("slow".to_owned(), 7)];
    world.put(0, Input::Dropped(at_the_door.into()));
    let counted = json!({ "AGENT_NOT_REGISTERED": 1, "BAD_REQUEST": 5, "slow": 7 });
    assert_eq!(dropped(&mut world, "some"), counted);
}

#[test]
fn reports_of_so_many_hosts_are_kept_and_those_stay_new() {
    let mut world = World::led();
    let standby = world.add_node(None);
    world.pass(500);
    let mut report = report();
    let mut send = |world: &mut World, n: usize, free: u64| {
        (report.host, report.ram_free_mb) = (HostId::new(&format!("h{n}")).unwrap(), free);
        let report = Box::new(report.clone());
        world.effects(standby, Input::Report { report, caller: caller("r") });
    };
    (0..=4_096).for_each(|n| send(&mut world, n, 1));
    send(&mut world, 5, 2);
    let reports = &world.nodes[standby].view.reports;
    assert_eq!(reports.len(), 4_096);
    let free = |n: &str| reports.get(&HostId::new(n).unwrap()).map(|it| it.report.ram_free_mb);
    assert_eq!((free("h5"), free("h4095"), free("h4096")), (Some(2), Some(1), None));
}
