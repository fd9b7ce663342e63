//! What can happen in a world, and happening.

use devmesh_domain::glance;
use devmesh_domain::state::task::{Phase, Task};
use devmesh_protocol::command::agent::Leave;
use devmesh_protocol::command::internal::Internal;
use devmesh_protocol::command::lock::{Acquire, Convert, Release, Renew};
use devmesh_protocol::command::task::{
    Abandon, Complete, Fail, Flow, LandBegin, LandEnd, LandOutcome, Reasoned, Receipt, Start,
    Verdict, Verified,
};
use devmesh_protocol::event::Bid;
use devmesh_protocol::{ActorId, Command, Digest, Mode, RepoPath, TaskId, Verb};

use crate::options::ENDLESS;
use crate::world::{Held, World};

/// Something that can happen.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Action {
    /// A client sends something; it arrives at once, or later where worlds have delays.
    Send(usize, Box<Verb>),
    /// What it sent last arrives.
    Arrive(usize),
    /// What it sent last arrives once more.
    Again(usize),
    /// Something else comes under the id of what it sent last.
    Forged(usize),
    /// It ends without a word.
    Crash(usize),
    /// It is back under its session, which may have ended meanwhile.
    Back(usize),
    /// It is back under a new session.
    Anew(usize),
    /// Time passes.
    Tick,
    /// Another coordinator leads.
    Term,
    /// An auction closes with this agent's bid, or with none.
    Close(TaskId, Option<ActorId>),
    /// A person has a word.
    Person(Box<Verb>),
}

pub(crate) const TREE: &str = "4b825dc642cb6eb9a060e54bf8d69288fbee4904";

impl World {
    /// All that can happen now.
    pub(crate) fn actions(&self, out: &mut Vec<Action>) {
        for n in 0..self.clients.len() {
            self.client_actions(n, out);
        }
        for (task, _) in glance::auctions(&self.state) {
            out.push(Action::Close(task, None));
            let bidders = devmesh_domain::decide::bidders(&self.state, task);
            out.extend(bidders.into_iter().map(|actor| Action::Close(task, Some(actor))));
        }
        if self.left.again > 0 {
            // The end of an auction that was over long ago.
            for (task, _) in glance::tasks(&self.state).filter(|(_, t)| t.attempt.is_some()) {
                out.extend(self.clients.iter().map(|c| Action::Close(task, Some(c.actor.clone()))));
            }
        }
        if self.left.ticks > 0 {
            out.push(Action::Tick);
        }
        if self.left.terms > 0 {
            out.push(Action::Term);
        }
        if self.left.person > 0 {
            for (id, task) in glance::tasks(&self.state) {
                let body = || Reasoned { task: id, reason: None };
                let words = match task.phase {
                    Phase::Failed | Phase::Cancelled => vec![Verb::TaskRetry(body())],
                    Phase::Completed => Vec::new(),
                    _ if task.paused => vec![Verb::TaskResume(body()), Verb::TaskCancel(body())],
                    _ => vec![Verb::TaskPause(body()), Verb::TaskCancel(body())],
                };
                out.extend(words.into_iter().map(|verb| Action::Person(Box::new(verb))));
            }
        }
    }

    fn client_actions(&self, n: usize, out: &mut Vec<Action>) {
        let client = &self.clients[n];
        if client.flying {
            out.push(Action::Arrive(n));
        }
        if client.last.is_some() && !client.flying && self.left.again > 0 {
            out.extend([Action::Again(n), Action::Forged(n)]);
        }
        if !client.alive {
            if self.options.left.crashes > 0 {
                out.extend([Action::Back(n), Action::Anew(n)]);
            }
            return;
        }
        if client.is_agent && self.left.crashes > 0 {
            out.push(Action::Crash(n));
        }
        if client.flying || client.left == 0 {
            return;
        }
        let mut verbs = Vec::new();
        if self.options.locks {
            self.lock_verbs(n, &mut verbs);
        }
        for (task, attempt, token) in &client.attempts {
            self.task_verbs(*task, *attempt, *token, &mut verbs);
        }
        out.extend(verbs.into_iter().map(|verb| Action::Send(n, Box::new(verb))));
    }

