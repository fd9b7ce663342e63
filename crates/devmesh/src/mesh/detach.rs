//! `up -d`: the supervising process in a session of its own, without a terminal.

use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::Command;
use tokio::time::timeout;

use super::plan::Plan;
use crate::error::{Error, Result};
use crate::exit::Exit;
use crate::output::say;
use crate::state_dir::{RunFile, StateDir};

/// What the supervising process says on stdout when the mesh serves.
pub(crate) const READY: &str = "ready";
/// What it says where another process supervises the mesh.
pub(crate) const TAKEN: &str = "taken";

/// How long to listen once all is said.
const LAST_WORDS: Duration = Duration::from_millis(30);

/// Starts the supervising process and waits until the mesh serves, or it has failed. What it says
/// meanwhile is passed on. None where another supervises the mesh already.
///
/// The plan goes through a pipe: of several that begin a mesh at once each has its own.
pub(crate) async fn detach(state: &StateDir, plan: &Plan) -> Result<Option<RunFile>> {
    let failed = || Error::failed("start the supervising process");
    let text = serde_json::to_string(plan).map_err(|error| failed().because(error))?;
    let exe = std::env::current_exe().map_err(|error| failed().because(error))?;
    let mut child = Command::new(exe)
        .arg("supervise")
        .args(["--mesh", state.mesh.as_str(), "--state-dir"])
        .arg(&state.path)
        .args(["--log-file".as_ref(), state.log_of("up").as_os_str()])
        // Its folder must not keep a person from removing theirs.
        .current_dir(&state.path)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| failed().because(error))?;
    let mut stdin = child.stdin.take().ok_or_else(failed)?;
    // One that ends before it has read says why itself.
    let _ = stdin.write_all(text.as_bytes()).await;
    drop(stdin);
    let stderr = child.stderr.take().ok_or_else(failed)?;
    let stdout = child.stdout.take().ok_or_else(failed)?;
    let mut talk = BufReader::new(stderr).lines();
    let mut ready = BufReader::new(stdout).lines();
    loop {
        tokio::select! {
            Ok(Some(line)) = talk.next_line() => say(line),
            line = ready.next_line() => match line {
                Ok(Some(line)) if line == TAKEN => return Ok(None),
                Ok(Some(_)) => {
                    // What it said before that is in the pipe already.
                    while let Ok(Ok(Some(line))) = timeout(LAST_WORDS, talk.next_line()).await {
                        say(line);
                    }
                    break;
                }
                Ok(None) | Err(_) => return Err(ended(child, talk).await),
            },
        }
    }
    RunFile::read(state)?.map(Some).ok_or_else(|| failed().because("it ended at once"))
}

/// What it said last, and its exit as ours.
async fn ended(
    mut child: tokio::process::Child,
    mut talk: tokio::io::Lines<BufReader<tokio::process::ChildStderr>>,
) -> Error {
    while let Ok(Some(line)) = talk.next_line().await {
        say(line);
    }
    let code = child.wait().await.ok().and_then(|status| status.code());
    let known = [Exit::Usage, Exit::Rejected, Exit::Unreachable, Exit::Unknown];
    let exit = known.into_iter().find(|exit| Some(i32::from(exit.code())) == code);
    Error::silent(exit.unwrap_or(Exit::Failed))
}
