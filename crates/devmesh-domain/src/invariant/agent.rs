//! What holds of agents, their sessions, and what they have.

use super::index::same;
use crate::state::State;
use crate::state::index::Index;

/// S8: leases and waits with a session are those of an agent's live one, or of somebody who is
/// no agent; a session that has ended is nobody's live one; who was ended has nothing.
pub fn s8_sessions(state: &State) -> Result<(), String> {
    let leases = state.leases.values().map(|lease| (&lease.holder, lease.expires_at.is_some()));
    let waiters = state.waiters.values().map(|waiter| (&waiter.holder, false));
    for (holder, by_clock) in leases.chain(waiters) {
        let actor = &holder.actor;
        let row = state.actors.get(actor);
        if row.is_some_and(|row| row.ended) {
            return Err(format!("{actor} was ended and has something"));
        }
        if let Some(agent) = state.agents.get(actor)
            && holder.session.as_ref() != Some(&agent.session)
        {
            return Err(format!("{actor} has something under another session"));
        }
        if let Some(session) = &holder.session
            && state.has_ended(actor, session)
            && !by_clock
        {
            return Err(format!("{session} of {actor} has ended and has something"));
        }
    }
    for (actor, agent) in state.agents.iter() {
        if state.has_ended(actor, &agent.session) {
            return Err(format!("the live session of {actor} has ended"));
        }
    }
    Ok(())
}

/// S10: a running attempt and its agent know each other, and the leases for a task are its
/// attempt's.
pub fn s10_one_owner(state: &State) -> Result<(), String> {
    for (id, task) in state.tasks.iter() {
        let Some(attempt) = &task.attempt else { continue };
        let agent = state.agents.get(&attempt.actor);
        let agent = agent.filter(|agent| agent.session == attempt.session);
        if agent.and_then(|agent| agent.task) != Some(*id) {
            return Err(format!("{id} is worked on by {}, who does not", attempt.actor));
        }
    }
    reviewers(state)?;
    for (actor, agent) in state.agents.iter() {
        let Some(id) = agent.task else { continue };
        let attempt = state.tasks.get(&id).and_then(|task| task.attempt.as_ref());
        if attempt.is_none_or(|attempt| attempt.actor != *actor) {
            return Err(format!("{actor} works on {id}, which is not its own"));
        }
    }
    let leases = state.leases.values().map(|lease| &lease.holder);
    for holder in leases.chain(state.waiters.values().map(|waiter| &waiter.holder)) {
        let Some(id) = holder.task else { continue };
        let attempt = state.tasks.get(&id).and_then(|task| task.attempt.as_ref());
        if holder.is_line() {
            let ready = state.tasks.get(&id).is_some_and(|task| task.ready_at.is_some());
            if !ready {
                return Err(format!("{id} is in the queue and not ready"));
            }
            continue;
        }
        let own = attempt.is_some_and(|attempt| {
            attempt.actor == holder.actor && Some(&attempt.session) == holder.session.as_ref()
        });
        if !own {
            return Err(format!("{} has something for {id}, which is not its own", holder.actor));
        }
    }
    Ok(())
}

/// A review and its reviewer know each other, and nobody reviews while working or their own work.
fn reviewers(state: &State) -> Result<(), String> {
    for (id, task) in state.tasks.iter() {
        let Some(reviewer) = &task.reviewer else { continue };
        let agent = state.agents.get(&reviewer.actor);
        let agent = agent.filter(|agent| agent.session == reviewer.session);
        if agent.is_none_or(|agent| agent.review != Some(*id) || agent.task.is_some()) {
            return Err(format!("{id} is reviewed by {}, who does not", reviewer.actor));
        }
        let author = task.parked.as_ref().map(|parked| &parked.actor);
        if task.attempt.is_some() || author.is_none_or(|author| *author == reviewer.actor) {
            return Err(format!(
                "{} reviews {id}, where nothing is to be reviewed",
                reviewer.actor
            ));
        }
    }
    for (actor, agent) in state.agents.iter() {
        let Some(id) = agent.review else { continue };
        let reviewer = state.tasks.get(&id).and_then(|task| task.reviewer.as_ref());
        if reviewer.is_none_or(|reviewer| reviewer.actor != *actor) {
            return Err(format!("{actor} reviews {id}, which is not given to it"));
        }
    }
    Ok(())
}

/// S11: what is reserved on a host is what its running attempts need, and no GPU is promised
/// that is not there.
pub fn s11_reservations(state: &State) -> Result<(), String> {
    let mut index = Index::default();
    for task in state.tasks.values() {
        if let Some(reviewer) = &task.reviewer {
            index.reserve(&reviewer.host, &reviewer.needs, reviewer.device);
        }
        let Some(attempt) = &task.attempt else { continue };
        index.reserve(&attempt.host, &attempt.needs, attempt.device);
        if attempt.needs.vram_mb > 0 && attempt.device.is_none() {
            return Err(format!("{} needs a GPU and has none", task.spec.task));
        }
    }
    same("reserved", &state.index.reserved, &index.reserved)
}
