//! The rows that pages show, made of the state, and which of them have changed.
//!
//! An event names what it is about; only those rows are made again and compared. Bounded: of the
//! ended tasks the newest are kept, of everything else as much as a person can look at; the
//! numbers in the page's head always count all.

mod touch;

use std::collections::{BTreeMap, BTreeSet};

use devmesh_domain::State;
use devmesh_domain::look::{look, task_view};
use devmesh_protocol::query::{LIMIT_MAX, List, Locks, Tasks, What};
use devmesh_protocol::{LeaseId, Record, TaskId};
use serde_json::{Map, Value};

use super::pushed::{Changes, lists};

/// Tasks that have not ended.
pub const LIVE_TASKS_MAX: usize = 5_000;
/// Tasks that have ended, the newest.
pub const ENDED_TASKS_MAX: usize = 1_000;
/// Rows of any other part.
pub const ROWS_MAX: usize = 2_000;

/// The states of tasks that have not ended, by name.
const LIVE: &[&str] =
    &["queued", "claimed", "working", "verifying", "review", "landing", "paused", "blocked"];

/// The parts beside tasks, and what names a row in each.
const PARTS: &[(&str, &str)] = &[
    ("agents", "agent"),
    ("leases", "lease"),
    ("waiters", "id"),
    ("hosts", "host"),
    ("repos", "repo"),
];

/// Fields of a task that rows leave out: they are asked for when somebody looks closely.
const CLOSELY: &[&str] = &["verify", "said", "prompt", "tool_session", "saved", "max_wall_s"];

/// The rows as they were last pushed, and what may differ from them.
#[derive(Clone, Debug, Default)]
pub struct Mirror {
    tasks: BTreeMap<TaskId, TaskRow>,
    /// Tasks that wait for a task to be completed.
    dependants: BTreeMap<TaskId, BTreeSet<TaskId>>,
    rows: BTreeMap<&'static str, BTreeMap<String, String>>,
    touched: Touched,
    loaded: bool,
}

#[derive(Clone, Debug)]
struct TaskRow {
    ended: bool,
    depends_on: Vec<TaskId>,
    json: String,
}

/// What events were about since the last push.
#[derive(Clone, Debug, Default)]
struct Touched {
    tasks: BTreeSet<TaskId>,
    all_tasks: bool,
    parts: BTreeSet<&'static str>,
    mesh: bool,
}

impl Mirror {
    /// Marks what a record may have changed.
    pub fn touch(&mut self, record: &Record) {
        self.touched.mesh = true;
        for event in &record.events {
            touch::touch(&mut self.touched, event);
        }
        if !self.loaded {
            self.touched.tasks.clear();
        }
    }

    /// Whether anything may have changed.
    pub fn is_stale(&self) -> bool {
        self.touched.mesh
    }

    /// Makes the rows that may have changed and says which did.
    pub fn refresh(&mut self, state: &State) -> Changes {
        let touched = std::mem::take(&mut self.touched);
        let mut changes = Changes::default();
        if self.loaded {
            self.refresh_tasks(state, &touched, &mut changes);
        } else {
            self.load(state, &mut changes);
            self.loaded = true;
        }
        for part in touched.parts {
            let fresh = rows(state, part);
            merge(part, self.rows.entry(part).or_default(), fresh, &mut changes);
        }
        changes
    }

    /// Everything, as a JSON object of lists.
    pub fn all(&self) -> String {
        let tasks: Vec<&str> = self.tasks.values().map(|row| row.json.as_str()).collect();
        let rest = PARTS.iter().map(|(part, _)| {
            let rows = self.rows.get(part).into_iter().flatten();
            (*part, rows.map(|(_, json)| json.as_str()).collect())
        });
        lists(std::iter::once(("tasks", tasks)).chain(rest))
    }

    /// The first rows: a walk over all tasks that have not ended, and the newest that have.
    fn load(&mut self, state: &State, changes: &mut Changes) {
        for name in LIVE {
            for id in ids_in(state, name) {
                self.refresh_task(state, id, changes);
            }
        }
        let mut ended = 0;
        // A log of a million tasks is not walked through for the last thousand.
        for id in (1..=state.mesh().tasks_added).rev().take(20 * ENDED_TASKS_MAX).map(TaskId) {
            if ended >= ENDED_TASKS_MAX {
                break;
            }
            if !self.tasks.contains_key(&id) {
                self.refresh_task(state, id, changes);
                ended += 1;
            }
        }
        self.thin(changes);
    }

    fn refresh_tasks(&mut self, state: &State, touched: &Touched, changes: &mut Changes) {
        let mut ids = touched.tasks.clone();
        for task in &touched.tasks {
            ids.extend(self.dependants.get(task).into_iter().flatten());
        }
        if touched.all_tasks {
            let live = self.tasks.iter().filter(|(_, row)| !row.ended);
            ids.extend(live.map(|(id, _)| *id));
        }
        for id in ids {
            self.refresh_task(state, id, changes);
        }
        self.thin(changes);
    }

