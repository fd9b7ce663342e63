//! Invitations: a file each under `invites/`, named by its secret's digest, so that the folder
//! gives nobody a way in. Taking one renames its file, which one of any number can do.

use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::str::FromStr;

use devmesh_protocol::{ActorId, Digest};
use serde::{Deserialize, Serialize};

use super::{now, secret};
use crate::error::{Error, Result};
use crate::state_dir::{StateDir, write_whole};

/// How long an invitation is good.
pub(crate) const VALID_MS: u64 = 10 * 60 * 1_000;
/// How long it is remembered, so that who comes late hears why.
const KEPT_MS: u64 = 7 * 24 * 60 * 60 * 1_000;

/// The line that lets a host join: where, whom to believe there, and the secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Code {
    /// `HOST:PORT` of the gate.
    pub(crate) address: String,
    /// The authority's pin.
    pub(crate) pin: String,
    /// The invitation's secret.
    pub(crate) secret: String,
}

impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}/{}", self.address, self.pin, self.secret)
    }
}

impl FromStr for Code {
    type Err = String;
    fn from_str(text: &str) -> std::result::Result<Code, String> {
        let bad = || "it is not a code of `devmesh invite`, or not a whole one".to_owned();
        let parts: Vec<&str> = text.trim().split('/').collect();
        let [address, pin, secret] = parts.as_slice() else { return Err(bad()) };
        let is_plain = |text: &str| {
            text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        };
        // The lengths of a digest and of a secret, in base64.
        let is_whole = pin.len() == 43 && secret.len() == 27 && is_plain(pin) && is_plain(secret);
        if !is_whole || !address.contains(':') {
            return Err(bad());
        }
        let address = super::listen_address(address)?;
        Ok(Code { address, pin: (*pin).to_owned(), secret: (*secret).to_owned() })
    }
}

/// What is known of an invitation.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Invitation {
    /// Whose host it will be.
    pub(crate) person: ActorId,
    /// Milliseconds UTC, by the clock of the host that invites.
    pub(crate) expires_at: u64,
    /// Who took it.
    #[serde(default)]
    pub(crate) taken_by: Option<ActorId>,
}

/// Writes an invitation down; gives its secret.
pub(crate) fn make(state: &StateDir, person: &ActorId, at: u64) -> Result<String> {
    let folder = folder(state);
    fs::create_dir_all(&folder).map_err(|error| Error::failed("invite a host").because(error))?;
    clear(&folder, at);
    let secret = secret()?;
    let invitation =
        Invitation { person: person.clone(), expires_at: at + VALID_MS, taken_by: None };
    write(&open(state, &secret), &invitation)?;
    Ok(secret)
}

/// What an invitation is good for; why it is not.
pub(crate) fn look(
    state: &StateDir,
    secret: &str,
    at: u64,
) -> std::result::Result<Invitation, String> {
    let (path, is_taken) = match (open(state, secret), taken(state, secret)) {
        (open, _) if open.is_file() => (open, false),
        (_, taken) if taken.is_file() => (taken, true),
        _ => return Err("this mesh gave no such code; ask for another".to_owned()),
    };
    let text = fs::read_to_string(path).map_err(|error| error.to_string())?;
    let invitation: Invitation = serde_json::from_str(&text).map_err(|error| error.to_string())?;
    if is_taken {
        let by = invitation.taken_by.as_ref().map_or("another host", ActorId::as_str);
        return Err(format!("this code was used already, by {by}; a code works once"));
    }
    if at >= invitation.expires_at {
        let minutes = (at - invitation.expires_at) / 60_000;
        return Err(format!("this code expired {minutes} min ago; a code is good for 10 min"));
    }
    Ok(invitation)
}

/// Takes an invitation, which nobody can after that.
pub(crate) fn take(
    state: &StateDir,
    secret: &str,
    host: &ActorId,
    at: u64,
) -> std::result::Result<Invitation, String> {
    let mut invitation = look(state, secret, at)?;
    if let Err(error) = fs::rename(open(state, secret), taken(state, secret)) {
        return Err(match error.kind() {
            ErrorKind::NotFound => "this code was used already; a code works once".to_owned(),
            _ => error.to_string(),
        });
    }
    invitation.taken_by = Some(host.clone());
    write(&taken(state, secret), &invitation).map_err(|error| error.lines().join(" "))?;
    Ok(invitation)
}

fn write(path: &std::path::Path, invitation: &Invitation) -> Result<()> {
    let text = serde_json::to_string(invitation)
        .map_err(|error| Error::failed("write the invitation").because(error))?;
    write_whole(path, &text)
}

/// Removes what is long over.
fn clear(folder: &std::path::Path, at: u64) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let text = fs::read_to_string(entry.path()).unwrap_or_default();
        let over = serde_json::from_str::<Invitation>(&text)
            .is_ok_and(|one| one.expires_at.saturating_add(KEPT_MS) < at.min(now()));
        if over {
            let _ = fs::remove_file(entry.path());
        }
    }
}

fn folder(state: &StateDir) -> PathBuf {
    state.path.join("invites")
}

fn open(state: &StateDir, secret: &str) -> PathBuf {
    folder(state).join(format!("{}.open", Digest::of(secret.as_bytes())))
}

fn taken(state: &StateDir, secret: &str) -> PathBuf {
    folder(state).join(format!("{}.taken", Digest::of(secret.as_bytes())))
}
