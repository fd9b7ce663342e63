//! Whatever people and agents do with tasks in whatever order: every invariant holds after every
//! record, the same records make the same state, a report counts once, and in the end all is done.

use devmesh_protocol::Event;
use proptest::prelude::*;
use serde_json::json;

use super::Tasks;
use crate::answer::{Known, answers, known};
use crate::invariant::world::AGENTS;
use crate::state::mesh::ReceiptKey;

const LETTERS: [&str; 3] = ["a", "b", "c"];
const VERBS: [&str; 16] = [
    "publish", "publish", "start", "progress", "verify", "begin", "land", "complete", "fail",
    "abandon", "ask", "approve", "reject", "bid", "start", "abstain",
];
const ORDERS: [&str; 8] = ["pause", "resume", "cancel", "retry", "edit", "revert", "say", "resume"];
const ENDS: [&str; 3] = ["conflict", "blocked", "yielded"];
const VERDICTS: [&str; 4] = ["passed", "failed", "flaky", "unverified"];
const PATHS: [&str; 4] = ["src/", "src/a", "doc", "."];

#[derive(Clone, Debug)]
enum Step {
    Add {
        paths: Vec<usize>,
        depends_on: Vec<u64>,
        review: usize,
        max: u32,
        priority: u8,
        plans: bool,
        parent: u64,
    },
    Close {
        nth: usize,
        bids: Vec<(usize, i64)>,
    },
    /// What its own worker does.
    Works {
        task: u64,
        verb: usize,
        tree: usize,
        verdict: usize,
    },
    /// What some worker does next when all goes well.
    Goes {
        nth: usize,
        tree: usize,
        verdict: usize,
    },
    /// What somebody does who may have nothing to do with it.
    Meddles {
        who: usize,
        task: u64,
        verb: usize,
    },
    EndTurn {
        task: u64,
        how: usize,
    },
    Order {
        task: u64,
        verb: usize,
    },
    Answer {
        task: u64,
    },
    After {
        ms: u64,
    },
    Silent {
        who: usize,
        ms: u64,
    },
    Leave {
        who: usize,
    },
    Join {
        who: usize,
    },
    Lock {
        path: usize,
        hold: bool,
    },
    /// Somebody waits for a path, or no longer.
    Wait {
        path: usize,
        on: bool,
    },
    Pause {
        on: bool,
    },
    Again {
        nth: usize,
    },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let task = || 1..7_u64;
    let add =
        (
            proptest::collection::vec(0..PATHS.len(), 0..2),
            proptest::collection::vec(1..6_u64, 0..2),
            0..3_usize,
            1..4_u32,
            0..5_u8,
            (proptest::bool::weighted(0.3), 0..6_u64),
        )
            .prop_map(|(paths, depends_on, review, max, priority, (plans, parent))| {
                Step::Add { paths, depends_on, review, max, priority, plans, parent }
            });
    let close = (0..3_usize, proptest::collection::vec((0..3_usize, -5..5_i64), 0..4))
        .prop_map(|(nth, bids)| Step::Close { nth, bids });
    let works = (task(), 0..VERBS.len(), 0..3_usize, 0..4_usize)
        .prop_map(|(task, verb, tree, verdict)| Step::Works { task, verb, tree, verdict });
    let goes = (0..3_usize, 0..3_usize, 0..4_usize).prop_map(|(nth, tree, verdict)| Step::Goes {
        nth,
        tree,
        verdict,
    });
    let meddles = (0..3_usize, task(), 0..VERBS.len())
        .prop_map(|(who, task, verb)| Step::Meddles { who, task, verb });
    let order = (task(), 0..ORDERS.len()).prop_map(|(task, verb)| Step::Order { task, verb });
    let time = prop_oneof![Just(150_u64), Just(1_000), Just(5_000), Just(600_000), Just(3_600_000)];
    let silence = prop_oneof![Just(20_000_u64), Just(30_000)];
    let step = prop_oneof![
        4 => add,
        8 => close,
        30 => works,
        30 => goes,
        3 => meddles,
        2 => (task(), 0..3_usize).prop_map(|(task, how)| Step::EndTurn { task, how }),
        5 => order,
        2 => task().prop_map(|task| Step::Answer { task }),
        5 => time.prop_map(|ms| Step::After { ms }),
        1 => (0..3_usize, silence).prop_map(|(who, ms)| Step::Silent { who, ms }),
        1 => (0..3_usize).prop_map(|who| Step::Leave { who }),
        2 => (0..3_usize).prop_map(|who| Step::Join { who }),
        2 => (0..PATHS.len(), any::<bool>()).prop_map(|(path, hold)| Step::Lock { path, hold }),
        2 => (0..PATHS.len(), any::<bool>()).prop_map(|(path, on)| Step::Wait { path, on }),
        1 => any::<bool>().prop_map(|on| Step::Pause { on }),
        2 => (0..64_usize).prop_map(|nth| Step::Again { nth }),
    ];
    proptest::collection::vec(step, 1..120)
}

