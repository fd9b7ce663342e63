//! Connecting: one place that knows what every connection of devmesh has in common.
//!
//! The inbox prefix is the actor's own, because a user may subscribe to no other; the server's
//! version is checked, because an older one ignores what it does not know instead of refusing it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

pub use async_nats::Client as Connection;
use async_nats::{Auth, AuthError, Client, ConnectOptions, ServerAddr};
use nkeys::KeyPair;

use crate::gate;
use crate::server::{VERSION_MIN, Version};

#[cfg(test)]
mod tests;

/// The file beside a joined host's credentials that holds the mesh's authority, PEM.
pub const AUTHORITY: &str = "ca.pem";

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The credential file cannot be read.
    #[error("read the credential {}", path.display())]
    Creds {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The credential file holds no credential.
    #[error("read the credential {}: it holds no NATS user token and seed", path.display())]
    CredsFormat {
        /// The file.
        path: PathBuf,
    },
    /// The address is none.
    #[error("read the server address {url:?}: use nats://HOST:PORT, several with a comma between")]
    Url {
        /// The address.
        url: String,
    },
    /// The server was not reached, or refused.
    #[error("connect to {url}")]
    Connect {
        /// The server.
        url: String,
        /// What the client library said.
        #[source]
        source: async_nats::ConnectError,
    },
    /// The authority of the gate cannot be used.
    #[error("trust the mesh's gate")]
    Authority {
        /// What is wrong with it.
        #[source]
        source: crate::Error,
    },
    /// The server is too old.
    #[error("use the server at {url}: its version is {found}, at least {VERSION_MIN} is needed")]
    Version {
        /// The server.
        url: String,
        /// What it says it is.
        found: String,
    },
}

impl Error {
    /// Whether the server was reached and did not accept the credential.
    #[must_use]
    pub fn is_denied(&self) -> bool {
        use async_nats::ConnectErrorKind::{Authentication, AuthorizationViolation};
        match self {
            Self::Connect { source, .. } => {
                // Expired and revoked have no kind of their own in the client library.
                let said = std::error::Error::source(source).map(ToString::to_string);
                matches!(source.kind(), Authentication | AuthorizationViolation)
                    || said.is_some_and(|text| text.contains("User Authentication"))
            }
            Self::Creds { .. }
            | Self::CredsFormat { .. }
            | Self::Url { .. }
            | Self::Authority { .. }
            | Self::Version { .. } => false,
        }
    }
}

/// How to connect, beyond where and as whom.
#[derive(Debug, Clone)]
pub struct Options {
    /// What the server's monitoring shows: `devmesh ACTOR` where this is none.
    pub name: Option<String>,
    /// How long one attempt to connect may take.
    pub connect_timeout: Duration,
    /// How long a request waits for its answer, unless the request says otherwise.
    pub request_timeout: Duration,
    /// Whether to connect again when the connection is lost. A term's connection does not: what
    /// it had queued would be sent after the reconnect, when the term is over.
    pub reconnect: bool,
    /// Messages that one subscription holds; beyond it the client drops, for all.
    pub subscription_capacity: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            name: None,
            connect_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(10),
            reconnect: true,
            subscription_capacity: 65_536,
        }
    }
}

/// Connects to `url` (several with a comma between) as `actor` with the credential in `creds`;
/// without one only an open server answers.
///
/// # Errors
/// Where the credential cannot be read, the server is not reached or refuses, or is too old.
pub async fn connect(url: &str, creds: Option<&Path>, actor: &str) -> Result<Client, Error> {
    connect_with(url, creds, actor, &Options::default()).await
}

