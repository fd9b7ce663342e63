//! The mesh, spoken to as a person does: by the `devmesh` program.

use std::collections::BTreeMap;
use std::path::Path;

use devmesh_protocol::TaskId;
use devmesh_protocol::view::TaskView;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::folder::Folder;
use super::tasks::{Shows, TASKS, Task};
use crate::error::{Error, Result};

/// A mesh that runs.
pub(crate) struct Mesh<'a> {
    /// Where.
    pub(crate) folder: &'a Folder,
    /// The processes it was started with, by name.
    pub(crate) pids: BTreeMap<String, u32>,
    /// Where its page is.
    pub(crate) dashboard: String,
}

/// A task that was queued.
pub(crate) struct Queued {
    /// Its id.
    pub(crate) id: TaskId,
    /// What was asked for.
    pub(crate) task: &'static Task,
}

impl<'a> Mesh<'a> {
    /// Starts one on the folder's repository, with its agents.
    pub(crate) async fn up(folder: &'a Folder) -> Result<Self> {
        Self::up_with(folder, &["up", "-d", "--yes"]).await
    }

    /// The same, started as said.
    pub(crate) async fn up_with(folder: &'a Folder, args: &[&str]) -> Result<Self> {
        say(&format!("devmesh {}", args.join(" ")));
        let ran = folder.devmesh(args).await?;
        for line in ran.stderr.lines().chain(ran.stdout.lines()) {
            eprintln!("  {line}");
        }
        ran.succeeded()?;
        let mut mesh = Self { folder, pids: BTreeMap::new(), dashboard: String::new() };
        let status: Value = mesh.json(&["status"]).await?;
        mesh.dashboard = status["dashboard_url"].as_str().unwrap_or_default().to_owned();
        mesh.pids = mesh.processes()?;
        Ok(mesh)
    }

    /// The processes that run now, by name, as the mesh itself writes them down.
    pub(crate) fn processes(&self) -> Result<BTreeMap<String, u32>> {
        let path = self.folder.repo().join(".devmesh/run.json");
        let text = std::fs::read_to_string(&path)
            .map_err(|source| Error::Read { path: path.clone(), source })?;
        let run: Value = serde_json::from_str(&text).map_err(Error::Json)?;
        Ok(serde_json::from_value(run["pids"].clone()).unwrap_or_default())
    }

    /// Queues all tasks.
    pub(crate) async fn queue(&self) -> Result<Vec<Queued>> {
        let mut queued: Vec<Queued> = Vec::new();
        for task in &TASKS {
            let file = format!("prompts/{}.md", queued.len() + 1);
            let prompt = self.folder.write(&file, &task.prompt())?.display().to_string();
            let after = task.after.map(|at| queued[at].id.to_string());
            let mut args = vec!["task", "add", "-F", &prompt];
            for path in task.paths {
                args.extend(["--paths", path]);
            }
            if let Some(after) = &after {
                args.extend(["--after", after]);
            }
            if task.shows == Shows::Review {
                args.extend(["--review", "person"]);
            }
            let shown = args.iter().map(|arg| plain(arg, &prompt, &file)).collect::<Vec<_>>();
            say(&format!("devmesh {}", shown.join(" ")));
            let result: Value = self.json(&args).await?;
            let id = result["task"].as_str().and_then(|id| id.parse().ok());
            let id = id.ok_or_else(|| Error::Demo {
                doing: format!("queue the task {:?}", task.title),
                evidence: format!("the answer names no task: {result}"),
            })?;
            queued.push(Queued { id, task });
        }
        Ok(queued)
    }

    /// All tasks as they stand.
    pub(crate) async fn tasks(&self) -> Result<Vec<TaskView>> {
        let result: Value = self.json(&["task", "list"]).await?;
        let list = result.get("tasks").cloned().unwrap_or(result);
        serde_json::from_value(list).map_err(Error::Json)
    }

    /// Approves what waits for a person.
    pub(crate) async fn approve(&self, task: TaskId) -> Result<()> {
        let task = task.to_string();
        self.json::<Value>(&["task", "approve", &task]).await.map(drop)
    }

    /// Runs a command and reads the result in its answer.
    pub(crate) async fn json<T: DeserializeOwned>(&self, args: &[&str]) -> Result<T> {
        let ran = self.folder.devmesh(&[args, &["--json"]].concat()).await?;
        let line = ran.line.clone();
        let stdout = ran.succeeded()?;
        let unread = |why: &str| Error::Demo {
            doing: format!("read what `{line}` printed"),
            evidence: format!("{why}: {}", stdout.chars().take(400).collect::<String>()),
        };
        let answer: Value =
            serde_json::from_str(&stdout).map_err(|error| unread(&error.to_string()))?;
        let result = answer.get("result").cloned().unwrap_or(answer);
        serde_json::from_value(result).map_err(|error| unread(&error.to_string()))
    }

    /// Writes its log to a file.
    pub(crate) async fn export(&self, file: &Path) -> Result<()> {
        let file = std::path::absolute(file)
            .map_err(|source| Error::Write { path: file.to_owned(), source })?;
        let file = file.display().to_string();
        say(&format!("devmesh replay --export {file}"));
        self.folder.devmesh(&["replay", "--export", &file]).await?.succeeded().map(drop)
    }

    /// Ends it.
    pub(crate) async fn down(&self) -> Result<()> {
        say("devmesh down");
        self.folder.devmesh(&["down"]).await?.succeeded().map(drop)
    }
}

/// A command as a person would type it.
fn plain(arg: &str, prompt: &str, file: &str) -> String {
    match arg {
        path if path == prompt => file.to_owned(),
        word => word.to_owned(),
    }
}

/// Shows a command before it runs.
pub(crate) fn say(command: &str) {
    eprintln!("$ {command}");
}
