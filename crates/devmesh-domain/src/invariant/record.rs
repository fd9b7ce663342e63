//! What holds of each record, given the state before it and after it.

use std::collections::BTreeSet;

use devmesh_protocol::command::task::Verdict;
use devmesh_protocol::event::lock::WithdrawnWhy;
use devmesh_protocol::event::task::Ended;
use devmesh_protocol::limits::{GRACE_MS, LEASE_TTL_MS};
use devmesh_protocol::{ActorId, Event, LeaseId, Mode, Record, RepoId, RepoPath, TaskId};

use super::host::s11_begins_with_room;
use super::index::keys_overlap;
use crate::state::State;
use crate::state::lease::{Holder, Lease, Waiter};
use crate::state::task::Phase;

/// One of the promises about a record, by name.
pub type Step = (&'static str, fn(&State, &Record, &State) -> Result<(), String>);

/// All of them.
pub const STEPS: &[Step] = &[
    ("s2_grants_rise", s2_grants_rise),
    ("s5_not_early", s5_not_early),
    ("s5_term_gives_time", s5_term_gives_time),
    ("s10_awards", s10_awards),
    ("s10_proven_once", s10_proven_once),
    ("s10_tries", s10_tries),
    ("s11_begins_with_room", s11_begins_with_room),
    ("l3_in_order", l3_in_order),
];

/// Checks all of them; the first that is broken is named.
pub fn check_step(before: &State, record: &Record, after: &State) -> Result<(), String> {
    STEPS.iter().try_for_each(|(name, holds)| {
        holds(before, record, after).map_err(|why| format!("record {}: {name}: {why}", record.seq))
    })
}

/// S2: a grant's token is its record, so that it is greater than every earlier one's; an award's
/// is too.
pub fn s2_grants_rise(before: &State, record: &Record, after: &State) -> Result<(), String> {
    let new = after.leases.keys().filter(|id| !before.leases.contains_key(id));
    if let Some(id) = new.into_iter().find(|id| id.seq != record.seq) {
        return Err(format!("{id} is new and carries an older record's number"));
    }
    for (id, task) in after.tasks.iter() {
        let was = before.tasks.get(id).and_then(|task| task.attempt.as_ref());
        let Some(now) = task.attempt.as_ref() else { continue };
        let same = was.is_some_and(|was| (was.number, was.token) == (now.number, now.token));
        if !same && now.token != record.seq {
            return Err(format!("attempt {} of {id} has token {}", now.number, now.token));
        }
    }
    Ok(())
}

/// S5: nothing ends before its time, and nobody is taken for silent before what they hold has
/// lived its time and the grace.
pub fn s5_not_early(before: &State, record: &Record, _after: &State) -> Result<(), String> {
    let at = record.at;
    for event in &record.events {
        let early = if let Event::LockExpired(e) = event {
            before.leases.get(&e.lease).is_some_and(|l| l.expires_at.is_none_or(|end| end > at))
        } else if let Event::LockWithdrawn(e) = event {
            let place = before.index.waiters_by_id.get(&(e.actor.clone(), e.id.clone()));
            let waiter = place.and_then(|place| before.waiters.get(place));
            e.why == WithdrawnWhy::TimedOut && waiter.is_some_and(|w| w.deadline > at)
        } else if let Event::LeasesLapsed(e) = event {
            e.silent_ms < longest_ms(before, &e.actor) + before.grace_ms()
        } else if let Event::SessionLost(e) = event {
            let lapse_ms = longest_ms(before, &e.actor) + before.grace_ms();
            e.silent_ms < lapse_ms.max(before.session_silent_ms())
        } else if let Event::AttemptEnded(e) = event
            && e.why == Ended::NotStarted
        {
            let attempt = before.tasks.get(&e.task).and_then(|task| task.attempt.as_ref());
            attempt.is_some_and(|a| a.start_by > at || a.started_at.is_some())
        } else {
            false
        };
        if early {
            return Err(format!("{} came too early", event.kind()));
        }
    }
    Ok(())
}

/// The longest time to live that an actor's leases were promised.
fn longest_ms(state: &State, actor: &ActorId) -> u64 {
    let own = state.leases.values().filter(|lease| lease.holder.actor == *actor);
    own.map(|lease| lease.ttl_ms).max().unwrap_or_else(|| state.lock_ttl_ms())
}

/// S5: a new term gives whatever runs as much time as a silent agent has, or its full length.
pub fn s5_term_gives_time(_: &State, record: &Record, after: &State) -> Result<(), String> {
    let began = record.events.iter().any(|event| matches!(event, Event::EpochStarted(_)));
    let enough = |full_ms: u64| record.at + full_ms.min(LEASE_TTL_MS + GRACE_MS);
    let short = |(id, lease): &(&LeaseId, &Lease)| {
        lease.expires_at.is_some_and(|end| end < enough(lease.ttl_ms)).then_some(**id)
    };
    match began.then(|| after.leases.iter().find_map(|row| short(&row))).flatten() {
        Some(id) => Err(format!("{id} got no time back from the new term")),
        None => Ok(()),
    }
}

/// S10: an award is of an open auction, of a task that nobody has and that nothing stands before.
pub fn s10_awards(before: &State, record: &Record, _after: &State) -> Result<(), String> {
    for event in &record.events {
        let Event::TaskAwarded(e) = event else { continue };
        let Some(task) = before.tasks.get(&e.task) else {
            return Err(format!("{} is awarded and was never added", e.task));
        };
        if task.attempt.is_some() || task.auction.is_none() {
            return Err(format!("{} is awarded and was {}", e.task, task.state_name()));
        }
        let open =
            |id: &TaskId| before.tasks.get(id).is_none_or(|task| task.phase != Phase::Completed);
        if let Some(open) = before.before(&task.spec).find(open) {
            return Err(format!("{} is awarded before {open} is completed", e.task));
        }
        if before.agents.get(&e.actor).is_none_or(|agent| agent.task.is_some()) {
            return Err(format!("{} is awarded to {}, who is not idle", e.task, e.actor));
        }
    }
    Ok(())
}

/// S10: a task is completed once, and only with what proves it.
pub fn s10_proven_once(before: &State, record: &Record, _after: &State) -> Result<(), String> {
    let mut done = BTreeSet::new();
    for event in &record.events {
        let Event::TaskCompleted(e) = event else { continue };
        let Some(task) = before.tasks.get(&e.task) else { continue };
        if task.phase == Phase::Completed || !done.insert(e.task) {
            return Err(format!("{} is completed twice", e.task));
        }
        if e.found {
            continue;
        }
        let attempt = task.attempt.as_ref();
        let receipt = attempt.and_then(|attempt| attempt.receipt.as_ref());
        if receipt.is_none_or(|receipt| receipt.verdict == Verdict::Failed) {
            return Err(format!("{} is completed and nothing proves it", e.task));
        }
    }
    Ok(())
}

/// S10: a try that is spent is counted.
pub fn s10_tries(before: &State, record: &Record, after: &State) -> Result<(), String> {
    for event in &record.events {
        let Event::AttemptEnded(e) = event else { continue };
        let (Some(was), Some(is)) = (before.tasks.get(&e.task), after.tasks.get(&e.task)) else {
            continue;
        };
        if e.spent && is.tries <= was.tries {
            return Err(format!("a try of {} was spent and not counted", e.task));
        }
    }
    Ok(())
}

/// L3: nobody is granted what somebody before them waits for, unless that one waits for them; and
/// an attempt that shares goes past whom leases hold up anyway.
///
/// It goes over the tables one by one, and uses nothing that decisions use.
pub fn l3_in_order(before: &State, record: &Record, _after: &State) -> Result<(), String> {
    for event in &record.events {
        let Event::LockGranted(e) = event else { continue };
        let holder = Holder { actor: e.actor.clone(), session: e.session.clone(), task: e.task };
        let own = before.waiters.iter().find(|(_, waiter)| match waiter.holder.is_line() {
            true => e.waited.is_none() && e.task.is_some() && waiter.holder.task == e.task,
            false => e.waited.as_ref() == Some(&waiter.id) && waiter.holder.actor == e.actor,
        });
        let place = own.map_or(u64::MAX, |(place, _)| *place);
        for (_, waiter) in before.waiters.range(..place) {
            let asks = waiter.paths.iter().any(|path| overlap(before, &e.repo, path, &e.path));
            let clash = waiter.repo == e.repo && clash(waiter.mode, e.mode);
            let runs = waiter.holder.is_line() && e.task.is_some();
            if waiter.holder == holder || !clash || !asks || runs {
                continue;
            }
            let shares = e.task.is_some() && e.mode == e.mode.shared();
            if shares && in_the_way(before, waiter).next().is_some() {
                continue;
            }
            if !waits_for(before, &waiter.holder, &holder) {
                return Err(format!(
                    "{} has {} before {}, who waited for it first",
                    e.actor, e.path, waiter.holder.actor
                ));
            }
        }
    }
    Ok(())
}

fn clash(one: Mode, other: Mode) -> bool {
    !one.is_compatible(other)
}

fn overlap(state: &State, repo: &RepoId, one: &RepoPath, other: &RepoPath) -> bool {
    keys_overlap(&state.path_key(repo, one), &state.path_key(repo, other))
}

/// Whose leases are in the way of a waiter.
fn in_the_way<'s>(state: &'s State, waiter: &'s Waiter) -> impl Iterator<Item = &'s Holder> {
    let leases = state.leases.values().filter(|lease| {
        let shared = waiter.sharing.is_some_and(|sharing| lease.is_shared_with(sharing));
        lease.holder != waiter.holder
            && clash(waiter.mode, lease.mode)
            && !shared
            && asks_for(state, waiter, &lease.repo, &lease.path)
    });
    leases.map(|lease| &lease.holder)
}

fn asks_for(state: &State, waiter: &Waiter, repo: &RepoId, path: &RepoPath) -> bool {
    *repo == waiter.repo && waiter.paths.iter().any(|own| overlap(state, repo, own, path))
}

/// Whether a holder waits for another with any of its requests, over leases and places in the
/// queue.
fn waits_for(state: &State, one: &Holder, other: &Holder) -> bool {
    let of = |holder: &Holder| -> Vec<(u64, &Waiter)> {
        let own = state.waiters.iter().filter(|(_, waiter)| waiter.holder == *holder);
        own.map(|(place, waiter)| (*place, waiter)).collect()
    };
    let mut seen = BTreeSet::new();
    let mut open = of(one);
    while let Some((place, waiter)) = open.pop() {
        if !seen.insert(place) {
            continue;
        }
        let mut to: BTreeSet<&Holder> = in_the_way(state, waiter).collect();
        for (ahead, rival) in state.waiters.iter() {
            let first = match (rival.convert.is_some(), waiter.convert.is_some()) {
                (true, false) => true,
                (false, true) => false,
                (true, true) | (false, false) => *ahead < place,
            };
            let asks = |path| asks_for(state, waiter, &rival.repo, path);
            let clash = clash(waiter.mode, rival.mode) && rival.holder != waiter.holder;
            if first && clash && rival.paths.iter().any(asks) {
                to.insert(&rival.holder);
            }
        }
        if to.contains(other) {
            return true;
        }
        open.extend(to.into_iter().flat_map(of));
    }
    false
}