/// Who works on a task, and under which session.
fn worker(tasks: &Tasks, number: u64) -> Option<(String, String)> {
    let id = devmesh_protocol::TaskId(number);
    let attempt = tasks.world.state.tasks.get(&id)?.attempt.as_ref()?;
    Some((attempt.actor.to_string(), attempt.session.to_string()))
}

fn session(tasks: &Tasks, who: &str) -> String {
    let agent = tasks.world.state.agents.get(&crate::invariant::world::actor(who));
    agent.map_or_else(|| "gone".to_owned(), |agent| agent.session.to_string())
}

fn add(tasks: &mut Tasks, step: &Step) {
    let Step::Add { paths, depends_on, review, max, priority, plans, parent } = step else {
        return;
    };
    let paths: Vec<&str> = paths.iter().map(|path| PATHS[*path]).collect();
    let there = tasks.world.state.tasks.len() as u64;
    let depends_on: Vec<String> =
        depends_on.iter().filter(|n| **n <= there).map(|n| format!("t-{n}")).collect();
    let review = ["none", if *plans { "person" } else { "agent" }, "person"][*review];
    let paths = if *plans { Vec::new() } else { paths };
    let mut body = json!({
        "title": "x", "paths": paths, "depends_on": depends_on, "review": review,
        "max_attempts": max, "priority": priority,
        "kind": if *plans { "plan" } else { "work" },
    });
    if (1..=there).contains(parent) {
        body["parent"] = json!(format!("t-{parent}"));
    }
    tasks.send("alice", "task.add", body);
}

fn apply(tasks: &mut Tasks, step: &Step) {
    match step {
        Step::Add { .. } => add(tasks, step),
        Step::Close { nth, bids } => {
            let open = crate::decide::open_auctions(&tasks.world.state);
            let Some((id, _)) = open.get(*nth) else { return };
            let bids: Vec<(&str, i64)> = bids.iter().map(|(who, n)| (AGENTS[*who], *n)).collect();
            tasks.close(id.0, &bids);
        }
        Step::Works { task, verb, tree, verdict } => works(tasks, *task, *verb, *tree, *verdict),
        Step::Goes { nth, tree, verdict } => goes(tasks, *nth, *tree, *verdict),
        Step::Meddles { who, task, verb } => {
            let session = json!({ "session": session(tasks, AGENTS[*who]) });
            let verb = VERBS[*verb];
            tasks.step(&format!("{} {verb} {task} a {session}", AGENTS[*who]));
        }
        Step::EndTurn { task, how } => {
            let Some((who, session)) = worker(tasks, *task) else { return };
            let session = json!({ "session": session });
            tasks.step(&format!("{who} end {task} {} {session}", ENDS[*how]));
        }
        Step::Order { task, verb } => {
            tasks.step(&format!("alice {} {task}", ORDERS[*verb]));
        }
        Step::Answer { task } => {
            let id = devmesh_protocol::TaskId(*task);
            let question = tasks.world.state.tasks.get(&id).and_then(|t| t.question.clone());
            if let Some(question) = question {
                tasks.step(&format!("alice answer {}", question.id));
            }
        }
        Step::After { .. }
        | Step::Silent { .. }
        | Step::Leave { .. }
        | Step::Join { .. }
        | Step::Lock { .. }
        | Step::Wait { .. }
        | Step::Pause { .. }
        | Step::Again { .. } => happen(tasks, step),
    }
}

