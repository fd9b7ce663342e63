//! The rulebook refuses: one test for each of its rules, with the codes that it names.

use devmesh_protocol::command::internal::Internal;
use devmesh_protocol::command::task::{Change, FileEdit, ReviewBy};
use devmesh_protocol::event::agent::Capacity;
use devmesh_protocol::{
    ActorId, Command, CommandId, Digest, HostId, RepoPath, SessionId, TaskId, Verb,
};
use serde_json::json;

use super::{Tasks, check, receipt};
use crate::fold::fold;
use crate::invariant::world;
use crate::state::State;

const WORKING: [&str; 3] = ["alice add", "close 1 codex", "codex start 1"];
const PROVEN: [&str; 4] = ["alice add", "close 1 codex", "codex start 1", "codex verify 1"];

#[test]
fn r01_only_the_architect_plans() {
    check(&["alice plan"], "claude bid 1", "NOT_PERMITTED");
    check(&["alice plan"], "close 1 claude", "auction_lapsed t-1");
    check(&["alice plan"], "codex bid 1", "nothing");
    check(&[], "claude send framework.publish {\"text\":\"mine\"}", "NOT_PERMITTED");
    for gone in [
        "codex send agent.leave {}",
        "silent codex 30000",
        "alice send agent.drain {\"agent\":\"codex\"}",
    ] {
        check(&[gone, "alice plan"], "claude bid 1", "nothing");
        check(&[gone, "alice plan"], "gemini bid 1", "NOT_PERMITTED");
    }
}

#[test]
fn r02_work_waits_for_the_framework() {
    let given = ["alice plan", "alice add {\"parent\":\"t-1\"}", "close 1 codex", "codex start 1"];
    check(&given, "claude bid 2", "TASK_STATE_ERROR");
    check(&given, "close 2 claude", "nothing");
    let given = [&given[..], &["after 600000", "after 600000"]].concat();
    check(&given, "claude bid 2", "TASK_STATE_ERROR");
    let mut tasks = Tasks::after_all(&given[..4]);
    tasks.step("codex publish 1");
    tasks.step("claude send framework.read {\"version\":1}");
    assert_eq!(tasks.step("claude bid 2"), "nothing");
}

#[test]
fn r03_nobody_assigns_work() {
    // There is no field that says who.
    for who in ["actor", "agent", "owner", "assignee", "worker"] {
        check(&[], &format!("alice add {{\"{who}\":\"codex\"}}"), "BAD_REQUEST");
        check(&["alice add"], &format!("alice edit 1 {{\"{who}\":\"codex\"}}"), "BAD_REQUEST");
    }
    let unsaid = "codex start 1 {\"attempt\":1,\"token\":7}";
    check(&["alice add"], unsaid, "STALE_TOKEN");
    check(&["alice add", "close 1 claude"], unsaid, "STALE_TOKEN");
    check(&["alice add", "close 1 claude"], "codex start 1", "NOT_OWNER");
    check(&["alice add", "close 1 claude"], "alice start 1", "NOT_OWNER");
    check(&["alice add", "close 1 claude"], "claude start 1", "task_started t-1");
}

#[test]
fn r04_a_folder_covers_all_within() {
    let mut world = world::World::new();
    world.step("alice write src/");
    for path in ["src/a.rs", "src/deep/b.rs", "src", "./src/x/../y", "."] {
        assert_eq!(world.step(&format!("codex write {path}")), "LOCK_CONFLICT", "{path}");
    }
    assert_eq!(world.step("codex write srcs"), "codex has write srcs");
    // And a file's lease is in the way of whoever wants a folder above it.
    assert_eq!(world.step("bob write ."), "LOCK_CONFLICT");
    assert_eq!(world.step("alice release src/"), "src/ free");
    assert_eq!(world.step("codex write src/a.rs"), "codex has write src/a.rs");
}

#[test]
fn r05_silence_costs_leases_then_task() {
    let mut tasks = Tasks::after_all(&["alice add {\"paths\":[\"a\"]}", "close 1 codex"]);
    tasks.step("codex start 1");
    let (attempt, token) = (1, tasks.world.token(1));
    assert_eq!(tasks.step("silent codex 19999"), "nothing");
    assert!(tasks.step("silent codex 20000").starts_with("leases_lapsed"));
    assert_eq!((tasks.world.state.leases.len(), tasks.state(1)), (0, "working"));
    assert!(tasks.step("silent codex 30000").starts_with("session_lost"));
    assert_eq!(tasks.state(1), "queued");
    // Whoever wakes then changes nothing.
    let late = json!({ "task": "t-1", "attempt": attempt, "token": token, "session": "codex" });
    let proof = json!({ "receipt": receipt("a", "passed"), "commit": super::name("c") });
    for (verb, more) in [
        ("task.progress", json!({})),
        ("task.verified", proof),
        ("land.begin", json!({ "tree": super::name("a") })),
        ("task.complete", json!({})),
    ] {
        assert_eq!(tasks.send("codex", verb, super::merge(late.clone(), more)), "STALE_TOKEN");
    }
    let lock = json!({ "paths": ["a"], "mode": "write", "session": "codex" });
    assert_eq!(tasks.send("codex", "lock.acquire", lock), "AGENT_NOT_REGISTERED");
    let join = json!({ "tool": "x", "host": "host", "session": "codex" });
    assert_eq!(tasks.send("codex", "agent.join", join), "AGENT_NOT_REGISTERED");
}

