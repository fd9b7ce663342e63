//! Commands: known, refused or decided.

use devmesh_domain::answer::{Known, answers, immediate, known};
use devmesh_domain::decide;
use devmesh_domain::decide::{bidders, refusal};
use devmesh_protocol::command::task;
use devmesh_protocol::event::Bid;
use devmesh_protocol::limits::RECORD_BYTES_MAX;
use devmesh_protocol::{Code, Command, Digest, Event, Record, Rejection, Reply, TaskId, Verb};
use serde_json::json;

use super::desk::{Desk, Fate};
use super::reply_now;
use crate::effect::Effect;
use crate::input::Caller;
use crate::term::own_record;
use crate::view::Parked;

/// Commands whose texts are being stored at the same time.
const PARKED_MAX: usize = 1_024;
/// Old records that are being read at the same time.
const REBUILDING_MAX: usize = 1_024;

impl Desk<'_> {
    /// Decides a command, or gives the answer that it got before.
    pub(crate) fn command(&mut self, command: Box<Command>, caller: Caller) -> Fate {
        if let Verb::AgentJoin(join) = &command.verb
            && let Some(seen) = join.seen
            && seen > self.view.settled.state().seq
        {
            // Not answered: if it is right, somebody else leads, or nobody may.
            self.view.seen = self.view.seen.take().filter(|(known, _)| *known >= seen);
            if self.view.seen.is_none() {
                self.view.seen = Some((seen, command.actor));
            }
            return Fate::GoOn;
        }
        match known(&self.term.ahead, &command, self.at()) {
            Known::New => match self.view.given.get(&command) {
                // Not kept for a later term: whoever still waits for it asks again.
                Some(reply) => self.hold_proven(None, caller, &reply),
                None => self.decide(command, caller),
            },
            Known::Waiting => {
                let key = (command.actor.clone(), command.id.clone());
                self.view.waiting.insert(key, (command, caller));
            }
            Known::Answered { seq } => self.answer_again(command, caller, seq),
            Known::Refused(rejection) => self.refuse(command, caller, rejection),
        }
        Fate::GoOn
    }

    fn decide(&mut self, command: Box<Command>, caller: Caller) {
        let at = self.at();
        let events = match decide(&self.term.ahead, &command, at) {
            Ok(events) => events,
            Err(rejection) => return self.reject(command, caller, rejection),
        };
        if self.is_parked(&command, &caller) {
            return;
        }
        self.remember_soft(&command);
        if events.is_empty() {
            let reply = match &command.verb {
                Verb::TaskBid(bid) => self.bid(&command, bid),
                _ => immediate(&self.term.ahead, &command),
            };
            // A bid rests on memory alone; anything else on a state that must be the newest.
            let since = (!matches!(command.verb, Verb::TaskBid(_))).then_some(self.now.mono_ms);
            self.view.given.put(&command, &reply);
            let seq = self.term.ahead.seq;
            return self.hold(Some(command), caller, &reply, seq, since);
        }
        let record = self.record_of(&command, events);
        if !fits(&record) {
            let text = "what follows from it is more than one record holds; ask for less at once";
            return self.refuse(command, caller, Rejection::new(Code::LimitExceeded, text));
        }
        let seq = self.record(Some((command, caller)), record);
        self.follow(Some(seq));
    }

    fn record_of(&self, command: &Command, events: Vec<Event>) -> Record {
        Record::new(self.term.ahead.seq + 1, self.at(), Some(command), events)
    }

    /// A refusal that is history goes on record; the rest are counted.
    fn reject(&mut self, command: Box<Command>, caller: Caller, rejection: Rejection) {
        let at = self.at();
        let events = refusal(&self.term.ahead, &command, &rejection, at);
        let is_own = matches!(events.as_slice(), [Event::CommandRejected(_)]);
        if is_own {
            let record = self.record_of(&command, events);
            let seq = self.record(Some((command, caller)), record);
            return self.follow(Some(seq));
        }
        if !events.is_empty() {
            // It says that more follow, and is no answer to anybody.
            let record = own_record(self.term.ahead.seq + 1, at, None, events);
            self.record(None, record);
        } else if rejection.code.is_recorded() && !matches!(command.verb, Verb::TaskBid(_)) {
            let now = self.now.mono_ms;
            self.view.suppressed.count(&command.actor, rejection.code, now);
        }
        self.refuse(command, caller, rejection);
    }

    /// Refuses without a record.
    fn refuse(&mut self, command: Box<Command>, caller: Caller, rejection: Rejection) {
        self.view.count(rejection.code.as_str());
        let code = rejection.code;
        let reply = Reply::Err { seq: None, error: rejection };
        if matches!(code, Code::BadRequest | Code::UnknownVerb) {
            return reply_now(caller, &reply, self.out);
        }
        self.view.given.put(&command, &reply);
        self.hold_proven(Some(command), caller, &reply);
    }

    /// Queues an answer that rests on the newest state.
    fn hold_proven(&mut self, command: Option<Box<Command>>, caller: Caller, reply: &Reply) {
        let (seq, since) = (self.term.ahead.seq, Some(self.now.mono_ms));
        self.hold(command, caller, reply, seq, since);
    }

    /// Whether the command has to wait until its texts are stored. It is decided anew then.
    fn is_parked(&mut self, command: &Command, caller: &Caller) -> bool {
        let texts = command.texts();
        let named = texts.into_iter().map(|text| (Digest::of(text.as_bytes()), text));
        let missing: Vec<(Digest, &str)> =
            named.filter(|(digest, _)| !self.view.texts.needs_no_storing(digest)).collect();
        if missing.is_empty() {
            return false;
        }
        let same = |parked: &&mut Parked| {
            parked.command.id == command.id && parked.command.actor == command.actor
        };
        if let Some(parked) = self.view.parked.iter_mut().find(same) {
            parked.caller = caller.clone();
            return true;
        }
        if self.view.parked.len() >= PARKED_MAX {
            // Unanswered: its caller sends it again.
            self.view.count("texts_over_bound");
            return true;
        }
        for (digest, text) in &missing {
            if let Some(text) = self.view.texts.store(*digest, text) {
                self.out.push(Effect::StoreText { digest: *digest, text });
            }
        }
        self.view.parked.push(Parked {
            command: Box::new(command.clone()),
            caller: caller.clone(),
            missing: missing.into_iter().map(|(digest, _)| digest).collect(),
        });
        true
    }

    fn remember_soft(&mut self, command: &Command) {
        if let Verb::TaskProgress(task::Progress { task, message: Some(message), .. }) =
            &command.verb
        {
            self.view.messages.insert(*task, message.clone());
        }
    }

    fn bid(&mut self, command: &Command, bid: &task::Bid) -> Reply {
        let total = bid.score.values().sum();
        let (actor, score, declined) =
            (command.actor.clone(), bid.score.clone(), bid.declined.clone());
        let bids = declined.is_none();
        let leading = self.view.bids.put(bid.task, Bid { actor, score, total, declined }) && bids;
        if self.all_have_bid(bid.task) {
            self.close_auction(bid.task);
        }
        Reply::Ok { seq: None, result: json!({ "task": bid.task, "leading": leading }) }
    }

    /// Whether the window can close before its time: everybody who could take the task has bid.
    /// Looked at again only when as many have bid as were seen to be able to the last time.
    fn all_have_bid(&mut self, task: TaskId) -> bool {
        if !self.view.bids.may_be_all(task) {
            return false;
        }
        let bidders = bidders(&self.term.ahead, task);
        self.view.bids.are_all(task, &bidders)
    }

    /// The answer to a command that has one already, from its record.
    fn answer_again(&mut self, command: Box<Command>, caller: Caller, seq: u64) {
        let recent = self.view.past.recent(seq).map(AsRef::as_ref);
        if let Some(record) = recent.or_else(|| self.term.unsettled(seq)) {
            let reply = reply_of(&self.term.ahead, record, &command);
            return self.give_again(command, caller, reply, seq);
        }
        if self.view.rebuilding.len() >= REBUILDING_MAX {
            return self.view.count("answers_over_bound");
        }
        self.view.tickets += 1;
        let ticket = self.view.tickets;
        let (after, to) = self.view.past.around(seq, self.view.settled.chain());
        self.view.rebuilding.insert(ticket, (command, caller));
        self.out.push(Effect::ReadRecord { ticket, after, to, seq });
    }

    /// An old record was read for an answer.
    pub(crate) fn rebuilt(
        &mut self,
        command: Box<Command>,
        caller: Caller,
        record: Result<Box<Record>, String>,
    ) -> Fate {
        match record {
            Ok(record) => {
                let reply = reply_of(&self.term.ahead, &record, &command);
                self.give_again(command, caller, reply, record.seq);
            }
            // Unanswered: its caller asks again.
            Err(why) => tracing::warn!(why, id = %command.id, "an old answer was not found"),
        }
        Fate::GoOn
    }

    fn give_again(
        &mut self,
        command: Box<Command>,
        caller: Caller,
        reply: Option<Reply>,
        seq: u64,
    ) {
        match reply {
            Some(reply) => self.hold(Some(command), caller, &reply, seq, None),
            None => tracing::warn!(id = %command.id, seq, "a record does not answer its command"),
        }
    }
}

fn reply_of(state: &devmesh_domain::State, record: &Record, command: &Command) -> Option<Reply> {
    let mut answers = answers(state, record).into_iter();
    answers.find(|a| a.id == command.id && a.actor == command.actor).map(|a| a.reply)
}

/// Whether a record is within its bounds. Leases are many and small, and bounded by their number
/// and the length of their paths; anything else is measured.
fn fits(record: &Record) -> bool {
    let is_small = |event: &Event| {
        matches!(event, Event::LockGranted(_) | Event::LockReleased(_) | Event::LockRenewed(_))
    };
    if record.events.len() <= 16 && record.events.iter().all(is_small) {
        return true;
    }
    let mut counter = Counter(0);
    ciborium::into_writer(record, &mut counter).expect("a counter takes everything");
    counter.0 <= RECORD_BYTES_MAX
}

struct Counter(usize);

impl std::io::Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
