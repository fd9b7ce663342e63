//! Whether it is right: each promise with its evidence, and a failure named as one.

use std::collections::BTreeSet;
use std::time::Duration;

use devmesh_protocol::command::task::Verdict;
use devmesh_testkit::left;

use super::folder::Folder;
use super::mesh::{Mesh, Queued, say};
use super::snapshot::Snapshot;
use super::story::Story;
use super::tasks::{HALVES, Shows};
use crate::error::{Error, Result};

/// The branch that work lands on.
const LANDED: &str = "devmesh/landed/main";

/// What was checked so far.
#[derive(Debug, Default)]
pub(crate) struct Report {
    lines: Vec<(bool, String)>,
}

impl Report {
    /// One promise: whether it holds, and what says so.
    pub(crate) fn check(&mut self, what: &str, holds: bool, evidence: impl Into<String>) {
        let evidence = evidence.into();
        self.lines.push((holds, format!("{what}: {}", evidence.trim_end())));
    }

    /// Prints all; an error if one does not hold.
    pub(crate) fn told(&self, took: Duration) -> Result<()> {
        println!();
        for (holds, line) in &self.lines {
            println!("{} {line}", if *holds { "ok    " } else { "FAILED" });
        }
        let failed = self.lines.iter().filter(|(holds, _)| !holds).map(|(_, line)| line.as_str());
        let failed: Vec<&str> = failed.collect();
        let (all, took) = (self.lines.len(), took.as_secs_f64());
        if failed.is_empty() {
            println!("\n{all} checks passed in {took:.1} s");
            return Ok(());
        }
        Err(Error::Demo {
            doing: format!("pass {} of {all} checks", failed.len()),
            evidence: failed.join("\n"),
        })
    }
}

/// Every task landed, and each special one in its way.
pub(crate) fn tasks(report: &mut Report, story: &Story) {
    let open = story.tasks().filter(|task| task.state != "completed");
    let open: Vec<String> = open.map(|task| format!("{} {}", task.task, task.state)).collect();
    let all = story.tasks().count();
    let told = if open.is_empty() { format!("{all} of {all}") } else { open.join(", ") };
    report.check("all tasks landed", open.is_empty(), told);
    killed(report, story);
    for task in story.showing(Shows::Retry) {
        let verdicts = &story.of(task).verdicts;
        let holds =
            verdicts.first() == Some(&Verdict::Failed) && verdicts.last() == Some(&Verdict::Passed);
        let told = format!("{task}: {verdicts:?}");
        report.check("a first verification failed and its retry passed", holds, told);
    }
    for task in story.showing(Shows::Review) {
        let reviewers = &story.of(task).reviewers;
        let holds = story.seen.approved == [task] && reviewers.len() == 1;
        let told = format!("{task}, approved by {}", reviewers.join(", "));
        report.check("a task waited for a person's review", holds, told);
    }
    let conflicts: Vec<&str> = story
        .showing(Shows::Conflict)
        .flat_map(|task| story.of(task).conflicts.iter().map(String::as_str))
        .collect();
    let told = conflicts.join("; ");
    report.check(
        "two tasks met in one line; the second got both sides",
        !conflicts.is_empty(),
        told,
    );
}

/// The agent that died did not come back; another went on.
fn killed(report: &mut Report, story: &Story) {
    let what = "an agent was killed for good, and another finished its task";
    let (Some((agent, pid)), Some(task)) = (&story.seen.killed, story.showing(Shows::Kill).next())
    else {
        return report.check(what, false, "nobody was killed");
    };
    let workers = &story.of(task).workers;
    let lost: Vec<&str> =
        story.agents.iter().map(String::as_str).filter(|line| line.contains(agent)).collect();
    let taken = workers.first() == Some(agent) && workers[1..].iter().all(|name| name != agent);
    let holds = taken && workers.len() > 1 && lost.len() == 1;
    let told = format!(
        "{agent}, process {pid}, at {task}; {}; done by {}",
        lost.join("; "),
        workers.join(", then ")
    );
    report.check(what, holds, told);
}

/// Until `pull`, nothing of the user's has changed.
pub(crate) fn unchanged(report: &mut Report, before: &Snapshot, after: &Snapshot) {
    let changed = before.differs(after);
    let told = match changed.as_slice() {
        [] => format!("{} files, refs and answers are as they were", before.len()),
        changed => changed.join(", "),
    };
    report.check("checkout, .git/config, hooks and home unchanged", changed.is_empty(), told);
}

