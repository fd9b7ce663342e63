//! Auctions: opened, lapsed, and open again when something has changed.

use devmesh_protocol::event::task::{AuctionLapsed, AuctionOpened};
use devmesh_protocol::limits::BID_WINDOW_MS;
use devmesh_protocol::{ActorId, At, Record, TaskId};

use super::list::{change, stir_all};
use crate::state::State;
use crate::state::agent::Deaf;
use crate::state::task::{Auction, Task, patience_ms};

pub(crate) fn auction_opened(state: &mut State, record: &Record, e: &AuctionOpened) {
    change(state, e.task, |task| {
        task.reopens_at = None;
        task.auction = Some(Auction { seq: record.seq, closes_at: e.closes_at });
    });
}

pub(crate) fn auction_lapsed(state: &mut State, record: &Record, e: &AuctionLapsed) {
    change(state, e.task, |task| {
        if task.auction.take().is_some() {
            put_off(task, record.at);
            if e.again_at.is_some() {
                task.reopens_at = e.again_at;
            }
        } else {
            // Its time has come and nobody could bid: it stands in line until that changes.
            task.reopens_at = None;
        }
    });
    for actor in &e.unheard {
        if let Some(agent) = state.agents.get_mut(actor) {
            agent.deaf = Some(Deaf::again(agent.deaf, record.at));
            state.refresh_agent(actor);
        }
    }
    // A place among the open auctions is free.
    stir_all(state);
}

/// It has answered: auctions open for its sake as for anybody's.
pub(super) fn heard(state: &mut State, actor: &ActorId) {
    if let Some(agent) = state.agents.get_mut(actor).filter(|agent| agent.deaf.is_some()) {
        agent.deaf = None;
        state.refresh_agent(actor);
        stir_all(state);
    }
}

/// The next auction waits a second, then two, four, at most thirty.
pub(super) fn put_off(task: &mut Task, at: At) {
    task.reopens_at = Some(at + patience_ms(task.lapses));
    task.lapses = task.lapses.saturating_add(1);
}

/// An agent became free: whoever waits after a lapse need not wait longer.
pub(super) fn agent_free(state: &mut State) {
    let lapsed: Vec<TaskId> = state.index.tasks.lapsed.iter().copied().collect();
    for id in lapsed {
        change(state, id, |task| {
            task.lapses = 0;
            task.reopens_at = None;
        });
    }
    stir_all(state);
}

/// Bids are not in the log: a new term asks for them again.
pub(super) fn reopen_windows(state: &mut State, at: At) {
    let open: Vec<TaskId> = state.index.auctions.iter().copied().collect();
    for id in open {
        change(state, id, |task| {
            if let Some(auction) = &mut task.auction {
                auction.closes_at = auction.closes_at.max(at + BID_WINDOW_MS);
            }
        });
    }
}
