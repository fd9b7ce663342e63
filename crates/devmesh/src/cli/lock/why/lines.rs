//! Holders and waits as lines for people. What an answer has is read by name: a coordinator of
//! another version may tell more, or less.

use serde_json::Value;

use crate::output::clean;

/// The lines of an answer; none where nobody holds anything and nobody waits.
pub(super) fn of(answer: &Value) -> Vec<String> {
    let mut all: Vec<String> = list(answer, "holders").iter().map(held).collect();
    for wait in list(answer, "waits") {
        all.extend(waits(wait));
    }
    all.extend(list(answer, "advisory").iter().map(by_hand));
    all.into_iter().map(|line| clean(&line).into_owned()).collect()
}

/// One holder.
pub(in crate::cli::lock) fn held(lease: &Value) -> String {
    let mut line = format!("{} is held by {}", text(lease, "path"), text(lease, "actor"));
    line += &format!(" ({})", text(lease, "mode"));
    let of = text(lease, "task");
    if !of.is_empty() {
        line += &format!(" for {of}");
    }
    let since = text(lease, "granted_at");
    if !since.is_empty() {
        line += &format!(" since {since}");
    }
    line += &match (text(lease, "ends"), text(lease, "expires_at")) {
        (ends, _) if !ends.is_empty() => format!(", ends {ends}"),
        (_, at) if !at.is_empty() => format!(", until {at}"),
        _ => ", until it is silent".to_owned(),
    };
    let reason = text(lease, "reason");
    if !reason.is_empty() {
        line += &format!(": {reason}");
    }
    clean(&line).into_owned()
}

/// What a person has changed and not committed.
pub(in crate::cli::lock) fn by_hand(one: &Value) -> String {
    let (path, whose) = (text(one, "path"), text(one, "actor"));
    let line = format!("{path} has changes of {whose} that are in no commit; nobody is blocked");
    clean(&line).into_owned()
}

/// One request that waits: what for, behind whom, until when.
fn waits(wait: &Value) -> Vec<String> {
    let paths: Vec<String> = list(wait, "paths").iter().map(word).collect();
    let of = text(wait, "task");
    let of = if of.is_empty() { String::new() } else { format!(" for {of}") };
    let (actor, mode, since) = (text(wait, "actor"), text(wait, "mode"), text(wait, "queued_at"));
    let mut all =
        vec![format!("{actor} waits{of} for {} ({mode}) since {since}", paths.join(", "))];
    let mut field = |name: &str, value: String| {
        if !value.is_empty() {
            all.push(format!("    {name:<9}{value}"));
        }
    };
    field("why", text(wait, "reason"));
    for holder in list(wait, "holders") {
        field("holder", held(holder));
    }
    for ahead in list(wait, "ahead") {
        let of = text(ahead, "task");
        field("ahead", format!("{} {of}", text(ahead, "actor")).trim_end().to_owned());
    }
    field("place", text(wait, "position"));
    let comes = match text(wait, "expected_at") {
        at if at.is_empty() => "nobody can say".to_owned(),
        at => format!("{at} at the latest, as things stand"),
    };
    field("comes", comes);
    field("shared", text(wait, "share_at"));
    field("ends", text(wait, "deadline"));
    all
}

fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value.get(name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

fn text(value: &Value, name: &str) -> String {
    value.get(name).map(word).unwrap_or_default()
}

fn word(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
