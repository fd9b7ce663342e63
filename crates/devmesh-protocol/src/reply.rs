//! Answers: exactly two shapes, `{"ok":true,"seq":…,"result":…}` and
//! `{"ok":false,"seq":…,"error":{"code":…,"message":…,"details":…,"retry_after_ms":…}}`.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// Why something was refused. Stable; each has a page, `devmesh explain CODE`.
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
            JsonSchema,
        )]
        pub enum Code {
            $($(#[$doc])* #[serde(rename = $name)] $variant,)*
        }

        impl Code {
            /// All codes.
            pub const ALL: &'static [Code] = &[$(Code::$variant,)*];

            /// The code as on the wire.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Code::$variant => $name,)*
                }
            }
        }
    };
}

codes! {
    /// No such verb or query.
    UnknownVerb = "UNKNOWN_VERB",
    /// The body is not what the verb takes.
    BadRequest = "BAD_REQUEST",
    /// The id is older than those remembered; nothing was executed.
    IdExpired = "ID_EXPIRED",
    /// A query asked for a state that is not there yet.
    SeqNotReached = "SEQ_NOT_REACHED",
    /// The log's store takes nothing now: whether the command is recorded is not known.
    StoreRefuses = "STORE_REFUSES",
    /// An agent acts before it has joined, or under a session that is not its live one.
    AgentNotRegistered = "AGENT_NOT_REGISTERED",
    /// The agent is suspended: its host lacks what it needs.
    AgentSuspended = "AGENT_SUSPENDED",
    /// Somebody else holds it.
    LockConflict = "LOCK_CONFLICT",
    /// The wait for a lease is over.
    LockTimeout = "LOCK_TIMEOUT",
    /// The wait would close a circle of waits.
    LockDeadlock = "LOCK_DEADLOCK",
    /// There is no such live lease of the caller's.
    LeaseExpired = "LEASE_EXPIRED",
    /// The token is not the live one: the attempt or lease has gone to somebody else.
    StaleToken = "STALE_TOKEN",
    /// No such task.
    TaskNotFound = "TASK_NOT_FOUND",
    /// The task is in no state for this.
    TaskStateError = "TASK_STATE_ERROR",
    /// A dependency is missing, or would close a circle.
    DependencyError = "DEPENDENCY_ERROR",
    /// It belongs to somebody else.
    NotOwner = "NOT_OWNER",
    /// A review is missing.
    ReviewRequired = "REVIEW_REQUIRED",
    /// Nobody reviews their own work.
    SelfReview = "SELF_REVIEW",
    /// The receipt for this tree is missing.
    VerificationRequired = "VERIFICATION_REQUIRED",
    /// The same change has been submitted, landed or rejected before.
    DuplicateChange = "DUPLICATE_CHANGE",
    /// Nothing is changed.
    NoEdit = "NO_EDIT",
    /// Another has landed a change of the same file, shared at the same time: it comes in first.
    MergeRequired = "MERGE_REQUIRED",
    /// The framework has not been read.
    FrameworkUnread = "FRAMEWORK_UNREAD",
    /// Memory, GPU memory or places are lacking.
    InsufficientResources = "INSUFFICIENT_RESOURCES",
    /// No such tool.
    ToolNotFound = "TOOL_NOT_FOUND",
    /// The tool could not be run.
    ToolInvokeError = "TOOL_INVOKE_ERROR",
    /// The money set aside is spent.
    BudgetExceeded = "BUDGET_EXCEEDED",
    /// The path is not one of the repository's.
    PathOutsideRepo = "PATH_OUTSIDE_REPO",
    /// A bound is reached.
    LimitExceeded = "LIMIT_EXCEEDED",
    /// The caller's credential does not allow it.
    NotPermitted = "NOT_PERMITTED",
    /// A configuration value is not valid.
    InvalidConfig = "INVALID_CONFIG",
}