    fn lock_verbs(&self, n: usize, out: &mut Vec<Verb>) {
        let client = &self.clients[n];
        let waits = glance::waiting(&self.state).find(|w| w.holder.actor == client.actor);
        if let Some(waiter) = waits {
            out.push(Verb::LockRelease(Release { ids: vec![waiter.id.clone()], ..none() }));
        }
        let own: Vec<_> =
            glance::held(&self.state).filter(|(_, l)| l.holder.actor == client.actor).collect();
        for (id, lease) in &own {
            out.push(Verb::LockRelease(Release { leases: vec![*id], ..none() }));
            if self.options.converts && waits.is_none() {
                for mode in self.options.modes.iter().filter(|mode| **mode != lease.mode) {
                    let wait_ms = Some(25_000);
                    out.push(Verb::LockConvert(Convert { lease: *id, mode: *mode, wait_ms }));
                }
            }
        }
        // Anybody may name another's lease, or one that is gone.
        let other = glance::held(&self.state).find(|(_, l)| l.holder.actor != client.actor);
        if let Some((id, _)) = other.filter(|_| self.left.again > 0) {
            out.push(Verb::LockRelease(Release { leases: vec![id], ..none() }));
        }
        if !client.is_agent && !own.is_empty() {
            out.push(Verb::LockRenew(Renew::default()));
        }
        if waits.is_some() {
            return;
        }
        for ask in self.options.asks {
            for mode in self.options.modes {
                let paths: Vec<RepoPath> =
                    ask.iter().map(|path| RepoPath::new(path).unwrap()).collect();
                let has = |path: &RepoPath| own.iter().any(|(_, lease)| lease.path == *path);
                if paths.iter().all(has) {
                    continue;
                }
                out.push(acquire(paths, *mode, self.options.waits, client.is_agent));
            }
        }
    }

    /// What a worker may say of an attempt that it remembers, live or not.
    fn task_verbs(&self, id: TaskId, attempt: u32, token: u64, out: &mut Vec<Verb>) {
        let Some((_, task)) = glance::tasks(&self.state).find(|(task, _)| *task == id) else {
            return;
        };
        let live = task.attempt.as_ref().filter(|a| (a.number, a.token) == (attempt, token));
        let told = |verdict| verified(id, attempt, token, verdict);
        let Some(live) = live else {
            // It does not know that it is over: one of each kind of report.
            out.push(Verb::TaskStart(Start { task: id, attempt, token, base_commit: None }));
            out.push(complete(id, attempt, token));
            out.push(abandon(id, attempt, token));
            return;
        };
        out.push(abandon(id, attempt, token));
        match task.phase {
            Phase::Claimed => {
                out.push(Verb::TaskStart(Start { task: id, attempt, token, base_commit: None }));
            }
            Phase::Working => {
                out.push(told(Verdict::Passed));
                out.push(told(Verdict::Failed));
                out.push(fail(id, attempt, token));
                // Too early: there is nothing that proves it.
                out.push(done(task, attempt, token));
            }
            Phase::Verifying => out.push(done(task, attempt, token)),
            Phase::Landing if live.landed.is_some() => out.push(complete(id, attempt, token)),
            Phase::Landing => {
                out.push(land_end(id, attempt, token, LandOutcome::Landed));
                out.push(land_end(id, attempt, token, LandOutcome::Conflict));
            }
            Phase::Queued | Phase::Review | Phase::Completed | Phase::Failed | Phase::Cancelled => {
            }
        }
    }

    /// Something happens.
    pub(crate) fn happen(&mut self, action: &Action) -> Held {
        match action {
            Action::Send(n, verb) => {
                let id = self.mint();
                let (actor, session) = (self.clients[*n].actor.clone(), self.session(*n));
                let command = Command { id, actor, session, verb: (**verb).clone() };
                let client = &mut self.clients[*n];
                if client.left != ENDLESS {
                    client.left -= 1;
                }
                client.last = Some(command.clone());
                client.flying = self.options.delays;
                if self.options.delays { Ok(()) } else { self.arrives(&command) }
            }
            Action::Arrive(n) => {
                self.clients[*n].flying = false;
                self.last_arrives(*n)
            }
            Action::Again(n) => {
                self.left.again -= 1;
                self.last_arrives(*n)
            }
            Action::Forged(n) => {
                self.left.again -= 1;
                let Some(mut command) = self.clients[*n].last.clone() else { return Ok(()) };
                if let Verb::TaskStart(Start { task, attempt, token, .. }) = command.verb {
                    // Another token, under an id of its own.
                    let Command { actor, session, .. } = command;
                    return self.send(actor, session, abandon(task, attempt, token + 1));
                }
                let paths = vec![RepoPath::new("forged").unwrap()];
                command.verb = acquire(paths, Mode::Read, false, self.clients[*n].is_agent);
                self.arrives(&command)
            }
            Action::Crash(n) => {
                self.left.crashes -= 1;
                self.clients[*n].alive = false;
                Ok(())
            }
            Action::Back(n) => {
                self.clients[*n].alive = true;
                self.clients[*n].silent_ms = 0;
                self.join(*n)
            }
            Action::Anew(n) => {
                let client = &mut self.clients[*n];
                client.alive = true;
                client.session += 1;
                client.silent_ms = 0;
                client.attempts.clear();
                self.join(*n)
            }
            Action::Tick => {
                self.left.ticks -= u8::from(self.left.ticks != ENDLESS);
                self.pass(self.options.step_ms)
            }
            Action::Term => {
                self.left.terms -= 1;
                self.term()
            }
            Action::Close(task, bidder) => self.close(*task, bidder.as_ref()),
            Action::Person(verb) => {
                self.left.person -= 1;
                self.send(ActorId::new("boss").unwrap(), None, (**verb).clone())
            }
        }
    }

