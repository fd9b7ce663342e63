//! The whole line in a minute: a small repository in a temporary folder, a mesh on it, four
//! scripted agents, a dozen tasks, one agent killed; then what came of it, and whether it is right.
//!
//! Everything is done as a person would do it, with the `devmesh` program alone. It has a home of
//! its own inside the folder, so nothing outside is touched but the caches of cargo and of
//! nats-server.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::cargo::{cargo, root, run};
use crate::error::{Error, Result};
use crate::setup;

mod check;
mod folder;
mod mesh;
mod show;
mod snapshot;
mod tasks;
mod watch;

#[cfg(test)]
mod tests;

use check::Report;
use devmesh_testkit::left;
use folder::{Folder, Programs};
use mesh::Mesh;
use snapshot::Snapshot;

/// How the demonstration runs.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Leave the mesh running at the end, to look at.
    #[arg(long)]
    keep: bool,
    /// Use this nats-server instead of looking for one.
    #[arg(long, value_name = "PATH")]
    nats_server: Option<PathBuf>,
}

/// Agents that work at once.
pub(crate) const AGENTS: [&str; 4] = ["ada", "ben", "cleo", "dan"];

/// Builds what is shown, shows it, checks it.
pub(crate) fn demo(args: &Args) -> Result<()> {
    let nats_server = setup::nats_server(args.nats_server.as_deref())?;
    run(cargo(&["build", "--quiet", "--bin", "devmesh", "--bin", "devmesh-scripted"]))?;
    let built = target().join("debug");
    let programs = Programs {
        devmesh: built.join("devmesh"),
        scripted: built.join("devmesh-scripted"),
        nats_server,
    };
    setup::block_on(async {
        let folder = Folder::make(programs).await?;
        let shown = tokio::select! {
            shown = show_all(&folder, args.keep) => shown,
            _ = tokio::signal::ctrl_c() => Err(Error::Demo {
                doing: "show it to its end".into(),
                evidence: "you ended it".into(),
            }),
        };
        match shown {
            Ok(()) if args.keep => {
                folder.keep();
                Ok(())
            }
            Ok(()) => folder.remove(),
            Err(error) => {
                // What was not ended in order is ended here; what it left says why.
                left::end_all(folder.root()).await;
                eprintln!("\nleft to look at: {}", folder.root().display());
                folder.keep();
                Err(error)
            }
        }
    })?
}

/// Where cargo puts what it builds.
fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

async fn show_all(folder: &Folder, keep: bool) -> Result<()> {
    let began = Instant::now();
    let outside = Snapshot::outside()?;
    show::opening(folder);
    folder.plant().await?;
    let before = Snapshot::of_repository(folder).await?;
    let mut report = Report::default();

    let mesh = Mesh::up(folder).await?;
    let tasks = mesh.queue().await?;
    let story = watch::until_done(&mesh, &tasks, began).await?;

    show::tasks(&mesh, &story).await?;
    check::tasks(&mut report, &story);
    check::unchanged(&mut report, &before, &Snapshot::of_repository(folder).await?);
    check::landed(&mut report, folder, &tasks).await?;
    show::landed(folder).await?;
    show::why(&mesh, &story).await?;
    check::log(&mut report, &mesh, &story).await?;
    check::pulled(&mut report, &mesh).await?;
    if keep {
        show::how_to_look(&mesh);
        return report.told(began.elapsed());
    }
    mesh.down().await?;
    check::ended(&mut report, folder, &mesh, &outside).await?;
    report.told(began.elapsed())
}

/// Seconds since the start, as each line of progress begins.
pub(crate) fn clock(since: Duration) -> String {
    format!("{:5.1} s", since.as_secs_f64())
}
