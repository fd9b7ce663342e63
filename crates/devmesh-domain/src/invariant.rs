//! What holds after every record, whatever came before. Properties, the model check and
//! simulations check it record by record, and `devmesh replay --verify` a log as it stands.
//!
//! The names are those of the project's list of promises: S for safety, L for liveness.

mod agent;
mod command;
mod host;
mod index;
mod lock;
mod record;
mod task;
#[cfg(test)]
pub(crate) mod world;

use crate::state::State;

pub use agent::{s8_sessions, s10_one_owner, s11_reservations};
pub use command::{DEEDS, Deed, check_deed, l4_all_or_none, s3_fenced, s8_identity};
pub use host::s11_begins_with_room;
pub use index::indexes_match_tables;
pub use lock::{
    l2_no_lost_wake_up, l4_no_circle, s1_compatible, s2_tokens, s5_deadlines, s13_bounded,
};
pub use record::{
    STEPS, Step, check_step, l3_in_order, s2_grants_rise, s5_not_early, s5_term_gives_time,
    s10_awards, s10_proven_once, s10_tries,
};
pub use task::{one_turn, s10_no_strand, s10_one_state, task_indexes_match, waits_have_receipts};

/// One of the promises, by name.
pub type Invariant = (&'static str, fn(&State) -> Result<(), String>);

/// All of them.
pub const ALL: &[Invariant] = &[
    ("s1_compatible", s1_compatible),
    ("s2_tokens", s2_tokens),
    ("s5_deadlines", s5_deadlines),
    ("s8_sessions", s8_sessions),
    ("s10_one_owner", s10_one_owner),
    ("s11_reservations", s11_reservations),
    ("s13_bounded", s13_bounded),
    ("l2_no_lost_wake_up", l2_no_lost_wake_up),
    ("l4_no_circle", l4_no_circle),
    ("indexes_match_tables", indexes_match_tables),
    ("s10_one_state", s10_one_state),
    ("s10_no_strand", s10_no_strand),
    ("one_turn", one_turn),
    ("waits_have_receipts", waits_have_receipts),
    ("task_indexes_match", task_indexes_match),
];

/// Checks all of them; the first that is broken is named.
pub fn check(state: &State) -> Result<(), String> {
    ALL.iter().try_for_each(|(name, holds)| {
        holds(state).map_err(|why| format!("record {}: {name}: {why}", state.seq))
    })
}

#[cfg(test)]
mod tests;
