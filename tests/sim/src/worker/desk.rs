//! What an agent does in its worktree: everything takes a while, and some of it goes wrong.

use std::collections::BTreeSet;

use devmesh_agent::classify::{Class, Classified};
use devmesh_agent::dialect::{Done, Fact};
use devmesh_agent::effect::{Effect, LandOrder};
use devmesh_agent::input::{Captured, Input, Prepared, Refreshed, ToolEnd};
use devmesh_agent::land::{Conflict, Found, Landing, Seen};
use devmesh_agent::process::EndCause;
use devmesh_agent::verify::{Receipt, StepReceipt, Verdict};
use devmesh_agent::view::{Job, Key, Work};
use devmesh_protocol::Digest;
use devmesh_protocol::command::task::Change;

use super::Desk;
use crate::git::{Commit, ROOT};
use crate::world::{Happening, World};

/// The files that there are.
const FILES: [&str; 6] = ["a.rs", "b.rs", "c.rs", "src/d.rs", "src/e.rs", "src/f/g.rs"];
/// How often a turn starts over because the branch moved under it.
const ROUNDS_MAX: u32 = 5;

impl World {
    fn desk(&mut self, worker: usize, key: Key) -> &mut Desk {
        self.workers[worker].desks.entry(key).or_default()
    }

    /// Comes to pass after a while, unless it is cancelled before.
    fn at_desk(&mut self, worker: usize, key: Key, ms: u64, input: Input) {
        let cancelled = self.desk(worker, key).cancelled;
        let (desk, input) = (Some((key, cancelled)), Box::new(input));
        self.after(ms, Happening::ToWorker { worker, desk, input });
    }

    fn cancel(&mut self, worker: usize, key: Key) {
        self.desk(worker, key).cancelled += 1;
        self.calls.cancel(|tag| {
            matches!(tag, crate::call::Tag::Worker(at, super::WorkerTag::Sent(of, _))
                if *at == worker && *of == key)
        });
    }

    /// Performs what is done in a worktree.
    pub(super) fn perform_desk(&mut self, worker: usize, effect: Effect) {
        match effect {
            Effect::Prepare { key, job, .. } => self.prepare(worker, key, job),
            Effect::ProveBase { key } => {
                let ms = self.rng.within(1, 300);
                self.at_desk(worker, key, ms, Input::BaseProven { key, red: None });
            }
            Effect::Run { key, .. } => self.run_tool(worker, key),
            Effect::Freeze(key) => self.desk(worker, key).frozen = true,
            Effect::Thaw(key) => {
                self.desk(worker, key).frozen = false;
                if let Some(input) = self.desk(worker, key).held.take() {
                    self.at_desk(worker, key, 1, input);
                }
            }
            Effect::StopTool(key) => {
                let end = tool_end(EndCause::Stopped, None);
                self.at_desk(worker, key, 5, Input::ToolEnded { key, end });
            }
            Effect::Save(key) => {
                let saved = self.save(worker, key);
                let ms = self.rng.within(1, 50);
                self.soon(worker, ms, Input::Saved { key, commit: saved });
            }
            Effect::Capture { key, .. } => {
                self.save(worker, key);
                let work = self.desk(worker, key).work.clone();
                let captured = Captured { work, ..Captured::default() };
                self.at_desk(worker, key, 10, Input::Captured { key, captured: Ok(captured) });
            }
            Effect::Refresh { key, work } => {
                let fresh = Ok(self.freshen(worker, key, work));
                self.at_desk(worker, key, 10, Input::Refreshed { key, fresh });
            }
            Effect::PrepareReview { key, .. } => self.prepare_review(worker, key),
            Effect::Verify { key, work } => self.verify(worker, key, &work),
            Effect::Land { key, order } => {
                let desk = self.desk(worker, key);
                desk.order = Some(order);
                let desk = desk.cancelled;
                let ms = self.rng.within(1, 200);
                self.after(ms, Happening::Landing { worker, key, desk, rounds: 0 });
            }
            Effect::Publish { key, .. } => {
                self.at_desk(worker, key, 50, Input::Published { key, done: Ok(()) });
            }
            Effect::Rebase { key, work, onto } => {
                let desk = self.desk(worker, key);
                (desk.base, desk.is_dirty) = (onto, true);
                desk.work = Some(work);
                let conflicts = Ok(Vec::new());
                self.at_desk(worker, key, 30, Input::Rebased { key, conflicts });
            }
            ending => self.end_desk(worker, ending),
        }
    }

