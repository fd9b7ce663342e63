//! Roles and what each may do: `nats/permissions.toml`, filled in for one mesh and one actor.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use devmesh_protocol::command::agent::Role;
use serde::{Deserialize, Serialize};

use super::Error;

const TEXT: &str = include_str!("../../../../nats/permissions.toml");

static TABLE: LazyLock<Table> =
    LazyLock::new(|| toml::from_str(TEXT).expect("nats/permissions.toml is tested"));

/// Every role.
pub const ROLES: [Role; 8] = [
    Role::Agent,
    Role::Person,
    Role::Probe,
    Role::Dashboard,
    Role::Coordinator,
    Role::Viewer,
    Role::Admin,
    Role::Replay,
];

/// The role's name, as it is typed and stored.
#[must_use]
pub fn role_name(role: Role) -> &'static str {
    match role {
        Role::Agent => "agent",
        Role::Person => "person",
        Role::Probe => "probe",
        Role::Dashboard => "dashboard",
        Role::Coordinator => "coordinator",
        Role::Viewer => "viewer",
        Role::Admin => "admin",
        Role::Replay => "replay",
    }
}

/// The role of that name.
///
/// # Errors
/// [`Error::Role`], which lists the names there are.
pub fn role_named(name: &str) -> Result<Role, Error> {
    ROLES
        .into_iter()
        .find(|role| role_name(*role) == name)
        .ok_or_else(|| Error::Role { name: name.to_owned() })
}

/// The accounts in which a role has a user; the first is that of `NAME.creds`.
#[must_use]
pub fn accounts(role: Role) -> &'static [Account] {
    TABLE.role.get(&role).map(|entry| entry.accounts.as_slice()).unwrap_or_default()
}

/// What the user of a role in `account` may do; nothing where it has none there.
#[must_use]
pub fn permissions(role: Role, account: Account, mesh: &str, actor: &str) -> Permissions {
    let listed = TABLE.role.get(&role).and_then(|entry| match account {
        Account::Core => entry.core.as_ref(),
        Account::Mesh => entry.mesh.as_ref(),
    });
    let fill = |lines: &[String]| lines.iter().map(|l| fill(l, mesh, actor)).collect();
    listed.map_or_else(Permissions::default, |listed| Permissions {
        publish: fill(&listed.publish),
        subscribe: fill(&listed.subscribe),
    })
}

/// The two accounts of a mesh.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Account {
    /// The log and who may touch it.
    Core,
    /// Everyone else.
    Mesh,
}

impl Account {
    /// The account's name, as it stands in file names.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Core => "core",
            Self::Mesh => "mesh",
        }
    }
}

/// The subjects a user may publish to and subscribe to; nothing else.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Permissions {
    /// To these it may publish.
    pub publish: Vec<String>,
    /// To these it may subscribe.
    pub subscribe: Vec<String>,
}

/// The names of a mesh's streams.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Streams {
    /// The log.
    pub log: String,
    /// Free text that commands carried, by its digest.
    pub text: String,
    /// What agents print.
    pub output: String,
    /// Bytes named by their digest.
    pub blob: String,
    /// Mail between actors.
    pub mail: String,
}

impl Streams {
    /// The streams of `mesh`, whose name is upper-cased; a mesh name has no `_`, so that these
    /// names never meet another mesh's.
    #[must_use]
    pub fn of(mesh: &str) -> Self {
        let log = format!("DEVMESH_{}", mesh.to_ascii_uppercase());
        Self {
            text: format!("{log}_TEXT"),
            output: format!("{log}_OUTPUT"),
            blob: format!("{log}_BLOB"),
            mail: format!("{log}_MAIL"),
            log,
        }
    }
}

/// What CORE offers to MESH.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Exports {
    pub(super) services: Vec<String>,
    pub(super) streams: Vec<String>,
    pub(super) response_threshold_s: u64,
}

impl Exports {
    pub(super) fn of(mesh: &str) -> Self {
        let fill = |lines: &[String]| lines.iter().map(|l| fill(l, mesh, "")).collect();
        Self {
            services: fill(&TABLE.export.services),
            streams: fill(&TABLE.export.streams),
            response_threshold_s: TABLE.export.response_threshold_s,
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    export: Exports,
    role: BTreeMap<Role, Entry>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    accounts: Vec<Account>,
    core: Option<Permissions>,
    mesh: Option<Permissions>,
}

fn fill(line: &str, mesh: &str, actor: &str) -> String {
    let streams = Streams::of(mesh);
    line.replace("{mesh}", mesh)
        .replace("{actor}", actor)
        .replace("{LOG}", &streams.log)
        .replace("{TEXT}", &streams.text)
        .replace("{OUTPUT}", &streams.output)
        .replace("{BLOB}", &streams.blob)
        .replace("{MAIL}", &streams.mail)
}
