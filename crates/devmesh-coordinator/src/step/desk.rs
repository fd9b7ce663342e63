//! The leader at work: everything that a decision touches, and the ways in which it ends.

use devmesh_bus::log::AppendError;
use devmesh_domain::answer::answers;
use devmesh_domain::{fold, glance};
use devmesh_protocol::batch::Batch;
use devmesh_protocol::command::internal::Internal;
use devmesh_protocol::limits::CHECKPOINT_RECORDS;
use devmesh_protocol::limits::strain::HOST_SILENT_MS;
use devmesh_protocol::planted::{self, Fault};
use devmesh_protocol::report::{BeatReply, LeaderBeat};
use devmesh_protocol::{ActorId, At, Command, Event, HostId, Record, Reply, SessionId, version};

use crate::effect::Effect;
use crate::error::Error;
use crate::input::{Caller, Now};
use crate::term::{decide_internal, learn, not_stored, own_record};
use crate::view::held::{Held, encode, encode_value};
use crate::view::{Flight, HeldBeat, Term, View};

/// So many actors must have seen more than there is for a leader to halt.
const DOUBTERS_MAX: usize = 2;
/// A heartbeat is answered on a proof of leading that is not older than it by more than this.
const BEAT_PROOF_MS: u64 = 1_000;
/// For how long a leader goes on telling whom it has answered: some beats of its own may be lost.
const TOLD_MS: u64 = 500;
/// Heartbeats that wait for a proof.
const BEATS_MAX: usize = 16_384;
/// Records that follow from one input; the rest follow from the next.
const FOLLOW_MAX: usize = 32;
/// Records of one batch.
const BATCH_RECORDS_MAX: usize = 2_048;
/// The pause after a leader-read that failed.
const READ_PAUSE_MS: u64 = 250;

/// What becomes of the term.
#[derive(Debug)]
pub(crate) enum Fate {
    /// It goes on.
    GoOn,
    /// It ends.
    End {
        /// Why.
        why: String,
        /// The next may be claimed at once.
        claim: bool,
    },
    /// The coordinator ends.
    Halt(Error),
}

/// A term and what stands around it.
pub(crate) struct Desk<'a> {
    pub(crate) view: &'a mut View,
    pub(crate) term: &'a mut Term,
    pub(crate) now: Now,
    pub(crate) out: &'a mut Vec<Effect>,
}

