//! What is printed at the end: the tasks, the landed history, one causal chain, where to look.

use super::folder::Folder;
use super::mesh::Mesh;
use super::story::Story;
use super::tasks::Shows;

use crate::error::Result;

/// Says what is about to happen.
pub(crate) fn opening(folder: &Folder) {
    eprintln!("\neverything below happens in {}", folder.root().display());
    eprintln!(
        "four agents of a scripted coding CLI (no model is asked) work on one repository:\n{}\n",
        super::AGENTS.join(", ")
    );
    eprintln!(
        "a lease ends after {} s of silence and a session after {} s, sooner than in a mesh\n\
         of your own: nobody is to wait long here for an agent that dies\n",
        super::LEASE_S,
        super::SILENT_S
    );
}

/// The table of tasks.
pub(crate) fn tasks(mesh: &Mesh<'_>, story: &Story) {
    println!("\n{:5} {:10} {:9} {:10} {:12} title", "task", "state", "verified", "commit", "by");
    for task in story.tasks() {
        let commit = task.commit.as_deref().and_then(|commit| commit.get(..9)).unwrap_or("-");
        let told = story.of(task.task);
        println!(
            "{:5} {:10} {:9} {commit:10} {:12} {}",
            task.task.to_string(),
            task.state,
            format!("{} times", told.verdicts.len()),
            told.workers.join(", "),
            task.title
        );
    }
    println!("\ndashboard: {}", mesh.dashboard);
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
    let Some(task) = story.showing(Shows::Kill).next() else { return Ok(()) };
    let task = task.to_string();
    println!("\n$ devmesh why {task}");
    println!("{}", mesh.folder.devmesh(&["why", &task]).await?.succeeded()?.trim_end());
    Ok(())
}

/// Where to look, and how to end it.
pub(crate) fn how_to_look(mesh: &Mesh<'_>) {
    let entry = mesh.folder.entry();
    let (entry, root) = (entry.display(), mesh.folder.root().display());
    eprintln!("\nit goes on running");
    println!("\nlook:   {entry} status        (in a terminal: with a link that signs you in)");
    println!("        {entry} task list");
    println!("        {entry} replay --at 20");
    println!("        {}", mesh.dashboard);
    println!("stop:   {entry} down && rm -r {root}\n");
}
