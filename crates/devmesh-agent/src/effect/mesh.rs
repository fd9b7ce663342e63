//! Commands: each is sent with one id until it is answered. Not answered is unknown, never failed.

use std::borrow::Cow;
use std::time::Duration;

use devmesh_bus::client::Outcome;
use devmesh_protocol::command::agent::{Join, Leave};
use devmesh_protocol::command::mesh::NoteShare;
use devmesh_protocol::command::task::Bid;
use devmesh_protocol::{Code, Command, Rejection, Reply, SessionId, Verb};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::World;
use crate::input::{Answer, Input};
use crate::view::Key;

/// One round of sending; unanswered, the next begins with the same id.
const ROUND: Duration = Duration::from_secs(60);
/// How often a command gets a new id because the old one is too old to be decided; if that does
/// not help, the clock is wrong.
const RENAMED_MAX: u32 = 5;
/// The pause before that.
const RENAME_AFTER: Duration = Duration::from_millis(500);
/// A bid that is not answered within this comes too late.
const BID: Duration = Duration::from_secs(2);
/// How long the leaving of the mesh is waited for.
const LEAVE: Duration = Duration::from_secs(5);
/// How long a report without consequence is tried.
const TELL: Duration = Duration::from_secs(30);

pub(super) async fn join(world: World, session: SessionId, join: Join) {
    let command = command(&world, Some(session.clone()), Verb::AgentJoin(join));
    let answer = until_answered(&world, &command).await;
    world.put(Input::Joined { session, answer }).await;
}

pub(super) async fn renew(world: World, old: SessionId) {
    tracing::info!(%old, "the session has ended; a new one begins");
    let session = crate::id::session();
    crate::state::keep_session(&world.config.state, &session).await;
    world.put(Input::SessionRenewed(session)).await;
}

pub(super) async fn beat(world: World, session: SessionId, seen: u64) {
    let sent_ms = world.clock.now_ms();
    let answer = match world.client.beat(&session, seen).await {
        Ok(reply) => Some(reply),
        Err(error) => {
            tracing::debug!(%error, "a beat without an answer");
            None
        }
    };
    world.put(Input::Beaten { sent_ms, session, answer }).await;
}

pub(super) async fn leave(world: World, session: SessionId) {
    let leave = Leave { reason: Some("it ends".into()) };
    let command = command(&world, Some(session), Verb::AgentLeave(leave));
    match world.client.submit(&command, LEAVE).await {
        Ok(_) => crate::state::forget_session(&world.config.state).await,
        Err(error) => tracing::warn!(%error, "left without saying so"),
    }
    world.put(Input::Left).await;
}

/// Sends what an earlier process left in the outbox, in its order.
pub(super) async fn resend(world: World) {
    let waiting = world.outbox.lock().await.waiting().to_vec();
    for command in waiting {
        tracing::info!(verb = command.verb.name(), id = %command.id, "sending again");
        let _ = deliver(&world, &command).await;
    }
    world.put(Input::Resent).await;
}

pub(super) async fn bid(world: World, session: SessionId, bid: Bid) {
    let task = bid.task;
    let command = command(&world, Some(session), Verb::TaskBid(bid));
    match world.client.submit(&command, BID).await {
        Ok(Outcome::Reply(Reply::Err { error, .. })) => {
            tracing::debug!(%task, %error, "the bid was refused");
        }
        Ok(Outcome::Reply(Reply::Ok { .. }) | Outcome::Unknown { .. }) => {}
        Err(error) => tracing::warn!(%task, %error, "the bid was not sent"),
    }
}

pub(super) async fn send(
    world: World,
    key: Key,
    session: SessionId,
    verb: Verb,
    cancel: CancellationToken,
) {
    let command = command(&world, Some(session), verb);
    let name = command.verb.name();
    tokio::select! {
        () = cancel.cancelled() => {}
        answer = until_answered(&world, &command) => {
            if let Answer::Refused(rejection) = &answer {
                tracing::info!(%key, verb = name, %rejection, "refused");
            }
            world.put(Input::Answered { key, verb: name, answer }).await;
        }
    }
}