/// What a worker does, whether or not its task is in the state for it.
fn works(tasks: &mut Tasks, task: u64, verb: usize, tree: usize, verdict: usize) {
    let Some((who, session)) = worker(tasks, task) else { return };
    let tail = format!("{} {}", LETTERS[tree], VERDICTS[verdict]);
    let verb = VERBS[verb];
    let tail = match verb {
        "verify" => tail,
        "fail" => ["test", "rate_limit", "base_red", "test"][verdict].to_owned(),
        "begin" | "land" => proven(tasks, task),
        _ => LETTERS[tree].to_owned(),
    };
    let mut own = json!({ "session": session });
    if verb == "verify" && verdict != tree {
        // Few files and few versions: the same change comes twice, and changes meet.
        let (base, now) = (LETTERS[verdict % 3], LETTERS[tree]);
        let edit = super::change::change(&format!("src/a:{base}>{now}"));
        let edit: serde_json::Value = serde_json::from_str(&edit).unwrap();
        own["change"] = edit["change"].clone();
    }
    tasks.step(&format!("{who} {verb} {task} {tail} {own}"));
    if verb == "start" && verdict.is_multiple_of(2) {
        let id = format!("t-{task}");
        let mut share = json!({ "paths": ["src/a"], "mode": "co_write", "task": id });
        share["session"] = own["session"].clone();
        tasks.send(&who, "lock.acquire", share);
    }
}

/// The tree that a task's attempt has proven.
fn proven(tasks: &Tasks, task: u64) -> String {
    let receipt = tasks.task(task).attempt.as_ref().and_then(|it| it.receipt.as_ref());
    receipt.map_or_else(|| "a".to_owned(), |receipt| receipt.tree[..1].to_owned())
}

/// What the worker of one of the running attempts does next.
fn goes(tasks: &mut Tasks, nth: usize, tree: usize, verdict: usize) {
    let busy = tasks.world.state.tasks.iter().filter(|(_, task)| task.attempt.is_some());
    let Some(task) = busy.map(|(id, _)| id.0).nth(nth) else { return };
    let verb = match tasks.state(task) {
        "claimed" => "start",
        "working" if tasks.task(task).plans() => "publish",
        "working" => "verify",
        "verifying" => "begin",
        "landing" if tasks.task(task).attempt.as_ref().unwrap().landed.is_none() => "land",
        _ => "complete",
    };
    let verb = VERBS.iter().position(|it| *it == verb).unwrap();
    works(tasks, task, verb, tree, verdict);
}

/// What happens around the tasks.
fn happen(tasks: &mut Tasks, step: &Step) {
    match step {
        Step::After { ms } => drop(tasks.step(&format!("after {ms}"))),
        Step::Silent { who, ms } => {
            let (who, session) = (AGENTS[*who], session(tasks, AGENTS[*who]));
            let silent = devmesh_protocol::command::internal::Internal::SessionSilent {
                actor: crate::invariant::world::actor(who),
                session: crate::invariant::world::session(&session),
                silent_ms: *ms,
            };
            tasks.world.internal(silent);
        }
        Step::Leave { who } => {
            let session = session(tasks, AGENTS[*who]);
            tasks.send(AGENTS[*who], "agent.leave", json!({ "session": session }));
        }
        Step::Join { who } => {
            join(tasks, AGENTS[*who]);
            read(tasks, AGENTS[*who]);
        }
        Step::Lock { path, hold } => {
            let verb = if *hold { "lock.acquire" } else { "lock.release" };
            let mut body = json!({ "paths": [PATHS[*path]] });
            if *hold {
                body["mode"] = json!("write");
                body["ttl_ms"] = json!(86_400_000);
            }
            tasks.send("bob", verb, body);
        }
        Step::Wait { path, on: true } => {
            let id = format!("w-{path}-{}", tasks.world.state.seq);
            let body = json!({
                "id": id, "paths": [PATHS[*path]], "mode": "write", "wait_ms": 3_600_000,
            });
            tasks.send("carol", "lock.acquire", body);
        }
        Step::Wait { on: false, .. } => give_up(tasks),
        Step::Pause { on } => {
            let verb = if *on { "mesh.pause" } else { "mesh.resume" };
            tasks.send("alice", verb, json!({}));
        }
        Step::Again { nth } => again(tasks, *nth),
        Step::Add { .. }
        | Step::Close { .. }
        | Step::Works { .. }
        | Step::Goes { .. }
        | Step::Meddles { .. }
        | Step::EndTurn { .. }
        | Step::Order { .. }
        | Step::Answer { .. } => {}
    }
}

