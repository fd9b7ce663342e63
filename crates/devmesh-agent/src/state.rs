//! What an agent keeps on disk between its processes: its session, and which trees have passed.

use std::fs::File;
use std::path::Path;

use devmesh_protocol::{Digest, SessionId};

use crate::error::{Doing, Error, Result};

/// Proofs kept; the oldest go.
const PROOFS_MAX: usize = 1_000;

/// Keeps a second process of the same actor out: both would fence each other's tools.
///
/// # Errors
/// [`Error::Running`] where there is one.
pub(crate) fn lock(state: &Path, actor: &str) -> Result<File> {
    std::fs::create_dir_all(state).doing(|| format!("create {}", state.display()))?;
    let path = state.join("lock");
    let file = File::options().create(true).truncate(false).write(true).open(&path);
    let file = file.doing(|| format!("open {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(_) => Err(Error::Running { actor: actor.to_owned(), lock: path }),
    }
}

/// The session of the process before, which may still live, else a new one.
pub(crate) async fn session(state: &Path) -> SessionId {
    let text = tokio::fs::read_to_string(state.join("session")).await.unwrap_or_default();
    if let Ok(session) = SessionId::new(text.trim()) {
        return session;
    }
    let session = crate::id::session();
    keep_session(state, &session).await;
    session
}

/// Notes the session that a next process may go on with.
pub(crate) async fn keep_session(state: &Path, session: &SessionId) {
    if let Err(error) =
        crate::file::replace(&state.join("session"), session.as_str().as_bytes()).await
    {
        // A next process begins a session of its own then.
        tracing::warn!(%error, "the session was not noted");
    }
}

/// A session that was left is nobody's to go on with.
pub(crate) async fn forget_session(state: &Path) {
    let _ = tokio::fs::remove_file(state.join("session")).await;
}

/// A tree together with the commands that prove it.
pub(crate) fn proof_name(tree: &str, commands: &[String]) -> String {
    let digest = Digest::of(commands.join("\0").as_bytes());
    format!("{tree}:{}", digest.short())
}

/// Whether those commands have passed on that tree.
pub(crate) async fn is_proven(state: &Path, name: &str) -> bool {
    let text = tokio::fs::read_to_string(state.join("proven")).await.unwrap_or_default();
    text.lines().any(|line| line == name)
}

/// Notes that they have.
pub(crate) async fn prove(state: &Path, name: &str) {
    let path = state.join("proven");
    let text = tokio::fs::read_to_string(&path).await.unwrap_or_default();
    let mut lines: Vec<&str> = text.lines().filter(|line| *line != name).collect();
    lines.push(name);
    let kept = lines.split_off(lines.len().saturating_sub(PROOFS_MAX)).join("\n");
    if let Err(error) = crate::file::replace(&path, kept.as_bytes()).await {
        // It is verified once more then.
        tracing::debug!(%error, "a proof was not noted");
    }
}
