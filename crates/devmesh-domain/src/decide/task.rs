//! Decisions about tasks: who may do what with one, in which state.

mod add;
mod attempt;
mod auction;
mod change;
mod due;
mod guard;
mod hold;
mod land;
mod review;
mod talk;

pub(super) use add::{add, edit, room, shaped};
pub(super) use attempt::{
    abandon, complete, ended_so, fail, parked, progress, same_worker, session_ended, start,
    verified,
};
pub(super) use auction::{auction_close, bid};
pub use auction::{bidders, eligible, open_auctions};
pub(crate) use auction::{changed_by_hand, lasting_unfit};
pub(super) use due::follow;
pub(super) use guard::{find, own, permit, wrong_state};
pub(super) use hold::{cancel, pause, resume, retry, revert};
pub(super) use land::{land_begin, land_end};
pub(super) use review::{review, session_ended as review_ended};
pub(super) use talk::{answer, ask, say};

#[cfg(test)]
mod tests;
