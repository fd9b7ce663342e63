//! What may be done with a task in which state, and what comes of it. One line a case.

mod auction;
mod change;
mod defects;
mod land;
mod life;
mod park;
mod plan;
mod random;
mod reports;
mod rules;
mod states;

use devmesh_protocol::TaskId;
use devmesh_protocol::command::internal::Internal;
use devmesh_protocol::event::Bid;
use serde_json::{Value, json};

use crate::invariant::world::{World, actor};
use crate::state::task::Task;

/// A git object name from a letter.
pub(super) fn name(letter: &str) -> String {
    letter.repeat(40)
}

pub(super) fn receipt(tree: &str, verdict: &str) -> Value {
    json!({ "tree": name(tree), "verdict": verdict, "steps": [], "host": "host" })
}

/// A mesh whose steps are about tasks. `codex start 1` and the like take attempt and token from
/// the task: the live ones, or else the last there were.
#[derive(Clone)]
pub(super) struct Tasks {
    pub(super) world: World,
}

impl Tasks {
    pub(super) fn new() -> Tasks {
        Tasks { world: World::new() }
    }

    pub(super) fn after_all(steps: &[&str]) -> Tasks {
        let mut tasks = Tasks::new();
        for step in steps {
            let came = tasks.step(step);
            assert!(came.chars().next().unwrap().is_lowercase(), "{step}: {came}, in {steps:?}");
        }
        tasks
    }

    pub(super) fn task(&self, number: u64) -> &Task {
        self.world.state.tasks.get(&TaskId(number)).unwrap()
    }