/// Joins anew, or is heard again after a silence.
fn join(tasks: &mut Tasks, who: &str) {
    let agent = tasks.world.state.agents.get(&crate::invariant::world::actor(who));
    let session = match agent {
        Some(agent) if agent.silent => agent.session.to_string(),
        Some(_) => return,
        None => format!("s-{}", tasks.world.state.seq),
    };
    tasks.send(who, "agent.join", json!({ "tool": "custom", "host": "h", "session": session }));
}

/// Reads the framework as it is now.
fn read(tasks: &mut Tasks, who: &str) {
    if let Some((version, _)) = tasks.world.state.mesh().framework {
        let body = json!({ "session": session(tasks, who), "version": version });
        tasks.send(who, "framework.read", body);
    }
}

/// Carol has nothing and waits for nothing.
fn give_up(tasks: &mut Tasks) {
    let carol = crate::invariant::world::actor("carol");
    let state = &tasks.world.state;
    let waits = state.waiters.values().filter(|waiter| waiter.holder.actor == carol);
    let ids: Vec<_> = waits.map(|waiter| waiter.id.clone()).collect();
    let leases = state.leases.iter().filter(|(_, lease)| lease.holder.actor == carol);
    let leases: Vec<_> = leases.map(|(id, _)| *id).collect();
    for body in [json!({ "ids": ids }), json!({ "leases": leases })] {
        tasks.send("carol", "lock.release", body);
    }
}

/// Nothing was missed: with every ready task looked at again there is still nothing to do.
fn nothing_missed(tasks: &Tasks) {
    let mut state = tasks.world.state.clone();
    state.index.tasks.stirred.stir_all();
    let mut missed = crate::follow(&state, tasks.world.at);
    // A task's place in the queue is taken when something changes on its paths: until then it
    // would keep nobody from them.
    missed.retain(|event| !matches!(event, Event::PathsQueued(_)));
    assert!(missed.is_empty(), "{missed:?} could have been opened before");
}

/// A command that was recorded is known by its id, and its record gives one answer.
fn again(tasks: &Tasks, nth: usize) {
    let state = &tasks.world.state;
    let commands = tasks.world.records.iter().rev().filter(|record| record.body.is_some());
    let Some(record) = commands.take(nth + 1).last() else { return };
    let id = record.command_id.clone().unwrap();
    let Some(receipt) = state.receipts.get(&ReceiptKey::new(&record.actor, &id)) else { return };
    assert_eq!(receipt.seq, record.seq);
    let seq = receipt.answered.unwrap_or(receipt.seq);
    let record_of = &tasks.world.records[seq as usize - 1];
    let mut own = answers(state, record_of);
    own.retain(|answer| answer.actor == record.actor && answer.id == id);
    assert_eq!(own.len(), usize::from(!receipt.waiting), "{id} of record {}", record.seq);
    if let [answer] = &own[..] {
        assert_eq!(answer.reply.seq(), Some(seq));
    }
    let other = devmesh_protocol::Command {
        id,
        actor: record.actor.clone(),
        session: None,
        verb: devmesh_protocol::Verb::MeshResume(devmesh_protocol::command::mesh::Resume {
            reason: Some("another body".to_owned()),
        }),
    };
    assert!(matches!(known(state, &other, state.at), Known::Refused(_)));
}

