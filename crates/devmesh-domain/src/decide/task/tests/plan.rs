//! Goals: whose they are to plan, what becomes of a plan, and what waits for it.

use devmesh_protocol::command::internal::Internal;
use devmesh_protocol::command::task::ReviewBy;
use devmesh_protocol::event::Event;
use devmesh_protocol::event::agent::Capacity;
use devmesh_protocol::{Code, HostId, TaskId};
use serde_json::{Value, json};

use super::{Tasks, check, story};
use crate::decide::{bidders, eligible};
use crate::state::task::Phase;

const GOAL: &[&str] = &["alice plan"];
const PLANNING: &[&str] = &["alice plan", "close 1 codex", "codex start 1"];
const LOOKED_AT: &[&str] =
    &["alice plan {\"review\":\"person\"}", "close 1 codex", "codex start 1", "codex publish 1"];
const DRAIN: &str = "alice send agent.drain {\"agent\":\"codex\"}";
const READ: [&str; 3] = [
    "codex send framework.read {\"version\":1}",
    "claude send framework.read {\"version\":1}",
    "gemini send framework.read {\"version\":1}",
];

fn may_bid(tasks: &Tasks, number: u64) -> Vec<String> {
    bidders(&tasks.world.state, TaskId(number)).iter().map(ToString::to_string).collect()
}

fn graph(tasks: Value) -> Value {
    json!({ "text": "plan", "graph": tasks })
}

#[test]
fn a_goal_is_planned_and_its_tasks_are_worked_on() {
    let mut tasks = story(&[
        ("alice plan", "task_added t-1, auction_opened t-1"),
        ("claude bid 1", "NOT_PERMITTED"),
        ("codex bid 1", "nothing"),
        ("close 1 codex", "task_awarded t-1"),
        ("codex start 1", "task_started t-1"),
        (
            "codex publish 1",
            "framework_published 1, task_added t-2, task_added t-3, task_planned t-1",
        ),
        ("claude bid 2", "TASK_STATE_ERROR"),
    ]);
    assert_eq!(tasks.state(1), "completed");
    let plan = tasks.task(1).plan.as_ref().unwrap();
    assert_eq!((plan.framework, &plan.tasks[..]), (Some(1), &[TaskId(2), TaskId(3)][..]));
    assert_eq!(tasks.task(3).spec.depends_on, [TaskId(2)]);
    let children = [2, 3].map(|n| (tasks.task(n).spec.parent, tasks.task(n).spec.by.to_string()));
    assert_eq!(children, [(); 2].map(|()| (Some(TaskId(1)), "alice".to_owned())));
    // Nobody bids before having read it (R08); then the first of the two tasks is there for all.
    for step in READ {
        tasks.step(step);
    }
    assert_eq!(may_bid(&tasks, 2), ["claude", "codex", "gemini"]);
    assert!(may_bid(&tasks, 3).is_empty() || tasks.task(3).ready_at.is_none());
}

#[test]
fn ids_are_dense_in_an_order_that_can_be_worked() {
    let mut tasks = Tasks::after_all(PLANNING);
    let body = graph(json!([
        { "key": "last", "title": "last", "depends_on": ["first", "mid"] },
        { "key": "mid", "title": "mid", "depends_on": ["first"], "needs": ["gpu"] },
        { "key": "first", "title": "first", "paths": ["src/"], "priority": 0, "prompt": "do" },
    ]));
    let came = tasks.step(&format!("codex publish 1 {body}"));
    assert!(came.ends_with("task_planned t-1"), "{came}");
    let titles = [2, 3, 4].map(|n| tasks.task(n).spec.title.clone());
    assert_eq!(titles, ["first", "mid", "last"]);
    assert_eq!(tasks.task(4).spec.depends_on, [TaskId(2), TaskId(3)]);
    assert_eq!((tasks.task(2).spec.priority, tasks.task(3).spec.priority), (0, 2));
    // All of it is one record.
    let last = tasks.world.records.iter().rfind(|r| r.events.len() > 3).unwrap();
    let kinds: Vec<&str> = last.events.iter().map(Event::kind).collect();
    let added = "task_added";
    assert_eq!(kinds, ["framework_published", added, added, added, "task_planned"]);
    let Event::TaskPlanned(e) = &last.events[4] else { panic!("{last:?}") };
    assert_eq!(e.unknown, ["gpu"], "told, not refused: such an agent may join");
    tasks.world.check_replay();
}