    /// Performs what ends the work in a worktree.
    fn end_desk(&mut self, worker: usize, effect: Effect) {
        match effect {
            Effect::Halt(key) => self.cancel(worker, key),
            Effect::Drop(key) => {
                self.save(worker, key);
                self.cancel(worker, key);
                self.workers[worker].desks.remove(&key);
                self.soon(worker, 40, Input::Dropped(key));
            }
            Effect::Vacate(key) => {
                self.cancel(worker, key);
                self.workers[worker].desks.remove(&key);
                self.soon(worker, 20, Input::Dropped(key));
            }
            Effect::Finish(key) => {
                self.git.saves.remove(&key.task);
                self.workers[worker].desks.remove(&key);
                self.soon(worker, 40, Input::Dropped(key));
            }
            _ => {}
        }
    }

    fn prepare(&mut self, worker: usize, key: Key, job: Box<Job>) {
        let saved = self.git.saves.get(&key.task).cloned();
        let has_begun = job.task.attempt.as_ref().is_some_and(|it| {
            it.attempt == key.attempt && (it.receipt.is_some() || it.turn.is_some())
        });
        let base = match &saved {
            Some((_, work)) if has_begun => work.base.clone(),
            _ => job.base_commit.clone(),
        };
        let work = saved.map(|(_, work)| work).filter(|work| work.base == base);
        let continues = work.is_some();
        let said = job.task.said.len();
        let desk = self.desk(worker, key);
        (desk.job, desk.base, desk.work) = (Some(job), base.clone(), work.clone());
        let place = World::place(&base, continues);
        let prepared = Ok(Box::new(Prepared { place, work, said, conflicts: Vec::new() }));
        let ms = self.rng.within(5, 800);
        self.at_desk(worker, key, ms, Input::Prepared { key, place: prepared });
    }

    fn prepare_review(&mut self, worker: usize, key: Key) {
        let is_here = self.healing || !self.rng.chance(self.plan.tool);
        let prompt = match is_here {
            true => Ok("look at it".to_owned()),
            false => Err("it cannot be looked at here".to_owned()),
        };
        self.at_desk(worker, key, 10, Input::ReviewPrepared { key, prompt });
    }

    fn run_tool(&mut self, worker: usize, key: Key) {
        let most = self.rng.pick(&[200, 3_000, 3_000, 20_000, 120_000]);
        let ms = self.rng.within(50, most);
        let session = format!("tool-{}-{}", key.task, self.rng.below(3));
        self.at_desk(worker, key, ms / 4, Input::Told { key, fact: Fact::Session(session) });
        let looks = self.workers[worker].view.review.as_ref().is_some_and(|it| it.key == key);
        let says = match looks {
            true if self.rng.chance(self.plan.verify) => "it is not kept\nVERDICT: reject",
            true => "VERDICT: approve",
            false => "done",
        };
        let message = Fact::Message(says.into());
        self.at_desk(worker, key, ms / 2, Input::Told { key, fact: message });
        self.desk(worker, key).is_dirty = !looks;
        let mut end = tool_end(EndCause::Exited, Some(0));
        if !self.healing && self.rng.chance(self.plan.tool) {
            self.stats.fault("a tool's run");
            match self.rng.below(3) {
                0 => end.exit = Some(1),
                1 => end.rate_limited = true,
                _ => end.cause = EndCause::Idle,
            }
        } else {
            let message = says.into();
            let done = Done { success: true, message, status: None, retry_ms: None };
            self.at_desk(worker, key, ms, Input::Told { key, fact: Fact::Done(done) });
        }
        self.at_desk(worker, key, ms + 1, Input::ToolEnded { key, end });
    }

    /// What was changed becomes a commit that outlives the process.
    fn save(&mut self, worker: usize, key: Key) -> Option<String> {
        if !std::mem::take(&mut self.desk(worker, key).is_dirty) {
            return None;
        }
        let (commit, tree) = (self.git.name(), self.git.name());
        let base = self.desk(worker, key).base.clone();
        let files = self.edits(&base);
        let changed: Vec<String> = files.iter().map(|(path, _)| path.clone()).collect();
        let change = Some(self.git.change(&base, &files));
        let work = Work { commit: commit.clone(), tree, base, changed, change };
        self.desk(worker, key).work = Some(work.clone());
        self.git.saves.insert(key.task, (key.attempt, work));
        Some(commit)
    }