#[test]
fn r06_another_has_to_approve() {
    for (by, other) in [("agent", "claude"), ("person", "alice")] {
        let add = format!("alice add {{\"review\":\"{by}\"}}");
        let given = [add.as_str(), "close 1 codex", "codex start 1", "codex verify 1"];
        let mut tasks = Tasks::after_all(&given);
        assert_eq!(tasks.state(1), "review");
        let own = if by == "agent" { "SELF_REVIEW" } else { "NOT_PERMITTED" };
        assert_eq!(tasks.step("codex approve 1"), own);
        assert!(tasks.step(&format!("{other} approve 1")).contains("task_reviewed t-1"));
        // An approval is of what was seen: of another tree there is none.
        tasks.step("after 60000");
        tasks.step("close 1 codex");
        tasks.step("codex start 1");
        assert!(tasks.step("codex verify 1 b").contains("task_verified t-1"));
        assert_eq!(tasks.state(1), "review");
    }
    // Without it there is no turn, however the attempt came to be at work.
    let mut tasks = Tasks::after_all(&PROVEN);
    let mut task = tasks.task(1).clone();
    task.spec.review = ReviewBy::Person;
    tasks.world.state.tasks.insert(TaskId(1), task);
    assert_eq!(tasks.step("codex begin 1 a"), "REVIEW_REQUIRED");
    assert_eq!(tasks.step("codex complete 1"), "REVIEW_REQUIRED");
}

#[test]
fn r07_a_host_gives_what_it_has() {
    let measured = |ram_mb, slots| {
        let capacity = Capacity { ram_mb, vram_mb: Vec::new(), slots };
        Internal::HostMeasured { host: HostId::new("host").unwrap(), capacity, report: None }
    };
    let mut tasks = Tasks::after_all(&["alice add", "alice add"]);
    tasks.world.internal(measured(1_000, 1));
    assert_eq!(tasks.step("close 1 codex"), "task_awarded t-1");
    assert_eq!(tasks.step("claude bid 2"), "INSUFFICIENT_RESOURCES");
    assert_eq!(tasks.step("close 2 claude"), "auction_lapsed t-2");
    let mut tasks = Tasks::after_all(&["alice add"]);
    tasks.world.internal(measured(1_000, 0));
    assert_eq!(tasks.step("claude bid 1"), "AGENT_SUSPENDED");
    tasks.world.internal(measured(1_000, 1));
    assert_eq!(tasks.step("claude bid 1"), "nothing");
}

#[test]
fn r08_the_framework_is_read_first() {
    let publish = "codex send framework.publish {\"text\":\"plan\"}";
    let read =
        |who: &str, version: u64| format!("{who} send framework.read {{\"version\":{version}}}");
    let given = [publish, "alice add", &read("codex", 1)];
    check(&given, "claude bid 1", "FRAMEWORK_UNREAD");
    check(&given, "codex bid 1", "nothing");
    check(&given, "close 1 claude", "auction_lapsed t-1");
    check(&given, &read("claude", 2), "FRAMEWORK_UNREAD");
    let patched = [&given[..], &["alice send framework.publish {\"text\":\"another\"}"]].concat();
    check(&patched, "codex bid 1", "FRAMEWORK_UNREAD");
    check(&[&patched[..], &[&read("codex", 2)]].concat(), "codex bid 1", "nothing");
}

