//! Who takes and gives leases and does nothing else: agents, whose leases live by heartbeats, and
//! people, whose leases live by their time alone. What they saw is a history that must be
//! explained by some order.

use std::collections::BTreeSet;

use devmesh_protocol::command::agent::{Join, Leave};
use devmesh_protocol::command::lock::{Acquire, Convert, Release, Renew};
use devmesh_protocol::limits::{BEAT_MS, GRACE_MS};
use devmesh_protocol::report::{Beat, BeatReply};
use devmesh_protocol::{
    ActorId, Code, CommandId, HostId, LeaseId, Mode, Reply, RepoPath, SessionId, Verb,
};
use serde_json::Value;

use crate::call::{BEAT_ANSWER_MS, Body, Came, Tag, uuid};
use crate::history::{Op, Tenure};
use crate::rng::Rng;
use crate::world::{Happening, World};

/// The files that are fought for; a folder stands for those below it.
const LEAVES: [&str; 4] = ["lock/a", "lock/b", "lock/d/e", "lock/d/f"];
/// What is asked for, with the leaves that it covers.
const PATHS: [(&str, &[usize]); 6] = [
    ("lock/a", &[0]),
    ("lock/b", &[1]),
    ("lock/d/e", &[2]),
    ("lock/d/f", &[3]),
    ("lock/d/", &[2, 3]),
    ("lock/", &[0, 1, 2, 3]),
];
/// How long a request for a lease is waited for before its outcome is taken for unknown.
const GIVE_UP_MS: u64 = 90_000;

/// What somebody waits for.
#[derive(Debug)]
pub(crate) enum LockerTag {
    /// The join of a session.
    Joined(SessionId),
    /// A heartbeat, sent at that time of its clock.
    Beaten(SessionId, u64),
    /// A lease, asked for at that time of its clock.
    Acquired(Tenure, u64),
    /// The way from one mode to another.
    Converted(Tenure, Mode),
    /// The end of it, and until when it was relied on.
    Released(Tenure, u64),
    /// More time, asked for at that time of its clock.
    Renewed(Tenure, u64),
    /// That it has left.
    Left,
}

/// What somebody holds, as far as it knows.
#[derive(Debug, Clone)]
struct Held {
    tenure: Tenure,
    leases: Vec<LeaseId>,
    mode: Mode,
    ttl_ms: u64,
    /// A person's: until when it lives for sure, by the person's clock.
    until_ms: u64,
}

/// One of them.
#[derive(Debug)]
pub(crate) struct Locker {
    /// Which process.
    pub(crate) process: usize,
    /// Who it is.
    pub(crate) actor: ActorId,
    /// It has no session, and its leases live by their time.
    pub(crate) is_person: bool,
    session: Option<SessionId>,
    has_joined: bool,
    /// When the last heartbeat that was answered was sent, by its clock.
    believed_ms: Option<u64>,
    /// What the newest of those answers listed, and the record up to which it has read.
    listed: (u64, Vec<LeaseId>),
    ttl_ms: u64,
    held: Option<Held>,
    /// A request is under way.
    is_busy: bool,
    /// Requests whose outcome it does not know, to be given back.
    unknown: BTreeSet<CommandId>,
    seen: u64,
    /// It has nothing more to do.
    pub(crate) is_gone: bool,
}

impl Locker {
    /// One that has never run.
    #[must_use]
    pub(crate) fn new(number: usize, process: usize, is_person: bool, rng: &mut Rng) -> Locker {
        let name = if is_person { "human" } else { "lock" };
        let actor = ActorId::new(&format!("{name}-{number}")).expect("letters are an id");
        Locker {
            process,
            actor,
            is_person,
            session: None,
            has_joined: false,
            believed_ms: None,
            listed: (0, Vec::new()),
            ttl_ms: rng.pick(&[2_000, 5_000, 15_000]),
            held: None,
            is_busy: false,
            unknown: BTreeSet::new(),
            seen: 0,
            is_gone: false,
        }
    }

    /// Until when its leases live for sure, by its clock: an agent's by the last heartbeat that
    /// was answered, from when it was sent.
    fn believes_until(&self) -> Option<u64> {
        let held = self.held.as_ref()?;
        if self.is_person {
            return Some(held.until_ms);
        }
        self.believed_ms.map(|sent| sent + held.ttl_ms / 10 * 9)
    }
}

