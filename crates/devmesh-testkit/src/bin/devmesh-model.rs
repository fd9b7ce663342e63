//! The scripted model server as a program; see [`devmesh_testkit::model`].

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use devmesh_testkit::model::{Options, Script, Server};
use tokio::signal::unix::{SignalKind, signal};

/// Answers coding CLIs from a script, on the loopback address.
#[derive(Debug, Parser)]
#[command(name = "devmesh-model", version)]
struct Args {
    /// The port; 0 takes a free one. The first line of stdout is the URL.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// More scenarios: a JSON object of scripts by name.
    #[arg(long, value_name = "FILE")]
    scenarios: Option<PathBuf>,
    /// The scenario of requests that name none.
    #[arg(long, value_name = "NAME")]
    default: Option<String>,
    /// Where each request goes as a line of JSON.
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    match begin(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody is left to tell when stderr is gone too.
            let _ = writeln!(io::stderr(), "devmesh-model failed: {error}");
            ExitCode::FAILURE
        }
    }
}

fn begin(args: Args) -> io::Result<()> {
    let scenarios = match &args.scenarios {
        Some(path) => read_scenarios(path)?,
        None => BTreeMap::new(),
    };
    let Args { port, default, log, .. } = args;
    let options = Options { port, scenarios, default, log };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(serve(options))
}

fn read_scenarios(path: &Path) -> io::Result<BTreeMap<String, Script>> {
    serde_json::from_str(&std::fs::read_to_string(path)?)
        .map_err(|why| io::Error::other(format!("{}: {why}", path.display())))
}

async fn serve(options: Options) -> io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let server = Server::start_with(options).await?;
    writeln!(io::stdout(), "{}", server.url())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    server.stop().await;
    Ok(())
}