/// As [`connect`], with options.
///
/// # Errors
/// As [`connect`].
pub async fn connect_with(
    url: &str,
    creds: Option<&Path>,
    actor: &str,
    options: &Options,
) -> Result<Client, Error> {
    let servers: Vec<ServerAddr> = url
        .split(',')
        .map(|one| one.trim().parse())
        .collect::<Result<_, _>>()
        .map_err(|_| Error::Url { url: url.to_owned() })?;
    let login = match creds {
        Some(path) => Some(Login::read(path).await?),
        None => None,
    };
    let once = (!options.reconnect).then(|| Arc::new(AtomicBool::new(false)));
    let mut connect = authenticated(login, once.clone())
        .name(options.name.clone().unwrap_or_else(|| format!("devmesh {actor}")))
        .custom_inbox_prefix(format!("_INBOX.{actor}"))
        .connection_timeout(options.connect_timeout)
        .request_timeout(Some(options.request_timeout))
        .subscription_capacity(options.subscription_capacity)
        // A silent peer is noticed after two unanswered pings.
        .ping_interval(Duration::from_secs(10))
        .reconnect_delay_callback(reconnect_delay)
        .event_callback(|event| async move { tracing::debug!(%event, "nats connection") });
    if once.is_some() {
        // Zero would mean no limit. Every server may be tried at first; later the login refuses.
        connect = connect.max_reconnects(servers.len());
    }
    if let Some(ca) = authority_beside(url, creds) {
        // A gate: TLS before a word of NATS is said, and no address but this one.
        let config = gate::client_config(&gate::Trusted::File(ca))
            .map_err(|source| Error::Authority { source })?;
        connect = connect.tls_client_config(config).tls_first().ignore_discovered_servers();
    }
    let client = connect
        .connect(servers)
        .await
        .map_err(|source| Error::Connect { url: url.to_owned(), source })?;
    if let Some(once) = once {
        once.store(true, Ordering::Release);
    }
    let found = client.server_info().version;
    if Version::parse(&found).is_none_or(|version| version < VERSION_MIN) {
        return Err(Error::Version { url: url.to_owned(), found });
    }
    Ok(client)
}

/// The authority of the gate that a host joined through. It lies beside the credentials that the
/// host was given there, so that whoever has a credential knows whom to believe.
fn authority_beside(url: &str, creds: Option<&Path>) -> Option<PathBuf> {
    let path = creds?.with_file_name(AUTHORITY);
    (url.starts_with("tls://") && path.is_file()).then_some(path)
}

/// What a credential file holds.
struct Login {
    token: String,
    key: KeyPair,
}

impl Login {
    async fn read(path: &Path) -> Result<Self, Error> {
        let text = tokio::fs::read_to_string(path)
            .await
            .map_err(|source| Error::Creds { path: path.to_owned(), source })?;
        Self::parse(&text).ok_or_else(|| Error::CredsFormat { path: path.to_owned() })
    }

    fn parse(text: &str) -> Option<Self> {
        let after = |marker: &str| {
            let mut lines = text.lines().skip_while(|line| !line.contains(marker)).skip(1);
            lines.next().map(|line| line.trim().to_owned())
        };
        let key = KeyPair::from_seed(&after("BEGIN USER NKEY SEED")?).ok()?;
        Some(Self { token: after("BEGIN NATS USER JWT")?, key })
    }

    fn sign(&self, nonce: &[u8]) -> Result<Auth, AuthError> {
        let mut auth = Auth::new();
        auth.jwt = Some(self.token.clone());
        auth.signature = Some(self.key.sign(nonce).map_err(AuthError::new)?);
        Ok(auth)
    }
}

/// Logs in each time the client connects; once `spent` is set it refuses to, before anything that
/// the client still holds can be sent. The client library has no switch for that: its limit of
/// reconnects counts failures, and a first reconnect that succeeds is none.
fn authenticated(login: Option<Login>, spent: Option<Arc<AtomicBool>>) -> ConnectOptions {
    let login = Arc::new(login);
    ConnectOptions::with_auth_callback(move |nonce| {
        let login = Arc::clone(&login);
        let spent = spent.as_ref().is_some_and(|spent| spent.load(Ordering::Acquire));
        async move {
            if spent {
                return Err(AuthError::new("this connection is not made twice"));
            }
            login.as_ref().as_ref().map_or_else(|| Ok(Auth::new()), |login| login.sign(&nonce))
        }
    })
}

/// At once, then doubling from 20 ms to 2 s: a server's restart takes some 10 ms.
fn reconnect_delay(attempts: usize) -> Duration {
    let doublings = u32::try_from(attempts.saturating_sub(2).min(7)).unwrap_or(7);
    if attempts <= 1 { Duration::ZERO } else { Duration::from_millis((20 << doublings).min(2000)) }
}