impl World {
    /// Its process begins; a lease that it held it does not know of any more.
    pub(crate) fn begin_locker(&mut self, locker: usize) {
        let held = self.lockers[locker].held.as_ref().map(|held| held.tenure);
        let held = held.and_then(|tenure| self.history.id_of(tenure));
        self.lose_lease(locker);
        self.history.crashed(locker);
        // Its session and what it asked for stand on its disk, if it had time to write them.
        let forgets = self.rng.chance(500);
        let it = &mut self.lockers[locker];
        (it.is_busy, it.has_joined, it.believed_ms) = (false, false, None);
        it.unknown.extend(held);
        if forgets && !it.is_person {
            it.session = None;
            it.unknown.clear();
        }
        let ms = self.rng.within(1, 2_000);
        self.after(ms, Happening::Locker { locker });
        if !self.lockers[locker].is_person {
            self.after(ms, Happening::LockerBeat { locker });
        }
    }

    fn locker_mono(&self, locker: usize) -> u64 {
        self.processes[self.lockers[locker].process].sleepless(self.now)
    }

    /// Does the next thing.
    pub(crate) fn act_locker(&mut self, locker: usize) {
        if self.lockers[locker].is_gone {
            return;
        }
        let ms = if self.healing { 500 } else { self.rng.within(1, self.plan.think_ms) };
        self.after(ms, Happening::Locker { locker });
        let it = &self.lockers[locker];
        if it.is_busy || (self.person.is_beginning && !self.healing) {
            return;
        }
        if !it.is_person && !it.has_joined {
            return self.join_locker(locker);
        }
        let until = it.believes_until();
        if until.is_some_and(|until| until <= self.locker_mono(locker)) {
            self.lose_lease(locker);
        }
        let it = &self.lockers[locker];
        match &it.held {
            Some(held) if self.rng.chance(150) && !self.healing => {
                self.convert(locker, held.clone());
            }
            Some(held) if it.is_person && self.rng.chance(150) && !self.healing => {
                self.renew(locker, held.clone());
            }
            Some(held) => self.release(locker, held.clone()),
            None if !it.unknown.is_empty() => self.give_back(locker),
            None if self.healing => self.leave_locker(locker),
            None => self.acquire(locker),
        }
    }

    fn locker_asks(
        &mut self,
        locker: usize,
        verb: Verb,
        within_ms: u64,
        tag: LockerTag,
    ) -> CommandId {
        let it = &self.lockers[locker];
        let (process, actor, session) = (it.process, it.actor.clone(), it.session.clone());
        let command = self.command(process, &actor, session.as_ref(), verb);
        let id = command.id.clone();
        self.lockers[locker].is_busy = true;
        self.ask(process, Body::Command(command), within_ms, Tag::Locker(locker, tag));
        id
    }

    fn join_locker(&mut self, locker: usize) {
        let wall = self.processes[self.lockers[locker].process].wall(self.now);
        let it = &mut self.lockers[locker];
        let text = uuid(&mut self.rng, wall);
        let new = SessionId::new(&text).expect("a UUID is a session id");
        let session = it.session.clone().unwrap_or(new);
        it.session = Some(session.clone());
        let join = Join {
            tool: "locker".into(),
            host: HostId::new("host-l").expect("letters are an id"),
            model: None,
            capabilities: Vec::new(),
            needs: Default::default(),
            repos: Vec::new(),
            for_persons: Vec::new(),
            seen: (it.seen > 0).then_some(it.seen),
        };
        self.locker_asks(locker, Verb::AgentJoin(join), 60_000, LockerTag::Joined(session));
    }

    /// An agent's heartbeat.
    pub(crate) fn beat_locker(&mut self, locker: usize) {
        let sent = self.locker_mono(locker);
        let it = &self.lockers[locker];
        if it.is_gone {
            return;
        }
        let ms = BEAT_MS.min(self.lockers[locker].ttl_ms / 3);
        self.after(ms, Happening::LockerBeat { locker });
        let it = &self.lockers[locker];
        let Some(session) = it.session.clone().filter(|_| it.has_joined) else { return };
        let body = Body::Beat(it.actor.clone(), Beat { session: session.clone(), seen: it.seen });
        let tag = Tag::Locker(locker, LockerTag::Beaten(session, sent));
        self.ask(it.process, body, BEAT_ANSWER_MS, tag);
    }

