//! Settings: a closed table of keys, each with what it takes. Whole numbers only, so that every
//! machine reads the same.

use devmesh_protocol::command::mesh::SettingSet;
use devmesh_protocol::event::mesh::SettingChanged;
use devmesh_protocol::limits::{
    LEASE_TTL_AGENT_MS_MAX, LEASE_TTL_MS_MIN, LINE_CHARS_MAX, LIST_MAX,
};
use devmesh_protocol::{Code, Command, Event, Rejection};
use serde_json::Value;

use super::super::agent;
use crate::state::State;

/// What a setting takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// A whole number within these bounds.
    Number(u64, u64),
    /// True or false.
    Switch,
    /// One of these words.
    Word(&'static [&'static str]),
    /// A few short texts.
    Lines,
}

impl std::fmt::Display for Takes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Takes::Number(min, max) => write!(f, "a whole number from {min} to {max}"),
            Takes::Switch => write!(f, "true or false"),
            Takes::Word(words) => write!(f, "one of {}", words.join(", ")),
            Takes::Lines => write!(f, "a list of at most {LIST_MAX} short texts"),
        }
    }
}

/// All settings: key, what it takes, what it is for.
pub const SETTINGS: &[(&str, Takes, &str)] = &[
    ("agents.max", Takes::Number(0, 4_096), "agents that `up` starts on a host"),
    ("budget.usd_per_day", Takes::Number(0, 1_000_000), "what all tasks may cost in a day"),
    ("hook.mode", Takes::Word(&["strict", "warn", "off"]), "how a person's own session is gated"),
    ("hot", Takes::Lines, "files that are shared at once: lockfiles, changelogs"),
    ("land.push", Takes::Switch, "landed work is pushed"),
    ("lock.ttl_ms", Takes::Number(LEASE_TTL_MS_MIN, LEASE_TTL_AGENT_MS_MAX), "an agent's lease"),
    ("notify.on", Takes::Lines, "the kinds of event that people are told of"),
    ("review.default", Takes::Word(&["none", "agent", "person"]), "who looks at a task's diff"),
    ("session.grace_ms", Takes::Number(0, 60_000), "silence beyond a lease before it is freed"),
    ("session.silent_ms", Takes::Number(1_000, 600_000), "silence that ends a session"),
    ("share_after_ms", Takes::Number(0, 600_000), "the wait after which a path is shared"),
    ("task.max_cost_usd", Takes::Number(0, 1_000_000), "what a task may cost"),
    ("task.max_wall_s", Takes::Number(1, 604_800), "how long an attempt may take"),
];

pub(in crate::decide) fn setting_set(
    state: &State,
    command: &Command,
    body: &SettingSet,
) -> Result<Vec<Event>, Rejection> {
    agent::require_person(state, command)?;
    let known = SETTINGS.iter().find(|(key, _, _)| *key == body.key);
    let Some((key, takes, _)) = known else {
        let keys: Vec<&str> = SETTINGS.iter().map(|(key, _, _)| *key).collect();
        let text = format!("there is no setting {}; there are {}", body.key, keys.join(", "));
        return Err(invalid("key", text));
    };
    let value = Some(&body.value).filter(|value| !value.is_null());
    if let Some(value) = value {
        check(*takes, value).map_err(|why| invalid("value", format!("{key}: {why}")))?;
    }
    let value = value.map(Value::to_string);
    if state.settings.get(&body.key) == value.as_ref() {
        return Ok(Vec::new());
    }
    Ok(vec![SettingChanged { key: body.key.clone(), value }.into()])
}

fn invalid(field: &str, text: String) -> Rejection {
    Rejection::new(Code::InvalidConfig, text).with_field(field)
}

fn check(takes: Takes, value: &Value) -> Result<(), String> {
    let short = |value: &Value| {
        value.as_str().is_some_and(|text| {
            !text.trim().is_empty()
                && text.chars().count() <= LINE_CHARS_MAX
                && !text.chars().any(char::is_control)
        })
    };
    let fits = match takes {
        Takes::Number(min, max) => value.as_u64().is_some_and(|n| (min..=max).contains(&n)),
        Takes::Switch => value.is_boolean(),
        Takes::Word(words) => value.as_str().is_some_and(|word| words.contains(&word)),
        Takes::Lines => {
            value.as_array().is_some_and(|list| list.len() <= LIST_MAX && list.iter().all(short))
        }
    };
    if fits { Ok(()) } else { Err(format!("it takes {takes}")) }
}