impl Code {
    /// Whether a refusal with this code is history: a lease, a task or a person's decision
    /// explains it. The others are only counted.
    pub fn is_recorded(self) -> bool {
        matches!(
            self,
            Code::LockConflict
                | Code::LockTimeout
                | Code::LockDeadlock
                | Code::StaleToken
                | Code::TaskStateError
                | Code::DependencyError
                | Code::ReviewRequired
                | Code::SelfReview
                | Code::VerificationRequired
                | Code::DuplicateChange
                | Code::MergeRequired
                | Code::NotOwner
                | Code::BudgetExceeded
                | Code::InsufficientResources
        )
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A refusal: the domain's answer, not a fault of the program.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rejection {
    /// What kind.
    pub code: Code,
    /// What happened and what to do, for people.
    pub message: String,
    /// The same for programs: `field`, `holders`, `state` …
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub details: Map<String, Value>,
    /// When another attempt, under a new id, may go better.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
}

impl Rejection {
    /// A refusal without details.
    pub fn new(code: Code, message: impl Into<String>) -> Rejection {
        Rejection { code, message: message.into(), details: Map::new(), retry_after_ms: None }
    }

    /// Adds a detail.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Rejection {
        self.details.insert(name.to_owned(), value.into());
        self
    }

    /// Names the field that is at fault.
    #[must_use]
    pub fn with_field(self, field: &str) -> Rejection {
        self.with("field", field)
    }

    /// Says when to try again.
    #[must_use]
    pub fn retry_after(mut self, ms: u64) -> Rejection {
        self.retry_after_ms = Some(ms);
        self
    }

    /// A field that is not what it should be.
    pub fn bad_field(field: &str, why: impl fmt::Display) -> Rejection {
        // serde counts a missing or unknown field against the object around it.
        let message = match field {
            "" | "." | "?" => format!("the body is not valid: {why}"),
            field => format!("{field}: {why}"),
        };
        Rejection::new(Code::BadRequest, message).with_field(field)
    }

    /// A verb that is none.
    pub fn unknown_verb(verb: &str) -> Rejection {
        let verb: String = verb.chars().take(80).collect();
        let text = format!("there is no verb {verb:?}; `devmesh explain UNKNOWN_VERB` lists them");
        Rejection::new(Code::UnknownVerb, text)
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

impl std::error::Error for Rejection {}

/// An answer to a command or query.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// It happened, or this is what was asked for.
    Ok {
        /// The record; null where nothing was recorded. For a query: the state it shows.
        seq: Option<u64>,
        /// The verb's result.
        result: Value,
    },
    /// It was refused.
    Err {
        /// The record of the refusal; null where it was only counted.
        seq: Option<u64>,
        /// Why.
        error: Rejection,
    },
}

impl Reply {
    /// The record that the answer is about.
    pub fn seq(&self) -> Option<u64> {
        match self {
            Reply::Ok { seq, .. } | Reply::Err { seq, .. } => *seq,
        }
    }

    /// The answer as it is sent.
    pub fn to_json(&self) -> Value {
        match self {
            Reply::Ok { seq, result } => json!({ "ok": true, "seq": seq, "result": result }),
            Reply::Err { seq, error } => {
                json!({ "ok": false, "seq": seq, "error": {
                    "code": error.code,
                    "message": error.message,
                    "details": error.details,
                    "retry_after_ms": error.retry_after_ms,
                } })
            }
        }
    }

    /// The answer as result or refusal.
    pub fn into_result(self) -> Result<(Option<u64>, Value), Rejection> {
        match self {
            Reply::Ok { seq, result } => Ok((seq, result)),
            Reply::Err { error, .. } => Err(error),
        }
    }

    /// Reads an answer from the wire.
    pub fn from_slice(bytes: &[u8]) -> Result<Reply, serde_json::Error> {
        let wire: Wire = serde_json::from_slice(bytes)?;
        Ok(match wire.error {
            Some(error) if !wire.ok => Reply::Err { seq: wire.seq, error },
            _ => Reply::Ok { seq: wire.seq, result: wire.result },
        })
    }
}

/// Both shapes at once, for reading.
#[derive(Deserialize)]
struct Wire {
    ok: bool,
    #[serde(default)]
    seq: Option<u64>,
    #[serde(default)]
    result: Value,
    #[serde(default)]
    error: Option<Rejection>,
}

impl Serialize for Reply {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_json().serialize(serializer)
    }
}

#[cfg(test)]
mod tests;