    fn acquire(&mut self, locker: usize) {
        let mono = self.locker_mono(locker);
        let (path, leaves) = self.rng.pick(&PATHS);
        let mode =
            self.rng.pick(&[Mode::Write, Mode::Write, Mode::Read, Mode::Intent, Mode::CoWrite]);
        let wait_ms = self.rng.pick(&[None, Some(2_000), Some(20_000), Some(60_000)]);
        let (path, leaves, mode, wait_ms) = match self.plan.contends {
            true => (PATHS[0].0, PATHS[0].1, Mode::Write, Some(60_000)),
            false => (path, leaves, mode, wait_ms),
        };
        let ttl_ms = self.lockers[locker].ttl_ms;
        let acquire = Acquire {
            paths: vec![RepoPath::new(path).expect("a plain path")],
            mode,
            repo: None,
            task: None,
            ttl_ms: Some(ttl_ms),
            wait_ms,
            share: None,
            reason: None,
        };
        let tenure = self.history.begin(locker, leaves, mode, self.now);
        let tag = LockerTag::Acquired(tenure, mono);
        let verb = Verb::LockAcquire(acquire);
        let id = self.locker_asks(locker, verb, GIVE_UP_MS, tag);
        self.lockers[locker].unknown.insert(id.clone());
        self.history.name(tenure, id);
    }

    fn convert(&mut self, locker: usize, held: Held) {
        let Some(lease) = held.leases.first().copied() else { return };
        let mode = self.rng.pick(&[Mode::Write, Mode::Read, Mode::CoWrite]);
        let wait_ms = self.rng.pick(&[None, Some(3_000)]);
        let verb = Verb::LockConvert(Convert { lease, mode, wait_ms });
        self.history.call(held.tenure, Op::Convert(mode), self.now);
        self.locker_asks(locker, verb, GIVE_UP_MS, LockerTag::Converted(held.tenure, mode));
    }

    fn renew(&mut self, locker: usize, held: Held) {
        let mono = self.locker_mono(locker);
        let verb = Verb::LockRenew(Renew { leases: held.leases, ttl_ms: Some(held.ttl_ms) });
        self.locker_asks(locker, verb, 5_000, LockerTag::Renewed(held.tenure, mono));
    }

    fn release(&mut self, locker: usize, held: Held) {
        // From here on it does not rely on it; where the answer is that there was none, it must
        // not have relied on it before either.
        let relied_until = self.relied_until(locker);
        self.lockers[locker].held = None;
        let ids: Vec<CommandId> = self.history.id_of(held.tenure).into_iter().collect();
        self.lockers[locker].unknown.extend(ids.iter().cloned());
        let release = match self.rng.below(2) {
            0 => Release { leases: held.leases, ..Release::default() },
            _ => Release { ids: ids.clone(), ..Release::default() },
        };
        self.history.call(held.tenure, Op::Release, self.now);
        let tag = LockerTag::Released(held.tenure, relied_until);
        self.locker_asks(locker, Verb::LockRelease(release), GIVE_UP_MS, tag);
    }

    /// Gives back whatever a request may have got it.
    fn give_back(&mut self, locker: usize) {
        let Some(id) = self.lockers[locker].unknown.first().cloned() else { return };
        let Some(tenure) = self.history.tenure_of(&id) else { return };
        self.history.call(tenure, Op::Release, self.now);
        let release = Release { ids: vec![id], ..Release::default() };
        let tag = LockerTag::Released(tenure, self.now);
        self.locker_asks(locker, Verb::LockRelease(release), GIVE_UP_MS, tag);
    }

    fn leave_locker(&mut self, locker: usize) {
        if self.lockers[locker].is_person {
            self.lockers[locker].is_gone = true;
            return;
        }
        if self.workers.iter().any(|worker| !worker.is_gone) {
            return;
        }
        let leave = Leave { reason: None };
        self.locker_asks(locker, Verb::AgentLeave(leave), 60_000, LockerTag::Left);
    }

    /// It does not rely on its lease any more, and does not know when it ends; it gives it back
    /// before it asks for another.
    fn lose_lease(&mut self, locker: usize) {
        let at = self.relied_until(locker);
        if let Some(held) = self.lockers[locker].held.take() {
            self.history.lapses(held.tenure, at);
            self.lockers[locker].unknown.extend(self.history.id_of(held.tenure));
        }
    }

    /// Until when it has relied on its lease, at most until now.
    fn relied_until(&self, locker: usize) -> u64 {
        let it = &self.lockers[locker];
        let mono = self.locker_mono(locker);
        let over_ms = it.believes_until().map_or(mono, |until| mono.saturating_sub(until));
        self.now.saturating_sub(over_ms + over_ms / 1_000 + 10)
    }

