//! The plan of a goal: a text for everybody and a graph of tasks, as the architect's tool writes
//! it; and what has to be right about it before anybody works to it.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::command::task::ReviewBy;
use crate::id::{CAPABILITY, check_name};
use crate::limits::{
    LINE_CHARS_MAX, LIST_MAX, PATHS_MAX, PLAN_BYTES_MAX, PLAN_TASKS_MAX, TEXT_BYTES_MAX,
};
use crate::path::RepoPath;
use crate::reply::{Code, Rejection};

/// Characters of a task's key within its plan.
const KEY_CHARS_MAX: usize = 64;
/// Tasks of a circle that are named.
const NAMED_MAX: usize = 8;

/// A plan as it is written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// The framework: what everybody who works on the goal has to know.
    pub text: String,
    /// The tasks that it takes.
    pub tasks: Vec<Planned>,
}

/// A task of a plan.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Planned {
    /// By what the other tasks of the plan name it.
    pub key: String,
    /// One line that names it.
    pub title: String,
    /// What is to be done, in full; absent: the title says it all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt: Option<String>,
    /// The paths it will touch, as far as known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub paths: Vec<RepoPath>,
    /// Keys of the tasks that must be completed before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub depends_on: Vec<String>,
    /// Capabilities that the agent must have.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<String>,
    /// 0 urgent … 4 idle; absent: 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<u8>,
    /// Who looks at the diff before it lands.
    #[serde(default)]
    pub review: ReviewBy,
    /// Its paths may be written by others at the same time.
    #[serde(default)]
    pub share: bool,
}

/// Why a plan is none that can be worked to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPlan {
    /// No JSON, or not of that shape; the text says where.
    #[error("{0}")]
    Shape(String),
    /// There is no text for those who work to it.
    #[error("text is empty; say what everybody who works on the goal has to know")]
    NoText,
    /// There is nothing to do.
    #[error("tasks is empty; at least one task is expected")]
    NoTasks,
    /// There is more of something than is taken.
    #[error("{at} has {has} {what}; at most {max} are taken")]
    Over {
        /// Where.
        at: String,
        /// How many.
        has: usize,
        /// Of what.
        what: &'static str,
        /// The limit.
        max: usize,
    },
    /// A field says what it may not.
    #[error("{at}: {why}")]
    Field {
        /// Where.
        at: String,
        /// What is wrong.
        why: String,
    },
    /// Two tasks have one key.
    #[error("tasks[{second}].key: {key:?} is the key of tasks[{first}] already")]
    SameKey {
        /// The key.
        key: String,
        /// Who has it.
        first: usize,
        /// Who has it too.
        second: usize,
    },
    /// A task comes after one that is not there.
    #[error("tasks[{at}].depends_on: no task of the plan has the key {key:?}")]
    UnknownKey {
        /// Which task.
        at: usize,
        /// The key.
        key: String,
    },
    /// Tasks wait for one another, so none of them would ever begin.
    #[error("depends_on goes in a circle: {}", .0.join(" -> "))]
    Cycle(Vec<String>),
}

impl BadPlan {
    /// The refusal of a command that carries such a plan.
    pub fn rejection(&self) -> Rejection {
        let code = match self {
            BadPlan::Over { .. } => Code::LimitExceeded,
            BadPlan::Cycle(_) | BadPlan::UnknownKey { .. } => Code::DependencyError,
            BadPlan::Shape(_)
            | BadPlan::NoText
            | BadPlan::NoTasks
            | BadPlan::Field { .. }
            | BadPlan::SameKey { .. } => Code::BadRequest,
        };
        Rejection::new(code, format!("the plan cannot be taken: {self}")).with_field("graph")
    }
}

/// The JSON schema of a plan, for whoever is to write one.
pub fn schema() -> String {
    schemars::schema_for!(Plan).to_value().to_string()
}

/// Reads a plan from JSON and checks all that can be known without the mesh.
pub fn read(json: &str) -> Result<Plan, BadPlan> {
    let mut input = serde_json::Deserializer::from_str(json);
    let plan: Plan = serde_path_to_error::deserialize(&mut input).map_err(|error| {
        let at = error.path().to_string();
        let why = error.into_inner();
        BadPlan::Shape(if at == "." { why.to_string() } else { format!("{at}: {why}") })
    })?;
    check(&plan.text, &plan.tasks)?;
    Ok(plan)
}

/// Checks a plan: bounds, keys, order.
pub fn check(text: &str, tasks: &[Planned]) -> Result<(), BadPlan> {
    if text.trim().is_empty() {
        return Err(BadPlan::NoText);
    }
    bytes("text", text)?;
    if tasks.is_empty() {
        return Err(BadPlan::NoTasks);
    }
    few("tasks".to_owned(), tasks.len(), "tasks", PLAN_TASKS_MAX)?;
    for (at, task) in tasks.iter().enumerate() {
        one(at, task)?;
    }
    let size = tasks.iter().map(weight).sum();
    few("tasks".to_owned(), size, "bytes beside the prompts", PLAN_BYTES_MAX)?;
    order(tasks, |task| (&task.key, &task.depends_on)).map(drop)
}

