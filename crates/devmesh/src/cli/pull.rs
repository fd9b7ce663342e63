//! `devmesh pull`: what has landed comes into one's own branch, by fast-forward or not at all.

use serde_json::json;

use crate::context::Context;
use crate::error::Result;
use crate::git::Repo;
use crate::output::clean;

/// Fast-forward your branch to what has landed
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

impl Args {
    pub(super) async fn run(self, context: &Context) -> Result<()> {
        let repo = Repo::here()?;
        let branch = repo.own_branch("")?;
        let landed = format!("devmesh/landed/{branch}");
        let full = format!("refs/heads/{landed}^{{commit}}");
        if !repo.succeeds(["rev-parse", "--quiet", "--verify", &full])? {
            return nothing(context, &branch, "nothing has landed on it yet");
        }
        let before = repo.read(["rev-parse", "HEAD"])?;
        let range = format!("HEAD..{landed}");
        let count = repo.read(["rev-list", "--count", &range])?;
        if count == "0" {
            return nothing(context, &branch, "it has all that landed");
        }
        let titles = repo.read(["log", "--reverse", "--format=%h %s", &range])?;
        let merged = repo.read(["merge", "--ff-only", "--quiet", &landed]);
        if let Err(error) = merged {
            let ahead = repo.read(["rev-list", "--count", &format!("{landed}..HEAD")])?;
            let hint = if ahead == "0" {
                "commit or stash your own changes to these files, then pull again".to_owned()
            } else {
                format!(
                    "your branch has {ahead} commits of its own; the next landing takes them in, \
                     or: git rebase {landed}"
                )
            };
            return Err(error.hint(hint));
        }
        if context.out.json {
            let after = repo.read(["rev-parse", "HEAD"])?;
            context.out.json(&json!({ "branch": branch, "from": before, "to": after }));
            return Ok(());
        }
        for title in titles.lines() {
            context.out.line(clean(title));
        }
        let commits = if count == "1" { "commit" } else { "commits" };
        context.out.say(format!("{branch} is {count} {commits} further"));
        Ok(())
    }
}

fn nothing(context: &Context, branch: &str, why: &str) -> Result<()> {
    if context.out.json {
        context.out.json(&json!({ "branch": branch, "from": null, "to": null }));
    } else {
        context.out.say(format!("nothing to pull into {branch}: {why}"));
    }
    Ok(())
}
