//! The wire formats that the server speaks: one file each, joined here.

use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use super::answer::Answer;
use super::request::Request;
use super::script::Fault;
use super::{chat, gemini, messages, responses};

/// A wire format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Dialect {
    /// OpenAI Responses.
    Responses,
    /// Anthropic Messages.
    Messages,
    /// OpenAI chat completions.
    Chat,
    /// Gemini's `generateContent`.
    Gemini,
}

/// One server-sent event.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Its `event:` line; without one in the dialects that do not name their events.
    pub name: String,
    /// Its `data:` line; a string stands there as it is.
    pub data: Value,
}

impl Event {
    /// The event as bytes on the wire.
    pub fn encode(&self) -> String {
        let name = match self.name.as_str() {
            "" => String::new(),
            name => format!("event: {name}\n"),
        };
        match &self.data {
            Value::String(text) => format!("{name}data: {text}\n\n"),
            data => format!("{name}data: {data}\n\n"),
        }
    }
}

/// The ids of one answer: the same in all its events.
#[derive(Debug, Clone)]
pub struct Ids {
    unique: String,
    /// Seconds since 1970.
    pub created: u64,
}

impl Ids {
    /// Fresh ids.
    pub fn fresh() -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { unique: Uuid::now_v7().simple().to_string(), created: now.as_secs() }
    }

    /// The id of one kind of thing.
    pub fn of(&self, prefix: &str) -> String {
        format!("{prefix}_{}", self.unique)
    }
}

impl Dialect {
    /// The dialect that a path belongs to.
    pub fn of_path(path: &str) -> Option<Self> {
        if path.ends_with("/responses") {
            Some(Self::Responses)
        } else if path.ends_with("/messages") {
            Some(Self::Messages)
        } else if path.ends_with("/chat/completions") {
            Some(Self::Chat)
        } else if gemini::is_path(path) {
            Some(Self::Gemini)
        } else {
            None
        }
    }

    /// Reads a request that came on this path.
    pub fn parse(self, path: &str, body: &Value) -> Request {
        match self {
            Self::Responses => responses::parse(body),
            Self::Messages => messages::parse(body),
            Self::Chat => chat::parse(body),
            Self::Gemini => gemini::parse(path, body),
        }
    }

    /// The whole answer as one JSON object.
    pub fn render(self, request: &Request, answer: &Answer, ids: &Ids) -> Value {
        match self {
            Self::Responses => responses::render(request, answer, ids),
            Self::Messages => messages::render(request, answer, ids),
            Self::Chat => chat::render(request, answer, ids),
            Self::Gemini => gemini::render(request, answer, ids),
        }
    }

    /// The answer as a stream of events.
    pub fn events(self, request: &Request, answer: &Answer, ids: &Ids) -> Vec<Event> {
        match self {
            Self::Responses => responses::events(request, answer, ids),
            Self::Messages => messages::events(request, answer, ids),
            Self::Chat => chat::events(request, answer, ids),
            Self::Gemini => gemini::events(request, answer, ids),
        }
    }

    /// How every stream begins.
    pub fn opening(self, request: &Request, answer: &Answer, ids: &Ids) -> Vec<Event> {
        match self {
            Self::Responses => responses::opening(request, ids),
            Self::Messages => messages::opening(request, answer, ids),
            Self::Chat => chat::opening(request, ids),
            Self::Gemini => gemini::opening(request, answer, ids),
        }
    }

    /// An error as this provider words it.
    pub fn error(self, fault: &Fault) -> Value {
        let wait = fault.retry_after.unwrap_or(1);
        let usual = match fault.status {
            400 => "The request is not valid.".to_owned(),
            401 => "The API key is not valid.".to_owned(),
            429 => format!("Rate limit reached. Please try again in {wait}s."),
            529 => "Overloaded".to_owned(),
            _ => "The server failed while it worked on the request.".to_owned(),
        };
        let message = fault.message.as_deref().unwrap_or(&usual);
        match self {
            Self::Responses => responses::error(fault, message),
            Self::Messages => messages::error(fault, message),
            Self::Chat => chat::error(fault, message),
            Self::Gemini => gemini::error(fault, message),
        }
    }
}
