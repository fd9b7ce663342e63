//! Auctions: which ready tasks have a bidder, who may bid, and who wins.

mod fit;
mod rank;

use std::collections::{BTreeMap, BTreeSet};

use devmesh_protocol::command::task::{self as body, Kind};
use devmesh_protocol::event::task::{
    AuctionLapsed, AuctionOpened, Bid, Blocked, PathsQueued, TaskAwarded, TaskBlocked,
};
use devmesh_protocol::limits::{
    AUCTION_AGAIN_MS_MAX, BID_WINDOW_MS, BIDS_KEPT_MAX, DECLINES_MAX, GRANTS_PER_RECORD_MAX,
    LINE_CHARS_MAX, START_MS,
};
use devmesh_protocol::planted::{self, Fault};
use devmesh_protocol::{ActorId, At, Code, Command, Event, HostId, Mode, Rejection, TaskId};

use super::super::{Advisory, advisories, agent, lock};
use super::guard::{find, permit};
use crate::state::State;
use crate::state::agent::Agent;
use crate::state::lease::Holder;
use crate::state::task::{AGE_MS, Task, patience_ms};

pub(crate) use fit::lasting_unfit;
use fit::unfit;
pub(super) use fit::{unfit_for_good, unfit_to_review};

/// Tasks in line for one path that are looked at before another one is let past them.
const LINE_MAX: usize = 8;

/// Tasks that other work is looked for before.
const LATER_MAX: usize = 64;

/// Tasks that stand in the queue for their paths at a time.
const IN_LINE_MAX: usize = 64;

/// Agents that a reason names.
const REASONS_MAX: usize = 8;

/// Who could take a task now, and why the others could not: for early closing of a bid window,
/// and for explanations.
pub fn eligible(state: &State, id: TaskId) -> Vec<(ActorId, Result<(), String>)> {
    let Some(task) = state.tasks.get(&id) else { return Vec::new() };
    let stands = stands_in_the_way(state, task, state.at);
    let judge = |(name, agent): (&ActorId, &Agent)| {
        let fit = match (unfit(state, task, name, agent, state.at), &stands) {
            (Some((_, why)), _) => Err(why),
            (None, Some(why)) => Err(why.clone()),
            (None, None) => not_asked(agent, state.at).map_or(Ok(()), Err),
        };
        (name.clone(), fit)
    };
    state.agents.iter().map(judge).collect()
}

/// The idle agents that could take a task now and are asked. A bid window can close when all of
/// them have bid.
pub fn bidders(state: &State, id: TaskId) -> Vec<ActorId> {
    let Some(task) = state.tasks.get(&id) else { return Vec::new() };
    if stands_in_the_way(state, task, state.at).is_some() {
        return Vec::new();
    }
    asked(state, state.at)
        .filter(|(name, agent)| unfit(state, task, name, agent, state.at).is_none())
        .map(|(name, _)| name.clone())
        .collect()
}

/// The auctions that are open, and when each closes at the latest.
pub fn open_auctions(state: &State) -> Vec<(TaskId, At)> {
    let closes_at = |id: &TaskId| Some((*id, state.tasks.get(id)?.auction?.closes_at));
    state.index.auctions.iter().filter_map(closes_at).collect()
}

pub(super) fn idle(state: &State) -> impl Iterator<Item = (&ActorId, &Agent)> {
    state.index.idle.iter().filter_map(|name| Some((name, state.agents.get(name)?)))
}

fn not_asked(agent: &Agent, at: At) -> Option<String> {
    let deaf = agent.deaf.filter(|_| !agent.is_asked(at))?;
    let (n, until) = (deaf.missed, deaf.until.to_rfc3339());
    Some(format!(
        "it has not answered the last {n} auctions that were for it, and is asked again at {until}"
    ))
}

/// The idle agents for whose sake auctions open.
fn asked(state: &State, at: At) -> impl Iterator<Item = (&ActorId, &Agent)> {
    idle(state).filter(move |(_, agent)| agent.is_asked(at))
}

