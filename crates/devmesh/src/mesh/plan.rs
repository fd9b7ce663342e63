//! What is to be started. It crosses from the process that asks to the one that supervises.

use std::path::PathBuf;

use devmesh_protocol::ActorId;
use devmesh_protocol::command::mesh::RepoAdd;
use serde::{Deserialize, Serialize};

use crate::config::AgentSpec;

/// The mesh of another host, as seen from here.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Membership {
    /// Its bus.
    pub(crate) nats_url: String,
    /// This host's name there.
    pub(crate) host: ActorId,
}

/// What is to be started.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Plan {
    /// The nats-server's binary.
    pub(crate) nats_server: PathBuf,
    /// The bus's port; none takes last time's, or a free one.
    pub(crate) port: Option<u16>,
    /// The dashboard's port; none takes last time's, or the usual one, or a free one.
    pub(crate) dashboard_port: Option<u16>,
    /// Bus and coordinator only.
    pub(crate) lite: bool,
    /// The agents.
    pub(crate) agents: Vec<AgentSpec>,
    /// Variables that tools may see.
    pub(crate) env_pass: Vec<String>,
    /// Whose mesh it is.
    pub(crate) person: ActorId,
    /// The repository it begins with; none on a host that joined.
    pub(crate) repo: Option<RepoAdd>,
    /// Where other hosts reach it, `HOST:PORT`.
    #[serde(default)]
    pub(crate) listen: Option<String>,
    /// What this host joined, where the bus is another's.
    #[serde(default)]
    pub(crate) joined: Option<Membership>,
    /// What its file says for the whole mesh.
    pub(crate) settings: Vec<(String, serde_json::Value)>,
}
