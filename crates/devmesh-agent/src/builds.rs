//! Places for builds: setup and verify commands of all agents of a host run so many at once and no
//! more. They are what takes its processors and memory; the tools mostly wait for a model.
//!
//! A place is a file with a lock on it, which the system frees when its holder dies. A holder that
//! stands still (stopped, or its machine was asleep) would keep it for as long as it does: it
//! marks its file every second, and past one that has not been marked for long the next goes on.
//! So places are kept in as a rule, and nobody's work waits for ever on them.

#[cfg(test)]
mod tests;

use std::fmt;
use std::fs::{File, TryLockError};
use std::io::{Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use crate::error::{Doing, Error, Result};

/// Most places of a host.
pub const BUILD_SLOTS_MAX: u16 = 512;
/// A place for so many processors: most builds use several.
const CPUS_PER_BUILD: usize = 4;
/// Between two looks for a free place.
const LOOK: Duration = Duration::from_millis(100);
/// Between two marks of a holder.
const MARK: Duration = Duration::from_secs(1);
/// A holder that has not marked its place for so long stands still.
const STILL: Duration = Duration::from_secs(10);
/// Bytes of a place's file that are read: one line, written by an agent of the same person.
const NAME_BYTES_MAX: usize = 200;

/// Places where nobody says how many: one to four processors, and one at least.
pub fn default_places() -> u16 {
    let cpus = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    u16::try_from(cpus / CPUS_PER_BUILD).unwrap_or(BUILD_SLOTS_MAX).clamp(1, BUILD_SLOTS_MAX)
}

/// The way of one attempt to the places for builds of its host.
#[derive(Clone)]
pub struct Builds {
    folder: PathBuf,
    places: u16,
    /// Who builds, for those who wait.
    who: String,
    on_wait: Arc<dyn Fn(Vec<String>) + Send + Sync>,
    waited_ms: Arc<AtomicU64>,
}

impl fmt::Debug for Builds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Builds { folder, places, who, .. } = self;
        f.debug_struct("Builds")
            .field("folder", folder)
            .field("places", places)
            .field("who", who)
            .finish_non_exhaustive()
    }
}

/// A place, held until dropped; none where all holders of places stand still.
#[derive(Debug)]
pub(crate) struct Held(Option<(File, tokio::task::AbortHandle)>);

impl Held {
    fn new(file: File) -> Held {
        let _ = file.set_modified(SystemTime::now());
        let Ok(marked) = file.try_clone() else { return Held(None) };
        let marking = tokio::spawn(async move {
            loop {
                tokio::time::sleep(MARK).await;
                let _ = marked.set_modified(SystemTime::now());
            }
        });
        Held(Some((file, marking.abort_handle())))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let Some((file, marking)) = &self.0 else { return };
        marking.abort();
        // Whose it was says nothing any more. The task that marks has the file too, for a while.
        let _ = file.set_len(0);
        let _ = file.unlock();
    }
}

impl Builds {
    /// Places in that folder, for `who`. `on_wait` is told once for each command that finds none
    /// free, with those who have them.
    pub fn new(
        folder: PathBuf,
        places: u16,
        who: String,
        on_wait: impl Fn(Vec<String>) + Send + Sync + 'static,
    ) -> Builds {
        Builds { folder, places, who, on_wait: Arc::new(on_wait), waited_ms: Arc::default() }
    }

    /// How long was waited for places by now; it counts for no limit.
    pub fn waited(&self) -> Duration {
        Duration::from_millis(self.waited_ms.load(Ordering::Relaxed))
    }

    /// Takes a place, as soon as there is one. Dropping the future ends the wait.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub(crate) async fn take(&self) -> Result<Held> {
        let folder = &self.folder;
        std::fs::create_dir_all(folder).doing(|| format!("create {}", folder.display()))?;
        let asked = Instant::now();
        let mut is_told = false;
        loop {
            if let Some(held) = self.try_take()? {
                if is_told {
                    let ms = u64::try_from(asked.elapsed().as_millis()).unwrap_or(u64::MAX);
                    self.waited_ms.fetch_add(ms, Ordering::Relaxed);
                }
                return Ok(held);
            }
            if !std::mem::replace(&mut is_told, true) {
                (self.on_wait)(self.holders());
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    fn try_take(&self) -> Result<Option<Held>> {
        let mut stands_still = false;
        for place in 1..=self.places {
            let path = self.folder.join(place.to_string());
            let doing = || format!("open {}", path.display());
            let mut file = File::options()
                .create(true)
                .truncate(false)
                .write(true)
                .open(&path)
                .doing(doing)?;
            match file.try_lock() {
                Ok(()) => {
                    // A place without a name is one all the same.
                    let _ = file.set_len(0);
                    let _ = file.rewind().and_then(|()| file.write_all(self.who.as_bytes()));
                    return Ok(Some(Held::new(file)));
                }
                Err(TryLockError::WouldBlock) => stands_still |= is_still(&file),
                Err(TryLockError::Error(source)) => {
                    return Err(Error::io(format!("lock {}", path.display()), source));
                }
            }
        }
        Ok(stands_still.then_some(Held(None)))
    }

    /// Who has the places, as far as it was written.
    fn holders(&self) -> Vec<String> {
        let names = (1..=self.places).filter_map(|place| name_in(&self.folder, place));
        names.filter(|name| !name.is_empty()).collect()
    }
}

/// Whether the holder has not marked it for long.
fn is_still(file: &File) -> bool {
    let marked = file.metadata().and_then(|it| it.modified());
    marked.is_ok_and(|at| at.elapsed().is_ok_and(|since| since > STILL))
}

fn name_in(folder: &Path, place: u16) -> Option<String> {
    let mut bytes = std::fs::read(folder.join(place.to_string())).ok()?;
    bytes.truncate(NAME_BYTES_MAX);
    Some(crate::text::line(&crate::text::plain(&String::from_utf8_lossy(&bytes))))
}
