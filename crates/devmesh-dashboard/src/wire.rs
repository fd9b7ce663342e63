//! What the page and its process say to each other. Both ends are shipped together, so this is
//! not part of the protocol; a page of another build is told to load itself anew.

use axum::extract::ws::Utf8Bytes;
use devmesh_bus::client::Outcome;
use devmesh_protocol::{Rejection, Reply};
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// Rises with every change of what is said here.
pub const VERSION: u32 = 1;

/// Verbs that a page may send; what agents and administrators say is not among them.
pub const VERBS: &[&str] = &[
    "task.add",
    "task.cancel",
    "task.pause",
    "task.resume",
    "task.retry",
    "task.say",
    "task.answer",
    "task.review",
    "lock.break",
    "mesh.pause",
    "mesh.resume",
];

/// What a page says.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(tag = "t", rename_all = "snake_case", deny_unknown_fields)]
pub enum FromPage {
    /// The first word: what it has already.
    Hello {
        /// The run of the process that its rows are from.
        #[serde(default)]
        boot: Option<String>,
        /// The last push it has.
        #[serde(default)]
        rev: u64,
    },
    /// A command.
    Do {
        /// Names it in the answer.
        n: u64,
        /// The verb.
        verb: String,
        /// The body, as on the command subjects.
        body: Map<String, Value>,
    },
    /// A question.
    Ask {
        /// Names it in the answer.
        n: u64,
        /// `task` or `why`.
        what: String,
        /// The body, as on the query subjects.
        body: Map<String, Value>,
    },
}

fn frame(value: &Value) -> Utf8Bytes {
    value.to_string().into()
}

/// The first word to a page.
pub(crate) fn hello(boot: &str, mesh: &str, actor: &str) -> Utf8Bytes {
    frame(&json!({ "t": "hello", "v": VERSION, "boot": boot, "mesh": mesh, "actor": actor }))
}

/// How the process itself is.
pub(crate) fn health(
    log: &str,
    say: &str,
    coordinator: Option<bool>,
    stale: Option<&str>,
) -> Utf8Bytes {
    let health = json!({
        "t": "health", "log": log, "say": say, "coordinator": coordinator, "stale": stale,
    });
    frame(&health)
}

/// The answer to a request.
pub(crate) fn reply(n: u64, reply: &Reply) -> Utf8Bytes {
    frame(&json!({ "t": "reply", "n": n, "reply": reply.to_json() }))
}

/// A refusal by this process.
pub(crate) fn refused(n: u64, error: Rejection) -> Utf8Bytes {
    reply(n, &Reply::Err { seq: None, error })
}

/// A refusal of a frame that has no number.
pub(crate) fn unreadable(error: &Rejection) -> Utf8Bytes {
    frame(&json!({ "t": "error", "error": error }))
}

/// What became of a request.
pub(crate) fn outcome(n: u64, outcome: &Result<Outcome, String>) -> Utf8Bytes {
    match outcome {
        Ok(Outcome::Reply(answer)) => reply(n, answer),
        Ok(Outcome::Unknown { why }) | Err(why) => {
            frame(&json!({ "t": "reply", "n": n, "unknown": why }))
        }
    }
}
