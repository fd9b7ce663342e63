//! The keys of one mesh, the users signed with them, and how one is ended.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use devmesh_protocol::{ActorId, MeshId};
use nkeys::{KeyPair, KeyPairType};
use serde::{Deserialize, Serialize};

use super::role::Exports;
use super::{
    Account, Error, Permissions, Role, accounts, claims, disk, jwt, permissions, role_name,
};
use crate::server::Auth;

/// The server and the system user have this long to take a changed account.
const PUSH_TIMEOUT: Duration = Duration::from_secs(5);

/// What takes a changed account.
const CLAIMS_UPDATE: &str = "$SYS.REQ.CLAIMS.UPDATE";

/// The keys of one mesh, under `keys/` of its state folder.
pub struct Trust {
    mesh: String,
    dir: PathBuf,
    operator: KeyPair,
    system: KeyPair,
    core: KeyPair,
    mesh_account: KeyPair,
}

/// One user, as it stands in the register of those that were ever minted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct User {
    /// Its name, which stands in its subjects.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// Where it may do it.
    pub account: Account,
    /// Its public key.
    pub key: String,
    /// Seconds since 1970.
    pub issued_at: i64,
    /// Seconds since 1970; none is for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<i64>,
    /// Seconds since 1970; none is not revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<i64>,
    /// The host that was given it, where that is not this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
}

impl User {
    fn is_live(&self, now: i64) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|at| at > now)
    }
}

/// A credential that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Minted {
    /// The name on it.
    pub name: String,
    /// Its role.
    pub role: Role,
    /// Its files: first `NAME.creds`, then, where the role has a part in both accounts, the other.
    pub files: Vec<(Account, PathBuf)>,
}

impl Minted {
    /// The file for `account`, where the role has a part there.
    #[must_use]
    pub fn file(&self, account: Account) -> Option<&Path> {
        self.files.iter().find(|(a, _)| *a == account).map(|(_, path)| path.as_path())
    }
}

impl std::fmt::Debug for Trust {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Trust").field("mesh", &self.mesh).field("dir", &self.dir).finish()
    }
}

impl Trust {
    /// Opens the keys of `mesh` under `state_dir`, making those that are not there.
    ///
    /// # Errors
    /// Where the name will not do, a key is damaged, or the folder cannot be written.
    pub fn open_or_create(state_dir: &Path, mesh: &str) -> Result<Self, Error> {
        if MeshId::new(mesh).is_err() {
            return Err(Error::MeshName { name: mesh.to_owned() });
        }
        let keys = state_dir.join("keys");
        disk::private_dir(&keys)?;
        disk::private_dir(&state_dir.join("creds"))?;
        let _lock = disk::lock(&keys)?;
        Ok(Self {
            mesh: mesh.to_owned(),
            dir: state_dir.to_owned(),
            operator: key(&keys.join("operator.nk"), KeyPairType::Operator)?,
            system: key(&keys.join("system.nk"), KeyPairType::Account)?,
            core: key(&keys.join("core.nk"), KeyPairType::Account)?,
            mesh_account: key(&keys.join("mesh.nk"), KeyPairType::Account)?,
        })
    }

    /// The mesh these keys are of.
    #[must_use]
    pub fn mesh(&self) -> &str {
        &self.mesh
    }

    /// What the server must know, as it stands now.
    ///
    /// # Errors
    /// Where the register of users cannot be read.
    pub fn auth(&self) -> Result<Auth, Error> {
        let now = now();
        let operator = self.operator.public_key();
        let system = self.system.public_key();
        let system_jwt = jwt::sign(
            &self.operator,
            jwt::Subject { name: "SYS", key: &system, issued_at: now, expires_at: None },
            &claims::Account::system(),
        )?;
        let operator_jwt = jwt::sign(
            &self.operator,
            jwt::Subject { name: "devmesh", key: &operator, issued_at: now, expires_at: None },
            &claims::Operator::new(system.clone()),
        )?;
        let mut accounts = vec![(system.clone(), system_jwt)];
        let users = self.users()?;
        for account in [Account::Core, Account::Mesh] {
            let token = self.account_jwt(account, &users)?;
            accounts.push((self.account_key(account).public_key(), token));
        }
        Ok(Auth::Operator { operator_jwt, system_account: system, accounts })
    }

    /// Every user that was ever minted, oldest first.
    ///
    /// # Errors
    /// Where the register cannot be read.
    pub fn users(&self) -> Result<Vec<User>, Error> {
        let path = self.register();
        let Some(text) = disk::read(&path)? else { return Ok(Vec::new()) };
        serde_json::from_str(&text).map_err(|e| Error::Format { path, detail: e.to_string() })
    }

    /// Where the credential of `name` for `account` lies, for a role whose first account is `main`.
    #[must_use]
    pub fn creds_path(&self, name: &str, role: Role, account: Account) -> PathBuf {
        let file = if accounts(role).first() == Some(&account) {
            format!("{name}.creds")
        } else {
            format!("{name}.{}.creds", account.as_str())
        };
        self.dir.join("creds").join(file)
    }

