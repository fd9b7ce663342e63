//! `devmesh task add`: queues work.

use std::io::{IsTerminal, Read};
use std::path::{Path, PathBuf};

use devmesh_protocol::command::task::{Add, Flow, Kind, ReviewBy, Usd};
use devmesh_protocol::limits::{LINE_CHARS_MAX, TEXT_BYTES_MAX};
use devmesh_protocol::{RepoId, TaskId, Verb};
use serde_json::{Value, json};

use crate::config::Config;
use crate::context::{Context, Link, repo_here};
use crate::error::{Error, Result};

/// Queue a task; prints its id
///
/// The text comes from the command line, a file (-F), or stdin (`-`). Its first line is the title
/// unless --title says another.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// What is to be done; `-`, or nothing where stdin is no terminal, reads it from there
    #[arg(conflicts_with_all = ["file", "jsonl"])]
    text: Option<String>,
    /// Read what is to be done from a file
    #[arg(long, short = 'F', value_name = "FILE", conflicts_with = "jsonl")]
    file: Option<PathBuf>,
    /// Read tasks from stdin, one JSON object a line, with the fields of `task.add`
    #[arg(long)]
    jsonl: bool,
    #[command(flatten)]
    spec: Spec,
}

/// What a task is, beside its text.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct Spec {
    /// One line that names it
    #[arg(long, value_name = "TEXT")]
    title: Option<String>,
    /// The paths it will touch, as far as known; a folder means all in it; a,b or said again
    #[arg(long, value_name = "PATH", value_delimiter = ',')]
    paths: Vec<String>,
    /// A shell command that proves it; may be said again
    #[arg(long, value_name = "COMMAND")]
    verify: Vec<String>,
    /// 0 urgent … 4 idle; 2 where nothing is said
    #[arg(long, value_name = "0-4", value_parser = clap::value_parser!(u8).range(0..=4))]
    priority: Option<u8>,
    /// Tasks that must be completed before: a,b or said again
    #[arg(long, value_name = "TASK", value_delimiter = ',')]
    #[arg(value_parser = super::task_id)]
    after: Vec<TaskId>,
    /// Who looks at the diff before it lands: none, agent, person
    #[arg(long, value_name = "WHO", value_parser = review)]
    review: Option<ReviewBy>,
    /// The tool it must be
    #[arg(long, value_name = "NAME")]
    tool: Option<String>,
    /// Tools to hand it to when its own gives up
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    backup_tools: Vec<String>,
    /// Capabilities that the agent must have
    #[arg(long, value_name = "WORD", value_delimiter = ',')]
    needs: Vec<String>,
    /// Unique in the repository: a second task with it is the first one
    #[arg(long, value_name = "TEXT")]
    key: Option<String>,
    /// The branch it starts from
    #[arg(long, value_name = "BRANCH")]
    base: Option<String>,
    /// The repository; the one you stand in, where nothing is said
    #[arg(long, value_name = "NAME")]
    repo: Option<RepoId>,
    /// What becomes of the work: merge, branch, pr, patch
    #[arg(long, value_name = "FLOW", value_parser = flow)]
    flow: Option<Flow>,
    /// Tries until it has failed
    #[arg(long, value_name = "N")]
    max_attempts: Option<u32>,
    /// Cost ceiling in US dollars
    #[arg(long, value_name = "USD", value_parser = usd, allow_negative_numbers = true)]
    max_cost_usd: Option<Usd>,
    /// Limit of one try, in seconds
    #[arg(long, value_name = "SECONDS")]
    max_wall_s: Option<u64>,
    /// The task it is part of
    #[arg(long, value_name = "TASK", value_parser = super::task_id)]
    parent: Option<TaskId>,
    /// Others may write its declared paths at the same time
    #[arg(long)]
    share: bool,
}

fn word<T: serde::de::DeserializeOwned>(text: &str, words: &str) -> std::result::Result<T, String> {
    serde_json::from_value(Value::from(text)).map_err(|_| format!("it is one of {words}"))
}