    fn last_arrives(&mut self, n: usize) -> Held {
        match self.clients[n].last.clone() {
            Some(command) => self.arrives(&command),
            None => Ok(()),
        }
    }

    /// A new term begins. Whoever leads it has heard nobody yet.
    fn term(&mut self) -> Held {
        let epoch = self.state.mesh().epoch + 1;
        let hash = Digest::of(b"");
        for client in &mut self.clients {
            client.silent_ms = 0;
        }
        self.internal(Internal::EpochStart { epoch, node: "n".to_owned(), nonce: epoch, hash })
    }

    pub(crate) fn close(&mut self, task: TaskId, bidder: Option<&ActorId>) -> Held {
        let bid = |actor: &ActorId| Bid {
            actor: actor.clone(),
            score: Default::default(),
            total: 0,
            declined: Default::default(),
        };
        self.internal(Internal::AuctionClose { task, bids: bidder.map(bid).into_iter().collect() })
    }

    /// An agent goes in order.
    pub(crate) fn leave(&mut self, n: usize) -> Held {
        let (actor, session) = (self.clients[n].actor.clone(), self.session(n));
        self.send(actor, session, Verb::AgentLeave(Leave::default()))
    }
}

fn none() -> Release {
    Release::default()
}

fn acquire(paths: Vec<RepoPath>, mode: Mode, waits: bool, is_agent: bool) -> Verb {
    Verb::LockAcquire(Acquire {
        paths,
        mode,
        repo: None,
        task: None,
        ttl_ms: Some(if is_agent { 15_000 } else { 25_000 }),
        wait_ms: waits.then_some(45_000),
        share: None,
        reason: None,
    })
}

pub(crate) fn verified(task: TaskId, attempt: u32, token: u64, verdict: Verdict) -> Verb {
    let receipt = Receipt {
        tree: TREE.to_owned(),
        verdict,
        steps: Vec::new(),
        host: "h".to_owned(),
        guarded: Vec::new(),
        merged: Vec::new(),
    };
    Verb::TaskVerified(Verified {
        task,
        attempt,
        token,
        receipt,
        commit: None,
        usage: None,
        class: None,
        change: None,
    })
}

pub(crate) fn complete(task: TaskId, attempt: u32, token: u64) -> Verb {
    Verb::TaskComplete(Complete { task, attempt, token, message: None, usage: None })
}

fn abandon(task: TaskId, attempt: u32, token: u64) -> Verb {
    let reason = "r".to_owned();
    Verb::TaskAbandon(Abandon { task, attempt, token, reason, unspent: false, usage: None })
}

fn fail(task: TaskId, attempt: u32, token: u64) -> Verb {
    let (class, message) = ("test".to_owned(), "m".to_owned());
    Verb::TaskFail(Fail { task, attempt, token, class, message, hard: false, usage: None })
}

/// The way on of work that is verified.
pub(crate) fn done(task: &Task, attempt: u32, token: u64) -> Verb {
    let id = task.spec.task;
    if task.spec.flow != Flow::Merge {
        return complete(id, attempt, token);
    }
    let (tree, wait_ms) = (TREE.to_owned(), None);
    Verb::LandBegin(LandBegin { task: id, attempt, token, tree, wait_ms, seen: None })
}

pub(crate) fn land_end(task: TaskId, attempt: u32, token: u64, outcome: LandOutcome) -> Verb {
    let landed = outcome == LandOutcome::Landed;
    Verb::LandEnd(LandEnd {
        task,
        attempt,
        token,
        outcome,
        commit: landed.then(|| TREE.to_owned()),
        tree: landed.then(|| TREE.to_owned()),
        receipt: None,
        from: None,
        found: Vec::new(),
        paths: Vec::new(),
        message: None,
        change: None,
    })
}
