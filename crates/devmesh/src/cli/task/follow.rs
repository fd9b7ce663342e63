//! Following tasks: notices wake, queries tell. A notice that was lost costs a moment, not a wait
//! for ever.

use std::collections::BTreeMap;
use std::time::Duration;

use devmesh_bus::notice::{Filter, Notices};
use devmesh_protocol::command::task::Add;
use devmesh_protocol::event::task::Blocked;
use devmesh_protocol::view::TaskView;
use devmesh_protocol::{TaskId, Verb};
use serde_json::Value;

use crate::cli::status::Waiting;
use crate::context::Link;
use crate::error::{Error, Result};
use crate::exit::Exit;
use crate::output::{Output, clean};

/// How long no notice may come before the task is looked at all the same.
const LOOK: Duration = Duration::from_secs(2);

/// What is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Each task has ended.
    Ended,
    /// Each task has ended, or one waits for a person.
    EndedOrPerson,
}

/// Waits and gives each task as it stands then.
pub(crate) async fn until(
    link: &Link,
    tasks: Vec<TaskId>,
    ending: Ending,
) -> Result<BTreeMap<TaskId, TaskView>> {
    told(link, tasks, ending, |_| {}).await
}

/// As [`until`], telling each change of a task's state.
pub(crate) async fn told(
    link: &Link,
    tasks: Vec<TaskId>,
    ending: Ending,
    mut tell: impl FnMut(&TaskView),
) -> Result<BTreeMap<TaskId, TaskView>> {
    let mut notices = Notices::subscribe(&link.client, &Filter::All).await?;
    let mut seen: BTreeMap<TaskId, TaskView> = BTreeMap::new();
    loop {
        for task in &tasks {
            // One that waits for what it comes after may yet be let go on.
            if seen.get(task).is_some_and(|seen| has_ended(seen) && seen.blocked.is_none()) {
                continue;
            }
            let view = super::one(link, *task).await?;
            if seen.get(task).is_none_or(|before| before.state != view.state) {
                tell(&view);
            }
            seen.insert(*task, view);
        }
        let person = seen.values().any(|task| Waiting::of(task.clone()).is_some());
        if seen.values().all(has_ended) || (ending == Ending::EndedOrPerson && person) {
            return Ok(seen);
        }
        let wanted = async {
            while let Some(notice) = notices.next().await {
                let key = notice.event.key();
                if tasks.iter().any(|task| task.to_string() == key) {
                    return;
                }
            }
            std::future::pending::<()>().await;
        };
        let _ = tokio::time::timeout(LOOK, wanted).await;
    }
}

/// Adds a task and follows it until it has ended or waits for a person, telling what becomes of it.
/// `what` says what comes of it first, as in "is queued".
pub(crate) async fn added(out: Output, link: &Link, task: Add, what: &str) -> Result<TaskView> {
    let (_, result) = link.done(Verb::TaskAdd(task)).await?;
    let id = result.get("task").and_then(Value::as_str).and_then(|id| id.parse().ok());
    let id: TaskId = id.ok_or_else(|| Error::failed("read the answer to task.add"))?;
    out.say(format!("{id} {what}; Ctrl-C leaves it to itself"));
    let following = told(link, vec![id], Ending::EndedOrPerson, |task| {
        let worker = task.attempt.as_ref().map(|attempt| attempt.actor.to_string());
        let by = worker.map(|worker| format!(" by {worker}")).unwrap_or_default();
        out.say(format!("{id} {}{by}", task.state));
    });
    let seen = tokio::select! {
        seen = following => seen?.remove(&id),
        _ = tokio::signal::ctrl_c() => {
            out.say(format!("{id} goes on; `devmesh task wait {id}` follows it again"));
            return Err(Error::silent(Exit::Unknown));
        }
    };
    seen.ok_or_else(|| Error::failed(format!("follow {id}")))
}

/// Whether nothing more happens to a task by itself: it has ended, or what it comes after has,
/// without being completed.
pub(crate) fn has_ended(task: &TaskView) -> bool {
    matches!(task.state.as_str(), "completed" | "failed" | "cancelled")
        || matches!(task.blocked, Some(Blocked::Dependency(_)))
}

/// Says of each task that waits for a person what it waits for, and what settles it.
pub(crate) fn say_waiting<'a>(out: Output, tasks: impl Iterator<Item = &'a TaskView>) {
    for waiting in tasks.filter_map(|task| Waiting::of(task.clone())) {
        out.say(format!("{}: {}", waiting.task.task, clean(&waiting.why)));
        out.say(format!("next: {}", clean(&waiting.next)));
    }
}

/// The exit that says what became of tasks.
pub(crate) fn exit_of<'a>(tasks: impl Iterator<Item = &'a TaskView> + Clone) -> Exit {
    if tasks.clone().any(|task| matches!(task.state.as_str(), "failed" | "cancelled")) {
        Exit::Failed
    } else if tasks.clone().all(|task| task.state == "completed") {
        Exit::Ok
    } else {
        Exit::Person
    }
}
