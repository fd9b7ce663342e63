//! Logs for `replay/histories`, recorded from a real mesh: what this version writes, every later
//! one must read.

use std::path::{Path, PathBuf};

use super::folder::Folder;
use super::mesh::Mesh;
use super::{Args as DemoArgs, demo, end, programs};
use crate::cargo::root;
use crate::error::{Error, Result};
use crate::setup;

mod locks;
mod tasks;

/// What is recorded, and under which name.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// What happens.
    scene: Scene,
    /// The name of the history; the scene's, where nothing is said.
    #[arg(long)]
    name: Option<String>,
    /// Use this nats-server instead of looking for one.
    #[arg(long, value_name = "PATH")]
    nats_server: Option<PathBuf>,
}

#[derive(clap::ValueEnum, Clone, Copy, Debug)]
enum Scene {
    /// All of `cargo xtask demo`.
    Demo,
    /// Waits, conversions, a deadlock, an expiry, a break.
    Locks,
    /// Retries, reviews, cancellations, dependencies, failures.
    Tasks,
}

impl Scene {
    fn name(self) -> &'static str {
        match self {
            Scene::Demo => "demo",
            Scene::Locks => "locks",
            Scene::Tasks => "tasks",
        }
    }
}

/// Records one. What was recorded before stays: it is what another version wrote.
pub(crate) fn record(args: &Args) -> Result<()> {
    let name = args.name.as_deref().unwrap_or(args.scene.name());
    let file = root().join("replay/histories").join(format!("{name}.log"));
    if file.exists() {
        return Err(Error::Demo {
            doing: format!("record {}", file.display()),
            evidence: "it is there, and what an older version wrote is not written anew; \
                       choose another --name"
                .into(),
        });
    }
    match args.scene {
        Scene::Demo => demo(&DemoArgs {
            nats_server: args.nats_server.clone(),
            export: Some(file.clone()),
            ..DemoArgs::default()
        })?,
        scene => alone(scene, args.nats_server.as_deref(), &file)?,
    }
    eprintln!(
        "recorded: {}\nnow: INSTA_UPDATE=always cargo test -p devmesh-replay",
        file.display()
    );
    Ok(())
}

fn alone(scene: Scene, nats_server: Option<&Path>, file: &Path) -> Result<()> {
    let programs = programs(nats_server)?;
    setup::block_on(async {
        let folder = Folder::make(programs)?;
        let recorded = async {
            folder.plant().await?;
            let mesh = match scene {
                Scene::Tasks => Mesh::up(&folder).await?,
                _ => Mesh::up_with(&folder, &["up", "-d", "--lite"]).await?,
            };
            match scene {
                Scene::Tasks => tasks::play(&mesh).await?,
                _ => locks::play(&mesh).await?,
            }
            mesh.export(file).await?;
            mesh.down().await
        };
        let recorded = recorded.await;
        end(&folder).await;
        recorded.and_then(|()| folder.remove())
    })?
}
