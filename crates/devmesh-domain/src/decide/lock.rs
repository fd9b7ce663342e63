//! Decisions about leases.

mod admit;
mod award;
mod convert;
mod due;
mod give;
mod request;
mod share;

use devmesh_protocol::command::lock as body;
use devmesh_protocol::{At, Command, Event, Rejection};

use crate::state::State;
use request::Request;

pub(crate) use award::touch_set_free;
pub(super) use award::{grant_for_award, waited_for};
pub(super) use convert::convert;
pub(super) use due::follow;
pub(super) use give::{break_lease, release, renew};
pub(crate) use request::repo;

/// Asks for leases: all paths or none.
pub(super) fn acquire(
    state: &State,
    command: &Command,
    body: &body::Acquire,
    at: At,
) -> Result<Vec<Event>, Rejection> {
    let request = Request::of(state, command, body)?;
    admit::admit(state, &request, at)
}

#[cfg(test)]
mod tests;
