//! A record: one decision, with all that follows from it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::command::Command;
use crate::digest::Digest;
use crate::event::Event;
use crate::id::{ActorId, CommandId};
use crate::time::At;

/// One decision. `seq` is dense: what users see, what `--at` takes, where tokens come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// 1, 2, 3 …
    pub seq: u64,
    /// When it was decided; never before the record before it.
    pub at: At,
    /// The command it answers; none where the coordinator decided by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command_id: Option<CommandId>,
    /// The digest of that command's body: another body under the same id is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Digest>,
    /// Who acted.
    pub actor: ActorId,
    /// The record that led to it, where one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub causation: Option<u64>,
    /// What happened, in order; at least one, at most 256.
    pub events: Vec<Event>,
}

impl Record {
    /// What a command led to; without one, what the coordinator decided by itself.
    pub fn new(seq: u64, at: At, command: Option<&Command>, events: Vec<Event>) -> Record {
        Record {
            seq,
            at,
            command_id: command.map(|command| command.id.clone()),
            body: command.map(Command::digest),
            actor: command.map_or_else(ActorId::coordinator, |command| command.actor.clone()),
            causation: None,
            events,
        }
    }
}
