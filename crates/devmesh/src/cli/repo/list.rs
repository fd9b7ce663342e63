//! `devmesh repo list`: the repositories of the mesh.

use devmesh_protocol::view::RepoView;
use serde_json::json;

use crate::context::Context;
use crate::error::Result;
use crate::output::Table;

/// List the repositories
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

impl Args {
    pub(super) async fn run(self, context: &Context) -> Result<()> {
        context.list("repos", json!({}), |repos| show(context, repos)).await
    }
}

fn show(context: &Context, repos: Vec<RepoView>) {
    let mut table = Table::new(&["REPO", "FROM", "LANDS ON", "PROVEN BY", "WHERE"]);
    for repo in repos {
        let verify = repo.verify.join("; ");
        let verify = if verify.is_empty() { "nothing (unverified)" } else { &verify };
        let place = match (&repo.host, repo.path) {
            (Some(host), Some(path)) => format!("{host}:{path}"),
            (_, path) => path.or(repo.url).unwrap_or_default(),
        };
        table.row(&[repo.repo.as_str(), &repo.base, &repo.target, verify, &place]);
    }
    context.out.table(&table, "no repositories; `devmesh up` adds the one you stand in");
}