#[test]
fn bad_plans_are_refused_and_say_why() {
    let one = |more: Value| {
        let mut task = json!({ "key": "a", "title": "a" });
        task.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!([task])
    };
    let many: Vec<Value> = (0..65).map(|n| json!({ "key": n.to_string(), "title": "x" })).collect();
    for (tasks, code, said) in [
        (one(json!({ "depends_on": ["a"] })), Code::DependencyError, "in a circle: a -> a"),
        (one(json!({ "depends_on": ["b"] })), Code::DependencyError, "has the key \"b\""),
        (one(json!({ "paths": ["../x"] })), Code::PathOutsideRepo, "leads out of the repository"),
        (one(json!({ "verify": ["true"] })), Code::BadRequest, "verify"),
        (json!(many), Code::LimitExceeded, "65 tasks; at most 64"),
        (json!([]), Code::BadRequest, "tasks is empty"),
    ] {
        let world = &mut Tasks::after_all(PLANNING).world;
        let token = world.token(1);
        let mut body = json!({ "task": "t-1", "attempt": 1, "token": token });
        let plan = graph(tasks);
        body.as_object_mut().unwrap().extend(plan.as_object().unwrap().clone());
        let refused = world.send("codex", "framework.publish", body).unwrap_err();
        assert_eq!(refused.code, code, "{}", refused.message);
        assert!(refused.message.contains(said), "{}", refused.message);
    }
    let half = "codex send framework.publish {\"text\":\"x\",\"task\":\"t-1\"}";
    check(PLANNING, half, "BAD_REQUEST");
}

#[test]
fn what_may_be_asked_of_planning() {
    check(&[], "codex add {\"kind\":\"plan\"}", "NOT_PERMITTED");
    check(&[], "alice plan {\"paths\":[\"src\"]}", "BAD_REQUEST");
    check(&[], "alice plan {\"review\":\"agent\"}", "BAD_REQUEST");
    check(GOAL, "codex publish 1", "STALE_TOKEN");
    check(&["alice plan", "close 1 codex"], "codex publish 1", "TASK_STATE_ERROR");
    check(PLANNING, "claude publish 1", "NOT_OWNER");
    for step in ["verify 1", "begin 1", "complete 1"] {
        check(PLANNING, &format!("codex {step}"), "TASK_STATE_ERROR");
    }
    check(&["alice add", "close 1 codex", "codex start 1"], "codex publish 1", "TASK_STATE_ERROR");
    let done = [PLANNING, &["codex publish 1"]].concat();
    check(&done, "codex publish 1", "nothing");
    check(&done, "alice revert 1", "TASK_STATE_ERROR");
    check(&done, "alice say 1", "task_added t-4");
    check(&done, "codex say 1", "NOT_PERMITTED");
    check(&[PLANNING, &["alice pause 1"]].concat(), "codex publish 1", "TASK_STATE_ERROR");
}

#[test]
fn a_person_publishes_tasks_without_a_goal_and_an_agent_does_not() {
    let body = graph(json!([{ "key": "a", "title": "a" }]));
    let sent = body.to_string();
    let step = |who: &str| format!("{who} send framework.publish {sent}");
    let came = "framework_published 1, task_added t-1";
    check(&[], &step("alice"), came);
    check(&[], &step("codex"), "NOT_PERMITTED");
    // What is the framework already is not published again; its tasks are new all the same.
    let given = ["alice send framework.publish {\"text\":\"plan\"}", READ[0]];
    check(&given, &step("alice"), "task_added t-1, auction_opened t-1");
    // Where there are several repositories it is the one that is named.
    let mut tasks = Tasks::new();
    tasks.world.repo("other", false);
    assert_eq!(tasks.step(&step("alice")), "BAD_REQUEST");
    let mut named = body;
    named["repo"] = json!("other");
    assert_eq!(tasks.send("alice", "framework.publish", named), came);
    assert_eq!(tasks.task(1).spec.repo.as_str(), "other");
}

