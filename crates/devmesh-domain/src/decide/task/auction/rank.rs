//! Which bid wins: what agents say of themselves, and what the coordinator knows of them.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use devmesh_protocol::event::task::Bid;
use devmesh_protocol::{ActorId, At};

use super::super::super::agent;
use super::unfit;
use crate::state::State;
use crate::state::agent::Agent;
use crate::state::task::{Past, Phase, Task};

/// Tasks, the newest, that are looked at for who has done well on the same paths.
const RECENT_MAX: usize = 128;

/// The bids that count, best first; of equal ones first the agent that has been idle longest.
pub(super) fn rank(state: &State, task: &Task, bids: &[&Bid], at: At) -> Vec<Bid> {
    let mut best: BTreeMap<ActorId, Bid> = BTreeMap::new();
    let record = Record::of(state, task);
    for bid in bids {
        let Some(agent) = state.agents.get(&bid.actor) else { continue };
        if unfit(state, task, &bid.actor, agent, at).is_some() {
            continue;
        }
        let mut score = bid.score.clone();
        // What its host has to give is measured, and nothing that a bid claims.
        score.remove(ROOM);
        score.extend(room(state, agent));
        score.insert("capability".to_owned(), capability(task, agent));
        score.extend(history(task, &bid.actor, agent));
        score.extend(record.term(&bid.actor));
        let total = score.values().fold(0, |sum: i64, term| sum.saturating_add(*term));
        let bid = Bid { actor: bid.actor.clone(), score, total, declined: None };
        let better = |old: &Bid| (old.total, &old.score) < (bid.total, &bid.score);
        if best.get(&bid.actor).is_none_or(better) {
            best.insert(bid.actor.clone(), bid);
        }
    }
    let mut ranked: Vec<Bid> = best.into_values().collect();
    let since = |actor: &ActorId| state.agents.get(actor).map_or(u64::MAX, |a| a.idle_since);
    ranked.sort_by_key(|bid| (Reverse(bid.total), since(&bid.actor), bid.actor.clone()));
    ranked
}

/// The term for the free hardware of a bidder's host.
const ROOM: &str = "room";

/// Five for each eighth that the agent's host has free: less than a warm worktree or a specialist
/// counts, and enough that of equal agents the one with the freer host wins.
fn room(state: &State, agent: &Agent) -> Option<(String, i64)> {
    let eighths = agent::room(state, &agent.host, &agent.needs)?;
    Some((ROOM.to_owned(), 5 * i64::try_from(eighths).unwrap_or(8)))
}

/// What an agent has had to do with the task: whoever made what is parked still has it at hand,
/// and whoever gave the task back without a try comes after the others.
fn history(task: &Task, name: &ActorId, agent: &Agent) -> Vec<(String, i64)> {
    let mut terms = Vec::new();
    if let Some(parked) = &task.parked {
        let kept =
            i64::from(parked.actor == *name) * 100 + i64::from(parked.host == agent.host) * 50;
        terms.push(("kept".to_owned(), kept));
    }
    let given_back = i64::try_from(task.given_back(Some(name))).unwrap_or(0);
    if given_back > 0 {
        terms.push(("gave_back".to_owned(), -300 * given_back));
    }
    terms
}

/// What the coordinator itself knows of how well an agent suits: the tool that is asked for
/// before its backups, and specialists before those whom other tasks may need.
fn capability(task: &Task, agent: &Agent) -> i64 {
    let spec = &task.spec;
    let spare = agent.capabilities.iter().filter(|has| !spec.needs.contains(has)).count();
    let spare = i64::try_from(spare.min(20)).unwrap_or(20);
    let tool = match &spec.tool {
        Some(tool) if *tool == agent.tool => 100,
        Some(_) => 50,
        None => 0,
    };
    tool - spare
}

/// How agents have done lately on the paths that a task declares.
struct Record(BTreeMap<ActorId, (i64, i64)>);

impl Record {
    /// Of the newest tasks: attempts that landed, and attempts that were spent in vain.
    fn of(state: &State, task: &Task) -> Record {
        let mut record: BTreeMap<ActorId, (i64, i64)> = BTreeMap::new();
        let spec = &task.spec;
        if spec.paths.is_empty() {
            return Record(record);
        }
        let recent = state.tasks.values().rev().take(RECENT_MAX);
        for other in recent.filter(|other| other.spec.repo == spec.repo) {
            let meets = |path| spec.paths.iter().any(|own| own.overlaps(path));
            if !other.spec.paths.iter().any(meets) {
                continue;
            }
            let landed = other.landed.as_ref().filter(|_| other.phase == Phase::Completed);
            if let Some(landed) = landed {
                record.entry(landed.actor.clone()).or_default().0 += 1;
            }
            let was_it = |past: &Past| landed.is_some_and(|it| it.attempt == past.number);
            for past in other.past.iter().filter(|past| past.spent && !was_it(past)) {
                record.entry(past.actor.clone()).or_default().1 += 1;
            }
        }
        Record(record)
    }

    /// 40 for who never failed there, less for who did. Who has not worked there yet gets the
    /// benefit of the doubt: else whoever came first would have all work for ever.
    fn term(&self, name: &ActorId) -> Option<(String, i64)> {
        if self.0.is_empty() {
            return None;
        }
        let (well, ill) = self.0.get(name).copied().unwrap_or_default();
        Some(("success".to_owned(), 40 * (well + 2) / (well + ill + 2)))
    }
}