    pub(super) fn state(&self, number: u64) -> &'static str {
        self.task(number).state_name()
    }

    fn live(&self, number: u64) -> (u32, u64) {
        let Some(task) = self.world.state.tasks.get(&TaskId(number)) else { return (1, 1) };
        let live = task.attempt.as_ref().map(|a| (a.number, a.token));
        let landed = task.landed.as_ref().map(|l| (l.attempt, l.token));
        let past = task.past.back().map(|past| (past.number, past.token));
        let planned = task.plan.as_ref().map(|plan| (plan.attempt, plan.token));
        live.or(landed).or(planned).or(past).unwrap_or((1, 1))
    }

    pub(super) fn close(&mut self, number: u64, bids: &[(&str, i64)]) -> String {
        let bid = |(who, score): &(&str, i64)| Bid {
            actor: actor(who),
            score: [("free".to_owned(), *score)].into(),
            total: *score,
            declined: None,
        };
        let bids = bids.iter().map(bid).collect();
        said(Ok(self.world.internal(Internal::AuctionClose { task: TaskId(number), bids })))
    }

    /// Sends a verb with a body of one's own.
    pub(super) fn send(&mut self, who: &str, verb: &str, body: Value) -> String {
        said(self.world.send(who, verb, body))
    }

    /// A step in words; what came of it, in words: events, or the code.
    pub(super) fn step(&mut self, step: &str) -> String {
        let (words, rest) = match step.split_once('{') {
            Some((words, rest)) => (words, serde_json::from_str(&format!("{{{rest}")).unwrap()),
            None => (step, json!({})),
        };
        let words: Vec<&str> = words.split_whitespace().collect();
        let number = |text: &str| text.parse::<u64>().unwrap();
        match words[..] {
            ["after", ms] => said(Ok(self.world.after(number(ms)))),
            ["silent", who, ms] => said(Ok(self.world.silent(who, number(ms)))),
            ["close", task, ref who @ ..] => {
                let bids: Vec<(&str, i64)> = who.iter().map(|who| (*who, 0)).collect();
                self.close(number(task), &bids)
            }
            [who, "add"] => self.send(who, "task.add", merge(json!({ "title": "x" }), rest)),
            [who, "plan"] => {
                let goal = json!({ "title": "goal", "kind": "plan" });
                self.send(who, "task.add", merge(goal, rest))
            }
            [who, "answer", question] => {
                let body = json!({ "question": question, "answer": "yes" });
                self.send(who, "task.answer", body)
            }
            [who, "send", verb] => self.send(who, verb, rest),
            [who, verb, task] => self.on_task(who, verb, number(task), &[], rest),
            [who, verb, task, ref more @ ..] => self.on_task(who, verb, number(task), more, rest),
            _ => panic!("no such step: {step}"),
        }
    }

    fn on_task(
        &mut self,
        who: &str,
        verb: &str,
        number: u64,
        more: &[&str],
        rest: Value,
    ) -> String {
        let id = TaskId(number);
        let (attempt, token) = self.live(number);
        let own = json!({ "task": id, "attempt": attempt, "token": token });
        let plain = json!({ "task": id });
        let tree = name(more.first().unwrap_or(&"a"));
        let (verb, body) = match verb {
            "bid" => ("task.bid", merge(plain, json!({ "score": { "free": 1 } }))),
            "start" => ("task.start", own),
            "progress" => ("task.progress", merge(own, json!({ "saved": tree }))),
            "verify" => {
                let verdict = more.get(1).unwrap_or(&"passed");
                let tree = more.first().unwrap_or(&"a");
                let mut receipt =
                    receipt(tree, if *verdict == "guarded" { "passed" } else { verdict });
                if *verdict == "guarded" {
                    receipt["guarded"] = json!(["devmesh.toml"]);
                }
                let body = json!({ "receipt": receipt, "commit": name("c") });
                ("task.verified", merge(own, body))
            }
            "complete" => ("task.complete", own),
            "fail" => {
                let class = more.first().unwrap_or(&"test");
                ("task.fail", merge(own, json!({ "class": class, "message": "no" })))
            }
            "abandon" => ("task.abandon", merge(own, json!({ "reason": "no" }))),
            "begin" => ("land.begin", merge(own, json!({ "tree": tree }))),
            "land" => ("land.end", merge(own, json!({ "commit": name("d"), "tree": tree }))),
            "end" => ("land.end", merge(own, json!({ "outcome": more[0], "message": "why" }))),
            "ask" => ("task.ask", merge(plain, json!({ "question": "which?" }))),
            "say" => ("task.say", merge(plain, json!({ "text": "more" }))),
            "approve" => ("task.review", merge(plain, json!({ "verdict": "approve" }))),
            "reject" => {
                let body = json!({ "verdict": "reject", "comments": "no" });
                ("task.review", merge(plain, body))
            }
            "abstain" => ("task.review", merge(plain, json!({ "verdict": "abstain" }))),
            "publish" => {
                let graph = json!([
                    { "key": "a", "title": "a", "prompt": "do a" },
                    { "key": "b", "title": "b", "depends_on": ["a"] },
                ]);
                let body = json!({ "text": "plan", "graph": graph });
                ("framework.publish", merge(own, body))
            }
            "edit" => ("task.edit", merge(plain, json!({ "title": "y" }))),
            "pause" => ("task.pause", plain),
            "resume" => ("task.resume", plain),
            "cancel" => ("task.cancel", plain),
            "retry" => ("task.retry", plain),
            "revert" => ("task.revert", plain),
            other => panic!("no such verb: {other}"),
        };
        self.send(who, verb, merge(body, rest))
    }
}

fn said(done: Result<Vec<String>, devmesh_protocol::Rejection>) -> String {
    match done {
        Ok(words) if words.is_empty() => "nothing".to_owned(),
        Ok(words) => words.join(", "),
        Err(refused) => refused.code.as_str().to_owned(),
    }
}

fn merge(mut body: Value, more: Value) -> Value {
    let (Value::Object(body), Value::Object(more)) = (&mut body, more) else { panic!("objects") };
    body.extend(more);
    Value::Object(body.clone())
}

/// A story: each step with what comes of it.
pub(super) fn story(steps: &[(&str, &str)]) -> Tasks {
    let mut tasks = Tasks::new();
    for (step, expect) in steps {
        assert_eq!(tasks.step(step), *expect, "{step}, in {steps:#?}");
    }
    tasks.world.check_replay();
    tasks
}

/// One case: what was done before, what is done, and what comes of it.
pub(super) fn check(given: &[&str], when: &str, expect: &str) {
    let mut tasks = Tasks::after_all(given);
    assert_eq!(tasks.step(when), expect, "given {given:?}, when {when}");
    tasks.world.check_replay();
}