/// The landed branch: one straight line, a commit for each task, every edit in its tree.
pub(crate) async fn landed(report: &mut Report, folder: &Folder, story: &Story) -> Result<()> {
    let queued = &story.queued;
    let range = format!("main..{LANDED}");
    let parents = folder.git(&["rev-list", "--parents", &range]).await?;
    let merges: Vec<&str> = not_single(&parents);
    let commits = parents.lines().count();
    let told = match merges.as_slice() {
        [] => format!("{commits} commits, each with one parent"),
        merges => format!("not so: {}", merges.join("; ")),
    };
    let on_base = folder.git(&["merge-base", "main", LANDED]).await?
        == folder.git(&["rev-parse", "main"]).await?;
    report.check("the history is linear and starts at main", merges.is_empty() && on_base, told);

    let format = "--format=%(trailers:key=Devmesh-Task,valueonly,separator=%x2C)";
    let trailers = folder.git(&["log", format, &range]).await?;
    let names: Vec<&str> = trailers.lines().filter(|line| !line.is_empty()).collect();
    let distinct: BTreeSet<&str> = names.iter().copied().collect();
    let once = names.len() == distinct.len() && names.len() == queued.len();
    report.check("each task landed exactly once", once, names.join(" "));

    let mut missing = Vec::new();
    for Queued { id, task } in queued {
        let (path, line) = task.leaves;
        let text = folder.git(&["show", &format!("{LANDED}:{path}")]).await.unwrap_or_default();
        let times = text.lines().filter(|other| *other == line).count();
        if times != 1 {
            missing.push(format!("{id}: {line:?} stands {times} times in {path}"));
        }
    }
    let told = match missing.as_slice() {
        [] => format!("{} edits, each once", queued.len()),
        missing => missing.join("; "),
    };
    report.check("every task's edit is in the landed tree", missing.is_empty(), told);
    let text = folder.git(&["show", &format!("{LANDED}:docs/history.md")]).await?;
    let both = text.lines().eq([HALVES.0, HALVES.1]);
    let what = "what the killed agent had done was not lost and not done again";
    report.check(what, both, format!("docs/history.md: {text:?}"));
    Ok(())
}

/// Commits, as `git rev-list --parents` prints them, that do not have exactly one parent.
pub(crate) fn not_single(parents: &str) -> Vec<&str> {
    parents.lines().filter(|line| line.split(' ').count() != 2).collect()
}

/// The log is whole, from end to end.
pub(crate) async fn log(report: &mut Report, mesh: &Mesh<'_>) -> Result<()> {
    let ran = mesh.folder.devmesh(&["replay", "--verify"]).await?;
    println!("\n$ devmesh replay --verify\n{}{}", ran.stdout, ran.stderr);
    let told = format!("{}{}", ran.stdout, ran.stderr);
    let last = told.lines().next_back().unwrap_or_default();
    report.check("the log is whole from its first record to its last", ran.code == Some(0), last);
    Ok(())
}

/// `devmesh pull` brings the checkout to what has landed, and to nothing else.
pub(crate) async fn pulled(report: &mut Report, mesh: &Mesh<'_>) -> Result<()> {
    let folder = mesh.folder;
    let before = folder.git(&["rev-parse", "main"]).await?;
    say("devmesh pull");
    let ran = folder.devmesh(&["pull"]).await?;
    let said = format!("{}{}", ran.stdout, ran.stderr);
    let head = folder.git(&["rev-parse", "HEAD"]).await?;
    let landed = folder.git(&["rev-parse", LANDED]).await?;
    let branch = folder.git(&["rev-parse", "--abbrev-ref", "HEAD"]).await?;
    let clean = folder.git(&["status", "--porcelain"]).await?;
    let forward = head == landed && branch == "main" && clean.is_empty() && ran.code == Some(0);
    let told = match forward {
        true => format!("main went from {} to {}", short(&before), short(&head)),
        false => {
            format!("{branch} is at {}, landed is {}; {clean}{said}", short(&head), short(&landed))
        }
    };
    report.check("devmesh pull fast-forwards the checkout", forward, told);
    Ok(())
}

fn short(commit: &str) -> &str {
    commit.get(..9).unwrap_or(commit)
}

/// Nothing is left: no process, no file outside the folder.
pub(crate) async fn ended(
    report: &mut Report,
    folder: &Folder,
    mesh: &Mesh<'_>,
    outside: &Snapshot,
) -> Result<()> {
    let left = left::wait(folder.root()).await;
    let told = match left.as_slice() {
        [] => format!("{} processes ended: {}", mesh.pids.len(), names(mesh)),
        left => left.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "),
    };
    report.check("no process is left", left.is_empty(), told);
    let changed = outside.differs(&Snapshot::outside()?);
    let told = if changed.is_empty() { "nothing".to_owned() } else { changed.join(", ") };
    report.check("written outside the folder", changed.is_empty(), told);
    Ok(())
}

fn names(mesh: &Mesh<'_>) -> String {
    mesh.pids.keys().cloned().collect::<Vec<_>>().join(", ")
}