/// How many more auctions may open: one for each agent that is asked and has none.
fn places(state: &State, at: At) -> usize {
    let index = &state.index;
    if state.mesh().paused || over_budget(state, at).is_some() {
        return 0;
    }
    let deaf = index.deaf.values().filter(|until| **until > at).count();
    let later: usize = index.busy_hosts.iter().map(|host| start_later(state, host, at)).sum();
    index.idle.len().saturating_sub(deaf + later).saturating_sub(index.auctions.len())
}

/// How many agents of a host with busy processors are asked and cannot start yet: one starts at
/// a time.
fn start_later(state: &State, host: &HostId, at: At) -> usize {
    let names = state.index.agents_by_host.get(host).into_iter().flatten();
    let asked = names.filter(|name| {
        let agent = state.agents.get(name).filter(|_| state.index.idle.contains(*name));
        agent.is_some_and(|agent| agent.is_asked(at))
    });
    let may_start = state.starts_at(host).is_none_or(|starts_at| starts_at <= at);
    asked.count().saturating_sub(usize::from(may_start))
}

/// What no agent could change: a paused mesh, paths that others hold.
fn stands_in_the_way(state: &State, task: &Task, at: At) -> Option<String> {
    if state.mesh().paused {
        return Some("the mesh is paused".to_owned());
    }
    if let Some(why) = over_budget(state, at) {
        return Some(why);
    }
    let spec = &task.spec;
    if !lock::touch_set_free(state, Some(spec.task), &spec.repo, &spec.paths, mode(task)) {
        return Some("others hold paths that it declares".to_owned());
    }
    None
}

/// Who changes by hand what the task declares, and which path.
pub(crate) fn changed_by_hand<'s>(state: &'s State, task: &Task) -> Option<Advisory<'s>> {
    let spec = &task.spec;
    if state.checkouts.is_empty() || spec.paths.is_empty() {
        return None;
    }
    advisories(state, &spec.repo, &spec.paths).next()
}

/// How an award holds the declared paths.
fn mode(task: &Task) -> Mode {
    if task.spec.share { Mode::CoWrite } else { Mode::Intent }
}

/// That the day's money is spent. What runs goes on under its own ceiling; nothing new starts.
pub(super) fn over_budget(state: &State, at: At) -> Option<String> {
    let (spent, limit) = (state.spent_on_day_of(at), state.budget_per_day());
    (spent >= limit).then(|| {
        format!(
            "the day's budget is spent: {}.{:02} of {} US dollars (budget.usd_per_day); it goes \
             on at midnight UTC",
            spent / 1_000_000,
            spent % 1_000_000 / 10_000,
            limit / 1_000_000
        )
    })
}

/// Opens auctions, best place first, as many as there are idle agents without one.
pub(super) fn open(state: &State, at: At) -> Vec<Event> {
    let index = &state.index;
    let stirred = &index.tasks.stirred;
    if !stirred.is_fresh(at) {
        return Vec::new();
    }
    let free = places(state, at).min(GRANTS_PER_RECORD_MAX);
    if free == 0 {
        return Vec::new();
    }
    let mut search = Search::new(state, at);
    let events = match stirred.only(at) {
        None => search.open_first(index.ready.iter().map(|(_, id)| *id), free),
        Some(places) => {
            let stirred = places.iter().filter(|place| index.ready.contains(*place));
            search.open_first(stirred.map(|(_, id)| *id), free)
        }
    };
    // A place in the queue is the number of a record: one task at a time, before any auction, so
    // that nobody comes in between.
    if let Some(queued) = search.line_up() {
        return vec![queued];
    }
    if events.is_empty() {
        // Then an agent is asked again that was not, or may start that could not.
        let asked_again = index.deaf.values().copied();
        let may_start = index.busy_hosts.iter().filter_map(|host| state.starts_at(host));
        stirred.remember_nothing(asked_again.chain(may_start).filter(|then| *then > at).min());
    }
    events
}

