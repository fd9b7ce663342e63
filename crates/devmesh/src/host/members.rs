//! The hosts that joined, a file each under `hosts/`: the digest of the key that each was given.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use devmesh_bus::cred::Role;
use devmesh_protocol::{ActorId, Digest};
use serde::{Deserialize, Serialize};

use super::secret;
use crate::error::{Error, Result};
use crate::state_dir::{StateDir, write_whole};

/// A host that joined.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Member {
    person: ActorId,
    key: String,
    joined_at: u64,
}

/// Why no host can have this name; none where it can. A host's agents are called after it, so a
/// name that is the beginning of another's would be its agents' master.
pub(crate) fn taken(name: &ActorId, users: &BTreeMap<String, Role>) -> Option<String> {
    let own = format!("{name}-");
    let near = users.iter().find(|(user, role)| {
        let above = **role == Role::Probe && name.as_str().starts_with(&format!("{user}-"));
        user.as_str() == name.as_str() || user.starts_with(&own) || above
    });
    near.map(|(user, _)| {
        format!(
            "the name {name} is too near to {user}, which the mesh knows; choose one with --host"
        )
    })
}

/// Keeps a host; gives its key.
pub(crate) fn keep(state: &StateDir, name: &ActorId, person: &ActorId, at: u64) -> Result<String> {
    let failed = || Error::failed(format!("keep the host {name}"));
    let path = path(state, name);
    let folder = state.path.join("hosts");
    fs::create_dir_all(folder).map_err(|error| failed().because(error))?;
    let key = secret()?;
    let digest = Digest::of(key.as_bytes()).to_string();
    let member = Member { person: person.clone(), key: digest, joined_at: at };
    let text = serde_json::to_string(&member).map_err(|error| failed().because(error))?;
    write_whole(&path, &text)?;
    Ok(key)
}

/// Whether a host is one that joined, and not revoked.
pub(crate) fn is_member(state: &StateDir, name: &ActorId, key: &str) -> bool {
    let text = fs::read_to_string(path(state, name)).unwrap_or_default();
    let member = serde_json::from_str::<Member>(&text);
    member.is_ok_and(|member| member.key == Digest::of(key.as_bytes()).to_string())
}

/// Ends a host; nothing where there is none of the name.
pub(crate) fn forget(state: &StateDir, name: &ActorId) -> Result<()> {
    match fs::remove_file(path(state, name)) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::failed(format!("forget the host {name}")).because(error))
        }
        _ => Ok(()),
    }
}

fn path(state: &StateDir, name: &ActorId) -> PathBuf {
    state.path.join("hosts").join(format!("{name}.json"))
}
