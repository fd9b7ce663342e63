//! One step at a time: inputs in, effects out.

use devmesh_bus::client::Outcome;
use devmesh_protocol::{ActorId, MeshId, Reply};
use devmesh_testkit::desk::Desk;
use serde_json::{Value, json};

use super::*;
use crate::effect::Request;

/// A view on a desk's log, and what it says to browsers.
struct Table {
    desk: Desk,
    view: View,
    read: usize,
}

impl Table {
    fn new() -> Self {
        let desk = Desk::new();
        let (mesh, actor) = (MeshId::new("m").unwrap(), ActorId::new("alice").unwrap());
        Self { desk, view: View::new("boot".to_owned(), mesh, actor), read: 0 }
    }

    /// One that has read the log to its end.
    fn live() -> Self {
        let mut table = Self::new();
        let stream_seq = table.desk.store().entries().len() as u64;
        table.step(Input::Ends { stream_seq });
        table.read();
        assert_eq!(table.view.log, Health::Live);
        table
    }

    fn step(&mut self, input: Input) -> Vec<Effect> {
        step(&mut self.view, input)
    }

    fn read(&mut self) -> Vec<Effect> {
        let entries = self.desk.store().entries();
        let fresh = entries[self.read..].to_vec();
        self.read = entries.len();
        self.step(Input::Entries(fresh))
    }

    fn say(&mut self, browser: u64, value: &Value) -> Vec<Effect> {
        self.step(Input::Said { browser, text: value.to_string().into() })
    }

    fn greet(&mut self, browser: u64) -> Vec<Effect> {
        self.step(Input::Joined { browser });
        self.say(browser, &json!({ "t": "hello" }))
    }
}

/// The frames to a browser, by their kind.
fn frames(effects: &[Effect], browser: u64) -> Vec<Value> {
    let own = effects.iter().filter_map(|effect| match effect {
        Effect::Send { browser: to, frame } if *to == browser => Some(frame),
        _ => None,
    });
    own.map(|frame| serde_json::from_str(frame).unwrap()).collect()
}

