//! `devmesh tunnel`: git's wire to a repository of another host, which git itself starts.

use std::os::fd::AsFd;

use tokio::fs::File;
use tokio::io::AsyncWriteExt;

use crate::context::Context;
use crate::error::{Error, Result};
use crate::host::Joined;

/// Carry git to a repository of the host that has the mesh (started by git)
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// git-upload-pack or git-receive-pack
    service: String,
    /// The repository's name in the mesh
    repo: String,
}

impl Args {
    pub(super) async fn run(self, context: &Context) -> Result<()> {
        let state = context.state()?;
        let wire = Joined::here(&state)?.git(&state, &self.service, &self.repo).await?;
        let (mut from, mut to) = tokio::io::split(wire);
        let failed = |error| Error::unreachable("carry git").because(error);
        let mut stdin = opened(std::io::stdin()).map_err(failed)?;
        let mut stdout = opened(std::io::stdout()).map_err(failed)?;
        let say = async {
            let _ = tokio::io::copy(&mut stdin, &mut to).await;
            let _ = to.shutdown().await;
            // The other end has the last word.
            std::future::pending::<()>().await;
        };
        let hear = async {
            tokio::io::copy(&mut from, &mut stdout).await?;
            stdout.flush().await
        };
        tokio::select! {
            () = say => Ok(()),
            heard = hear => heard.map_err(failed),
        }
    }
}

/// A stream of this process without the line buffer that stands before it.
fn opened(stream: impl AsFd) -> std::io::Result<File> {
    let fd = stream.as_fd().try_clone_to_owned()?;
    Ok(File::from_std(std::fs::File::from(fd)))
}
