//! `devmesh status`: what needs you, and how the mesh is.

use std::io::IsTerminal;

use devmesh_protocol::command::task::{Kind, ReviewBy};
use devmesh_protocol::event::task::Blocked;
use devmesh_protocol::view::{MeshView, TaskView};
use serde_json::{Value, json};

use crate::context::{Context, Link};
use crate::error::{Error, Result};
use crate::output::clean;
use crate::state_dir::RunFile;

mod amiss;

/// Show what needs you, and how the mesh is
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

impl Args {
    pub(super) async fn run(self, context: &Context) -> Result<()> {
        let state = context.state()?;
        let run = RunFile::read(&state)?;
        let amiss = run.as_ref().map(|run| amiss::of(&state, run)).unwrap_or_default();
        // Where nothing answers, this says why.
        if !context.out.json {
            amiss::show(context, &amiss);
        }
        let link = context.connect().await?;
        let nats_url = context.nats_url(&state)?;
        let dashboard = run.as_ref().and_then(|run| run.dashboard_url.clone());
        let answer: Value = link.get("state", json!({})).await?;
        let waiting = waiting(&link).await?;
        if context.out.json {
            let mut shown = json!({
                "mesh": state.mesh, "nats_url": nats_url, "dashboard_url": dashboard,
                "needs_you": waiting.iter().map(Waiting::to_json).collect::<Vec<_>>(),
                "amiss": amiss,
            });
            if let (Value::Object(shown), Value::Object(answer)) = (&mut shown, answer) {
                shown.extend(answer);
            }
            context.out.json(&shown);
            return Ok(());
        }
        let mesh: MeshView = serde_json::from_value(answer)
            .map_err(|error| Error::failed("read the answer to state").because(error))?;
        show_waiting(context, &waiting);
        let out = context.out;
        if let Some(why) = &mesh.stale {
            out.line(out.strong(&format!("nothing is recorded now: {}", clean(why))));
            out.line("    what is shown is what was settled last");
            out.line("    next  devmesh explain STORE_REFUSES");
            out.line("");
        }
        let paused = if mesh.paused { ", paused" } else { "" };
        out.line(format!("mesh       {}{paused}", state.mesh));
        out.line(format!("bus        {nats_url}"));
        out.line(format!("dashboard  {}", dashboard.as_deref().unwrap_or("none")));
        // The link is a secret: for the person at the terminal alone.
        let link = dashboard.as_deref().and_then(|url| super::dashboard::sign_in(&state, url));
        if let Some(link) = link.filter(|_| std::io::stdout().is_terminal()) {
            out.line(format!("sign in    {link}"));
        }
        out.line(format!(
            "log        record {}, term {} of {}",
            mesh.seq,
            mesh.epoch,
            clean(&mesh.leader)
        ));
        let tasks: Vec<String> = mesh.tasks.iter().map(|(name, n)| format!("{n} {name}")).collect();
        let tasks = if tasks.is_empty() { "none".to_owned() } else { tasks.join(", ") };
        out.line(format!("tasks      {tasks}"));
        out.line(format!(
            "agents     {}; hosts {}; leases {}, waiting {}",
            mesh.agents, mesh.hosts, mesh.leases, mesh.waiters
        ));
        Ok(())
    }
}

/// A task that a person must look at.
pub(crate) struct Waiting {
    /// The task.
    pub(crate) task: TaskView,
    /// What it waits for, in words.
    pub(crate) why: String,
    /// The command that settles it.
    pub(crate) next: String,
}

impl Waiting {
    /// For programs.
    pub(crate) fn to_json(&self) -> Value {
        let task = &self.task;
        json!({ "task": task.task, "title": task.title, "why": self.why, "next": self.next })
    }

    /// What of a task waits for a person; none where nothing does.
    pub(crate) fn of(task: TaskView) -> Option<Waiting> {
        let id = task.task;
        let (why, next) = match (&task.state[..], &task.blocked) {
            ("review", _) if !guarded(&task).is_empty() => (
                format!("its diff changes {}: only you let it through", guarded(&task).join(", ")),
                format!("devmesh task diff {id}; devmesh task approve {id}"),
            ),
            ("review", _) if task.kind == Kind::Plan => (
                "its plan waits for your look".to_owned(),
                format!(
                    "devmesh task show {id}; devmesh task approve {id}, or \
                     devmesh task reject {id} -m TEXT"
                ),
            ),
            ("review", _) if task.review == ReviewBy::Person => (
                "its diff waits for your look".to_owned(),
                format!("devmesh task diff {id}; devmesh task approve {id}"),
            ),
            (_, Some(Blocked::Dependency(before))) => (
                format!("{before}, which it comes after, has ended without being completed"),
                format!("devmesh task retry {before}, or devmesh task cancel {id}"),
            ),
            (_, Some(Blocked::Question(question))) => {
                ("it asks a question".to_owned(), format!("devmesh task answer {question} TEXT"))
            }
            (_, Some(Blocked::Decision)) => {
                ("it waits for your decision".to_owned(), format!("devmesh task show {id}"))
            }
            (_, Some(Blocked::Landing(why))) => {
                (format!("it cannot land: {why}"), format!("devmesh task resume {id}"))
            }
            (_, Some(Blocked::Base(what))) => (
                format!("it has nothing to start from: {what}"),
                format!("make the branch, then devmesh task resume {id}; or task cancel {id}"),
            ),
            (_, Some(Blocked::Budget)) => {
                ("the money set aside is spent".to_owned(), format!("devmesh task show {id}"))
            }
            (_, Some(Blocked::BaseRed)) => {
                ("the base fails its own checks".to_owned(), format!("devmesh task show {id}"))
            }
            _ => return None,
        };
        Some(Waiting { task, why, next })
    }
}

/// The paths of its verified diff that only a person lets through.
fn guarded(task: &TaskView) -> &[String] {
    let receipt = task.attempt.as_ref().and_then(|attempt| attempt.receipt.as_ref());
    receipt.map_or(&[], |receipt| &receipt.guarded)
}

/// All that waits for a person.
pub(crate) async fn waiting(link: &Link) -> Result<Vec<Waiting>> {
    let mut all = Vec::new();
    for state in ["review", "blocked"] {
        let tasks: Vec<TaskView> = link.list("tasks", json!({ "state": state })).await?;
        all.extend(tasks.into_iter().filter_map(Waiting::of));
    }
    all.sort_by_key(|waiting| waiting.task.task);
    Ok(all)
}

/// The list that `status` and `review` open with.
pub(crate) fn show_waiting(context: &Context, waiting: &[Waiting]) {
    if waiting.is_empty() {
        return;
    }
    let out = context.out;
    let verb = if waiting.len() == 1 { "needs" } else { "need" };
    out.line(out.strong(&format!("{} {verb} you:", waiting.len())));
    for one in waiting {
        let (id, title) = (one.task.task, clean(&one.task.title).into_owned());
        out.line(format!("  {id}  {title}: {}", clean(&one.why)));
        out.line(format!("      {}", one.next));
    }
    out.line("");
}
