//! What is printed at the end: the tasks, the landed history, one causal chain, where to look.

use super::folder::Folder;
use super::mesh::{Mesh, say};
use super::tasks::Shows;
use super::watch::Story;
use crate::error::Result;

/// Says what is about to happen.
pub(crate) fn opening(folder: &Folder) {
    eprintln!("\neverything below happens in {}", folder.root().display());
    eprintln!(
        "four agents of a scripted coding CLI (no model is asked) work on one repository:\n{}\n",
        super::AGENTS.join(", ")
    );
}

/// The table of tasks.
pub(crate) async fn tasks(mesh: &Mesh<'_>, story: &Story) -> Result<()> {
    println!("\n{:5} {:10} {:5} {:10} {:12} title", "task", "state", "tries", "commit", "workers");
    for task in story.tasks.values() {
        let commit = task.commit.as_deref().and_then(|commit| commit.get(..9)).unwrap_or("-");
        let workers = story.workers.get(&task.task).cloned().unwrap_or_default();
        println!(
            "{:5} {:10} {:5} {commit:10} {:12} {}",
            task.task.to_string(),
            task.state,
            task.tries,
            workers.join(", "),
            task.title
        );
    }
    println!("\ndashboard: {}", mesh.dashboard);
    Ok(())
}

/// The landed branch, newest first.
pub(crate) async fn landed(folder: &Folder) -> Result<()> {
    let format = "--format=%h %<(40,trunc)%s  %(trailers:key=Devmesh-Task,separator=%x2C)";
    println!("\n$ git log devmesh/landed/main");
    println!("{}", folder.git(&["log", format, "devmesh/landed/main"]).await?);
    Ok(())
}

/// Why the task of the killed agent is where it is.
pub(crate) async fn why(mesh: &Mesh<'_>, story: &Story) -> Result<()> {
    let Some(task) = story.task_of(Shows::Kill) else { return Ok(()) };
    let task = task.task.to_string();
    println!("\n$ devmesh why {task}");
    println!("{}", mesh.folder.devmesh(&["why", &task]).await?.succeeded()?.trim_end());
    Ok(())
}

/// Where to look, and how to end it.
pub(crate) fn how_to_look(mesh: &Mesh<'_>) {
    let entry = mesh.folder.entry();
    let (entry, root) = (entry.display(), mesh.folder.root().display());
    say("(it goes on running)");
    println!("\nlook:   {}", mesh.dashboard);
    println!("        {entry} status");
    println!("        {entry} task list");
    println!("        {entry} replay --at 20");
    println!("stop:   {entry} down && rm -r {root}\n");
}