#[test]
fn a_plan_waits_for_a_person_who_asked_for_it() {
    let tasks = Tasks::after_all(LOOKED_AT);
    assert_eq!(tasks.task(1).phase, Phase::Review);
    assert_eq!(tasks.world.state.mesh().framework, None);
    assert_eq!(tasks.world.state.tasks.len(), 1);
    assert!(tasks.world.state.index.idle.len() == 3, "its author is free meanwhile");
    check(LOOKED_AT, "codex publish 1", "nothing");
    check(LOOKED_AT, "claude approve 1", "NOT_PERMITTED");
    check(LOOKED_AT, "alice abstain 1", "TASK_STATE_ERROR");
    check(
        LOOKED_AT,
        "alice approve 1",
        "task_reviewed t-1, framework_published 1, task_added t-2, task_added t-3, \
         task_planned t-1",
    );
    check(LOOKED_AT, "alice reject 1", "task_reviewed t-1, auction_opened t-1");
    check(LOOKED_AT, "alice cancel 1", "task_cancelled t-1");
    check(PLANNING, "alice approve 1", "TASK_STATE_ERROR");
    let approved = [LOOKED_AT, &["alice approve 1"]].concat();
    check(&approved, "alice approve 1", "TASK_STATE_ERROR");
    check(&approved, "codex publish 1", "nothing");
}

#[test]
fn a_rejected_plan_is_made_again_with_what_was_said() {
    let mut tasks = Tasks::after_all(LOOKED_AT);
    tasks.step("alice reject 1");
    assert_eq!(tasks.task(1).said.len(), 1);
    assert_eq!((tasks.task(1).tries, tasks.task(1).plan.is_some()), (0, false));
    for (step, came) in [
        ("close 1 codex", "task_awarded t-1"),
        ("codex start 1", "task_started t-1"),
        ("codex publish 1", "plan_proposed t-1, attempt_ended t-1"),
    ] {
        assert_eq!(tasks.step(step), came);
    }
    assert!(tasks.step("alice approve 1").ends_with("task_planned t-1"));
    tasks.world.check_replay();
}

/// What people ask for of all tasks holds for those of a plan too, and no plan takes it away.
#[test]
fn the_tasks_of_a_plan_are_reviewed_as_its_person_asks() {
    let mut tasks = Tasks::after_all(&[
        "alice plan {\"review_each\":\"agent\",\"max_attempts\":7,\"verify\":[\"true\"]}",
        "close 1 codex",
        "codex start 1",
    ]);
    let body = graph(json!([
        { "key": "a", "title": "a" },
        { "key": "b", "title": "b", "review": "person" },
    ]));
    tasks.step(&format!("codex publish 1 {body}"));
    use devmesh_protocol::command::task::ReviewBy::{Agent, Person};
    assert_eq!([2, 3].map(|n| tasks.task(n).spec.review), [Agent, Person]);
    let spec = &tasks.task(3).spec;
    assert_eq!((spec.max_attempts, spec.verify.len()), (7, 1));
}

/// R02: work on a goal is not begun before its framework is there.
#[test]
fn what_is_part_of_a_goal_waits_for_its_framework() {
    let mut tasks = story(&[
        ("alice plan", "task_added t-1, auction_opened t-1"),
        ("alice add {\"parent\":\"t-1\"}", "task_added t-2"),
        ("alice add", "task_added t-3, auction_opened t-3"),
        ("close 1 codex", "task_awarded t-1"),
        ("codex start 1", "task_started t-1"),
    ]);
    assert!(tasks.task(2).ready_at.is_none());
    tasks.step("codex publish 1");
    assert!(tasks.task(2).ready_at.is_some(), "the framework is there");
    // Nor does it begin where the goal came to nothing.
    let given = ["alice plan", "alice add {\"parent\":\"t-1\"}"];
    let mut tasks = Tasks::after_all(&given);
    tasks.step("alice cancel 1");
    assert_eq!(tasks.state(2), "blocked");
    tasks.step("alice retry 1");
    assert_eq!(tasks.state(2), "queued");
    // A goal that waited for its own part would wait for ever.
    check(&given, "alice cancel 1", "task_cancelled t-1");
    let given = [&given[..], &["alice cancel 1"]].concat();
    check(&given, "alice edit 1 {\"depends_on\":[\"t-2\"]}", "DEPENDENCY_ERROR");
}