    /// What a tool makes of files: as a rule nobody else would have made it so.
    fn edits(&mut self, base: &str) -> Vec<(String, String)> {
        if !self.healing && self.rng.chance(self.plan.alike) {
            // The one thing to be done there, whoever is asked.
            let next = self.git.blob(base, FILES[0]).unwrap_or_else(|| ROOT.to_owned());
            return vec![(FILES[0].to_owned(), format!("f{}", &next[..39]))];
        }
        let count = self.rng.within(1, 3);
        let files: BTreeSet<&str> = (0..count).map(|_| self.rng.pick(&FILES)).collect();
        files.into_iter().map(|path| (path.to_owned(), self.git.name())).collect()
    }

    /// Brings in what has landed meanwhile, where it meets the work.
    fn freshen(&mut self, worker: usize, key: Key, work: Work) -> Option<Refreshed> {
        let head = self.git.head();
        let meanwhile = self.git.since(Some(&work.base));
        let meets = |commit: &Commit| work.changed.iter().any(|path| commit.touches(path));
        if head == work.base || !meanwhile.iter().any(meets) {
            return None;
        }
        let conflicts = match self.rng.chance(self.plan.conflict) {
            true => work.changed.clone(),
            false => Vec::new(),
        };
        let has_conflict = !conflicts.is_empty();
        let fresh = match has_conflict {
            true => Some(work),
            false => self.brought_in(key, &head, &work),
        };
        let desk = self.desk(worker, key);
        (desk.base, desk.is_dirty) = (head.clone(), has_conflict);
        desk.work.clone_from(&fresh);
        let work = fresh.filter(|_| !has_conflict);
        Some(Refreshed {
            base: head,
            conflicts,
            captured: Captured { work, ..Captured::default() },
        })
    }

    /// The work on that commit, saved; none where others have made all of it alike.
    fn brought_in(&mut self, key: Key, head: &str, work: &Work) -> Option<Work> {
        self.stats.event("work brought up to date");
        let change = self.git.onto(head, work);
        if change.is_empty() {
            self.stats.event("nothing of the work left");
            return None;
        }
        let changed = change.edits.iter().map(|edit| edit.path.key().to_owned()).collect();
        let (commit, tree) = (self.git.name(), self.git.name());
        let change = Some(change);
        let work = Work { commit, tree, base: head.to_owned(), changed, change };
        self.git.saves.insert(key.task, (key.attempt, work.clone()));
        Some(work)
    }

    fn verify(&mut self, worker: usize, key: Key, work: &Work) {
        let step = StepReceipt {
            name: "test".into(),
            command: "true".into(),
            exit: 0,
            ms: 1,
            digest: Digest::of(b""),
            flaky: false,
        };
        let host = self.workers[worker].host.to_string();
        let mut receipt = Receipt { tree: work.tree.clone(), steps: vec![step], host };
        let verdict = if !self.healing && self.rng.chance(self.plan.verify) {
            self.stats.fault("a verification");
            receipt.steps[0].exit = 1;
            let text = format!("it fails {}", ["so", "thus"][usize::from(self.rng.chance(500))]);
            let classified = Classified::of(Class::Test, &text);
            Verdict::Failed { receipt, step: "test".into(), classified, tail: text }
        } else {
            Verdict::Passed(receipt)
        };
        let ms = self.rng.within(5, 2_000);
        self.at_desk(worker, key, ms, Input::Verified { key, verdict: Ok(verdict) });
    }

    /// One round of a turn: the turn ref is moved, the gates are asked; the branch moves later,
    /// if it is still where it was.
    pub(crate) fn land(&mut self, worker: usize, key: Key, desk: u32, rounds: u32) {
        let Some(it) = self.workers[worker].desks.get(&key).filter(|it| it.cancelled == desk)
        else {
            return;
        };
        let Some(order) = it.order.clone() else { return };
        let seen = self.seen(&order);
        let landing = if rounds.is_multiple_of(2) {
            self.take_turn(worker, key, &order)
        } else {
            self.publish(key, &order)
        };
        let Some(landing) = landing else {
            if rounds >= 2 * ROUNDS_MAX {
                let reason = "the branch moves on and on".to_owned();
                return self.end_turn(
                    worker,
                    key,
                    seen,
                    Landing::Blocked { reason, files: vec![] },
                );
            }
            let ms = self.rng.within(5, 1_500);
            let next = Happening::Landing { worker, key, desk, rounds: rounds + 1 };
            return self.after(ms, next);
        };
        self.end_turn(worker, key, seen, landing);
    }