fn kinds(effects: &[Effect], browser: u64) -> Vec<String> {
    frames(effects, browser).iter().map(|f| f["t"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn who_comes_while_history_is_read_gets_its_snapshot_at_the_end() {
    let mut table = Table::new();
    assert_eq!(kinds(&table.greet(1), 1), ["hello", "health"]);
    let stream_seq = table.desk.store().entries().len() as u64;
    assert_eq!(kinds(&table.step(Input::Ends { stream_seq }), 1), [""; 0]);
    assert_eq!(kinds(&table.read(), 1), ["health", "snapshot"]);
}

#[test]
fn an_empty_log_is_live_at_once() {
    let mut table = Table::new();
    table.greet(1);
    let effects = table.step(Input::Ends { stream_seq: 0 });
    assert_eq!(kinds(&effects, 1), ["health", "snapshot"]);
}

#[test]
fn nobody_is_told_before_saying_hello() {
    let mut table = Table::live();
    table.step(Input::Joined { browser: 1 });
    table.greet(2);
    table.desk.say("alice", "mesh.pause", json!({}));
    table.read();
    let effects = table.step(Input::Push);
    assert_eq!(kinds(&effects, 1), [""; 0]);
    assert_eq!(kinds(&effects, 2), ["delta"]);
}

#[test]
fn many_records_are_one_push_and_none_is_none() {
    let mut table = Table::live();
    table.greet(1);
    for n in 0..10 {
        table.desk.say("alice", "repo.add", json!({ "name": format!("r{n}"), "path": "/r" }));
    }
    assert!(!table.view.is_stale());
    assert_eq!(table.read(), []);
    assert!(table.view.is_stale());
    let effects = table.step(Input::Push);
    let delta = &frames(&effects, 1)[0];
    assert_eq!(delta["put"]["repos"].as_array().unwrap().len(), 10);
    assert_eq!(delta["lines"].as_array().unwrap().len(), 10);
    assert!(!table.view.is_stale());
    assert_eq!(table.step(Input::Push), []);
}

#[test]
fn a_snapshot_is_of_one_moment() {
    let mut table = Table::live();
    table.greet(1);
    table.desk.say("alice", "repo.add", json!({ "name": "r", "path": "/r" }));
    table.read();
    let effects = table.greet(2);
    assert_eq!(kinds(&effects, 1), ["delta"], "the other one comes along");
    let snapshot = frames(&effects, 2).pop().unwrap();
    assert_eq!(snapshot["mesh"]["seq"], table.desk.seq());
    assert_eq!(snapshot["put"]["repos"][0]["repo"], "r");
    assert_eq!(snapshot["lines"].as_array().unwrap().last().unwrap()["kind"], "repo_added");
}

#[test]
fn a_command_goes_out_once_and_its_answer_comes_back_to_who_asked() {
    let mut table = Table::live();
    table.greet(1);
    table.greet(2);
    let asked = json!({ "t": "do", "n": 7, "verb": "mesh.pause", "body": { "id": "c-1" } });
    let effects = table.say(1, &asked);
    let [Effect::Ask { browser: 1, n: 7, request: Request::Command(command) }] = &effects[..]
    else {
        panic!("{effects:?}")
    };
    assert_eq!((command.actor.as_str(), command.id.as_str()), ("alice", "c-1"));
    let reply = Reply::Ok { seq: Some(3), result: json!({}) };
    let outcome = Ok(Outcome::Reply(reply));
    let effects = table.step(Input::Answered { browser: 1, n: 7, outcome });
    assert_eq!(frames(&effects, 1)[0]["n"], 7);
    assert_eq!(frames(&effects, 2), [Value::Null; 0]);
}

#[test]
fn an_answer_to_who_is_gone_goes_nowhere() {
    let mut table = Table::live();
    table.greet(1);
    table.step(Input::Left { browser: 1 });
    let outcome = Err("lost".to_owned());
    assert_eq!(table.step(Input::Answered { browser: 1, n: 1, outcome }), []);
    assert_eq!(table.say(1, &json!({ "t": "hello" })), []);
}

#[test]
fn requests_under_way_are_bounded() {
    let mut table = Table::live();
    table.greet(1);
    let ask = |n: usize| json!({ "t": "do", "n": n, "verb": "mesh.pause", "body": {} });
    for n in 0..say::IN_FLIGHT_MAX {
        assert!(matches!(table.say(1, &ask(n))[..], [Effect::Ask { .. }]));
    }
    let effects = table.say(1, &ask(99));
    assert_eq!(frames(&effects, 1)[0]["reply"]["error"]["code"], "LIMIT_EXCEEDED");
    table.step(Input::Answered { browser: 1, n: 0, outcome: Err("lost".to_owned()) });
    assert!(matches!(table.say(1, &ask(100))[..], [Effect::Ask { .. }]));
}

#[test]
fn nonsense_is_answered_and_then_ends() {
    let mut table = Table::live();
    table.greet(1);
    for n in 1..say::BAD_MAX {
        let effects = table.step(Input::Said { browser: 1, text: "{".into() });
        assert_eq!(kinds(&effects, 1), ["error"], "{n}");
    }
    let effects = table.step(Input::Said { browser: 1, text: "{".into() });
    assert_eq!(effects, [Effect::Close { browser: 1 }]);
}

#[test]
fn a_log_that_is_not_whole_stops_the_reading_for_good() {
    let mut table = Table::live();
    table.greet(1);
    let stream_seq = table.view.read() + 1;
    let entry = Entry { stream_seq, payload: bytes::Bytes::from_static(b"x") };
    let effects = table.step(Input::Entries(vec![entry]));
    assert!(effects.contains(&Effect::StopReading));
    assert_eq!(frames(&effects, 1)[0]["log"], "broken");
    let seq = table.view.reader.state().seq;
    table.desk.say("alice", "mesh.pause", json!({}));
    table.read();
    assert_eq!(table.view.reader.state().seq, seq);
    assert_eq!(table.step(Input::Ends { stream_seq: 0 }), []);
}

#[test]
fn a_lost_bus_is_told_and_told_again_when_it_is_back() {
    let mut table = Table::live();
    table.greet(1);
    let lost = Input::Unreadable { what: "gone".to_owned(), broken: false };
    assert_eq!(frames(&table.step(lost.clone()), 1)[0]["log"], "lost");
    assert_eq!(table.step(lost), [], "once is enough");
    let stream_seq = table.view.read();
    assert_eq!(frames(&table.step(Input::Ends { stream_seq }), 1)[0]["log"], "live");
}

#[test]
fn the_coordinator_is_asked_while_somebody_looks_on() {
    let mut table = Table::live();
    assert_eq!(table.step(Input::Listen), []);
    assert!(table.greet(1).contains(&Effect::Listen));
    assert_eq!(table.step(Input::Listen), [], "one question at a time");
    let heard = Heard {
        hosts: json!({ "hosts": [{ "host": "h", "report": { "cpus": 2 } }, { "host": "i" }] }),
        agents: json!({ "agents": [{ "agent": "a", "silent_ms": 9 }] }),
        tasks: json!({ "tasks": [{ "task": "t-1", "attempt": { "message": "hm" } }] }),
        stale: None,
    };
    let effects = table.step(Input::Heard(Some(heard.clone())));
    assert_eq!(kinds(&effects, 1), ["health", "soft"]);
    let soft = frames(&effects, 1).pop().unwrap();
    assert_eq!(soft["hosts"], json!({ "h": { "cpus": 2 } }));
    assert_eq!(soft["silent"], json!({ "a": 9 }));
    assert_eq!(soft["messages"], json!({ "t-1": "hm" }));
    assert_eq!(table.step(Input::Listen), [Effect::Listen]);
    assert_eq!(table.step(Input::Heard(Some(heard))), [], "nothing new");
    assert_eq!(frames(&table.step(Input::Heard(None)), 1)[0]["coordinator"], false);
    assert_eq!(kinds(&table.greet(2), 2), ["hello", "health", "snapshot", "soft"]);
}