    /// Writes a credential for `name`. Nothing is told to the server: it needs only the signature.
    /// A name may be minted again, for another host: then each file works until it is revoked.
    ///
    /// # Errors
    /// Where the name will not do or has another role, or the file cannot be written.
    pub fn mint(&self, name: &str, role: Role) -> Result<Minted, Error> {
        self.mint_for(name, role, None)
    }

    /// As [`Trust::mint`], valid for a limited time.
    ///
    /// # Errors
    /// As [`Trust::mint`].
    pub fn mint_for(
        &self,
        name: &str,
        role: Role,
        valid_for: Option<Duration>,
    ) -> Result<Minted, Error> {
        let _lock = disk::lock(&self.dir.join("keys"))?;
        let mut files = Vec::new();
        for (account, text) in self.enter(name, role, valid_for, None)? {
            let path = self.creds_path(name, role, account);
            disk::write_private(&path, &text)?;
            files.push((account, path));
        }
        Ok(Minted { name: name.to_owned(), role, files })
    }

    /// As [`Trust::mint`], for a host that is not this one: gives the credential for the role's
    /// first account, and keeps nothing of it but its key in the register, which ends with `host`.
    ///
    /// # Errors
    /// As [`Trust::mint`].
    pub fn mint_away(&self, name: &str, role: Role, host: &str) -> Result<String, Error> {
        let _lock = disk::lock(&self.dir.join("keys"))?;
        let mut texts = self.enter(name, role, None, Some(host))?.into_iter();
        texts.next().map(|(_, text)| text).ok_or_else(|| Error::Unknown { name: name.to_owned() })
    }

    /// Signs a credential for each account of the role and enters it into the register: one that
    /// nobody could revoke must not exist. The caller holds the lock.
    fn enter(
        &self,
        name: &str,
        role: Role,
        valid_for: Option<Duration>,
        host: Option<&str>,
    ) -> Result<Vec<(Account, String)>, Error> {
        if ActorId::new(name).is_err() {
            return Err(Error::Name { name: name.to_owned() });
        }
        // The domain believes these two names: who carries one must be what it says.
        let reserved = [("admin", Role::Admin), ("coordinator", Role::Coordinator)];
        if reserved.iter().any(|(reserved, only)| name == *reserved && role != *only) {
            return Err(Error::Reserved { name: name.to_owned(), asked: role });
        }
        let now = now();
        let mut users = self.users()?;
        if let Some(other) =
            users.iter().find(|u| u.name == name && u.role != role && u.is_live(now))
        {
            return Err(Error::RoleTaken { name: name.to_owned(), asked: role, has: other.role });
        }
        let expires_at = valid_for.map(|d| now.saturating_add_unsigned(d.as_secs()));
        let mut written = Vec::new();
        for account in accounts(role) {
            let user = KeyPair::new_user();
            let text = self.user_creds(name, role, *account, &user, (now, expires_at))?;
            written.push((*account, text));
            users.push(User {
                name: name.to_owned(),
                role,
                account: *account,
                key: user.public_key(),
                issued_at: now,
                expires_at,
                revoked_at: None,
                host: host.map(str::to_owned),
            });
        }
        self.write_register(&users)?;
        Ok(written)
    }

    /// Ends every credential of `name`, and every one that a host of that name was given: recorded,
    /// its files removed, and told to the server at `url`, which cuts their connections at once.
    /// Returns how many keys were ended.
    ///
    /// # Errors
    /// [`Error::NotPushed`] where the server was not reached: it holds from its next start, and a
    /// second call pushes again. [`Error::Unknown`] where there never was such a name.
    pub async fn revoke(&self, name: &str, url: &str) -> Result<usize, Error> {
        let (ended, tokens) = self.record_revocation(name)?;
        self.push(url, &tokens)
            .await
            .map_err(|detail| Error::NotPushed { name: name.to_owned(), detail })?;
        Ok(ended)
    }