/// What a task takes of the record that it is added in.
fn weight(task: &Planned) -> usize {
    let paths = task.paths.iter().map(|path| path.key().len() + 4);
    let words = task.depends_on.iter().chain(&task.needs).map(|word| word.len() + 4);
    task.key.len() + task.title.len() + paths.chain(words).sum::<usize>()
}

fn one(at: usize, task: &Planned) -> Result<(), BadPlan> {
    let name = |field: &str| format!("tasks[{at}].{field}");
    line(name("key"), &task.key, KEY_CHARS_MAX)?;
    line(name("title"), &task.title, LINE_CHARS_MAX)?;
    task.prompt.as_ref().map_or(Ok(()), |prompt| bytes(&name("prompt"), prompt))?;
    few(name("paths"), task.paths.len(), "paths", PATHS_MAX)?;
    few(name("depends_on"), task.depends_on.len(), "keys", LIST_MAX)?;
    few(name("needs"), task.needs.len(), "entries", LIST_MAX)?;
    for need in &task.needs {
        check_name(CAPABILITY, need)
            .map_err(|bad| BadPlan::Field { at: name("needs"), why: bad.to_string() })?;
    }
    if task.priority.is_some_and(|priority| priority > 4) {
        let why = "0 (urgent) to 4 (idle) is expected".to_owned();
        return Err(BadPlan::Field { at: name("priority"), why });
    }
    Ok(())
}

fn few(at: String, has: usize, what: &'static str, max: usize) -> Result<(), BadPlan> {
    if has > max { Err(BadPlan::Over { at, has, what, max }) } else { Ok(()) }
}

fn bytes(at: &str, text: &str) -> Result<(), BadPlan> {
    few(at.to_owned(), text.len(), "bytes", TEXT_BYTES_MAX)?;
    if text.contains('\0') {
        return Err(BadPlan::Field { at: at.to_owned(), why: "it holds a NUL".to_owned() });
    }
    Ok(())
}

fn line(at: String, text: &str, max: usize) -> Result<(), BadPlan> {
    if text.trim().is_empty() {
        return Err(BadPlan::Field { at, why: "it is empty".to_owned() });
    }
    if text.chars().any(char::is_control) {
        let why = "a line without control characters is expected".to_owned();
        return Err(BadPlan::Field { at, why });
    }
    few(at, text.chars().count(), "characters", max)
}

/// The order in which tasks can be added: each after all that it depends on, otherwise as they
/// were written. `names` gives a task's key and the keys that it depends on.
pub fn order<T>(
    tasks: &[T],
    names: impl Fn(&T) -> (&String, &Vec<String>),
) -> Result<Vec<usize>, BadPlan> {
    let mut places: BTreeMap<&str, usize> = BTreeMap::new();
    for (second, task) in tasks.iter().enumerate() {
        let key = names(task).0;
        if let Some(first) = places.insert(key, second) {
            return Err(BadPlan::SameKey { key: key.clone(), first, second });
        }
    }
    let mut before: Vec<BTreeSet<usize>> = Vec::with_capacity(tasks.len());
    for (at, task) in tasks.iter().enumerate() {
        let known = |key: &String| {
            let place = places.get(key.as_str()).copied();
            place.ok_or_else(|| BadPlan::UnknownKey { at, key: key.clone() })
        };
        before.push(names(task).1.iter().map(known).collect::<Result<_, _>>()?);
    }
    let mut done = Vec::with_capacity(tasks.len());
    let mut left: BTreeSet<usize> = (0..tasks.len()).collect();
    while !left.is_empty() {
        let free = left.iter().copied().find(|at| before[*at].is_disjoint(&left));
        let Some(at) = free else {
            return Err(circle(&left, &before, |at| names(&tasks[at]).0.clone()));
        };
        left.remove(&at);
        done.push(at);
    }
    Ok(done)
}

/// Of tasks that all wait for one of them, some that wait for one another.
fn circle(
    left: &BTreeSet<usize>,
    before: &[BTreeSet<usize>],
    name: impl Fn(usize) -> String,
) -> BadPlan {
    let next = |at: usize| before[at].intersection(left).next().copied();
    let mut walked: Vec<usize> = Vec::new();
    let mut at = left.first().copied();
    while let Some(now) = at {
        if let Some(begin) = walked.iter().position(|seen| *seen == now) {
            walked.push(now);
            walked.drain(..begin);
            break;
        }
        walked.push(now);
        at = next(now);
    }
    let mut names: Vec<String> = walked.into_iter().map(name).collect();
    if names.len() > NAMED_MAX {
        names.truncate(NAMED_MAX);
        names.push("…".to_owned());
    }
    BadPlan::Cycle(names)
}

#[cfg(test)]
mod tests;
