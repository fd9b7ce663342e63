//! The whole line in a minute: a small repository in a temporary folder, a mesh on it, four
//! scripted agents, a dozen tasks, one agent killed; then what came of it, and whether it is right.
//!
//! Everything is done as a person would do it, with the `devmesh` program alone. It has a home of
//! its own inside the folder, so nothing outside is touched but the caches of cargo and of
//! nats-server.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::cargo::{cargo, root, run};
use crate::error::{Error, Result};
use crate::setup;

mod check;
mod folder;
mod mesh;
pub(crate) mod record;
mod show;
mod snapshot;
mod story;
mod tasks;
mod watch;

#[cfg(test)]
mod tests;

use check::Report;
use devmesh_testkit::left;
use folder::{Folder, Programs};
use mesh::Mesh;
use snapshot::Snapshot;
use story::Story;

/// How the demonstration runs.
#[derive(clap::Args, Debug, Default)]
pub(crate) struct Args {
    /// Leave the mesh running at the end, to look at.
    #[arg(long)]
    keep: bool,
    /// Use this nats-server instead of looking for one.
    #[arg(long, value_name = "PATH")]
    nats_server: Option<PathBuf>,
    /// Write the mesh's log to this file, as `devmesh replay --export` does.
    #[arg(long, value_name = "FILE")]
    pub(crate) export: Option<PathBuf>,
}

/// Agents that work at once.
pub(crate) const AGENTS: [&str; 4] = ["ada", "ben", "cleo", "dan"];

/// How long a lease outlives its holder here, in seconds; a mesh allows itself more.
pub(crate) const LEASE_S: u32 = 8;
/// The silence that ends an agent's session here, in seconds; a mesh allows itself more.
pub(crate) const SILENT_S: u32 = 10;

/// Builds what is shown, shows it, checks it.
pub(crate) fn demo(args: &Args) -> Result<()> {
    let programs = programs(args.nats_server.as_deref())?;
    setup::block_on(async {
        let folder = Folder::make(programs)?;
        let shown = tokio::select! {
            shown = show_all(&folder, args) => shown,
            _ = tokio::signal::ctrl_c() => {
                end(&folder).await;
                folder.remove()?;
                return Err(Error::Demo {
                    doing: "show it to its end".into(),
                    evidence: "you ended it".into(),
                });
            }
        };
        match shown {
            Ok(()) if args.keep => Ok(()),
            Ok(()) => folder.remove(),
            Err(error) => {
                // What it left says why; only processes go.
                end(&folder).await;
                eprintln!("\nleft to look at: {}", folder.root().display());
                Err(error)
            }
        }
    })?
}

/// What is shown, as the sources are now.
fn programs(nats_server: Option<&Path>) -> Result<Programs> {
    let nats_server = setup::nats_server(nats_server)?;
    run(cargo(&["build", "-p", "devmesh", "-p", "devmesh-testkit", "--bins"]))?;
    let built = built();
    Ok(Programs {
        devmesh: built.join("devmesh"),
        scripted: built.join("devmesh-scripted"),
        nats_server,
    })
}

/// Where cargo has put what it built for development: beside what it built for this chore.
pub(crate) fn built() -> PathBuf {
    let own = std::env::current_exe().unwrap_or_default();
    let target = own.ancestors().nth(2).map(Path::to_path_buf);
    target.unwrap_or_else(|| root().join("target")).join("debug")
}

/// Ends what runs: in order where that is still possible, and then whatever is left.
async fn end(folder: &Folder) {
    let _ = folder.devmesh(&["down"]).await;
    left::end_all(folder.root()).await;
}

async fn show_all(folder: &Folder, args: &Args) -> Result<()> {
    let began = Instant::now();
    let outside = Snapshot::outside()?;
    show::opening(folder);
    folder.plant().await?;
    let before = Snapshot::of_repository(folder).await?;
    let mut report = Report::default();

    let mesh = Mesh::up(folder).await?;
    let queued = mesh.queue().await?;
    let seen = watch::until_ended(&mesh, &queued, began).await?;
    let story = Story::read(&mesh, queued, seen).await?;

    show::tasks(&mesh, &story);
    check::tasks(&mut report, &story);
    check::unchanged(&mut report, &before, &Snapshot::of_repository(folder).await?);
    check::landed(&mut report, folder, &story).await?;
    show::landed(folder).await?;
    show::why(&mesh, &story).await?;
    check::log(&mut report, &mesh).await?;
    if let Some(file) = &args.export {
        mesh.export(file).await?;
    }
    check::pulled(&mut report, &mesh).await?;
    if args.keep {
        let told = report.told(began.elapsed());
        show::how_to_look(&mesh);
        return told.or_else(|error| {
            eprintln!("error: failed to {error}");
            Ok(())
        });
    }
    mesh.down().await?;
    check::ended(&mut report, folder, &mesh, &outside).await?;
    report.told(began.elapsed())
}

/// Seconds since the start, as each line of progress begins.
pub(crate) fn clock(since: Duration) -> String {
    format!("{:5.1} s", since.as_secs_f64())
}
