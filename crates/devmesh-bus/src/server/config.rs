//! What a managed server is started with, and the file that says so.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Error;

const TEMPLATE: &str = include_str!("../../../../nats/server.conf");

/// Who may connect.
#[derive(Debug, Clone)]
pub enum Auth {
    /// Anyone who reaches the port. For tests of the transport alone.
    Open,
    /// Users whose credentials the operator's accounts have signed.
    Operator {
        /// The operator's token, self-signed.
        operator_jwt: String,
        /// The public key of the system account.
        system_account: String,
        /// (public key, token) of each account, newest first known to the resolver at start.
        accounts: Vec<(String, String)>,
    },
}

/// One of several servers that keep each stream together.
#[derive(Debug, Clone)]
pub struct Cluster {
    /// The cluster's name, the same on each server.
    pub name: String,
    /// Where the other servers reach this one.
    pub host: String,
    /// And the port.
    pub port: u16,
    /// `host:port` of the others (its own may stand among them).
    pub routes: Vec<String>,
    /// What servers prove to each other; needed wherever the port is not loopback's.
    pub secret: Option<String>,
}

/// When a message is on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SyncMode {
    /// Before it is acknowledged.
    Always,
    /// At most this much later: faster, and a power cut can take acknowledged decisions with it.
    Every(Duration),
}

/// What a managed server is started with.
#[derive(Debug, Clone)]
pub struct ServerOptions {
    /// The nats-server binary.
    pub binary: PathBuf,
    /// The server's own folder: store, resolver, configuration, lock, log.
    pub dir: PathBuf,
    /// The name of the server; in a cluster each needs its own.
    pub name: String,
    /// The address to listen on.
    pub host: String,
    /// The port to listen on; 0 takes a free one.
    pub port: u16,
    /// Where the server logs; `dir/server.log` where this is none.
    pub log_file: Option<PathBuf>,
    /// Who may connect.
    pub auth: Auth,
    /// The cluster to be part of.
    pub cluster: Option<Cluster>,
    /// When a message is on disk.
    pub sync: SyncMode,
    /// How long the start may take.
    pub ready_within: Duration,
    /// The free space below which a start is refused, in bytes.
    pub min_free_bytes: u64,
}

impl ServerOptions {
    /// A single server on a free loopback port, each message on disk before it is acknowledged.
    pub fn new(binary: impl Into<PathBuf>, dir: impl Into<PathBuf>, auth: Auth) -> Self {
        Self {
            binary: binary.into(),
            dir: dir.into(),
            name: "devmesh".to_owned(),
            host: "127.0.0.1".to_owned(),
            port: 0,
            log_file: None,
            auth,
            cluster: None,
            sync: SyncMode::Always,
            // A store of some gigabytes is read before the port opens.
            ready_within: Duration::from_secs(60),
            min_free_bytes: 64 << 20,
        }
    }

    /// Where this server logs.
    #[must_use]
    pub fn log_path(&self) -> PathBuf {
        self.log_file.clone().unwrap_or_else(|| self.dir.join("server.log"))
    }

    pub(super) fn ports_dir(&self) -> PathBuf {
        self.dir.join("ports")
    }

    /// Where its streams are.
    #[must_use]
    pub fn store_dir(&self) -> PathBuf {
        self.dir.join("store")
    }

    /// Checks what can be checked without the system.
    pub(super) fn validate(&self) -> Result<(), Error> {
        let bad = |field, detail: &str| Err(Error::Option { field, detail: detail.to_owned() });
        if self.name.is_empty() || self.name.contains(|c: char| c.is_whitespace()) {
            return bad("name", "a server name is not empty and has no spaces");
        }
        if !self.dir.is_absolute() {
            return bad("dir", "give an absolute path");
        }
        if matches!(self.sync, SyncMode::Every(d) if d.is_zero()) {
            return bad("sync", "an interval is above zero; say `Always` for each message");
        }
        if matches!(self.auth, Auth::Open) && !is_loopback(&self.host) {
            return bad("auth", "a server that others can reach needs an operator");
        }
        Ok(())
    }