/// One search for tasks with a bidder. What tasks have in common is looked at once.
pub(super) struct Search<'s> {
    state: &'s State,
    at: At,
    bidders: BTreeMap<Terms<'s>, bool>,
    free: BTreeMap<(&'s str, &'s str, Mode), bool>,
    opened: BTreeSet<TaskId>,
    /// How many auctions may open, once that was asked.
    places: Option<usize>,
    /// The first task seen that has waited so long that it takes a place in the queue.
    lines_up: Option<TaskId>,
}

/// All that decides which agents a task could go to.
type Terms<'s> = (Kind, &'s str, Option<&'s str>, &'s [String], &'s [String], &'s ActorId);

impl<'s> Search<'s> {
    pub(super) fn new(state: &'s State, at: At) -> Search<'s> {
        let (bidders, free, opened) = Default::default();
        Search { state, at, bidders, free, opened, places: None, lines_up: None }
    }

    /// Whether a task that somebody could take has been ready for so long that nobody who comes
    /// now for its paths is to be before it.
    fn should_line_up(&self, task: &Task) -> bool {
        let state = self.state;
        let waited = task.ready_at.is_some_and(|since| self.at.since(since) >= AGE_MS);
        let nobody = (ActorId::coordinator(), None);
        let in_line = state.index.waiters_by_session.get(&nobody).map_or(0, BTreeSet::len);
        waited
            && in_line < IN_LINE_MAX
            && state.place_in_queue(task.spec.task).is_none()
            && !lock::waited_for(state, &task.spec.repo, &task.spec.paths).is_empty()
    }

    fn line_up(&self) -> Option<Event> {
        let task = self.state.tasks.get(&self.lines_up?)?;
        let spec = &task.spec;
        let queued = PathsQueued {
            task: spec.task,
            repo: spec.repo.clone(),
            paths: lock::waited_for(self.state, &spec.repo, &spec.paths),
            mode: mode(task),
            deadline: self.at + AGE_MS,
        };
        Some(queued.into())
    }

    /// Opens at most so many auctions in the order of the line; tasks whose paths a person is
    /// changing by hand come after the others.
    fn open_first(&mut self, line: impl Iterator<Item = TaskId>, most: usize) -> Vec<Event> {
        let mut events = Vec::new();
        let mut later = Vec::new();
        for id in line {
            if events.len() == most {
                break;
            }
            if later.len() < LATER_MAX && self.yields(id) {
                later.push(id);
            } else {
                events.extend(self.open(id));
            }
        }
        for id in later {
            if events.len() < most {
                events.extend(self.open(id));
            }
        }
        events
    }

    /// Whether other work goes first; a task that has waited for long yields no more.
    fn yields(&self, id: TaskId) -> bool {
        let Some(task) = self.state.tasks.get(&id) else { return false };
        let is_new = task.ready_at.is_none_or(|since| self.at.since(since) < AGE_MS);
        is_new && changed_by_hand(self.state, task).is_some()
    }

    /// Opens the auction of a task that has a bidder, while there are idle agents without one.
    pub(super) fn open(&mut self, id: TaskId) -> Option<Event> {
        let (state, at) = (self.state, self.at);
        let task = state.tasks.get(&id)?;
        if self.opened.len() >= *self.places.get_or_insert_with(|| places(state, at)) {
            return None;
        }
        if !self.has_bidder(task) {
            return None;
        }
        if self.lines_up.is_none() && self.should_line_up(task) {
            self.lines_up = Some(id);
        }
        if !self.is_free(task) || self.would_overtake(task) {
            return None;
        }
        self.opened.insert(id);
        Some(AuctionOpened { task: id, closes_at: self.at + BID_WINDOW_MS }.into())
    }

    fn has_bidder(&mut self, task: &'s Task) -> bool {
        let spec = &task.spec;
        let backup: &[String] = if task.tries == 0 { &[] } else { &spec.backup_tools };
        let (repo, tool) = (spec.repo.as_str(), spec.tool.as_deref());
        let terms = (spec.kind, repo, tool, &*spec.needs, backup, &spec.by);
        let (state, at) = (self.state, self.at);
        *self.bidders.entry(terms).or_insert_with(|| {
            asked(state, at).any(|(name, agent)| unfit(state, task, name, agent, at).is_none())
        })
    }

    fn is_free(&mut self, task: &'s Task) -> bool {
        let (state, spec) = (self.state, &task.spec);
        let mode = mode(task);
        if state.place_in_queue(spec.task).is_some() {
            return lock::touch_set_free(state, Some(spec.task), &spec.repo, &spec.paths, mode);
        }
        spec.paths.iter().all(|path| {
            *self.free.entry((spec.repo.as_str(), path.key(), mode)).or_insert_with(|| {
                lock::touch_set_free(state, None, &spec.repo, std::slice::from_ref(path), mode)
            })
        })
    }

    /// Tasks whose paths conflict have no auction at the same time, and a task that has waited
    /// ten minutes for paths is not overtaken by a younger one on them, as long as somebody
    /// could take it.
    fn would_overtake(&mut self, task: &'s Task) -> bool {
        let (state, spec) = (self.state, &task.spec);
        let Some(place) = task.place_in_line() else { return false };
        let own = state.place_in_queue(spec.task);
        let mut before = BTreeSet::new();
        // Nobody waits for a hot file: it is written together with others.
        for path in spec.paths.iter().filter(|path| !state.is_hot(&spec.repo, path)) {
            let key = state.path_key(&spec.repo, path);
            for line in state.index.tasks.ready_paths.lines_over(&spec.repo, &key) {
                before.extend(line.take(LINE_MAX));
            }
        }
        before.into_iter().any(|(at, id)| {
            let Some(other) = state.tasks.get(&id).filter(|_| id != spec.task) else {
                return false;
            };
            if mode(task).is_compatible(mode(other)) {
                return false;
            }
            let waited = other.ready_at.is_some_and(|since| self.at.since(since) >= AGE_MS);
            let bidding = other.auction.is_some() || self.opened.contains(&id);
            // Of two that stand in the queue its order is the one that counts.
            let before = match (own, state.place_in_queue(id)) {
                (Some(own), other) => other.is_some_and(|other| other < own),
                (None, _) => (at, id) < place,
            };
            let stuck = waited && before && !self.is_free(other);
            bidding || (stuck && self.has_bidder(other))
        })
    }
}

/// Whether a bid is taken. The bid itself is remembered by who asked: it is sealed, and of the
/// bids only the award's best are on record.
pub(crate) fn bid(
    state: &State,
    command: &Command,
    body: &body::Bid,
) -> Result<Vec<Event>, Rejection> {
    let agent = agent::live_session(state, command)?;
    let task = find(state, body.task)?;
    permit(task, "task.bid")?;
    if let Some(why) = over_budget(state, state.at) {
        return Err(Rejection::new(Code::BudgetExceeded, why));
    }
    match unfit(state, task, &command.actor, agent, state.at) {
        None => Ok(Vec::new()),
        Some((code, why)) => {
            let text = format!("{} cannot bid on {}: {why}", command.actor, body.task);
            Err(Rejection::new(code, text))
        }
    }
}

/// The award, its leases and its token in one record; or no award.
pub(crate) fn auction_close(state: &State, id: TaskId, bids: &[Bid], at: At) -> Vec<Event> {
    let open = |task: &&Task| task.auction.is_some() || planted::is(Fault::AwardWithoutAuction);
    let Some(task) = state.tasks.get(&id).filter(open) else {
        return Vec::new();
    };
    let (bids, declined): (Vec<&Bid>, Vec<&Bid>) =
        bids.iter().partition(|bid| bid.declined.is_none());
    let ranked = rank::rank(state, task, &bids, at);
    let lapse = |why| vec![lapsed(task, why, Vec::new(), at).into()];
    if let Some(why) = stands_in_the_way(state, task, at) {
        return lapse(why);
    }
    let Some(best) = ranked.first() else {
        let unheard = unheard(state, task, &[&bids, &declined]);
        return match bids.is_empty() {
            true => nobody_bid(state, task, &declined, unheard, at),
            false => {
                let why = "nobody who bid can take it now".to_owned();
                vec![lapsed(task, why, unheard, at).into()]
            }
        };
    };
    award(state, task, best, &ranked, at).unwrap_or_else(lapse)
}

/// Who was asked when the window opened, could take it still, and has said nothing.
fn unheard(state: &State, task: &Task, heard: &[&[&Bid]]) -> Vec<ActorId> {
    let opened = task.auction.map_or(0, |auction| auction.seq);
    let was_there =
        |name: &ActorId| state.agents.get(name).is_some_and(|agent| agent.idle_since < opened);
    let has_spoken =
        |name: &ActorId| heard.iter().any(|bids| bids.iter().any(|b| b.actor == *name));
    let mut able = bidders(state, task.spec.task);
    able.retain(|name| was_there(name) && !has_spoken(name));
    able.truncate(BIDS_KEPT_MAX);
    able
}

/// No bid wins: the next auction waits a second, then two, four … half a minute; of a task that
/// nobody wants for long, up to half an hour.
fn lapsed(task: &Task, why: String, unheard: Vec<ActorId>, at: At) -> AuctionLapsed {
    let wait_ms = match task.lapses {
        ..=10 => patience_ms(task.lapses),
        11.. => 1_000 << (task.lapses.min(30) - 5),
    };
    let again_at = Some(at + wait_ms.min(AUCTION_AGAIN_MS_MAX));
    AuctionLapsed { task: task.spec.task, why, again_at, unheard }
}

/// Nobody bid, and why not as far as it was told. Where all who are there decline, and do so
/// again, more auctions are of no use.
fn nobody_bid(
    state: &State,
    task: &Task,
    declined: &[&Bid],
    unheard: Vec<ActorId>,
    at: At,
) -> Vec<Event> {
    let id = task.spec.task;
    let able = bidders(state, id);
    let says = |bid: &&Bid| Some(format!("{}: {}", bid.actor, bid.declined.as_ref()?));
    let reasons: Vec<String> = declined.iter().filter_map(says).take(REASONS_MAX).collect();
    let why = match reasons.is_empty() {
        true if able.is_empty() => "no bid came, and nobody could take it now".to_owned(),
        true => {
            let names: Vec<&str> = able.iter().take(REASONS_MAX).map(ActorId::as_str).collect();
            format!("no bid came of {}", names.join(", "))
        }
        false => reasons.join("; "),
    };
    let all =
        !able.is_empty() && able.iter().all(|actor| declined.iter().any(|bid| bid.actor == *actor));
    let mut events = vec![lapsed(task, why.clone(), unheard, at).into()];
    if all && task.lapses + 1 >= DECLINES_MAX {
        let cause = Blocked::Base(why.chars().take(LINE_CHARS_MAX).collect());
        events.push(TaskBlocked { task: id, cause }.into());
    }
    events
}

fn award(
    state: &State,
    task: &Task,
    best: &Bid,
    ranked: &[Bid],
    at: At,
) -> Result<Vec<Event>, String> {
    let gone = || format!("{} has gone", best.actor);
    let agent = state.agents.get(&best.actor).ok_or_else(gone)?;
    let device = agent::fits(state, &agent.host, &agent.needs)
        .map_err(|_| format!("{} has no room for {}", agent.host, best.actor))?;
    let spec = &task.spec;
    let holder = Holder {
        actor: best.actor.clone(),
        session: Some(agent.session.clone()),
        task: Some(spec.task),
    };
    let leases = lock::grant_for_award(state, &holder, &spec.repo, &spec.paths, mode(task), 0)
        .ok_or("others hold paths that it declares")?;
    let awarded = TaskAwarded {
        task: spec.task,
        attempt: task.attempts + 1,
        actor: best.actor.clone(),
        session: agent.session.clone(),
        host: agent.host.clone(),
        needs: agent.needs,
        device,
        start_by: at + START_MS,
        bids: ranked.iter().take(BIDS_KEPT_MAX).cloned().collect(),
    };
    let mut events = vec![awarded.into()];
    events.extend(leases);
    Ok(events)
}