    /// Something has come of a request.
    pub(crate) fn came_to_locker(
        &mut self,
        locker: usize,
        tag: LockerTag,
        came: Came,
        beat: Option<BeatReply>,
    ) {
        if let LockerTag::Beaten(session, sent) = tag {
            return self.beaten(locker, &session, sent, beat);
        }
        self.lockers[locker].is_busy = false;
        if let Some(seq) = came.as_ref().and_then(Reply::seq) {
            let it = &mut self.lockers[locker];
            it.seen = it.seen.max(seq);
        }
        if let Some(Reply::Err { error, .. }) = &came
            && error.code == Code::AgentNotRegistered
        {
            self.session_over(locker);
        }
        match tag {
            LockerTag::Joined(session) => {
                let it = &mut self.lockers[locker];
                it.has_joined =
                    matches!(came, Some(Reply::Ok { .. })) && it.session.as_ref() == Some(&session);
            }
            LockerTag::Acquired(tenure, sent) => self.acquired(locker, tenure, sent, came),
            LockerTag::Converted(tenure, mode) => self.converted(locker, tenure, mode, came),
            LockerTag::Released(tenure, until) => self.released(locker, tenure, until, came),
            LockerTag::Renewed(tenure, sent) => self.renewed(locker, tenure, sent, came),
            LockerTag::Left => self.lockers[locker].is_gone = came.is_some(),
            LockerTag::Beaten(..) => {}
        }
    }

    fn session_over(&mut self, locker: usize) {
        self.lose_lease(locker);
        let it = &mut self.lockers[locker];
        (it.has_joined, it.believed_ms, it.session) = (false, None, None);
        // What the old session asked for went with it.
        it.unknown.clear();
    }

    fn beaten(&mut self, locker: usize, session: &SessionId, sent: u64, beat: Option<BeatReply>) {
        let it = &mut self.lockers[locker];
        let Some(beat) = beat.filter(|_| it.session.as_ref() == Some(session)) else { return };
        it.seen = it.seen.max(beat.seq);
        if !beat.live {
            return self.session_over(locker);
        }
        let was_unheard = it.believes_until().is_some_and(|until| sent >= until);
        let has_lost = it
            .held
            .as_ref()
            .is_some_and(|held| held.leases.iter().any(|lease| !beat.leases.contains(lease)));
        if beat.seq >= it.listed.0 {
            it.listed = (beat.seq, beat.leases);
        }
        if was_unheard || has_lost {
            // Unheard for longer than they live: they may be gone, whatever this answer says.
            self.lose_lease(locker);
        }
        let it = &mut self.lockers[locker];
        it.believed_ms = Some(it.believed_ms.map_or(sent, |last| last.max(sent)));
    }

    /// Whether a heartbeat that has read the record of a grant did not list its leases any more:
    /// the answer was given again, and they are gone. Where the answer names no record, the leases
    /// are older than itself.
    fn was_gone(&self, locker: usize, seq: Option<u64>, leases: &[LeaseId]) -> bool {
        let it = &self.lockers[locker];
        let (read, listed) = &it.listed;
        let is_later = seq.is_none_or(|seq| *read >= seq);
        !it.is_person && is_later && leases.iter().any(|lease| !listed.contains(lease))
    }

    fn acquired(&mut self, locker: usize, tenure: Tenure, sent: u64, came: Came) {
        let id = self.history.id_of(tenure);
        let forget = |world: &mut World| {
            if let Some(id) = &id {
                world.lockers[locker].unknown.remove(id);
            }
        };
        match came {
            Some(Reply::Ok { result, seq }) => {
                forget(self);
                let leases = leases_of(&result);
                // What was held already is given as it is, with what is left of its time.
                let is_old = self.lockers[locker].is_person && seq.is_none();
                let was_gone = is_old || self.was_gone(locker, seq, &leases);
                let Some(mode) = self.history.granted(tenure, self.now) else { return };
                let mono = self.locker_mono(locker);
                let it = &mut self.lockers[locker];
                let ttl_ms = it.ttl_ms;
                // The grant may have come at any time since it was asked for; that of a wait is
                // told at once, or again by a later term.
                let until_ms = sent + ttl_ms / 10 * 9;
                it.held = Some(Held { tenure, leases, mode, ttl_ms, until_ms });
                if was_gone || it.believes_until().is_none_or(|until| until <= mono) {
                    // Never relied on: it may have ended as soon as it was there.
                    it.held = None;
                    it.unknown.extend(id);
                    self.history.lapses(tenure, 0);
                }
            }
            Some(Reply::Err { .. }) => {
                forget(self);
                self.history.refused(tenure);
            }
            None => self.history.unknown(tenure),
        }
    }

