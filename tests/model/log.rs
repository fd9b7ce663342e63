//! Two coordinators and one log: appends that come late, whose answers are lost, and of which the
//! server takes one whatever it expects; and readers that must all come to the same, or stop.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use devmesh_domain::reader::Reader;
use devmesh_domain::{State, decide, invariant};
use devmesh_protocol::batch::Batch;
use devmesh_protocol::command::agent::{ActorAdd, Role};
use devmesh_protocol::command::internal::Internal;
use devmesh_protocol::planted::{Fault, plant};
use devmesh_protocol::{ActorId, At, Command, CommandId, Event, Record, Verb, version};
use stateright::{Checker, HasDiscoveries, Model, Property};

/// The promise as the checker knows it.
const ONE_HISTORY: &str = "s6, s7, s12: one history";

/// The world.
#[derive(Clone, Debug)]
struct Coordinators {
    fault: Option<Fault>,
    /// Decisions of each.
    decisions: u8,
    /// Terms of each.
    terms: u8,
    /// Appends that the server takes whatever they expect.
    careless: u8,
}

/// One append on its way.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Flight {
    expected: usize,
    payload: Arc<[u8]>,
    /// It begins a term.
    claims: bool,
}

/// A coordinator.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Node {
    /// It leads this term.
    epoch: Option<u64>,
    flight: Option<Flight>,
    /// What it gave up on, and what may arrive nevertheless.
    late: Option<Flight>,
    decisions: u8,
    terms: u8,
    /// What was plainly acknowledged: where it stands in the log.
    acked: Vec<usize>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Logs {
    log: Vec<Arc<[u8]>>,
    nodes: [Node; 2],
    careless: u8,
    broken: bool,
}

impl Hash for Logs {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.log.hash(state);
        self.nodes.hash(state);
        self.careless.hash(state);
        self.broken.hash(state);
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Move {
    Claim(usize),
    Decide(usize),
    /// The append reaches the log; its sender is told.
    Arrive(usize),
    /// It does, and its sender is not told.
    Unheard(usize),
    /// Its sender gives up on it; it may come late.
    GiveUp(usize),
    /// What was given up on reaches the log.
    Late(usize),
    /// It does, and the server takes it whatever it expects.
    Careless(usize),
}

/// Reads a log from its beginning; none where it cannot be believed.
fn read(log: &[Arc<[u8]>]) -> Option<Reader> {
    let mut reader = Reader::default();
    for (n, payload) in (1..).zip(log) {
        reader.take(n, payload).ok()?;
    }
    Some(reader)
}

fn batch(
    reader: &Reader,
    epoch: u64,
    node: usize,
    events: Vec<Event>,
    id: Option<&str>,
) -> Arc<[u8]> {
    let chain = reader.chain();
    let actor = match id {
        Some(_) => ActorId::admin(),
        None => ActorId::coordinator(),
    };
    let record = Record {
        seq: chain.seq + 1,
        at: At(1_800_000_000_000),
        command_id: id.map(|id| CommandId::new(id).unwrap()),
        body: None,
        actor,
        causation: None,
        events,
    };
    let batch = Batch {
        v: version::FORMAT,
        epoch,
        node: format!("n{node}"),
        prev: chain.h,
        first_seq: chain.seq + 1,
        records: vec![record],
    };
    batch.encode().expect("one record is small").into()
}

impl Logs {
    /// The records that count, for whoever reads.
    fn history(&self) -> Option<Vec<(usize, Record)>> {
        let mut reader = Reader::default();
        let mut all = Vec::new();
        for (n, payload) in self.log.iter().enumerate() {
            let records = reader.take(n as u64 + 1, payload).ok()?;
            all.extend(records.into_iter().map(|record| (n, record)));
        }
        Some(all)
    }

