//! Bundles: made of what the other end lacks, put into the blob stream, and taken out of it.

use std::collections::BTreeSet;
use std::time::Duration;

use devmesh_bus::client::Client;
use devmesh_bus::media::blob::{self, BLOB_BYTES_MAX};
use devmesh_protocol::{ActorId, Digest};

use super::bus;
use crate::error::{Doing, Error, Result};
use crate::git::{Git, refused};

/// A bundle of a big repository on a slow disk is made, or taken in, within this.
const LIMIT: Duration = Duration::from_secs(600);

/// What travels of a repository: branches, tags, saves and turns.
pub(super) const PLACES: [&str; 4] =
    ["refs/heads", "refs/tags", "refs/devmesh/work", "refs/devmesh/turn"];

/// The repository's refs that travel, `OBJECT NAME` a line.
pub(super) async fn refs_of(git: &Git) -> Result<String> {
    let mut args = vec!["for-each-ref", "--format=%(objectname) %(refname)"];
    args.extend(PLACES);
    git.run(&args).await
}

/// Those objects that are here.
pub(super) async fn present(git: &Git, objects: &BTreeSet<String>) -> Result<BTreeSet<String>> {
    let asked: String = objects.iter().map(|object| format!("{object}\n")).collect();
    let args = ["cat-file", "--batch-check=%(objectname)"];
    let said = git.run_with(&args, asked.as_bytes()).await?;
    // One that is not here is told with ` missing` behind it.
    Ok(said.lines().filter(|line| !line.contains(' ')).map(str::to_owned).collect())
}

/// Puts a bundle of these refs into the stream, less what the other end has; none where it has
/// all of it.
pub(super) async fn put(
    client: &Client,
    git: &Git,
    names: &[String],
    has: &BTreeSet<String>,
) -> Result<Option<Digest>> {
    let file = tempfile::NamedTempFile::new().doing(|| "create a file for a bundle".into())?;
    let path = file.path().to_string_lossy().into_owned();
    let mut listed: String = has.iter().map(|object| format!("^{object}\n")).collect();
    names.iter().for_each(|name| listed += &format!("{name}\n"));
    let args = ["bundle", "create", "--quiet", &path, "--stdin"];
    let made = git.clone().within(LIMIT).try_run(&args, listed.as_bytes()).await?;
    if made.code != 0 {
        if made.stderr.contains("empty bundle") {
            return Ok(None);
        }
        return Err(refused(&args, &made));
    }
    let size = file.path().metadata().doing(|| "measure a bundle".into())?.len();
    if size > BLOB_BYTES_MAX as u64 {
        return Err(Error::BundleTooLarge { bytes: size, max_bytes: BLOB_BYTES_MAX as u64 });
    }
    let bytes = tokio::fs::read(file.path()).await.doing(|| "read a bundle".into())?;
    let digest = blob::put(client, &bytes).await.map_err(bus("store a bundle"))?;
    tracing::debug!(%digest, size, "a bundle is on its way");
    Ok(Some(digest))
}

/// Takes the objects of somebody's bundle in, and nothing else of it. Whatever it builds on must
/// be here.
pub(super) async fn take(
    client: &Client,
    git: &Git,
    owner: &ActorId,
    digest: &Digest,
) -> Result<()> {
    let bytes = blob::get(client, owner, digest).await.map_err(bus("get a bundle"))?;
    let file = tempfile::NamedTempFile::new().doing(|| "create a file for a bundle".into())?;
    tokio::fs::write(file.path(), bytes).await.doing(|| "write a bundle".into())?;
    let path = file.path().to_string_lossy().into_owned();
    let git = git.clone().within(LIMIT);
    git.run(&["bundle", "verify", "--quiet", &path]).await?;
    git.run(&["bundle", "unbundle", &path]).await.map(|_| ())
}