    /// The configuration file.
    pub(super) fn render(&self) -> Result<String, Error> {
        let sync = match self.sync {
            SyncMode::Always => "always".to_owned(),
            SyncMode::Every(d) => format!("\"{}ms\"", d.as_millis()),
        };
        let port = if self.port == 0 { -1 } else { i32::from(self.port) };
        let values = [
            ("server_name", quote("name", &self.name)?),
            ("listen", quote("host", &format!("{}:{port}", bracket(&self.host)))?),
            ("ports_dir", quote_path("dir", &self.ports_dir())?),
            ("log_file", quote_path("log_file", &self.log_path())?),
            ("store_dir", quote_path("dir", &self.store_dir())?),
            ("sync_interval", sync),
            ("auth", self.render_auth()?),
            ("cluster", self.render_cluster()?),
        ];
        Ok(fill(TEMPLATE, &values))
    }

    fn render_auth(&self) -> Result<String, Error> {
        let Auth::Operator { operator_jwt, system_account, accounts } = &self.auth else {
            return Ok(String::new());
        };
        let mut text = format!("\noperator: {operator_jwt}\nsystem_account: {system_account}\n");
        // A full resolver takes changed accounts while it runs: a revocation needs no restart.
        let dir = quote_path("dir", &self.dir.join("accounts"))?;
        text += &format!("resolver {{ type: full, dir: {dir}, allow_delete: false }}\n");
        text += "resolver_preload {\n";
        for (key, jwt) in accounts {
            text += &format!("    {key}: {jwt}\n");
        }
        Ok(text + "}\n")
    }

    fn render_cluster(&self) -> Result<String, Error> {
        let Some(cluster) = &self.cluster else { return Ok(String::new()) };
        let name = quote("cluster.name", &cluster.name)?;
        let address = format!("{}:{}", bracket(&cluster.host), cluster.port);
        let listen = quote("cluster.host", &address)?;
        let mut text = format!("\ncluster {{\n    name: {name}\n    listen: {listen}\n");
        let mut login = String::new();
        if let Some(secret) = &cluster.secret {
            let plain = !secret.is_empty() && secret.chars().all(|c| c.is_ascii_alphanumeric());
            if !plain {
                let detail = "use ASCII letters and digits".to_owned();
                return Err(Error::Option { field: "cluster.secret", detail });
            }
            let password = quote("cluster.secret", secret)?;
            text += &format!("    authorization {{ user: route, password: {password} }}\n");
            login = format!("route:{secret}@");
        }
        text += "    routes: [\n";
        for route in &cluster.routes {
            let url = quote("cluster.routes", &format!("nats-route://{login}{route}"))?;
            text += &format!("        {url}\n");
        }
        Ok(text + "    ]\n}\n")
    }
}

/// One pass, so that a value that looks like a place in the template stays a value.
fn fill(template: &str, values: &[(&str, String)]) -> String {
    let mut parts = template.split("{{");
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (name, rest) = part.split_once("}}").expect("the template is tested");
        let value = values.iter().find(|(known, _)| *known == name);
        text += &value.expect("the template is tested").1;
        text += rest;
    }
    text
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
}

/// An IPv6 address before a port needs brackets.
pub(crate) fn bracket(host: &str) -> String {
    if host.contains(':') && !host.starts_with('[') { format!("[{host}]") } else { host.to_owned() }
}

fn quote_path(field: &'static str, path: &Path) -> Result<String, Error> {
    let text = path.to_str().ok_or_else(|| Error::Option {
        field,
        detail: format!("{} is not UTF-8, which the server's file needs", path.display()),
    })?;
    quote(field, text)
}

/// A string of the server's configuration language. It has no escape for most control characters,
/// so a value that holds one is refused.
fn quote(field: &'static str, text: &str) -> Result<String, Error> {
    if text.contains(char::is_control) {
        let detail = "control characters cannot stand in the server's file".to_owned();
        return Err(Error::Option { field, detail });
    }
    Ok(format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")))
}
