//! When a started server is ready: its ports file is there and it greets with INFO on that port.

use std::path::Path;
use std::time::Duration;

use serde::Deserialize;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::net::TcpStream;

use super::find::{VERSION_MIN, Version};

/// One look at the port may take this long.
const GREETING_TIMEOUT: Duration = Duration::from_secs(2);
/// INFO is one line; no server's is nearly as long.
const GREETING_BYTES_MAX: u64 = 64 << 10;

/// What the server wrote into its ports file.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct Ports {
    #[serde(default)]
    pub(super) nats: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Info {
    version: String,
    #[serde(default)]
    jetstream: bool,
}

/// The ports of process `pid`, once its file is written whole.
pub(super) fn ports(dir: &Path, pid: u32) -> Option<Ports> {
    let suffix = format!("_{pid}.ports");
    let file = std::fs::read_dir(dir)
        .ok()?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.to_string_lossy().ends_with(&suffix))?;
    let ports: Ports = serde_json::from_slice(&std::fs::read(file).ok()?).ok()?;
    (!ports.nats.is_empty()).then_some(ports)
}

/// Whether the server at `url` greets as one that devmesh can use; the error says what it lacks.
pub(super) async fn greets(url: &str) -> Result<Version, String> {
    tokio::time::timeout(GREETING_TIMEOUT, greeting(url))
        .await
        .map_err(|_| format!("{url} does not greet within {GREETING_TIMEOUT:?}"))?
}

async fn greeting(url: &str) -> Result<Version, String> {
    let address = url.split_once("://").map_or(url, |(_, address)| address);
    let stream = TcpStream::connect(address).await.map_err(|e| format!("{address}: {e}"))?;
    let mut line = String::new();
    BufReader::new(stream.take(GREETING_BYTES_MAX))
        .read_line(&mut line)
        .await
        .map_err(|e| format!("{address}: {e}"))?;
    let info: Info = line
        .strip_prefix("INFO ")
        .and_then(|json| serde_json::from_str(json.trim()).ok())
        .ok_or_else(|| format!("{address} does not greet as NATS does"))?;
    let version =
        Version::parse(&info.version).ok_or_else(|| format!("no version: {:?}", info.version))?;
    if version < VERSION_MIN {
        return Err(format!("version {version} is older than {VERSION_MIN}"));
    }
    if !info.jetstream {
        return Err("JetStream is not ready".to_owned());
    }
    Ok(version)
}