impl Desk<'_> {
    pub(crate) fn at(&self) -> At {
        self.term.at(self.now)
    }

    /// Takes over what the term before left: open auctions, reports, deadlines, redacted texts.
    pub(crate) fn take_over(&mut self) {
        for (task, auction) in glance::auctions(&self.term.ahead) {
            self.view.bids.open(task, auction.closes_at);
        }
        let undeleted = self.view.undeleted.iter();
        self.out.extend(undeleted.map(|digest| Effect::DeleteText { digest: *digest }));
        self.beat_as_leader();
        // What was told long ago is not what is so now.
        let now = self.now.mono_ms;
        self.view.reports.retain(|_, heard| now.saturating_sub(heard.at_ms) < HOST_SILENT_MS);
        let hosts: Vec<HostId> = self.view.reports.keys().cloned().collect();
        for host in &hosts {
            self.measure(host);
        }
        self.follow(None);
    }

    pub(crate) fn beat_as_leader(&mut self) {
        self.term.beat_at = self.now.mono_ms;
        let (epoch, node) = (self.term.epoch, self.view.options.node.clone());
        let since = self.now.mono_ms.saturating_sub(TOLD_MS);
        let answered = &mut self.term.answered;
        while answered.pop_front_if(|(at, _)| *at < since).is_some() {}
        let answered = answered.iter().map(|(_, actor)| actor.clone()).collect();
        let seq = self.view.settled.state().seq;
        self.out.push(Effect::Lead(LeaderBeat { epoch, node, seq, answered }));
    }

    /// Folds one decision and queues it for the log, with the answers that it gives. Returns its
    /// number.
    pub(crate) fn record(&mut self, asker: Option<(Box<Command>, Caller)>, record: Record) -> u64 {
        let seq = record.seq;
        fold::fold(&mut self.term.ahead, &record);
        self.notice(&record);
        let mut asker = asker;
        for answer in answers(&self.term.ahead, &record) {
            let is_own = asker.as_ref().is_some_and(|(command, _)| {
                command.id == answer.id && command.actor == answer.actor
            });
            let waited = if is_own {
                asker.take()
            } else {
                self.view.waiting.remove(&(answer.actor, answer.id))
            };
            if let Some((command, caller)) = waited {
                self.hold(Some(command), caller, &answer.reply, seq, None);
            }
        }
        if let Some((command, caller)) = asker {
            // No answer to its own command: that one waits from now on.
            let key = (command.actor.clone(), command.id.clone());
            self.view.waiting.insert(key, (command, caller));
        }
        self.term.pending.push_back(record);
        if seq.is_multiple_of(CHECKPOINT_RECORDS) {
            let hash = self.term.ahead.hash();
            self.internal(Internal::Checkpoint { hash }, None);
        }
        seq
    }

    /// What a decision means for the soft state.
    fn notice(&mut self, record: &Record) {
        for event in &record.events {
            match event {
                Event::AuctionOpened(e) => self.view.bids.open(e.task, e.closes_at),
                Event::AgentJoined(e) => {
                    self.view.sessions.hear(&e.actor, &e.session, self.now.mono_ms);
                }
                Event::AgentResumed(e) => {
                    self.view.sessions.hear(&e.actor, &e.session, self.now.mono_ms);
                }
                Event::TaskCompleted(e) => drop(self.view.messages.remove(&e.task)),
                Event::AttemptEnded(e) => drop(self.view.messages.remove(&e.task)),
                _ => {}
            }
        }
    }

    /// Decides an input of the coordinator's own. Returns whether anything came of it.
    pub(crate) fn internal(&mut self, internal: Internal, causation: Option<u64>) -> bool {
        let at = self.at();
        let events = decide_internal(&self.term.ahead, internal, at);
        if events.is_empty() {
            return false;
        }
        let record = own_record(self.term.ahead.seq + 1, at, causation, events);
        self.record(None, record);
        true
    }

    /// What follows from the state itself, as far as one input's share goes.
    pub(crate) fn follow(&mut self, causation: Option<u64>) {
        let (at, mut causation) = (self.at(), causation);
        for _ in 0..FOLLOW_MAX {
            let events = devmesh_domain::follow(&self.term.ahead, at);
            if events.is_empty() {
                self.term.has_more = false;
                return;
            }
            let record = own_record(self.term.ahead.seq + 1, at, causation, events);
            causation = Some(self.record(None, record));
        }
        self.term.has_more = true;
    }

    /// Queues an answer until the state up to `seq` is acknowledged; and, where it rests on a
    /// state alone, until this term is known to have led at `since`.
    pub(crate) fn hold(
        &mut self,
        command: Option<Box<Command>>,
        caller: Caller,
        reply: &Reply,
        seq: u64,
        since: Option<u64>,
    ) {
        let Caller { to, encoding } = caller;
        let bytes = encode(reply, encoding);
        self.term.replies.push(Held { seq, since, to, encoding, bytes, command });
    }

    /// A heartbeat: whether its session is live, and what it holds, as acknowledged.
    pub(crate) fn beat(&mut self, actor: ActorId, session: SessionId, caller: Caller) -> Fate {
        if self.proves(self.now.mono_ms) || planted::is(Fault::BeatWithoutProof) {
            self.answer_beat(&actor, &session, caller);
        } else if self.term.beats.len() < BEATS_MAX {
            let heard = self.now.mono_ms;
            self.term.beats.push(HeldBeat { actor, session, heard, caller });
        }
        Fate::GoOn
    }

    fn answer_beat(&mut self, actor: &ActorId, session: &SessionId, caller: Caller) {
        let state = self.view.settled.state();
        let live = glance::live_session(state, actor) == Some(session);
        let leases = if live { glance::leases(state, actor, session) } else { Vec::new() };
        let pause = Some(glance::pause(state, actor));
        let work = glance::work(state, actor, session);
        if live {
            self.term.answered.push_back((self.now.mono_ms, actor.clone()));
        }
        let reply = BeatReply { epoch: self.term.epoch, seq: state.seq, live, leases, pause, work };
        let bytes = encode_value(&reply, caller.encoding);
        self.out.push(Effect::Reply { to: caller.to, bytes });
    }

    /// A host told what it measures.
    pub(crate) fn report(&mut self, host: &HostId, caller: Caller) -> Fate {
        let bytes = encode_value(&serde_json::json!({}), caller.encoding);
        self.out.push(Effect::Reply { to: caller.to, bytes });
        if self.measure(host) {
            let seq = self.term.ahead.seq;
            self.follow(Some(seq));
        }
        Fate::GoOn
    }

    /// A sample is no decision; the domain says whether one follows from it.
    fn measure(&mut self, host: &HostId) -> bool {
        let Some(heard) = self.view.reports.get(host) else { return false };
        let (capacity, report) = (heard.report.capacity(), Some(Box::new(heard.report.clone())));
        self.internal(Internal::HostMeasured { host: host.clone(), capacity, report }, None)
    }

    /// The figures of hosts that report no more count no longer.
    pub(super) fn end_silent_hosts(&mut self) {
        let now = self.now.mono_ms;
        // Nobody was listened to before this term began.
        let silent_ms = |host: &HostId| {
            let heard = self.view.reports.get(host).map_or(0, |heard| heard.at_ms);
            self.view.sessions.silence(heard.max(self.term.began.mono_ms), now)
        };
        let silent: Vec<(HostId, u64)> = glance::measured_hosts(&self.term.ahead)
            .map(|host| (host.clone(), silent_ms(host)))
            .filter(|(_, silent_ms)| *silent_ms >= HOST_SILENT_MS)
            .collect();
        for (host, silent_ms) in silent {
            self.view.reports.remove(&host);
            if self.internal(Internal::HostSilent { host, silent_ms }, None) {
                let seq = self.term.ahead.seq;
                self.follow(Some(seq));
            }
        }
    }

    /// A leader-read came back.
    pub(crate) fn confirm(&mut self, asked_at: u64, last: Result<u64, String>) -> Fate {
        self.term.reading = None;
        if self.term.flight.is_some() {
            // An append overtook it, and proves more.
            return Fate::GoOn;
        }
        let head = *self.view.settled.chain();
        let last = match last {
            Ok(last) => last,
            Err(why) => {
                tracing::debug!(why, "a leader-read failed");
                self.term.read_after = self.now.mono_ms + READ_PAUSE_MS;
                return Fate::GoOn;
            }
        };
        if last > head.stream_seq {
            let why = "somebody else has written to the log".to_owned();
            return Fate::End { why, claim: false };
        }
        if last < head.stream_seq && asked_at <= self.term.confirmed {
            // An append has overtaken it and landed already: it tells of the time before.
            return Fate::GoOn;
        }
        if last < head.stream_seq {
            // Settling is a new term's, which reads the log anew and knows what a short one means.
            let why = format!("the log ends at {last}, {} was acknowledged", head.stream_seq);
            return Fate::End { why, claim: true };
        }
        if let Some((seen, by)) = self.view.seen.take()
            && seen > head.seq
            && self.is_doubted_by_two(seen, &by)
        {
            return Fate::Halt(Error::RolledBack {
                has: head.seq,
                has_message: head.stream_seq,
                known: format!("record {seen}"),
                known_by: by.to_string(),
            });
        }
        self.confirmed(asked_at);
        Fate::GoOn
    }

    /// Whether this is the second actor to have seen more than there is. One alone may lie or be
    /// wrong, and must not be able to end the mesh; a log that was rolled back is missed by all.
    fn is_doubted_by_two(&mut self, seen: u64, by: &ActorId) -> bool {
        tracing::error!(%by, seen, "an actor says to have seen a record that is not in the log");
        self.view.doubters.insert(by.clone());
        self.view.doubters.len() >= DOUBTERS_MAX
    }

    fn confirmed(&mut self, sent: u64) {
        self.term.confirmed = self.term.confirmed.max(sent);
        for beat in std::mem::take(&mut self.term.beats) {
            // The proof may have been long on its way, and somebody else may have taken over
            // before this beat was even sent: it waits for a proof of its own time.
            if self.proves(beat.heard) {
                self.answer_beat(&beat.actor, &beat.session, beat.caller);
            } else {
                self.term.beats.push(beat);
            }
        }
    }

    /// Whether leading is proved for a heartbeat heard at that time.
    fn proves(&self, heard: u64) -> bool {
        heard.saturating_sub(self.term.confirmed) <= BEAT_PROOF_MS
    }

    /// The batch that was in flight came to an end.
    pub(crate) fn appended(&mut self, outcome: Result<u64, AppendError>) -> Fate {
        let Some(flight) = self.term.flight.take() else { return Fate::GoOn };
        let stream_seq = match outcome {
            Ok(stream_seq) => stream_seq,
            Err(_) if planted::is(Fault::TermGoesOn) => return Fate::GoOn,
            Err(error) => {
                not_stored(self.view, &error, self.out);
                let claim = !matches!(error, AppendError::Conflict(_));
                return Fate::End { why: error.to_string(), claim };
            }
        };
        let Flight { batch, payload, sent } = flight;
        let commands = |record: &&Record| record.command_id.is_some();
        let answered = batch.records.iter().filter(commands).count();
        let waiting = self.term.pending.iter().filter(commands).count();
        self.term.gather.acknowledged(answered, waiting, self.now.mono_ms);
        let records = match self.view.settled.take_decoded(stream_seq, &payload, Ok(batch)) {
            Ok(records) => records,
            Err(stop) => return Fate::Halt(Error::Log(stop)),
        };
        learn(self.view, self.now, records, Some(self.out));
        self.confirmed(sent);
        Fate::GoOn
    }

    /// Ends a turn: sends the next batch, answers what is free, or asks for a proof.
    pub(crate) fn settle(&mut self) -> Fate {
        // The batch first: what it waits for takes longest.
        if self.term.flight.is_none() && self.flies() {
            self.fly();
        }
        let settled = self.view.settled.state().seq;
        self.term.replies.release(settled, self.term.confirmed, self.out);
        if self.term.flight.is_none() && self.wants_proof() {
            self.term.reading = Some(self.now.mono_ms);
            self.out.push(Effect::AskLast { link: self.view.link });
        }
        Fate::GoOn
    }

    fn flies(&mut self) -> bool {
        let (records, now) = (self.term.pending.len(), self.now.mono_ms);
        if records == 0 || self.view.stopping {
            return records > 0;
        }
        match self.is_unawaited() {
            true => self.term.gather.goes_unawaited(now),
            false => self.term.gather.goes(records, now),
        }
    }

    /// Whether all that was decided is that requests wait, and no answer rests on that.
    fn is_unawaited(&self) -> bool {
        let waits = |record: &Record| {
            record.command_id.is_some()
                && record.events.iter().all(|event| matches!(event, Event::LockQueued(_)))
        };
        let settled = self.view.settled.state().seq;
        !self.term.replies.wants_more_than(settled) && self.term.pending.iter().all(waits)
    }

    fn wants_proof(&self) -> bool {
        let confirmed = self.term.confirmed;
        let is_due = self.term.reading.is_none() && self.now.mono_ms >= self.term.read_after;
        is_due
            && (!self.term.beats.is_empty()
                || self.view.seen.is_some()
                || self.term.replies.wants_confirmation(confirmed)
                || self.view.asked.iter().any(|asked| asked.since > confirmed))
    }

    /// Sends what was decided, as much of it as one batch takes.
    fn fly(&mut self) {
        let chain = *self.view.settled.chain();
        let mut count = self.term.pending.len().min(BATCH_RECORDS_MAX);
        let mut batch = Batch {
            v: version::FORMAT,
            epoch: self.term.epoch,
            node: self.view.options.node.clone(),
            prev: chain.h,
            first_seq: chain.seq + 1,
            records: self.term.pending.drain(..count).collect(),
        };
        let payload = loop {
            match batch.encode() {
                Some(payload) => break payload,
                None => {
                    assert!(count > 1, "one record is below a batch's bytes");
                    count /= 2;
                    for record in batch.records.drain(count..).rev() {
                        self.term.pending.push_front(record);
                    }
                }
            }
        };
        let flight = Flight { batch, payload: payload.into(), sent: self.now.mono_ms };
        let blind = planted::is(Fault::AppendWithoutExpected);
        let expected = if blind { u64::MAX } else { chain.stream_seq };
        self.out.push(Effect::Append {
            link: self.view.link,
            expected_last: expected,
            epoch: self.term.epoch,
            payload: flight.payload.clone(),
        });
        self.term.flight = Some(flight);
    }
}