/// Everybody helps until nothing is left to do.
fn finish(tasks: &mut Tasks) {
    tasks.send("alice", "mesh.resume", json!({}));
    give_up(tasks);
    give_up(tasks);
    for path in PATHS {
        tasks.send("bob", "lock.release", json!({ "paths": [path] }));
    }
    for round in 0..400 {
        for who in AGENTS {
            join(tasks, who);
            read(tasks, who);
        }
        let open: Vec<(u64, &'static str)> = tasks
            .world
            .state
            .tasks
            .iter()
            .filter(|(_, task)| !task.phase.has_ended())
            .map(|(id, task)| (id.0, task.state_name()))
            .collect();
        if open.is_empty() {
            return;
        }
        for (task, state) in open {
            help(tasks, task, state);
        }
        tasks.step("after 1000");
        for (id, _) in crate::decide::open_auctions(&tasks.world.state) {
            tasks.close(id.0, &[("codex", 1), ("claude", 1), ("gemini", 1)]);
        }
        assert!(round < 399, "{:#?}", tasks.world.state.index.task_counts);
    }
}

fn help(tasks: &mut Tasks, task: u64, state: &str) {
    let (who, session) = worker(tasks, task).unwrap_or_default();
    let own = json!({ "session": session });
    match state {
        "paused" => drop(tasks.step(&format!("alice resume {task}"))),
        "blocked" => {
            apply(tasks, &Step::Answer { task });
            tasks.step(&format!("alice resume {task}"));
            // What a lost dependency blocks is freed by another try of that.
            for lost in 1..=tasks.world.state.tasks.len() as u64 {
                if ["failed", "cancelled"].contains(&tasks.state(lost)) {
                    tasks.step(&format!("alice retry {lost}"));
                }
            }
        }
        "claimed" => drop(tasks.step(&format!("{who} start {task} {own}"))),
        "working" if tasks.task(task).plans() => {
            tasks.step(&format!("{who} publish {task} {own}"));
        }
        "working" => drop(tasks.step(&format!("{who} verify {task} a passed {own}"))),
        "review" => drop(tasks.step(&format!("alice approve {task}"))),
        "verifying" => {
            tasks.step(&format!("{who} verify {task} a passed {own}"));
            tasks.step(&format!("{who} begin {task} a {own}"));
        }
        "landing" => {
            let tree = proven(tasks, task);
            tasks.step(&format!("{who} land {task} {tree} {own}"));
            tasks.step(&format!("{who} complete {task} {own}"));
        }
        _ => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, ..ProptestConfig::default() })]

    #[test]
    fn anything_goes_and_all_is_done(steps in steps()) {
        let mut tasks = Tasks::new();
        for step in &steps {
            apply(&mut tasks, step);
            nothing_missed(&tasks);
        }
        tasks.world.check_replay();
        finish(&mut tasks);
        tasks.world.check_replay();
        let state = &tasks.world.state;
        prop_assert!(state.leases.values().all(|lease| lease.holder.task.is_none()));
        prop_assert!(state.index.tasks.ready_paths.is_empty() && state.index.due.is_empty());
        prop_assert!(state.lands.values().all(|q| q.turn.is_none() && q.waiting.is_empty()));
        counted_once(&tasks);
    }

    #[test]
    fn bids_in_any_order_give_the_same_award(
        bids in proptest::collection::vec((0..3_usize, -9..9_i64), 1..12),
        swaps in proptest::collection::vec((0..12_usize, 0..12_usize), 0..12),
    ) {
        let named: Vec<(&str, i64)> = bids.iter().map(|(who, n)| (AGENTS[*who], *n)).collect();
        let mut other = named.clone();
        for (a, b) in swaps {
            let n = other.len();
            other.swap(a % n, b % n);
        }
        let award = |bids: &[(&str, i64)]| {
            let mut tasks = Tasks::after_all(&["alice add"]);
            tasks.close(1, bids);
            tasks.world.records.last().unwrap().events.clone()
        };
        prop_assert_eq!(award(&named), award(&other));
    }
}

/// Each task was completed at most once, each attempt ended at most once, and tokens rise.
fn counted_once(tasks: &Tasks) {
    use devmesh_protocol::Event;
    let (mut completed, mut ended) = (Vec::new(), Vec::new());
    let mut newest = 0;
    for record in &tasks.world.records {
        for event in &record.events {
            if let Event::TaskCompleted(e) = event {
                completed.push(e.task);
            } else if let Event::AttemptEnded(e) = event {
                ended.push((e.task, e.attempt));
            } else if let Event::TaskAwarded(_) = event {
                assert!(record.seq > newest, "tokens rise");
                newest = record.seq;
            }
        }
    }
    let all = completed.len() + ended.len();
    completed.sort_unstable();
    completed.dedup();
    ended.sort_unstable();
    ended.dedup();
    assert_eq!(completed.len() + ended.len(), all);
}
