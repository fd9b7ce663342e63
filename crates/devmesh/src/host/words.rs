//! What a host and a gate say to each other, a line each.

use devmesh_protocol::{ActorId, RepoId};
use serde::{Deserialize, Serialize};

/// What a host asks.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Ask {
    /// Who is there, and is this invitation good? Spends nothing.
    Hello {
        /// The invitation's secret.
        secret: String,
    },
    /// Takes the invitation.
    Join {
        /// The invitation's secret.
        secret: String,
        /// What the host calls itself.
        host: ActorId,
    },
    /// A credential for an agent of the host.
    Agent {
        /// The host.
        host: ActorId,
        /// Its key.
        key: String,
        /// The agent.
        name: ActorId,
    },
    /// A repository: after the answer the connection is git's.
    Git {
        /// The host.
        host: ActorId,
        /// Its key.
        key: String,
        /// Which repository.
        repo: RepoId,
        /// `git-upload-pack` or `git-receive-pack`.
        service: String,
    },
}

/// What the gate answers.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Answer {
    /// To `hello`.
    Hello(Hello),
    /// To `join`.
    Joined(Granted),
    /// To `agent`.
    Agent {
        /// The credential file's text.
        credential: String,
    },
    /// To `git`: git speaks now.
    Git,
    /// To anything.
    Refused {
        /// Why, for people.
        why: String,
    },
}

/// Who is there.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Hello {
    /// The mesh's name.
    pub(crate) mesh: String,
    /// The program's version.
    pub(crate) version: String,
    /// The clock, in milliseconds UTC.
    pub(crate) at_ms: u64,
}

/// What a host is given, once.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Granted {
    /// The mesh's authority, PEM.
    pub(crate) authority: String,
    /// The host's key for later questions.
    pub(crate) key: String,
    /// Whose host it is.
    pub(crate) person: ActorId,
    /// That person's credential.
    pub(crate) person_credential: String,
    /// The credential of the host's probe.
    pub(crate) probe_credential: String,
}