/// R08: a patch to the framework has to be read before the next bid.
#[test]
fn a_patch_is_unread_again() {
    let given = [PLANNING, &["codex publish 1"], &READ].concat();
    let mut tasks = Tasks::after_all(&given);
    assert_eq!(tasks.step("claude bid 2"), "nothing");
    let patch = "codex send framework.publish {\"text\":\"patched\"}";
    assert_eq!(tasks.step(patch), "framework_published 2");
    for who in ["claude", "codex", "gemini"] {
        assert_eq!(tasks.step(&format!("{who} bid 2")), "FRAMEWORK_UNREAD");
    }
    tasks.step("claude send framework.read {\"version\":2}");
    assert_eq!(may_bid(&tasks, 2), ["claude"]);
    assert_eq!(tasks.close(2, &[("codex", 9), ("claude", 1)]), "task_awarded t-2");
    assert_eq!(tasks.task(2).attempt.as_ref().unwrap().actor.as_str(), "claude");
}

/// R01: whoever is architect next takes the goal up where its planner went.
#[test]
fn the_next_architect_takes_the_goal_up() {
    for (gone, spent) in [
        ("codex send agent.leave {}", 0),
        ("silent codex 30000", 1),
        ("admin send actor.end {\"actor\":\"codex\"}", 0),
    ] {
        let mut tasks = Tasks::after_all(PLANNING);
        let came = tasks.step(gone);
        assert!(came.contains("architect_named"), "{gone}: {came}");
        assert!(tasks.task(1).attempt.is_none() && tasks.task(1).tries <= spent, "{gone}");
        tasks.step("after 60000");
        assert_eq!(may_bid(&tasks, 1), ["claude"], "{gone}");
        assert_eq!(tasks.step("gemini bid 1"), "NOT_PERMITTED");
        assert_eq!(tasks.close(1, &[("claude", 0), ("gemini", 9)]), "task_awarded t-1", "{gone}");
        tasks.step("claude start 1");
        assert!(tasks.step("claude publish 1").ends_with("task_planned t-1"), "{gone}");
        tasks.world.check_replay();
    }
}

/// A drained architect ends what it has; the next goal is the next architect's, and so is this
/// one when the drained leaves it behind.
#[test]
fn a_drained_architect_plans_nothing_new() {
    let mut tasks = Tasks::after_all(PLANNING);
    assert_eq!(tasks.step(DRAIN), "agent_drained codex, architect_named mesh");
    assert_eq!(tasks.step("alice plan"), "task_added t-2, auction_opened t-2");
    assert_eq!(may_bid(&tasks, 2), ["claude"]);
    let mut ends = tasks.clone();
    assert!(ends.step("codex publish 1").ends_with("task_planned t-1"));
    tasks.step("codex send agent.leave {}");
    tasks.step("after 60000");
    assert_eq!(may_bid(&tasks, 1), ["claude"]);
    tasks.world.check_replay();
    // With nobody else there it stays what it is, until somebody joins.
    let others = ["claude send agent.leave {}", "gemini send agent.leave {}", DRAIN];
    let mut tasks = Tasks::after_all(&[GOAL, &others].concat());
    assert_eq!(tasks.world.state.mesh().architect.as_ref().unwrap().as_str(), "codex");
    assert!(may_bid(&tasks, 1).is_empty());
    let join = "claude send agent.join {\"tool\":\"x\",\"host\":\"host\",\"session\":\"c-2\"}";
    assert!(tasks.step(join).starts_with("agent_joined claude, architect_named mesh"));
    tasks.step("after 60000");
    assert_eq!(may_bid(&tasks, 1), ["claude"]);
}

/// An architect that could never take it is passed over: a goal of somebody it does not work for.
#[test]
fn a_goal_is_the_next_in_lines_where_it_is_none_of_the_architects() {
    let mut tasks = Tasks::new();
    for name in crate::invariant::world::AGENTS {
        tasks.world.send(name, "agent.leave", json!({})).unwrap();
    }
    for (name, of) in [("codex", "bob"), ("claude", "alice"), ("gemini", "alice")] {
        let body = json!({ "tool": "x", "host": "h", "session": format!("{name}-1"), "for": [of] });
        tasks.world.send(name, "agent.join", body).unwrap();
    }
    tasks.step("alice plan");
    assert_eq!(may_bid(&tasks, 1), ["claude"]);
    let why = eligible(&tasks.world.state, TaskId(1));
    let gemini = why.iter().find(|(name, _)| name.as_str() == "gemini").unwrap();
    let said = gemini.1.as_ref().unwrap_err();
    assert_eq!(said, "goals are planned by claude, the architect");
}