    fn converted(&mut self, locker: usize, tenure: Tenure, mode: Mode, came: Came) {
        match came {
            Some(Reply::Ok { result, .. }) => {
                self.history.returned(tenure, self.now);
                if let Some(held) = &mut self.lockers[locker].held {
                    // A stronger mode has another number.
                    held.mode = mode;
                    let leases = leases_of(&result);
                    if !leases.is_empty() {
                        held.leases = leases;
                    }
                }
            }
            Some(Reply::Err { .. }) => self.history.withdrawn(tenure),
            None => {
                self.history.never_returned(tenure);
                self.lose_lease(locker);
                if let Some(id) = self.history.id_of(tenure) {
                    self.lockers[locker].unknown.insert(id);
                }
            }
        }
    }

    fn released(&mut self, locker: usize, tenure: Tenure, relied_until: u64, came: Came) {
        let is_settled = came.is_some();
        match came {
            Some(Reply::Ok { .. }) => self.history.returned(tenure, self.now),
            Some(Reply::Err { .. }) => {
                // There was nothing to give back any more.
                self.history.withdrawn(tenure);
                self.history.lapses(tenure, relied_until);
            }
            None => self.history.never_returned(tenure),
        }
        if let Some(id) = self.history.id_of(tenure).filter(|_| is_settled) {
            self.lockers[locker].unknown.remove(&id);
        }
    }

    fn renewed(&mut self, locker: usize, tenure: Tenure, sent: u64, came: Came) {
        let it = &mut self.lockers[locker];
        if let (Some(Reply::Ok { .. }), Some(held)) = (came, &mut it.held)
            && held.tenure == tenure
        {
            held.until_ms = held.until_ms.max(sent + held.ttl_ms / 10 * 9);
        }
    }

    /// Whether somebody relies on the leases of that session now, though they were taken away.
    pub(crate) fn check_taken(&mut self, actor: &ActorId, session: &SessionId, silent_ms: u64) {
        let least = GRACE_MS + 500;
        if silent_ms < least {
            self.broken(format!("{actor} was silent for {silent_ms} ms only"));
        }
        let mine = |it: &&Locker| it.actor == *actor && it.session.as_ref() == Some(session);
        if let Some(it) = self.lockers.iter().find(mine) {
            let process = &self.processes[it.process];
            let until = it.believes_until();
            let mono = process.sleepless(self.now);
            if process.alive && until.is_some_and(|until| mono < until) {
                self.broken(format!(
                    "{actor} relies on leases for {} ms more",
                    until.unwrap_or(0) - mono
                ));
            }
        }
        let mine = self.workers.iter().position(|it| it.actor() == actor && it.session == *session);
        if let Some(worker) = mine {
            let (now, it) = (self.worker_now(worker).ms, &self.workers[worker]);
            let process = &self.processes[it.process];
            if process.alive && it.view.session == *session && it.view.belief.holds(now) {
                self.broken(format!("{actor} believes in leases that were taken away"));
            }
        }
    }

    /// A person's lease has lived its time.
    pub(crate) fn check_expired(&mut self, lease: LeaseId) {
        let holds = |it: &&Locker| {
            it.is_person && it.held.as_ref().is_some_and(|held| held.leases.contains(&lease))
        };
        let Some(it) = self.lockers.iter().find(holds) else { return };
        let process = &self.processes[it.process];
        let mono = process.sleepless(self.now);
        let until = it.believes_until().unwrap_or(0);
        if process.alive && mono < until {
            self.broken(format!("{lease} of {} ends {} ms early", it.actor, until - mono));
        }
    }
}

/// The leaves, for messages.
#[must_use]
pub(crate) fn leaf(number: usize) -> &'static str {
    LEAVES.get(number).copied().unwrap_or("?")
}

fn leases_of(result: &Value) -> Vec<LeaseId> {
    let leases = result.get("leases").and_then(Value::as_array);
    let id = |lease: &Value| lease.get("lease")?.as_str()?.parse().ok();
    leases.into_iter().flatten().filter_map(id).collect()
}