    fn end_turn(&mut self, worker: usize, key: Key, seen: Seen, landing: Landing) {
        let tree = |found: &Found| {
            let commit = self.git.commits.iter().find(|commit| commit.id == found.commit);
            commit.map(|commit| commit.tree.clone()).unwrap_or_default()
        };
        let trees = seen.found.iter().map(tree).collect();
        self.at_desk(worker, key, 1, Input::Landed { key, landing: Ok((landing, seen)), trees });
    }

    /// Commits that the log does not know of yet.
    fn seen(&self, order: &LandOrder) -> Seen {
        let since = self.git.since(order.head.as_deref());
        let found = since.iter().map(|commit| Found {
            commit: commit.id.clone(),
            task: commit.key.task.to_string(),
            attempt: commit.key.attempt,
            token: Some(commit.token),
            at_s: 0,
        });
        Seen { found: found.collect(), moved: None }
    }

    /// The first half of a round; `None`: go on and publish.
    fn take_turn(&mut self, worker: usize, key: Key, order: &LandOrder) -> Option<Landing> {
        if self.git.turn > order.turn {
            return Some(Landing::TurnLost);
        }
        self.git.turn = order.turn;
        let since = self.git.since(order.head.as_deref());
        if let Some(own) = since.iter().find(|commit| commit.key == key) {
            let (commit, tree) = (own.id.clone(), own.tree.clone());
            let change = Some(Change::of(own.edits.clone(), &[]));
            let (from, unsigned, receipt) = (None, None, None);
            return Some(Landing::Landed { commit, tree, receipt, change, from, unsigned });
        }
        if since.iter().any(|commit| commit.key.task == key.task) {
            return Some(Landing::Nothing);
        }
        let work = &order.work;
        let lacks: Vec<String> =
            work.changed.iter().filter(|path| !order.leased.contains(*path)).cloned().collect();
        if !lacks.is_empty() {
            return Some(Landing::NotLeased(lacks));
        }
        if self.worker_now(worker).ms >= order.until_ms {
            return Some(Landing::InDoubt);
        }
        let meanwhile = self.git.since(Some(&work.base));
        let touches = |commit: &Commit| work.changed.iter().any(|path| commit.touches(path));
        let paths: Vec<String> = match meanwhile.iter().any(touches) {
            true if self.rng.chance(self.plan.conflict) => work.changed.clone(),
            _ => Vec::new(),
        };
        if !paths.is_empty() {
            self.stats.event("conflicts");
            let (ours, theirs) = (self.git.head(), work.commit.clone());
            return Some(Landing::Conflict(Conflict { ours, theirs, paths, messages: "".into() }));
        }
        None
    }

    /// The second half: one atomic move of branch and turn ref, which nobody else can have moved
    /// since without taking the turn.
    fn publish(&mut self, key: Key, order: &LandOrder) -> Option<Landing> {
        if self.git.turn != order.turn {
            return Some(Landing::TurnLost);
        }
        let from = self.git.head();
        let (id, tree) = (self.git.name(), order.work.tree.clone());
        if let Some(other) = self.git.commits.iter().find(|it| it.key.task == key.task) {
            let (by, id) = (other.key, other.id.clone());
            self.broken(format!("{key} lands, and {by} has landed the same task as {id}"));
        }
        let change = self.git.onto(&from, &order.work);
        if change.is_empty() {
            return Some(Landing::Nothing);
        }
        let (token, edits) = (order.turn, change.edits.clone());
        self.git.commits.push(Commit { id: id.clone(), tree: tree.clone(), key, token, edits });
        self.stats.event("commits landed");
        // Where the merge made nothing else of it, it is what was told before.
        let change = Some(change).filter(|change| order.work.change.as_ref() != Some(change));
        let (from, unsigned, receipt) = (Some(from), None, None);
        Some(Landing::Landed { commit: id, tree, receipt, change, from, unsigned })
    }
}

fn tool_end(cause: EndCause, exit: Option<i32>) -> ToolEnd {
    ToolEnd {
        cause,
        exit,
        marks_end: true,
        tail: "it broke".into(),
        rate_limited: false,
        sign_in: false,
        lost_session: false,
        reset_at_ms: None,
    }
}