    /// S4, S6, S12: what was acknowledged is in the history, each term is one node's, every id
    /// counts once, and no reader takes a log with a hole or a changed byte for a whole one.
    fn is_one_history(&self) -> bool {
        let Some(history) = self.history() else { return false };
        let places: Vec<usize> = history.iter().map(|(place, _)| *place).collect();
        let acked = self.nodes.iter().flat_map(|node| &node.acked);
        if acked.into_iter().any(|place| !places.contains(place)) {
            return false;
        }
        let mut epoch = 0;
        let mut leader = String::new();
        for (place, record) in &history {
            let Ok(batch) = Batch::decode(&self.log[*place]) else { return false };
            if let Some(Event::EpochStarted(e)) = record.events.first() {
                if e.epoch != epoch + 1 {
                    return false;
                }
                epoch = e.epoch;
                leader.clone_from(&e.node);
            }
            if batch.epoch != epoch || batch.node != leader {
                return false;
            }
        }
        let whole = read(&self.log).expect("it was read a moment ago");
        invariant::check(whole.state()).is_ok() && self.holes_are_seen()
    }

    /// A log with one message missing, or two changed about, is not read to its end.
    fn holes_are_seen(&self) -> bool {
        (1..self.log.len()).all(|n| {
            let mut swapped = self.log.clone();
            swapped.swap(n - 1, n);
            let same = swapped == self.log;
            let mut numbered: Vec<(u64, &Arc<[u8]>)> = (1..).zip(&self.log).collect();
            numbered.remove(n - 1);
            let mut reader = Reader::default();
            let taken = numbered.iter().all(|(n, payload)| reader.take(*n, payload).is_ok());
            !taken && (same || read(&swapped).is_none() || void(&self.log, n))
        })
    }
}

/// Whether one of these two messages is of a term that was over, and changes nothing.
fn void(log: &[Arc<[u8]>], n: usize) -> bool {
    let mut reader = Reader::default();
    (1..)
        .zip(&log[..=n])
        .any(|(seq, payload)| reader.take(seq, payload).is_ok_and(|records| records.is_empty()))
}

impl Coordinators {
    fn claim(&self, logs: &Logs, n: usize) -> Option<Flight> {
        let reader = read(&logs.log)?;
        let epoch = reader.chain().epoch + 1;
        let mut state = reader.state().clone();
        let hash = state.hash();
        let start = Internal::EpochStart { epoch, node: format!("n{n}"), nonce: n as u64, hash };
        let events = internal(reader.state(), start)?;
        let payload = batch(&reader, epoch, n, events, None);
        Some(Flight { expected: logs.log.len(), payload, claims: true })
    }

    fn decide(&self, logs: &Logs, n: usize) -> Option<Flight> {
        let node = &logs.nodes[n];
        let last = *node.acked.last()?;
        let reader = read(&logs.log[..=last])?;
        let actor = ActorId::new(&format!("p{n}{}", node.decisions)).ok()?;
        let verb = Verb::ActorAdd(ActorAdd { actor, role: Role::Person });
        let id = format!("c-{n}-{}", node.decisions);
        let (admin, session) = (ActorId::admin(), None);
        let command = Command { id: CommandId::new(&id).ok()?, actor: admin, session, verb };
        let events = decide(reader.state(), &command, At(1_800_000_000_000)).ok()?;
        let payload = batch(&reader, node.epoch?, n, events, Some(&id));
        Some(Flight { expected: last + 1, payload, claims: false })
    }
}

fn internal(state: &State, internal: Internal) -> Option<Vec<Event>> {
    let id = CommandId::new("i").ok()?;
    let actor = ActorId::coordinator();
    let command = Command { id, actor, session: None, verb: Verb::Internal(internal) };
    decide(state, &command, At(1_800_000_000_000)).ok()
}

impl Model for Coordinators {
    type State = Logs;
    type Action = Move;

    fn init_states(&self) -> Vec<Logs> {
        let (log, nodes) = (Vec::new(), Default::default());
        vec![Logs { log, nodes, careless: self.careless, broken: false }]
    }