fn review(text: &str) -> std::result::Result<ReviewBy, String> {
    word(text, "none, agent, person")
}

fn flow(text: &str) -> std::result::Result<Flow, String> {
    word(text, "merge, branch, pr, patch")
}

fn usd(text: &str) -> std::result::Result<Usd, String> {
    let amount: f64 = text.parse().map_err(|_| "an amount such as 2.50 is expected".to_owned())?;
    if !(0.0..=1_000_000.0).contains(&amount) {
        return Err("an amount from 0 to 1000000 is expected".to_owned());
    }
    serde_json::from_value(json!(amount)).map_err(|error| error.to_string())
}

impl Args {
    pub(super) async fn run(self, context: &Context) -> Result<()> {
        if self.jsonl {
            let tasks = lines(context, &self.spec)?;
            let link = context.connect().await?;
            let repo = repo_of(context, &link, &self.spec).await?;
            for mut task in tasks {
                task.repo = task.repo.or_else(|| repo.clone());
                queue(context, &link, task).await?;
            }
            return Ok(());
        }
        let text = text_of(self.text.as_deref(), self.file.as_deref(), "the task")?;
        let link = context.connect().await?;
        let task = build(context, &link, self.spec, &text).await?;
        queue(context, &link, task).await
    }
}

/// The text from the command line, a file, or stdin.
pub(crate) fn text_of(text: Option<&str>, file: Option<&Path>, what: &str) -> Result<String> {
    match (text, file) {
        (_, Some(path)) => from_file(path),
        (Some("-"), None) => from_stdin(),
        (Some(text), None) => Ok(text.to_owned()),
        (None, None) if std::io::stdin().is_terminal() => {
            Err(Error::usage(format!("{what} has no text"))
                .hint("say what is to be done, name a file with -F, or pipe it in"))
        }
        (None, None) => from_stdin(),
    }
}

/// The command for a goal to be planned. What the repository's file says of tasks holds for
/// those that it will become.
pub(crate) async fn goal(
    context: &Context,
    link: &Link,
    (repo, base): (Option<RepoId>, Option<String>),
    text: &str,
    approve: bool,
) -> Result<Add> {
    let spec = Spec { repo, base, ..Spec::default() };
    let task = build(context, link, spec, text).await?;
    Ok(Add {
        kind: Kind::Plan,
        review: if approve { ReviewBy::Person } else { ReviewBy::None },
        review_each: task.review,
        ..task
    })
}

/// Sends one and prints its id.
pub(crate) async fn queue(context: &Context, link: &Link, task: Add) -> Result<()> {
    let reply = link.submit(Verb::TaskAdd(task)).await?;
    context.out.answer(reply, |result, _| {
        context.out.line(result.get("task").and_then(Value::as_str).unwrap_or_default());
    })
}

/// The command for a text and what was said beside it; what the repository's file says fills in.
pub(crate) async fn build(context: &Context, link: &Link, spec: Spec, text: &str) -> Result<Add> {
    let (title, prompt) = parts(spec.title.as_deref(), text)?;
    let repo = repo_of(context, link, &spec).await?;
    let mut task = Add { title, prompt, repo, ..with_defaults(context, &spec)? };
    task.paths = super::super::paths::resolve(context, &spec.paths)?;
    task.base = spec.base;
    task.priority = spec.priority;
    task.depends_on = spec.after;
    task.needs = spec.needs;
    task.tool = spec.tool;
    task.key = spec.key;
    task.verify = spec.verify;
    task.backup_tools = spec.backup_tools;
    task.parent = spec.parent;
    task.share = spec.share;
    Ok(task)
}

