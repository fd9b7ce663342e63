//! What `up` proposes before it starts anything: tools with their rights and ceilings, and the
//! commands that would prove work in this repository.

use std::path::Path;

use devmesh_agent::profile::Permission;
use devmesh_protocol::RepoId;
use devmesh_protocol::command::mesh::RepoAdd;

use crate::agents::Tool;
use crate::config::Config;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::git::Repo;
use crate::output::Table;

/// Shows what would be started and what it may do.
pub(super) fn show(context: &Context, tools: &[&Tool], repo: &Repo, config: &Config) {
    let out = context.out;
    if tools.is_empty() {
        out.say("no coding CLI found; `devmesh tools` lists those that are looked for");
    } else {
        let mut table = Table::new(&["TOOL", "VERSION", "MAY", "PROGRAM"]);
        for tool in tools {
            let may = tool.permission.map_or("-", Permission::name);
            let version = tool.version.as_deref().unwrap_or("-");
            table.row(&[&tool.tool, version, may, tool.program.as_deref().unwrap_or("-")]);
        }
        out.say(table.render(false).trim_end());
        out.say(format!(
            "ceilings: ${} a task, ${} a day, {} tries, {} s a try",
            config.usd("budget.usd_per_task").unwrap_or_default(),
            config.number("budget.usd_per_day").unwrap_or_default(),
            config.number("budget.max_attempts").unwrap_or_default(),
            config.number("budget.max_wall_s").unwrap_or_default(),
        ));
    }
    if config.verify().is_empty() {
        let proposed = detect(&repo.root);
        if !proposed.is_empty() {
            out.say(format!("work would be proven by: {}", proposed.join("; ")));
        }
    }
}

/// The commands that prove work here: those of the file, else the proposed ones where they were
/// agreed to. What is not agreed to is said, and work is unverified.
pub(crate) fn verify_of(
    context: &Context,
    repo: &Repo,
    config: &Config,
    agreed: bool,
) -> Result<Vec<String>> {
    let said = config.verify();
    if !said.is_empty() || config.is_said("verify.task") {
        return Ok(said);
    }
    let proposed = detect(&repo.root);
    if agreed || proposed.is_empty() {
        return Ok(proposed);
    }
    let list = proposed.iter().map(|one| format!("{one:?}")).collect::<Vec<_>>().join(", ");
    context.out.say(format!(
        "nothing proves work here yet; devmesh.toml could say: [verify] task = [{list}]"
    ));
    Ok(Vec::new())
}

/// The commands that a repository's files speak for.
fn detect(root: &Path) -> Vec<String> {
    let has = |name: &str| root.join(name).exists();
    let text = |name: &str| std::fs::read_to_string(root.join(name)).unwrap_or_default();
    let mut commands = Vec::new();
    if has("Cargo.toml") {
        commands.push("cargo test");
    }
    if text("package.json").contains("\"test\"") {
        commands.push("npm test");
    }
    if has("pytest.ini") || has("conftest.py") || text("pyproject.toml").contains("pytest") {
        commands.push("python3 -m pytest -q");
    }
    if has("go.mod") {
        commands.push("go test ./...");
    }
    let make = text("Makefile");
    if commands.is_empty() && make.lines().any(|line| line.starts_with("test:")) {
        commands.push("make test");
    }
    commands.into_iter().map(str::to_owned).collect()
}

/// The command that adds a repository, from what its file says and what git knows.
pub(crate) fn repo_add(repo: &Repo, config: &Config, verify: Vec<String>) -> Result<RepoAdd> {
    let name = match config.text("repo.name") {
        None => repo.default_name(),
        Some(name) => RepoId::new(name)
            .map_err(|error| Error::usage(format!("devmesh.toml: repo.name: {error}")))?,
    };
    let base = match config.text("repo.base") {
        Some(base) => base.to_owned(),
        None => repo.own_branch("; or say one in devmesh.toml: [repo] base = \"main\"")?,
    };
    if !repo.succeeds([
        "rev-parse",
        "--quiet",
        "--verify",
        &format!("refs/heads/{base}^{{commit}}"),
    ])? {
        return Err(Error::usage(format!("there is no branch {base} in {}", repo.root.display()))
            .hint("say which branch tasks start from in devmesh.toml: [repo] base = \"main\""));
    }
    Ok(RepoAdd {
        name,
        url: config.text("repo.url").map(str::to_owned),
        path: Some(repo.main_root().display().to_string()),
        host: None,
        base: Some(base),
        verify,
        setup: config.text("worktree.setup").map(str::to_owned),
        target: config.text("land.on").map(str::to_owned),
        ignore_case: config.flag("repo.ignore_case"),
        hot: config.is_said("hot.paths").then(|| config.list("hot.paths")),
    })
}

#[cfg(test)]
mod tests;
