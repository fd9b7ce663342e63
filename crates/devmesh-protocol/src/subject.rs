//! Subjects: where each message goes, and who it is from. Built from checked ids only, so that
//! nothing a user types can forge one.

use std::str::FromStr;

use crate::event::Event;
use crate::id::{ActorId, HostId, MeshId, TaskId};

/// A command, as its sender publishes it.
pub fn command(mesh: &MeshId, actor: &ActorId, verb: &str) -> String {
    format!("devmesh.{mesh}.cmd.{actor}.{verb}")
}

/// A query.
pub fn query(mesh: &MeshId, actor: &ActorId, what: &str) -> String {
    format!("devmesh.{mesh}.query.{actor}.{what}")
}

/// A heartbeat.
pub fn beat(mesh: &MeshId, actor: &ActorId) -> String {
    format!("devmesh.{mesh}.beat.{actor}")
}

/// A host's hardware report.
pub fn report(mesh: &MeshId, host: &HostId) -> String {
    format!("devmesh.{mesh}.report.{host}")
}

/// The log. Only the coordinator's account can reach it.
pub fn log(mesh: &MeshId) -> String {
    format!("devmesh.{mesh}.log")
}

/// The leader's beat, in the coordinator's account.
pub fn leader(mesh: &MeshId) -> String {
    format!("devmesh.{mesh}.leader")
}

/// A free text, in the coordinator's account, by its digest.
pub fn text(mesh: &MeshId, digest: &crate::digest::Digest) -> String {
    format!("devmesh.{mesh}.text.{digest}")
}

/// An event's live notice.
pub fn notice(mesh: &MeshId, event: &Event) -> String {
    format!("devmesh.{mesh}.event.{}.{}", event.kind(), event.key())
}

/// All live notices.
pub fn notices(mesh: &MeshId) -> String {
    format!("devmesh.{mesh}.event.>")
}

/// An attempt's output lines.
pub fn output(mesh: &MeshId, actor: &ActorId, task: TaskId, attempt: u32) -> String {
    format!("devmesh.{mesh}.output.{actor}.{task}.{attempt}")
}

/// A piece of a blob.
pub fn blob(mesh: &MeshId, actor: &ActorId, digest: &crate::digest::Digest, chunk: u32) -> String {
    format!("devmesh.{mesh}.blob.{actor}.{digest}.{chunk}")
}

/// A message from one actor to another.
pub fn mail(mesh: &MeshId, from: &ActorId, to: &ActorId) -> String {
    format!("devmesh.{mesh}.mail.{from}.{to}")
}

/// The stream that holds the log: `DEVMESH_<MESH>`. A mesh's name has no `_`, so that no mesh's
/// stream can be another's.
pub fn log_stream(mesh: &MeshId) -> String {
    format!("DEVMESH_{}", mesh.as_str().to_ascii_uppercase())
}

/// The stream of that kind beside the log: `OUTPUT`, `BLOB`, `MAIL`, `TEXT`.
pub fn side_stream(mesh: &MeshId, kind: &str) -> String {
    format!("{}_{kind}", log_stream(mesh))
}

/// What a coordinator can be asked, read from a subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Incoming {
    /// A command with its verb, which may be none.
    Command {
        /// Who acts.
        actor: ActorId,
        /// As sent.
        verb: String,
    },
    /// A query, which may be none.
    Query {
        /// Who asks.
        actor: ActorId,
        /// As sent.
        what: String,
    },
    /// A heartbeat.
    Beat {
        /// Whose.
        actor: ActorId,
    },
    /// A hardware report.
    Report {
        /// Of which host.
        host: HostId,
    },
}

impl Incoming {
    /// Reads a subject of that mesh; `None` unless it parses exactly.
    pub fn parse(mesh: &MeshId, subject: &str) -> Option<Incoming> {
        let rest = subject.strip_prefix("devmesh.")?.strip_prefix(mesh.as_str())?;
        let (kind, rest) = rest.strip_prefix('.')?.split_once('.')?;
        if kind == "beat" {
            return Some(Incoming::Beat { actor: ActorId::from_str(rest).ok()? });
        }
        if kind == "report" {
            return Some(Incoming::Report { host: HostId::from_str(rest).ok()? });
        }
        let (actor, name) = rest.split_once('.')?;
        let actor = ActorId::from_str(actor).ok()?;
        let plain = |c: u8| c.is_ascii_lowercase() || c == b'.' || c == b'_';
        if name.is_empty() || name.len() > 64 || !name.bytes().all(plain) {
            return None;
        }
        match kind {
            "cmd" => Some(Incoming::Command { actor, verb: name.to_owned() }),
            "query" => Some(Incoming::Query { actor, what: name.to_owned() }),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