/// What the repository's file says of tasks, unless the command line does.
fn with_defaults(context: &Context, spec: &Spec) -> Result<Add> {
    let root = context.repo().unwrap_or_default().map(|repo| repo.root);
    let config = Config::load(root.as_deref())?;
    let said = |name: &str| config.is_said(name);
    let text = |name: &str| config.text(name).unwrap_or_default().to_owned();
    let problem = |error: String| Error::usage(format!("devmesh.toml: {error}"));
    let review = match spec.review {
        Some(review) => review,
        None if said("review.by") => review(&text("review.by")).map_err(problem)?,
        None => ReviewBy::None,
    };
    let flow = match spec.flow {
        Some(flow) => flow,
        None if said("land.flow") => flow(&text("land.flow")).map_err(problem)?,
        None => Flow::Merge,
    };
    let number = |name: &str| config.number(name).filter(|_| said(name));
    let attempts = number("budget.max_attempts").and_then(|n| u32::try_from(n).ok());
    let usd = config.usd("budget.usd_per_task").filter(|_| said("budget.usd_per_task"));
    let usd = usd.and_then(|usd| serde_json::from_value(json!(usd)).ok());
    Ok(Add {
        review,
        flow,
        max_attempts: spec.max_attempts.or(attempts),
        max_cost_usd: spec.max_cost_usd.or(usd),
        max_wall_s: spec.max_wall_s.or_else(|| number("budget.max_wall_s")),
        ..Add::default()
    })
}

async fn repo_of(context: &Context, link: &Link, spec: &Spec) -> Result<Option<RepoId>> {
    match &spec.repo {
        Some(repo) => Ok(Some(repo.clone())),
        None => repo_here(context, link).await,
    }
}

/// Title and prompt of a text: the first line names it; a text that says more is the prompt.
fn parts(title: Option<&str>, text: &str) -> Result<(String, Option<String>)> {
    let text = text.trim();
    if text.len() > TEXT_BYTES_MAX {
        let (len, max) = (text.len(), TEXT_BYTES_MAX);
        return Err(Error::usage(format!("the text has {len} bytes; at most {max} are taken"))
            .hint("put it into a file of the repository, and name that"));
    }
    let first = text.lines().map(str::trim).find(|line| !line.is_empty());
    let Some(first) = first else {
        return Err(Error::usage("the task has no text").hint("say what is to be done"));
    };
    let short: String = first.chars().filter(|c| !c.is_control()).take(LINE_CHARS_MAX).collect();
    let title = title.map_or(short, str::to_owned);
    let prompt = (title != text).then(|| text.to_owned());
    Ok((title, prompt))
}

fn lines(context: &Context, spec: &Spec) -> Result<Vec<Add>> {
    let mut tasks = Vec::new();
    let mut problems = Vec::new();
    for (number, line) in (1..).zip(from_stdin()?.lines()) {
        if line.trim().is_empty() {
            continue;
        }
        match serde_json::from_str::<Add>(line) {
            Ok(task) => tasks.push(task),
            Err(error) => problems.push(format!("line {number}: {error}")),
        }
    }
    if !problems.is_empty() {
        return Err(Error::usage(format!("nothing was added:\n  {}", problems.join("\n  ")))
            .hint("each line is an object with the fields of schemas/command.task.add.json"));
    }
    // What is said beside them stands for all.
    let defaults = with_defaults(context, spec)?;
    for task in &mut tasks {
        task.max_attempts = task.max_attempts.or(defaults.max_attempts);
        task.max_cost_usd = task.max_cost_usd.or(defaults.max_cost_usd);
        task.max_wall_s = task.max_wall_s.or(defaults.max_wall_s);
        task.priority = task.priority.or(spec.priority);
        task.tool = task.tool.take().or_else(|| spec.tool.clone());
    }
    Ok(tasks)
}

fn from_file(path: &Path) -> Result<String> {
    if path == Path::new("-") {
        return from_stdin();
    }
    std::fs::read_to_string(path)
        .map_err(|error| Error::usage(format!("{} cannot be read", path.display())).because(error))
}

fn from_stdin() -> Result<String> {
    let mut text = String::new();
    std::io::stdin()
        .lock()
        .read_to_string(&mut text)
        .map_err(|error| Error::usage("stdin cannot be read as text").because(error))?;
    Ok(text)
}

#[cfg(test)]
mod tests;