    fn record_revocation(&self, name: &str) -> Result<(usize, Vec<String>), Error> {
        let _lock = disk::lock(&self.dir.join("keys"))?;
        let now = now();
        let mut users = self.users()?;
        if !users.iter().any(|u| u.name == name) {
            return Err(Error::Unknown { name: name.to_owned() });
        }
        let is_meant = |u: &User| u.name == name || u.host.as_deref() == Some(name);
        let mut ended = 0;
        for user in users.iter_mut().filter(|u| is_meant(u) && u.revoked_at.is_none()) {
            user.revoked_at = Some(now);
            ended += 1;
        }
        self.write_register(&users)?;
        for user in users.iter().filter(|u| u.name == name) {
            match std::fs::remove_file(self.creds_path(name, user.role, user.account)) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                    return Err(Error::io(format!("remove the credential of {name}"))(e));
                }
                _ => {}
            }
        }
        let tokens = [Account::Core, Account::Mesh]
            .into_iter()
            .map(|account| self.account_jwt(account, &users))
            .collect::<Result<_, _>>()?;
        Ok((ended, tokens))
    }

    /// Hands changed accounts to the running server, as a system user that exists for this alone.
    async fn push(&self, url: &str, tokens: &[String]) -> Result<(), String> {
        let client = self.system_user(CLAIMS_UPDATE, url).await?;
        for token in tokens {
            let reply = client
                .request(CLAIMS_UPDATE, token.clone().into())
                .await
                .map_err(|e| e.to_string())?;
            let answer: serde_json::Value =
                serde_json::from_slice(&reply.payload).map_err(|e| e.to_string())?;
            if answer.pointer("/data/code").and_then(serde_json::Value::as_i64) != Some(200) {
                return Err(answer.to_string());
            }
        }
        client.drain().await.map_err(|e| e.to_string())
    }

    /// A connection of a system user that may ask this one thing, for a minute.
    pub(super) async fn system_user(
        &self,
        subject: &str,
        url: &str,
    ) -> Result<async_nats::Client, String> {
        let creds = self.system_creds(subject).map_err(|e| e.to_string())?;
        let options = async_nats::ConnectOptions::with_credentials(&creds)
            .map_err(|e| e.to_string())?
            .name("devmesh system")
            .custom_inbox_prefix("_INBOX.system")
            .connection_timeout(PUSH_TIMEOUT)
            .request_timeout(Some(PUSH_TIMEOUT));
        options.connect(url).await.map_err(|e| e.to_string())
    }

    fn system_creds(&self, subject: &str) -> Result<String, Error> {
        let user = KeyPair::new_user();
        let permissions = Permissions {
            publish: vec![subject.to_owned()],
            subscribe: vec!["_INBOX.system.>".to_owned()],
        };
        let now = now();
        let subject = jwt::Subject {
            name: "system",
            key: &user.public_key(),
            issued_at: now,
            expires_at: Some(now + 60),
        };
        let token = jwt::sign(&self.system, subject, &claims::User::new(permissions, "system"))?;
        Ok(jwt::creds(&token, &seed(&user)?))
    }

    fn user_creds(
        &self,
        name: &str,
        role: Role,
        account: Account,
        user: &KeyPair,
        (issued_at, expires_at): (i64, Option<i64>),
    ) -> Result<String, Error> {
        let subject = jwt::Subject { name, key: &user.public_key(), issued_at, expires_at };
        let says = claims::User::new(permissions(role, account, &self.mesh, name), role_name(role));
        let token = jwt::sign(self.account_key(account), subject, &says)?;
        Ok(jwt::creds(&token, &seed(user)?))
    }

    fn account_jwt(&self, account: Account, users: &[User]) -> Result<String, Error> {
        let revocations: BTreeMap<String, i64> = users
            .iter()
            .filter(|user| user.account == account)
            .filter_map(|user| Some((user.key.clone(), user.revoked_at?)))
            .collect();
        let exports = Exports::of(&self.mesh);
        let core = self.core.public_key();
        let says = match account {
            Account::Core => claims::Account::core(&exports, revocations),
            Account::Mesh => claims::Account::mesh(&exports, &core, revocations),
        };
        let key = self.account_key(account).public_key();
        let name = format!("{}-{}", self.mesh, account.as_str());
        let subject = jwt::Subject { name: &name, key: &key, issued_at: now(), expires_at: None };
        jwt::sign(&self.operator, subject, &says)
    }

    fn account_key(&self, account: Account) -> &KeyPair {
        match account {
            Account::Core => &self.core,
            Account::Mesh => &self.mesh_account,
        }
    }

    fn register(&self) -> PathBuf {
        self.dir.join("keys").join("users.json")
    }

    fn write_register(&self, users: &[User]) -> Result<(), Error> {
        let path = self.register();
        let text = serde_json::to_string_pretty(users)
            .map_err(|e| Error::Format { path: path.clone(), detail: e.to_string() })?;
        disk::write_private(&path, &text)
    }
}

/// Reads a key, or makes it where there is none.
fn key(path: &Path, kind: KeyPairType) -> Result<KeyPair, Error> {
    let bad = |detail: String| Error::Key { path: path.to_owned(), detail };
    if let Some(text) = disk::read(path)? {
        let key = KeyPair::from_seed(text.trim()).map_err(|e| bad(e.to_string()))?;
        let same = std::mem::discriminant(&key.key_pair_type()) == std::mem::discriminant(&kind);
        return if same { Ok(key) } else { Err(bad("it is a key of another kind".to_owned())) };
    }
    let key = KeyPair::new(kind);
    disk::write_private(path, &format!("{}\n", seed(&key)?))?;
    Ok(key)
}

fn seed(key: &KeyPair) -> Result<String, Error> {
    key.seed().map_err(|e| Error::Sign { detail: e.to_string() })
}

/// Seconds since 1970, which is what tokens count in.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}
