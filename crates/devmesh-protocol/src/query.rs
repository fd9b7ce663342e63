//! Queries: reads that change nothing. Each takes `at_least` (waits up to 2 s for that `seq`);
//! lists take `limit` and `after`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::command::Encoding;
use crate::command::task::ReviewBy;
use crate::id::{ActorId, RepoId, TaskId};
use crate::limits::{LINE_CHARS_MAX, PATHS_MAX};
use crate::mode::Mode;
use crate::path::RepoPath;
use crate::reply::{Code, Rejection};

/// How long a query waits for the `seq` it asks for.
pub const AT_LEAST_WAIT_MS: u64 = 2_000;
/// Entries of a list where no limit is asked for.
pub const LIMIT: u32 = 200;
/// Most entries of a list; an answer stays below a message's size.
pub const LIMIT_MAX: u32 = 500;

/// A list's part: entries behind `after`, at most `limit`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct List {
    /// At most so many; absent: 200, at most 500.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// The id of the last entry seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}

/// `tasks`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Tasks {
    /// At most so many; absent: 200, at most 500.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// The last task seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<TaskId>,
    /// Only those in this state, by its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// Only those of this repository.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repo: Option<RepoId>,
    /// Only those that wait for such a review.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub review: Option<ReviewBy>,
}

/// `task`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Task {
    /// Which.
    pub task: TaskId,
}

/// `locks`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Locks {
    /// At most so many; absent: 200, at most 500.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// The last lease seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<crate::id::LeaseId>,
    /// Only those on paths that overlap this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<RepoPath>,
    /// Only those of this actor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actor: Option<ActorId>,
}

/// `lock.check`: what `lock.acquire` would meet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LockCheck {
    /// Which paths.
    pub paths: Vec<RepoPath>,
    /// How.
    pub mode: Mode,
    /// In which repository; may be left out where the mesh has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repo: Option<RepoId>,
}

/// `lock.why`: who waits, for whom, and until when; as narrow as what is given.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LockWhy {
    /// Only waits of this actor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actor: Option<ActorId>,
    /// Only this request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<crate::id::CommandId>,
    /// Only waits for this task.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task: Option<TaskId>,
    /// Only waits for what overlaps this path; who holds that is shown too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<RepoPath>,
    /// In which repository the path is; may be left out where the mesh has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repo: Option<RepoId>,
    /// At most so many; absent: 200, at most 500.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// `notes`: those that all that is given holds for, by key; with `about`, the best first.
///
/// The answer names in `next` the last note that was looked at where there may be more behind it;
/// `after` goes on there. A `word` is looked for in one part at a time, so a part may hold few of
/// the notes there are, or none.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Notes {
    /// At most so many; absent: 200, at most 500.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// The key of the last note seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// Only the one under this key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Only those that hold each of these words, in whatever case: in the key, the text, the
    /// author or a path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub word: Option<String>,
    /// Only those about what this path holds, is, or lies in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<RepoPath>,
    /// Only those of this author.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<ActorId>,
    /// Only those about this repository or about every one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repo: Option<RepoId>,
    /// What whoever works on these paths should know: notes about a path that overlaps one of
    /// them, then those about no path; of each the surest first, then the newest. No `after`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub about: Vec<RepoPath>,
}

/// `why`: the events that led here.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Why {
    /// A task, lease or agent, by its id.
    pub about: String,
}

/// `text`: a free text by its digest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Text {
    /// Its digest.
    pub digest: crate::digest::Digest,
}

/// What can be asked.
#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// Counts, term, leader, pause.
    State,
    /// The tasks, newest last.
    Tasks(Tasks),
    /// One task in full, texts included.
    Task(Task),
    /// The agents.
    Agents(List),
    /// The leases and those who wait.
    Locks(Locks),
    /// What a request for leases would meet.
    LockCheck(LockCheck),
    /// Why somebody waits for leases.
    LockWhy(LockWhy),
    /// The hosts.
    Hosts(List),
    /// The repositories.
    Repos(List),
    /// The notes.
    Notes(Notes),
    /// The settings.
    Settings,
    /// The causes of something.
    Why(Why),
    /// A free text.
    Text(Text),
}

/// One query of one actor.
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    /// Who asks.
    pub actor: ActorId,
    /// The state to wait for.
    pub at_least: Option<u64>,
    /// What is asked.
    pub what: What,
}

impl Query {
    /// The names of all queries.
    pub const NAMES: &'static [&'static str] = &[
        "state",
        "tasks",
        "task",
        "agents",
        "locks",
        "lock.check",
        "lock.why",
        "hosts",
        "repos",
        "notes",
        "settings",
        "why",
        "text",
    ];

    /// Reads a query from the parts of a message.
    pub fn parse(
        actor: ActorId,
        name: &str,
        body: &[u8],
        encoding: Encoding,
    ) -> Result<Query, Rejection> {
        if !Query::NAMES.contains(&name) {
            let text = format!("there is no query {name:?}; there are {}", Query::NAMES.join(", "));
            return Err(Rejection::new(Code::UnknownVerb, text));
        }
        let mut object = crate::command::object(body, encoding)?;
        let at_least = crate::command::take(&mut object, "at_least")?;
        let body = Value::Object(object);
        let what = match name {
            "state" => read::<List>(body).map(|_| What::State)?,
            "tasks" => What::Tasks(read(body)?),
            "task" => What::Task(read(body)?),
            "agents" => What::Agents(read(body)?),
            "locks" => What::Locks(read(body)?),
            "lock.check" => What::LockCheck(check(read(body)?)?),
            "lock.why" => What::LockWhy(read(body)?),
            "hosts" => What::Hosts(read(body)?),
            "repos" => What::Repos(read(body)?),
            "notes" => What::Notes(notes(read(body)?)?),
            "settings" => read::<List>(body).map(|_| What::Settings)?,
            "why" => What::Why(read(body)?),
            _ => What::Text(read(body)?),
        };
        Ok(Query { actor, at_least, what })
    }
}

fn read<T: serde::de::DeserializeOwned>(body: Value) -> Result<T, Rejection> {
    serde_path_to_error::deserialize(body).map_err(crate::command::unread)
}

fn notes(notes: Notes) -> Result<Notes, Rejection> {
    if notes.about.len() > PATHS_MAX {
        let text = format!("at most {PATHS_MAX} paths are expected");
        return Err(Rejection::bad_field("about", text));
    }
    if !notes.about.is_empty() && notes.after.is_some() {
        let text = "with `about` there is no order that one could go on in";
        return Err(Rejection::bad_field("after", text));
    }
    if notes.word.as_ref().is_some_and(|word| word.chars().count() > LINE_CHARS_MAX) {
        let text = format!("at most {LINE_CHARS_MAX} characters are expected");
        return Err(Rejection::bad_field("word", text));
    }
    Ok(notes)
}

fn check(check: LockCheck) -> Result<LockCheck, Rejection> {
    if check.paths.is_empty() || check.paths.len() > PATHS_MAX {
        let text = format!("1 to {PATHS_MAX} paths are expected");
        return Err(Rejection::bad_field("paths", text));
    }
    Ok(check)
}
