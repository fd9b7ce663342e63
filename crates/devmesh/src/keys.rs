//! Credentials of this machine's meshes: minted where there is none, and made known to the mesh.

use std::collections::BTreeMap;
use std::path::Path;

use devmesh_bus::client::Client;
use devmesh_bus::cred::{
    Account, Error as CredError, ROLES, Role, Trust, User, accounts, permissions,
};
use devmesh_protocol::command::agent::ActorAdd;
use devmesh_protocol::{ActorId, Digest, Verb};

use crate::context::Link;
use crate::error::{Error, Result, chain};
use crate::state_dir::{StateDir, write_whole};

/// The keys of a mesh, made where there are none.
pub(crate) fn open(state: &StateDir) -> Result<Trust> {
    Trust::open_or_create(&state.path, state.mesh.as_str()).map_err(|error| {
        Error::failed("open the mesh's keys").because(chain(&error)).hint(format!(
            "put {} back as it was: the log belongs to these keys",
            state.path.join("keys").display()
        ))
    })
}

/// Whether a file is a credential in whole: a damaged one would be refused without a reason.
pub(crate) fn is_whole(path: &Path) -> bool {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    ["BEGIN NATS USER JWT", "END NATS USER JWT", "BEGIN USER NKEY SEED", "END USER NKEY SEED"]
        .iter()
        .all(|mark| text.contains(mark))
}

/// The credential of an actor, minted where there is none of that role, or a damaged one.
pub(crate) fn ensure(trust: &Trust, name: &ActorId, role: Role) -> Result<()> {
    let there = accounts(role)
        .iter()
        .all(|account| is_whole(&trust.creds_path(name.as_str(), role, *account)));
    if there && users(trust)?.get(name.as_str()).is_some_and(|has| *has == role) {
        return Ok(());
    }
    mint(trust, name, role)
}

/// Mints a credential.
pub(crate) fn mint(trust: &Trust, name: &ActorId, role: Role) -> Result<()> {
    trust.mint(name.as_str(), role).map(|_| ()).map_err(|error| match error {
        CredError::RoleTaken { .. } | CredError::Reserved { .. } | CredError::Name { .. } => {
            Error::usage(error.to_string()).hint("`devmesh cred list` shows those in use")
        }
        other => Error::failed(format!("mint the credential of {name}"))
            .because(chain(&other))
            .hint("what stands in its way must be moved away, or be yours to write"),
    })
}

/// Mints all credentials again where the roles' permissions have changed since: they are signed
/// into each.
pub(crate) fn refresh(trust: &Trust, state: &StateDir) -> Result<()> {
    let mut text = String::new();
    for role in ROLES {
        for account in accounts(role) {
            let listed = permissions(role, *account, state.mesh.as_str(), "x");
            text += &format!("{role:?} {account:?} {listed:?}\n");
        }
    }
    let now = Digest::of(text.as_bytes()).to_string();
    let path = state.path.join("keys").join("permissions.digest");
    let before = std::fs::read_to_string(&path).unwrap_or_default();
    if before == now {
        return Ok(());
    }
    if !before.is_empty() {
        for (name, role) in users(trust)? {
            let actor = ActorId::new(&name).map_err(|e| Error::failed("mint again").because(e))?;
            mint(trust, &actor, role)?;
        }
    }
    write_whole(&path, &now)
}

/// Who has a credential in use, and for what.
pub(crate) fn users(trust: &Trust) -> Result<BTreeMap<String, Role>> {
    let all: Vec<User> = trust.users().map_err(|error| {
        Error::failed("read the register")
            .because(chain(&error))
            .hint("put it back as it was, or remove it: then only what is minted anew counts")
    })?;
    let live = all.into_iter().filter(|user| user.revoked_at.is_none());
    Ok(live.map(|user| (user.name, user.role)).collect())
}

/// Tells the mesh who is what, as its administrator.
pub(crate) async fn register(admin: &Link, actors: &BTreeMap<String, Role>) -> Result<()> {
    for (name, role) in actors {
        let role = *role;
        let speaks = matches!(
            role,
            Role::Agent | Role::Person | Role::Probe | Role::Dashboard | Role::Viewer
        );
        let Ok(actor) = ActorId::new(name) else { continue };
        if speaks {
            admin.done(Verb::ActorAdd(ActorAdd { actor, role })).await?;
        }
    }
    Ok(())
}

/// A connection of the mesh's administrator, which only who holds its keys can make.
pub(crate) async fn admin(
    state: &StateDir,
    url: &str,
    within: std::time::Duration,
) -> Result<Link> {
    let trust = open(state)?;
    let name = ActorId::admin();
    ensure(&trust, &name, Role::Admin)?;
    let creds = trust.creds_path(name.as_str(), Role::Admin, Account::Mesh);
    let client = Client::connect(url, Some(&creds), &state.mesh, &name).await?;
    Ok(Link::new(client, within))
}