    fn actions(&self, logs: &Logs, out: &mut Vec<Move>) {
        for (n, node) in logs.nodes.iter().enumerate() {
            match (&node.flight, node.epoch) {
                (Some(_), _) => out.extend([Move::Arrive(n), Move::Unheard(n), Move::GiveUp(n)]),
                (None, None) if node.terms < self.terms => out.push(Move::Claim(n)),
                (None, Some(_)) if node.decisions < self.decisions => out.push(Move::Decide(n)),
                (None, _) => {}
            }
            if node.late.is_some() {
                out.push(Move::Late(n));
                // A claim that is taken so stops every reader, and has to.
                let decided = node.late.as_ref().is_some_and(|late| !late.claims);
                if logs.careless > 0 && decided {
                    out.push(Move::Careless(n));
                }
            }
        }
    }

    fn next_state(&self, logs: &Logs, action: Move) -> Option<Logs> {
        let _bug = plant(self.fault);
        let mut next = logs.clone();
        match action {
            Move::Claim(n) => {
                let flight = self.claim(logs, n)?;
                next.nodes[n].terms += 1;
                next.nodes[n].epoch = Some(Batch::decode(&flight.payload).ok()?.epoch);
                next.nodes[n].flight = Some(flight);
            }
            Move::Decide(n) => {
                next.nodes[n].flight = Some(self.decide(logs, n)?);
                next.nodes[n].decisions += 1;
            }
            Move::Arrive(n) => {
                let flight = next.nodes[n].flight.take()?;
                if flight.expected == next.log.len() {
                    next.nodes[n].acked.push(next.log.len());
                    next.log.push(flight.payload);
                } else {
                    next.nodes[n].epoch = None;
                }
            }
            Move::Unheard(n) => {
                let flight = next.nodes[n].flight.take()?;
                next.nodes[n].epoch = None;
                if flight.expected == next.log.len() {
                    next.log.push(flight.payload);
                }
            }
            Move::GiveUp(n) => {
                next.nodes[n].late = next.nodes[n].flight.take();
                next.nodes[n].epoch = None;
            }
            Move::Late(n) => {
                let flight = next.nodes[n].late.take()?;
                if flight.expected == next.log.len() {
                    next.log.push(flight.payload);
                }
            }
            Move::Careless(n) => {
                let flight = next.nodes[n].late.take()?;
                next.careless -= 1;
                next.log.push(flight.payload);
            }
        }
        next.broken = !next.is_one_history();
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Coordinators>> {
        vec![
            Property::always(ONE_HISTORY, |_, logs: &Logs| !logs.broken),
            Property::sometimes("both led", |_, logs: &Logs| {
                logs.nodes.iter().all(|node| !node.acked.is_empty())
            }),
            Property::sometimes("a stale append was void", |model: &Coordinators, logs: &Logs| {
                model.careless > logs.careless
                    && logs.history().is_some_and(|history| history.len() < logs.log.len())
            }),
        ]
    }
}

/// Looks for a bug where two coordinators write.
pub(crate) fn find(fault: Fault) -> Option<String> {
    let world = Coordinators { fault: Some(fault), decisions: 1, terms: 2, careless: 1 };
    let finish = HasDiscoveries::AnyOf([ONE_HISTORY].into());
    let checker = world.checker().threads(2).finish_when(finish).spawn_bfs().join();
    let steps = checker.discovery(ONE_HISTORY)?.into_actions().len();
    let unique = checker.unique_state_count();
    Some(format!("one_history after {unique} states, {steps} steps, in 2 coordinators"))
}

#[test]
fn two_coordinators_write_one_history() {
    let world = Coordinators { fault: None, decisions: 1, terms: 2, careless: 1 };
    let checker = world.checker().threads(2).spawn_bfs().join();
    let (unique, all) = (checker.unique_state_count(), checker.state_count());
    println!("2 coordinators: {unique} states, {all} generated, depth {}", checker.max_depth());
    checker.assert_properties();
}
