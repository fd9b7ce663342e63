//! Changing the mode of a lease in place.

use devmesh_protocol::command::lock::Convert;
use devmesh_protocol::event::lock as event;
use devmesh_protocol::planted::{self, Fault};
use devmesh_protocol::{At, Command, CommandId, Event, LeaseId, Mode, Rejection};

use super::admit::admit;
use super::give::own_live_lease;
use super::request::{self, Request};
use crate::state::State;

/// A weaker mode is given at once and keeps the token. Anything else is asked for like a new
/// lease, before all who wait, and gets a new token.
pub(in crate::decide) fn convert(
    state: &State,
    command: &Command,
    body: &Convert,
    at: At,
) -> Result<Vec<Event>, Rejection> {
    let wait_ms = request::wait(body.wait_ms)?;
    let lease = own_live_lease(state, command, body.lease, at)?;
    if lease.mode == body.mode {
        return Ok(Vec::new());
    }
    let converted = |index| converted(state, body.lease, body.mode, index, None, None);
    if lease.mode.covers(body.mode) {
        return Ok(vec![converted(None).into()]);
    }
    let request = Request {
        id: command.id.clone(),
        holder: lease.holder.clone(),
        repo: lease.repo.clone(),
        paths: vec![lease.path.clone()],
        mode: body.mode,
        ttl_ms: lease.ttl_ms,
        expires: lease.expires_at.is_some(),
        wait_ms,
        convert: Some(body.lease),
        share: lease.share,
        sharing: None,
        reason: lease.reason.clone(),
    };
    if planted::is(Fault::ConversionUnchecked) {
        return Ok(vec![converted(Some(0)).into()]);
    }
    admit(state, &request, at)
}

/// The event, with all that its answer shows: what becomes of the lease later is none of it. Where
/// it has a time of its own, that ends no sooner than the request asked for.
pub(super) fn converted(
    state: &State,
    id: LeaseId,
    to: Mode,
    index: Option<u32>,
    waited: Option<CommandId>,
    asked: Option<At>,
) -> event::LockConverted {
    let lease = state.lease(id);
    event::LockConverted {
        lease: id,
        to,
        index,
        waited,
        repo: Some(lease.repo.clone()),
        path: Some(lease.path.clone()),
        expires_at: lease.expires_at.map(|ends| asked.map_or(ends, |asked| ends.max(asked))),
    }
}
