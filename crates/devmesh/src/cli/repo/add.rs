//! `devmesh repo add`: the repository one stands in joins the mesh, or is known anew.

use devmesh_protocol::{RepoId, Verb};

use crate::cli::up::{repo_add, verify_of};
use crate::config::Config;
use crate::context::Context;
use crate::error::Result;
use crate::git::Repo;
use crate::host::Joined;

/// Add the repository you stand in; adding it again takes what its devmesh.toml says now
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Its name in the mesh
    #[arg(long, value_name = "NAME")]
    name: Option<RepoId>,
    /// The branch that tasks start from
    #[arg(long, value_name = "BRANCH")]
    base: Option<String>,
    /// Where other hosts get it from
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// A shell command that proves work; may be said again
    #[arg(long, value_name = "COMMAND")]
    verify: Vec<String>,
    /// Take the commands that its files speak for
    #[arg(long, short)]
    yes: bool,
}

impl Args {
    pub(super) async fn run(self, context: &Context) -> Result<()> {
        let repo = Repo::here()?;
        let config = Config::load(Some(&repo.root))?;
        let verify = if self.verify.is_empty() {
            verify_of(context, &repo, &config, self.yes)?
        } else {
            self.verify
        };
        let mut body = repo_add(&repo, &config, verify)?;
        body.name = self.name.unwrap_or(body.name);
        body.base = self.base.or(body.base);
        body.url = self.url.or(body.url);
        let link = context.connect().await?;
        let state = context.state()?;
        body.host = Joined::host_at(&state)?;
        if state.path.is_dir() {
            state.link(&repo)?;
        }
        let name = body.name.clone();
        let reply = link.submit(Verb::RepoAdd(body)).await?;
        context.out.answer(reply, |_, _| context.out.line(name.as_str()))
    }
}
