//! `devmesh task diff`: what a task changed, from the repository on this machine.

use std::path::Path;

use devmesh_protocol::TaskId;
use devmesh_protocol::view::{RepoView, TaskView};
use serde_json::json;

use crate::context::Context;
use crate::error::{Error, Result};
use crate::git::Repo;
use crate::host::Joined;
use crate::output::clean_lines;

/// Show what a task changed: landed, or as it was last saved
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The task
    #[arg(value_name = "TASK", value_parser = super::task_id)]
    task: TaskId,
    /// Only the names of files and how much of each changed
    #[arg(long)]
    stat: bool,
}

impl Args {
    pub(super) async fn run(self, context: &Context) -> Result<()> {
        let link = context.connect().await?;
        let task = super::one(&link, self.task).await?;
        let repos: Vec<RepoView> = link.list("repos", json!({})).await?;
        let path = repos.into_iter().find(|repo| repo.repo == task.repo);
        let host = Joined::host_at(&context.state()?)?;
        let path = path.filter(|repo| repo.host.is_none() || repo.host == host);
        let path = path.and_then(|repo| repo.path).ok_or_else(|| {
            Error::failed(format!("find repository {} on this machine", task.repo))
                .hint("its diff is where it is checked out")
        })?;
        let repo = Repo::around(Path::new(&path))?
            .ok_or_else(|| Error::failed(format!("find a repository at {path}")))?;
        let (from, to) = range(&repo, &task)?;
        let mut args = vec!["diff", "--no-color", "--no-ext-diff", "--no-textconv"];
        if self.stat {
            args.push("--stat");
        }
        let range = format!("{from}..{to}");
        args.push(&range);
        let diff = repo.read(args)?;
        if context.out.json {
            context.out.json(&json!({ "task": task.task, "from": from, "to": to, "diff": diff }));
        } else {
            context.out.line(clean_lines(&diff));
        }
        Ok(())
    }
}

/// The two commits between which the work lies.
fn range(repo: &Repo, task: &TaskView) -> Result<(String, String)> {
    if let Some(commit) = &task.commit {
        return Ok((format!("{commit}^"), commit.clone()));
    }
    let to = match &task.saved {
        Some(saved) => Some(saved.clone()),
        None => {
            let pattern = format!("refs/devmesh/work/{}/", task.task);
            let args = ["for-each-ref", "--sort=-committerdate", "--count=1"];
            let args = args.into_iter().chain(["--format=%(objectname)", &pattern]);
            Some(repo.read(args)?).filter(|name| !name.is_empty())
        }
    };
    let Some(to) = to else {
        return Err(Error::usage(format!("{} has changed nothing yet", task.task))
            .hint("its worker saves every 15 s"));
    };
    let base = task.attempt.as_ref().and_then(|attempt| attempt.base_commit.clone());
    let from = match base {
        Some(base) => base,
        None => repo.read(["merge-base", &task.base, &to])?,
    };
    Ok((from, to))
}
