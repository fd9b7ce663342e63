//! Several may begin a mesh at once: one supervises it, the others wait until it serves.

use std::fs::{File, TryLockError};
use std::time::{Duration, Instant};

use crate::error::{Error, Result};
use crate::state_dir::{RunFile, StateDir};

/// How long another's start may take: its coordinator reads the whole log first.
const WITHIN: Duration = Duration::from_secs(120);
/// How often it is looked at.
const LOOK: Duration = Duration::from_millis(50);

/// What one process holds for as long as it supervises a mesh; none where another does.
pub(super) fn alone(state: &StateDir) -> Result<Option<File>> {
    let file = open(state)?;
    held(state, file.try_lock()).map(|is_held| (!is_held).then_some(file))
}

/// Waits until the mesh that another process begins serves; none where that one has ended.
pub(crate) async fn begun(state: &StateDir) -> Result<Option<RunFile>> {
    let deadline = Instant::now() + WITHIN;
    let file = open(state)?;
    loop {
        if let Some(run) = RunFile::read(state)?.filter(|run| run.ready)
            && run.supervisor().is_some()
        {
            return Ok(Some(run));
        }
        if !held(state, file.try_lock_shared())? {
            return Ok(None);
        }
        if Instant::now() >= deadline {
            return Err(Error::failed(format!("see mesh {} serve", state.mesh))
                .because(format!("another `devmesh up` has begun it {} s ago", WITHIN.as_secs()))
                .hint(format!("its log is {}", state.log_of("up").display())));
        }
        tokio::time::sleep(LOOK).await;
    }
}

fn open(state: &StateDir) -> Result<File> {
    let path = state.path.join("up.lock");
    let file = File::options().create(true).truncate(false).write(true).open(&path);
    file.map_err(|error| {
        Error::failed(format!("open {}", path.display()))
            .because(error)
            .hint("it must be yours to write: chmod u+w it, or remove it while no mesh runs")
    })
}

fn held(state: &StateDir, tried: std::result::Result<(), TryLockError>) -> Result<bool> {
    match tried {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => {
            Err(Error::failed(format!("lock {}", state.path.join("up.lock").display()))
                .because(error))
        }
    }
}