/// Nor does one that answers nothing, or whose host lacks what it needs, keep a goal waiting.
#[test]
fn an_architect_that_is_not_there_for_it_is_passed_over() {
    let mut tasks = Tasks::after_all(GOAL);
    for wait_ms in [1_000, 2_000, 4_000] {
        assert_eq!(may_bid(&tasks, 1), ["codex"]);
        tasks.step("close 1");
        tasks.step(&format!("after {wait_ms}"));
    }
    assert_eq!(may_bid(&tasks, 1), ["claude"]);
    assert_eq!(tasks.close(1, &[("claude", 0)]), "task_awarded t-1");
    tasks.step("claude start 1");
    assert!(tasks.step("claude publish 1").ends_with("task_planned t-1"));
    tasks.world.check_replay();

    let mut tasks = Tasks::new();
    tasks.step("codex send agent.leave {}");
    for (name, host) in [("codex", "far"), ("claude", "host")] {
        tasks.world.send(name, "agent.leave", json!({})).ok();
        let body = json!({ "tool": "x", "host": host, "session": format!("{name}-1") });
        tasks.world.send(name, "agent.join", body).unwrap();
    }
    tasks.step("gemini send agent.leave {}");
    assert_eq!(tasks.world.state.mesh().architect.as_ref().unwrap().as_str(), "codex");
    let slots = |tasks: &mut Tasks, slots| {
        let capacity = Capacity { ram_mb: 1_000, vram_mb: Vec::new(), slots };
        let host = HostId::new("far").unwrap();
        tasks.world.internal(Internal::HostMeasured { host, capacity, report: None }).join(", ")
    };
    assert!(slots(&mut tasks, 0).contains("agent_suspended codex"));
    tasks.step("alice plan");
    assert_eq!(may_bid(&tasks, 1), ["claude"]);
    assert!(slots(&mut tasks, 1).contains("agent_unsuspended codex"));
    assert_eq!(may_bid(&tasks, 1), ["codex"]);
    tasks.world.check_replay();
}

/// A report that comes again is its author's, and no other end of an attempt is one.
#[test]
fn a_plan_that_comes_again_is_its_authors() {
    let rejected = [LOOKED_AT, &["alice reject 1"]].concat();
    check(&rejected, "codex publish 1", "nothing");
    check(&rejected, "claude publish 1", "NOT_OWNER");
    let failed = [PLANNING, &["codex fail 1"]].concat();
    check(&failed, "codex publish 1", "STALE_TOKEN");
}

/// The terms of the work are the goal's; what it is, and what it is known by, is each task's own.
#[test]
fn what_a_task_of_a_plan_is_the_plan_says() {
    let goal = json!({
        "tool": "custom", "backup_tools": ["other"], "key": "goal", "prompt": "all",
        "max_wall_s": 77, "review_each": "agent",
    });
    let mut tasks =
        Tasks::after_all(&[&format!("alice plan {goal}"), "close 1 codex", "codex start 1"]);
    let body = graph(json!([
        { "key": "a", "title": "a", "prompt": "do a", "paths": ["a"], "needs": ["rust"] },
        { "key": "b", "title": "b", "share": true },
    ]));
    let came = tasks.step(&format!("codex publish 1 {body}"));
    assert!(came.ends_with("task_planned t-1"), "{came}");
    let prompt = Some(devmesh_protocol::event::TextRef::to("do a"));
    for (number, prompt, share) in [(2, prompt, false), (3, None, true)] {
        let spec = &tasks.task(number).spec;
        assert_eq!((spec.prompt, spec.share), (prompt, share));
        assert_eq!((&spec.tool, &spec.key, spec.backup_tools.len()), (&None, &None, 0));
        assert_eq!(spec.max_wall_s, 77);
        // It is their own review that it has become.
        assert_eq!((spec.review, spec.review_each), (ReviewBy::Agent, ReviewBy::None));
    }
    let own = |number| {
        let spec = &tasks.task(number).spec;
        (spec.paths.len(), spec.needs.clone())
    };
    assert_eq!((own(2), own(3)), ((1, vec!["rust".to_owned()]), (0, Vec::new())));
}