pub(super) async fn tell(world: World, session: SessionId, verb: Verb) {
    let command = command(&world, Some(session), verb);
    match world.client.submit(&command, TELL).await {
        Ok(Outcome::Reply(Reply::Err { error, .. })) => {
            tracing::debug!(verb = command.verb.name(), %error, "refused");
        }
        Ok(Outcome::Reply(Reply::Ok { .. }) | Outcome::Unknown { .. }) => {}
        Err(error) => tracing::debug!(verb = command.verb.name(), %error, "not sent"),
    }
}

/// Notes: what they say is stored, so no secret may be in it.
pub(super) async fn share(world: World, session: SessionId, notes: Vec<NoteShare>) {
    for note in notes {
        let clean = |text: &str| world.config.mask.clean(text);
        let note = NoteShare { key: clean(&note.key), value: clean(&note.value), ..note };
        tell(world.clone(), session.clone(), Verb::NoteShare(note)).await;
    }
}

/// All on disk before the first is sent: a crash in between loses none of them. Nor is any sent
/// before the save that is under way has ended: whoever has the task next begins there.
pub(super) async fn post(
    world: World,
    key: Key,
    session: SessionId,
    verbs: Vec<Verb>,
    saving: Option<JoinHandle<()>>,
) {
    let commands: Vec<Command> =
        verbs.into_iter().map(|verb| command(&world, Some(session.clone()), verb)).collect();
    for command in &commands {
        if let Err(error) = world.outbox.lock().await.put(command.clone()).await {
            // Sent all the same: what is told now need not be remembered.
            tracing::error!(%error, "the outbox cannot be written");
        }
    }
    if let Some(saving) = saving {
        // One that failed has said so; the save before it stands.
        let _ = saving.await;
    }
    let mut refused = None;
    for command in &commands {
        if let Answer::Refused(rejection) = deliver(&world, command).await {
            tracing::warn!(%key, verb = command.verb.name(), %rejection, "refused");
            refused.get_or_insert(rejection);
        }
    }
    world.put(Input::Posted { key, refused }).await;
}

/// Sends a command of the outbox until it is answered, and takes it out.
async fn deliver(world: &World, command: &Command) -> Answer {
    let answer = until_answered(world, command).await;
    if let Err(error) = world.outbox.lock().await.answered(command).await {
        tracing::warn!(%error, "the outbox cannot be written");
    }
    answer
}

async fn until_answered(world: &World, command: &Command) -> Answer {
    let wait_ms = match &command.verb {
        Verb::LockAcquire(acquire) => acquire.wait_ms,
        Verb::LandBegin(begin) => begin.wait_ms,
        _ => None,
    };
    let round = ROUND + Duration::from_millis(wait_ms.unwrap_or(0));
    let mut command = Cow::Borrowed(command);
    let mut renamed = 0;
    loop {
        match world.client.submit(&command, round).await {
            Ok(Outcome::Reply(Reply::Ok { seq, result })) => return Answer::Done { seq, result },
            // Nothing was done under that id; and what an agent asks for is named by its session,
            // task and attempt, so that it is asked for once under any id.
            Ok(Outcome::Reply(Reply::Err { error, .. }))
                if error.code == Code::IdExpired && renamed < RENAMED_MAX =>
            {
                tracing::info!(verb = command.verb.name(), id = %command.id, "sent anew");
                renamed += 1;
                tokio::time::sleep(RENAME_AFTER).await;
                command.to_mut().id = crate::id::command();
            }
            Ok(Outcome::Reply(Reply::Err { error, .. })) => return Answer::Refused(error),
            Ok(Outcome::Unknown { why }) => {
                tracing::info!(verb = command.verb.name(), id = %command.id, why, "not answered");
            }
            // It cannot be sent at all, now or ever.
            Err(error) => {
                return Answer::Refused(Rejection::new(Code::BadRequest, error.to_string()));
            }
        }
    }
}

pub(super) fn command(world: &World, session: Option<SessionId>, verb: Verb) -> Command {
    Command { id: crate::id::command(), actor: world.config.actor.clone(), session, verb }
}
