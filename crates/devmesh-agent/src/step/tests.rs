//! Decisions: given what is known, when this comes in, then that is to be done. Time is a number.

mod around;
mod capture;
mod change;
mod held;
mod landing;
mod learned;
mod plan;
mod review;
mod session;
mod tool;

use std::path::PathBuf;

use devmesh_protocol::command::agent::Join;
use devmesh_protocol::command::task::{Receipt as ToldReceipt, Verdict as Told};
use devmesh_protocol::event::agent::SessionLost;
use devmesh_protocol::event::task::{AttemptEnded, Ended, Next, TaskAwarded, TaskReviewed};
use devmesh_protocol::event::{Notice, mesh};
use devmesh_protocol::report::{BeatReply, Pause};
use devmesh_protocol::view::{RepoView, TaskView};
use devmesh_protocol::{ActorId, At, Code, Event, HostId, Rejection, SessionId, TaskId, Verb};
use serde_json::json;

use super::*;
use crate::classify::{Class, Classified};
use crate::dialect::{Done, Fact, Usage};
use crate::input::{Answer, Captured, Prepared, Refreshed, ToolEnd};
use crate::land::{Landing, Seen};
use crate::process::EndCause;
use crate::verify::{Receipt, Verdict};
use crate::view::{Attempt, Job, Key, Me, Phase, Place, Standing, Work};

const KEY: Key = Key { task: TaskId(1), attempt: 1 };

fn view() -> View {
    let actor = ActorId::new("codex-1").unwrap();
    let join = Join {
        tool: "codex".into(),
        host: HostId::new("h1").unwrap(),
        model: None,
        capabilities: Vec::new(),
        needs: Default::default(),
        repos: Vec::new(),
        for_persons: Vec::new(),
        seen: None,
    };
    let me =
        Me { actor, join, retries_max: 2, resumes: true, lease_wait_ms: 30_000, ttl_ms: 15_000 };
    let mut view = View::new(me, SessionId::new("s1").unwrap());
    view.standing = Standing::In;
    view.beat_sent_ms = Some(0);
    view
}

fn job() -> Job {
    let task: TaskView = serde_json::from_value(json!({
        "task": "t-1", "title": "T", "state": "working", "blocked": null, "repo": "app",
        "base": "main", "target": "devmesh/landed/main", "paths": [], "priority": 2,
        "depends_on": [], "needs": [], "tool": null, "review": "none", "key": null,
        "verify": ["true"], "flow": "merge", "max_attempts": 3, "max_cost_usd": 1.0,
        "max_wall_s": 60, "tries": 0, "by": "alice", "added_at": "2026-01-01T00:00:00Z",
        "ended_at": null, "commit": null, "question": null, "attempt": null, "attempts": [],
        "reverts": null,
    }))
    .unwrap();
    let repo: RepoView = serde_json::from_value(json!({
        "repo": "app", "url": null, "path": "/r", "base": "main", "target": "devmesh/landed/main",
        "verify": [], "setup": null, "head": null, "landing": null, "land_queue": [],
    }))
    .unwrap();
    Job { task, repo, repo_path: PathBuf::from("/r"), base_commit: "base".into() }
}

/// A view with an attempt in that phase, with everything that it has by then.
fn at(phase: Phase) -> View {
    let mut view = view();
    let mut attempt = Attempt::awarded(KEY, 5);
    attempt.phase = phase;
    attempt.job = Some(job());
    attempt.place = Some(Place {
        worktree: PathBuf::from("/w"),
        base: "base".into(),
        prompt: "PROMPT".into(),
        continues: false,
    });
    attempt.work = Some(work(&["a.txt"]));
    attempt.tool_session = Some("tool-1".into());
    view.attempt = Some(attempt);
    view
}

fn work(changed: &[&str]) -> Work {
    let changed = changed.iter().map(|path| (*path).to_owned()).collect();
    Work { commit: "c".into(), tree: "t".into(), base: "base".into(), changed, change: None }
}

fn take(view: &mut View, ms: u64, input: Input) -> Vec<Effect> {
    step(view, Timed { now: Now { ms, wall_ms: 1_000_000 + ms }, input })
}

fn notice(view: &mut View, seq: u64, event: impl Into<Event>) -> Vec<Effect> {
    let actor = ActorId::coordinator();
    let notice = Notice { seq, at: At(seq), actor, event: event.into() };
    take(view, 0, Input::Noticed(Box::new(notice)))
}

fn answer(view: &mut View, verb: &'static str, answer: Answer) -> Vec<Effect> {
    take(view, 0, Input::Answered { key: KEY, verb, answer })
}

fn done(result: serde_json::Value) -> Answer {
    Answer::Done { seq: Some(9), result }
}

fn refused(code: Code) -> Answer {
    Answer::Refused(Rejection::new(code, "no"))
}

fn phase(view: &View) -> &Phase {
    &view.attempt.as_ref().unwrap().phase
}

/// The names of effects, of commands their verbs.
fn names(effects: &[Effect]) -> Vec<String> {
    effects.iter().map(name).collect()
}

fn name(effect: &Effect) -> String {
    match effect {
        Effect::Send { verb, .. } | Effect::Tell { verb, .. } => verb.name().to_owned(),
        Effect::Post { verbs, .. } => verbs.iter().map(Verb::name).collect::<Vec<_>>().join("+"),
        other => {
            let text = format!("{other:?}");
            text.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default().to_owned()
        }
    }
}

fn award(session: &str) -> TaskAwarded {
    TaskAwarded {
        task: TaskId(1),
        attempt: 1,
        actor: ActorId::new("codex-1").unwrap(),
        session: SessionId::new(session).unwrap(),
        host: HostId::new("h1").unwrap(),
        needs: Default::default(),
        device: None,
        start_by: At(0),
        bids: Vec::new(),
    }
}

fn ended(cause: EndCause, exit: Option<i32>) -> Input {
    let end = ToolEnd {
        cause,
        exit,
        marks_end: true,
        tail: "tail".into(),
        rate_limited: false,
        sign_in: false,
        lost_session: false,
        reset_at_ms: None,
    };
    Input::ToolEnded { key: KEY, end }
}

fn tell_done(view: &mut View, success: bool, status: Option<u16>) {
    let done = Done { success, message: "m".into(), status, retry_ms: None };
    take(view, 0, Input::Told { key: KEY, fact: Fact::Done(done) });
}

fn receipt() -> Receipt {
    Receipt { tree: "t".into(), steps: Vec::new(), host: "h1".into() }
}

fn failed(class: Class, tail: &str) -> Input {
    let verdict = Verdict::Failed {
        receipt: receipt(),
        step: "test".into(),
        classified: Classified::of(class, tail),
        tail: tail.into(),
    };
    Input::Verified { key: KEY, verdict: Ok(verdict) }
}

fn refreshed(fresh: Option<Refreshed>) -> Input {
    Input::Refreshed { key: KEY, fresh: Ok(fresh) }
}

fn reply(seq: u64, pause: Option<Pause>) -> BeatReply {
    BeatReply { epoch: 1, seq, live: true, leases: Vec::new(), pause, work: None }
}