    fn refresh_task(&mut self, state: &State, id: TaskId, changes: &mut Changes) {
        let Some(view) = task_view(state, id) else { return };
        let depends_on = view.depends_on.clone();
        let ended = matches!(view.state.as_str(), "completed" | "failed" | "cancelled");
        let mut value = serde_json::to_value(view).expect("views are plain data with text keys");
        if let Value::Object(row) = &mut value {
            for field in CLOSELY {
                row.remove(*field);
            }
        }
        let json = slim(value).to_string();
        if self.tasks.get(&id).is_some_and(|row| row.json == json) {
            return;
        }
        changes.put.entry("tasks").or_default().push(json.clone());
        for dependency in &depends_on {
            self.dependants.entry(*dependency).or_default().insert(id);
        }
        if let Some(old) = self.tasks.insert(id, TaskRow { ended, depends_on, json }) {
            let now = self.tasks[&id].depends_on.clone();
            let gone = old.depends_on.into_iter().filter(|task| !now.contains(task));
            self.forget(id, gone.collect());
        }
    }

    /// Lets the oldest rows go where there are too many.
    fn thin(&mut self, changes: &mut Changes) {
        for (ended, max) in [(true, ENDED_TASKS_MAX), (false, LIVE_TASKS_MAX)] {
            let of_kind = self.tasks.iter().filter(|(_, row)| row.ended == ended);
            let ids: Vec<TaskId> = of_kind.map(|(id, _)| *id).collect();
            for id in &ids[..ids.len().saturating_sub(max)] {
                if let Some(row) = self.tasks.remove(id) {
                    self.forget(*id, row.depends_on);
                }
                changes.cut.entry("tasks").or_default().push(id.to_string());
            }
        }
    }

    fn forget(&mut self, task: TaskId, depends_on: Vec<TaskId>) {
        for dependency in depends_on {
            if let Some(tasks) = self.dependants.get_mut(&dependency) {
                tasks.remove(&task);
                if tasks.is_empty() {
                    self.dependants.remove(&dependency);
                }
            }
        }
    }
}

/// The tasks in that state.
fn ids_in(state: &State, name: &str) -> Vec<TaskId> {
    let mut ids: Vec<TaskId> = Vec::new();
    while ids.len() < LIVE_TASKS_MAX {
        let query = Tasks {
            limit: Some(LIMIT_MAX),
            after: ids.last().copied(),
            state: Some(name.to_owned()),
            ..Tasks::default()
        };
        let page = list(state, &What::Tasks(query), "tasks");
        if page.is_empty() {
            break;
        }
        ids.extend(page.iter().filter_map(|row| row["task"].as_str()?.parse::<TaskId>().ok()));
    }
    ids
}

/// The rows of a part, by name.
fn rows(state: &State, part: &'static str) -> BTreeMap<String, String> {
    let Some((_, name)) = PARTS.iter().find(|(known, _)| *known == part) else {
        return BTreeMap::new();
    };
    let mut rows = BTreeMap::new();
    let mut after: Option<String> = None;
    while rows.len() < ROWS_MAX {
        let page = list(state, &page_of(part, after.as_deref()), part);
        after = page.last().and_then(|row| Some(row[name].as_str()?.to_owned()));
        if after.is_none() {
            break;
        }
        for row in page {
            let key = row[name].as_str().unwrap_or_default().to_owned();
            rows.insert(key, slim(row).to_string());
        }
        if part == "waiters" {
            // They come all at once, and only beside the first leases.
            break;
        }
    }
    rows
}

fn page_of(part: &str, after: Option<&str>) -> What {
    let rest = || List { limit: Some(LIMIT_MAX), after: after.map(ToOwned::to_owned) };
    match part {
        "agents" => What::Agents(rest()),
        "hosts" => What::Hosts(rest()),
        "repos" => What::Repos(rest()),
        _ => {
            let after = after.and_then(|after| after.parse::<LeaseId>().ok());
            What::Locks(Locks { limit: Some(LIMIT_MAX), after, ..Locks::default() })
        }
    }
}

fn list(state: &State, what: &What, part: &str) -> Vec<Value> {
    let Ok(mut answer) = look(state, what) else { return Vec::new() };
    match answer[part].take() {
        Value::Array(rows) => rows,
        _ => Vec::new(),
    }
}

fn merge(
    part: &'static str,
    rows: &mut BTreeMap<String, String>,
    fresh: BTreeMap<String, String>,
    changes: &mut Changes,
) {
    let gone: Vec<String> = rows.keys().filter(|key| !fresh.contains_key(*key)).cloned().collect();
    let put = fresh.iter().filter(|(key, json)| rows.get(*key) != Some(*json));
    let put: Vec<String> = put.map(|(_, json)| json.clone()).collect();
    if !put.is_empty() {
        changes.put.insert(part, put);
    }
    if !gone.is_empty() {
        changes.cut.insert(part, gone);
    }
    *rows = fresh;
}

/// The scalars of the page's head.
pub(crate) fn mesh(state: &State) -> Value {
    look(state, &What::State).map(slim).unwrap_or_default()
}

/// Without what is null or empty: a page reads what is not there the same way.
fn slim(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let fields = fields.into_iter().map(|(name, value)| (name, slim(value)));
            Value::Object(fields.filter(|(_, value)| !is_nothing(value)).collect::<Map<_, _>>())
        }
        other => other,
    }
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::String(text) => text.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

#[cfg(test)]
mod tests;
