//! The stand-in coding CLI; see [`devmesh_testkit::scripted`] for its prompt and its output.

use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use devmesh_testkit::scripted::{Ending, Options, run};
use tokio::signal::unix::{SignalKind, signal};

/// Does what the fenced blocks of its prompt say, and tells about it in JSON lines.
#[derive(Debug, Parser)]
#[command(name = "devmesh-scripted", version)]
struct Args {
    /// Read the prompt from a file instead of stdin.
    #[arg(long, value_name = "FILE")]
    prompt_file: Option<PathBuf>,
    /// Which attempt this is.
    #[arg(long, env = "DEVMESH_ATTEMPT", default_value_t = 1)]
    attempt: u32,
    /// Go on with a session.
    #[arg(long, value_name = "SESSION")]
    resume: Option<String>,
    /// Milliseconds before each block.
    #[arg(long, value_name = "MS", default_value_t = 0)]
    delay_ms: u64,
    /// Fail when everything is done.
    #[arg(long)]
    fail: bool,
    /// Never end when everything is done.
    #[arg(long)]
    hang: bool,
    /// Leave a child in a session of its own.
    #[arg(long)]
    spawn_stray: bool,
    /// Ignore SIGTERM.
    #[arg(long)]
    ignore_term: bool,
    /// Be that child for so many seconds.
    #[arg(long, value_name = "SECONDS", hide = true)]
    stray: Option<u64>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    match begin(&args) {
        Ok(Ending::Done) => ExitCode::SUCCESS,
        Ok(Ending::Failed) => ExitCode::FAILURE,
        Err(error) => {
            // Nobody is left to tell when stderr is gone too.
            let _ = writeln!(io::stderr(), "devmesh-scripted failed: {error}");
            ExitCode::FAILURE
        }
    }
}

fn begin(args: &Args) -> io::Result<Ending> {
    if let Some(seconds) = args.stray {
        nix::unistd::setsid()?;
        std::thread::sleep(Duration::from_secs(seconds));
        return Ok(Ending::Done);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(work(args))
}

async fn work(args: &Args) -> io::Result<Ending> {
    // A handler that is never asked is how safe code ignores a signal.
    let _deaf = match args.ignore_term {
        true => Some(signal(SignalKind::terminate())?),
        false => None,
    };
    let prompt = match &args.prompt_file {
        Some(path) => std::fs::read_to_string(path)?,
        None => {
            let mut prompt = String::new();
            io::stdin().read_to_string(&mut prompt)?;
            prompt
        }
    };
    let stray = match args.spawn_stray {
        true => Some((std::env::current_exe()?, vec!["--stray".to_owned(), "600".to_owned()])),
        false => None,
    };
    let options = Options {
        cwd: None,
        attempt: args.attempt,
        resume: args.resume.clone(),
        delay_ms: args.delay_ms,
        fail: args.fail,
        hang: args.hang,
        stray,
    };
    run(&prompt, &options, &mut io::stdout().lock()).await
}
