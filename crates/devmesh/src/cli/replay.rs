//! `devmesh replay`: the log folded, checked, exported, as it stood at any record.

use devmesh_replay::Source;

use crate::context::Context;
use crate::error::Result;

/// Replay the log: the mesh at any record, its proof, its export
#[derive(Debug, clap::Args)]
#[group(skip)]
pub(crate) struct Args {
    #[command(flatten)]
    inner: devmesh_replay::Args,
}

impl Args {
    pub(super) async fn run(self, context: &Context) -> Result<()> {
        let mut inner = self.inner;
        inner.json |= context.out.json;
        let source = match inner.from {
            Some(_) => None,
            None => Some(super::log::source(context)?),
        };
        print(&inner, source).await
    }
}

/// Runs replay onto stdout.
pub(super) async fn print(args: &devmesh_replay::Args, source: Option<Source>) -> Result<()> {
    let token = crate::mesh::shutdown()?;
    let mut out = std::io::stdout();
    match devmesh_replay::run(args, source, &mut out, token).await {
        Ok(()) => Ok(()),
        Err(error) => super::log::told(error),
    }
}
