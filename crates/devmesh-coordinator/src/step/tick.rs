//! Time passes: deadlines, silences, auctions, claims.

use devmesh_bus::notice::LEADER_BEAT_MS;
use devmesh_domain::decide::suppressed;
use devmesh_domain::glance;
use devmesh_protocol::command::internal::Internal;
use devmesh_protocol::limits::LEASE_TTL_MS_MIN;
use devmesh_protocol::{ActorId, SessionId, TaskId};

use super::desk::{Desk, Fate};
use super::{desk, query};
use crate::effect::Effect;
use crate::input::Now;
use crate::term::{self, own_record};
use crate::view::{Role, View};

/// How far wall and monotonic clock may run apart before a term ends: a closed lid, a clock set.
const DRIFT_MS_MAX: u64 = 2_000;
/// Between two looks over the sessions.
const LOOK_MS: u64 = 250;
/// Between two writes of the head to the state folder.
const REMEMBER_MS: u64 = 1_000;
/// How long a coordinator without anything to do sleeps.
const IDLE_MS: u64 = 100;
/// Between two looks at what is overdue.
const OVERDUE_MS: u64 = 2;

pub(super) fn tick(view: &mut View, now: Now, out: &mut Vec<Effect>) {
    match &view.role {
        Role::Leading(_) => desk(view, now, out, |desk| desk.tick()),
        Role::Standby { claim_at } if *claim_at <= now.mono_ms && !view.stopping => {
            term::claim(view, out);
        }
        Role::Standby { .. }
        | Role::CatchingUp { .. }
        | Role::Away { .. }
        | Role::Claiming(_)
        | Role::Halted => {}
    }
    query::expire(view, now, out);
    let head = *view.settled.chain();
    let (remembered_at, remembered) = view.remembered;
    if head.stream_seq > remembered && now.mono_ms.saturating_sub(remembered_at) >= REMEMBER_MS {
        view.remembered = (now.mono_ms, head.stream_seq);
        out.push(Effect::Remember(head));
    }
}

/// When the next tick is due, by the monotonic clock.
pub fn wake_at(view: &View, now: Now) -> u64 {
    let mut wake = now.mono_ms + IDLE_MS;
    match &view.role {
        Role::Leading(term) => {
            if term.has_more {
                return now.mono_ms;
            }
            wake = wake.min(term.beat_at + LEADER_BEAT_MS);
            if let Some(due) = glance::next_due(&term.ahead) {
                // What is overdue and still there waits for something else; it is looked at
                // again now and then.
                wake = wake.min(term.mono(due).max(now.mono_ms + OVERDUE_MS));
            }
            if let Some(until) = term.gather.until() {
                wake = wake.min(until);
            }
            if let Some((closes_at, _)) = view.bids.first() {
                wake = wake.min(term.mono(closes_at));
            }
        }
        Role::Standby { claim_at } => wake = wake.min(*claim_at),
        Role::CatchingUp { .. } | Role::Away { .. } | Role::Claiming(_) | Role::Halted => {}
    }
    // Deadlines come to the millisecond; spinning through the one before is of no use.
    wake.max(now.mono_ms + 1)
}

impl Desk<'_> {
    /// The end of a term whose clocks ran apart.
    pub(super) fn slept(&self) -> Option<Fate> {
        let drift = self.term.drift_ms(self.now);
        let why = || format!("the clocks ran {drift} ms apart: this machine slept, or was set");
        (drift > DRIFT_MS_MAX).then(|| Fate::End { why: why(), claim: true })
    }

    fn tick(&mut self) -> Fate {
        if self.now.mono_ms.saturating_sub(self.term.beat_at) >= LEADER_BEAT_MS {
            self.beat_as_leader();
        }
        if self.now.mono_ms.saturating_sub(self.term.looked_at) >= LOOK_MS {
            self.term.looked_at = self.now.mono_ms;
            if self.view.sessions.is_listening(self.now.mono_ms) {
                self.end_silent_sessions();
                self.end_silent_hosts();
            }
        }
        self.close_auctions();
        self.tell_suppressed();
        self.follow(None);
        Fate::GoOn
    }

    /// Refusals that were only counted go on record together, when their minute is over.
    fn tell_suppressed(&mut self) {
        while let Some((actor, counts)) = self.view.suppressed.take(self.now.mono_ms) {
            let events = suppressed(&actor, &counts);
            if !events.is_empty() {
                let record = own_record(self.term.ahead.seq + 1, self.at(), None, events);
                self.record(None, record);
            }
        }
    }

    fn end_silent_sessions(&mut self) {
        let now = self.now.mono_ms;
        let least = self.silent_ms_min();
        let silent: Vec<(ActorId, SessionId, u64)> = glance::sessions(&self.term.ahead)
            .map(|(actor, session)| {
                (actor, session, self.view.sessions.silent_ms(actor, session, now))
            })
            .filter(|(.., silent_ms)| *silent_ms >= least)
            .map(|(actor, session, silent_ms)| (actor.clone(), session.clone(), silent_ms))
            .collect();
        for (actor, session, silent_ms) in silent {
            let internal = Internal::SessionSilent { actor, session, silent_ms };
            if self.internal(internal, None) {
                let seq = self.term.ahead.seq;
                self.follow(Some(seq));
            }
        }
        self.view.sessions.prune(now);
    }

    /// Nothing can follow from a silence that is shorter: no lease lives less, and the grace is
    /// given to all. Whoever is heard as often as asked is not looked at, for to look at one
    /// session is to look at all of its leases.
    fn silent_ms_min(&self) -> u64 {
        LEASE_TTL_MS_MIN + self.term.ahead.grace_ms()
    }

    fn close_auctions(&mut self) {
        let at = self.at();
        while let Some((closes_at, task)) = self.view.bids.first()
            && closes_at <= at
        {
            self.close_auction(task);
        }
    }

    /// Decides an auction on the bids that came: an open one always comes to an award or a lapse.
    pub(super) fn close_auction(&mut self, task: TaskId) {
        let bids = self.view.bids.close(task);
        let Some(auction) = glance::auction(&self.term.ahead, task) else { return };
        if self.internal(Internal::AuctionClose { task, bids }, Some(auction.seq)) {
            let seq = self.term.ahead.seq;
            self.follow(Some(seq));
        }
    }
}
