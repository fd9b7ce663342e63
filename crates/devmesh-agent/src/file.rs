//! Writing files so that a crash leaves the old or the new content, never half of one.

use std::path::Path;

use tokio::io::AsyncWriteExt;

use crate::error::{Doing, Result};

/// Replaces a file's content durably: written beside it, synced, renamed over it. Its owner alone
/// may read it, for what is kept here has words of runs in it.
///
/// # Errors
/// When any of the steps fails; the old content stands then.
pub(crate) async fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let parent = path.parent().unwrap_or(Path::new("."));
    tokio::fs::create_dir_all(parent).await.doing(|| format!("create {}", parent.display()))?;
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(".new");
    let fresh = path.with_file_name(name);
    let write = async {
        // One that a crash left behind keeps its mode when opened again.
        let _ = tokio::fs::remove_file(&fresh).await;
        let mut options = tokio::fs::File::options();
        let mut file = options.write(true).create_new(true).mode(0o600).open(&fresh).await?;
        file.write_all(bytes).await?;
        file.sync_all().await?;
        tokio::fs::rename(&fresh, path).await?;
        tokio::fs::File::open(parent).await?.sync_all().await
    };
    write.await.doing(|| format!("write {}", path.display()))
}

#[cfg(test)]
mod tests;