#[test]
fn r09_the_same_change_twice() {
    let edit = |name: &str, now: &str| {
        let path = RepoPath::new(name).unwrap();
        let (base, now) = (Some(super::name("1")), Some(super::name(now)));
        FileEdit { path, base, now, mode: None }
    };
    let said = |edits: Vec<FileEdit>| json!({ "change": Change::of(edits, &[]) });
    let two = ["alice add", "alice add", "close 1 codex", "close 2 claude", "codex start 1"];
    let mut tasks = Tasks::after_all(&[&two[..], &["claude start 2"]].concat());
    let none = format!("codex verify 1 a passed {}", said(Vec::new()));
    assert_eq!(tasks.step(&none), "NO_EDIT");
    let same = said(vec![edit("x.rs", "2")]);
    assert_eq!(tasks.step(&format!("codex verify 1 a passed {same}")), "task_verified t-1");
    assert_eq!(tasks.step(&format!("claude verify 2 b passed {same}")), "DUPLICATE_CHANGE");
    let other = said(vec![edit("x.rs", "3")]);
    assert_eq!(tasks.step(&format!("claude verify 2 b passed {other}")), "task_verified t-2");
    // What lands is what was proven.
    check(&WORKING, "codex begin 1 a", "VERIFICATION_REQUIRED");
    let failed = [&WORKING[..], &["codex verify 1 a failed"]].concat();
    check(&failed, "codex begin 1 a", "VERIFICATION_REQUIRED");
    check(&PROVEN, "codex begin 1 b", "VERIFICATION_REQUIRED");
    let begun = [&PROVEN[..], &["codex begin 1 a"]].concat();
    check(&begun, "codex land 1 b", "VERIFICATION_REQUIRED");
    check(&begun, "codex land 1 a", "land_ended t-1");
}

#[test]
fn r11_nothing_outside_is_named() {
    for path in ["../x", "a/../../x", "/etc/hosts", "~/x", "C:\\x", "..\\x"] {
        let path = path.replace('\\', "\\\\");
        for (verb, body) in [
            ("lock.acquire", format!("{{\"mode\":\"read\",\"paths\":[\"ok\",\"{path}\"]}}")),
            ("lock.release", format!("{{\"paths\":[\"{path}\"]}}")),
            ("task.add", format!("{{\"title\":\"x\",\"paths\":[\"{path}\"]}}")),
            ("note.share", format!("{{\"key\":\"k\",\"value\":\"v\",\"paths\":[\"{path}\"]}}")),
        ] {
            for who in ["alice", "codex"] {
                check(&[], &format!("{who} send {verb} {body}"), "PATH_OUTSIDE_REPO");
            }
        }
    }
}

#[test]
fn r12_a_question_stops_its_task() {
    check(&["alice add"], "codex ask 1", "TASK_STATE_ERROR");
    check(&["alice add", "close 1 codex"], "codex ask 1", "TASK_STATE_ERROR");
    check(&WORKING, "claude ask 1", "NOT_OWNER");
    let asked = [&PROVEN[..], &["codex ask 1 {\"default\":\"this\",\"wait_s\":60}"]].concat();
    check(&asked, "codex ask 1", "TASK_STATE_ERROR");
    check(&asked, "codex begin 1 a", "TASK_STATE_ERROR");
    check(&asked, "codex complete 1", "TASK_STATE_ERROR");
    // Other tasks go on, and this one by itself when nobody answers.
    let other = [&asked[..], &["alice add", "close 2 claude"]].concat();
    check(&other, "claude start 2", "task_started t-2");
    let answered = [&asked[..], &["after 60000"]].concat();
    check(&answered, "codex begin 1 a", "land_began t-1");
}

#[test]
fn r13_nobody_else_writes_history() {
    let internals = || {
        let (actor, session) = (world::actor("codex"), SessionId::new("codex").unwrap());
        let host = HostId::new("host").unwrap();
        let capacity = Capacity { ram_mb: 1, vram_mb: Vec::new(), slots: 1 };
        [
            Internal::EpochStart { epoch: 9, node: "n".into(), nonce: 1, hash: Digest::of(b"") },
            Internal::Tick,
            Internal::SessionSilent { actor, session, silent_ms: 99_999 },
            Internal::HostMeasured { host, capacity, report: None },
            Internal::AuctionClose { task: TaskId(1), bids: Vec::new() },
        ]
    };
    let mut tasks = Tasks::after_all(&["alice add"]);
    for who in ["alice", "codex", "admin", "stranger"] {
        for internal in internals() {
            let actor = ActorId::new(who).unwrap();
            let session = Some(SessionId::new(who).unwrap());
            let id = CommandId::new("x").unwrap();
            let command = Command { id, actor, session, verb: Verb::Internal(internal) };
            let refused = crate::decide(&tasks.world.state, &command, tasks.world.at).unwrap_err();
            assert_eq!(refused.code.as_str(), "NOT_PERMITTED", "{who} {:?}", command.verb);
        }
    }
    // All that is so follows from what is written.
    let mut state = State::default();
    tasks.world.records.iter().for_each(|record| fold(&mut state, record));
    assert_eq!(state.hash(), tasks.world.state.hash());
}
