//! A task as lines for people. What a task has is read by name: a coordinator of another version
//! may tell more of it, or less.

use devmesh_protocol::view::LeaseView;
use serde_json::Value;

use crate::cli::words;
use crate::output::{clean, clean_lines};

/// All but leases, outputs and texts; the first line names the task.
pub(super) fn of(task: &Value) -> Vec<String> {
    let mut all = vec![format!("{}  {}", text(task, "task"), clean(&text(task, "title")))];
    let mut field = |name: &str, value: String| {
        if !value.is_empty() {
            all.push(format!("{name:<10} {}", clean(&value)));
        }
    };
    let blocked = match task.get("blocked") {
        None | Some(Value::Null) => String::new(),
        Some(cause) => format!(": {}", words(cause)),
    };
    field("state", format!("{}{blocked}", text(task, "state")));
    for wait in list(task, "waits") {
        field("waits", words(wait));
    }
    field("nobody", text(task, "nobody_why"));
    for one in list(task, "nobody") {
        field("", format!("{}: {}", text(one, "agent"), text(one, "why")));
    }
    let (repo, base, target) = (text(task, "repo"), text(task, "base"), text(task, "target"));
    field("repo", format!("{repo}, from {base} to {target}"));
    field("paths", joined(task, "paths", ", "));
    field("after", joined(task, "depends_on", ", "));
    field("needs", joined(task, "needs", ", "));
    field("tool", text(task, "tool"));
    field("verify", joined(task, "verify", "; "));
    field("added", format!("{} by {}", text(task, "added_at"), text(task, "by")));
    field("tries", format!("{} of {}", text(task, "tries"), text(task, "max_attempts")));
    field("landed", text(task, "commit"));
    field("conflicts", joined(task, "conflicts", ", "));
    if let Some(reviewer) = task.get("reviewer").filter(|reviewer| reviewer.is_object()) {
        let until = text(reviewer, "deadline");
        field("reviewer", format!("{}, until {until}", text(reviewer, "actor")));
    }
    for past in list(task, "attempts") {
        all.extend(try_of(past));
    }
    if let Some(attempt) = task.get("attempt").filter(|attempt| attempt.is_object()) {
        all.extend(try_of(attempt));
        if let Some(receipt) = attempt.get("receipt").filter(|receipt| receipt.is_object()) {
            all.extend(proof(receipt));
        }
    } else if let Some(receipt) = task.pointer("/parked/receipt").filter(|it| it.is_object()) {
        all.extend(proof(receipt));
    }
    all.extend(failure(task));
    all.extend(award(task));
    all
}

/// One try: who, where, how it ended, what it used.
fn try_of(attempt: &Value) -> Vec<String> {
    let mut told = text(attempt, "actor");
    let host = text(attempt, "host");
    if !host.is_empty() {
        told = format!("{told} on {host}");
    }
    let why = words(attempt.get("why").unwrap_or(&Value::Null));
    if !why.is_empty() {
        told = format!("{told}: {why}");
    }
    for name in ["class", "reason"] {
        let said = text(attempt, name);
        if !said.is_empty() {
            told = format!("{told}, {said}");
        }
    }
    if let Some(usage) = attempt.get("usage").filter(|usage| usage.is_object()) {
        told = format!("{told}; {}", used(usage));
    }
    let lead = format!("try {}", text(attempt, "attempt"));
    let mut all = vec![format!("{lead:<10} {}", clean(&told))];
    let message = text(attempt, "message");
    all.extend(message.lines().map(|line| format!("{:<10} {}", "", clean_lines(line))));
    all
}

/// Tokens and money; a cost that a tool does not tell is none, not nothing.
fn used(usage: &Value) -> String {
    let cost = match usage.get("cost_micro_usd").and_then(Value::as_u64) {
        Some(micro) => format!("${}.{:04}", micro / 1_000_000, micro % 1_000_000 / 100),
        None => "cost not told".to_owned(),
    };
    let (read, written) = (text(usage, "input_tokens"), text(usage, "output_tokens"));
    format!("{read} tokens read, {written} written, {cost}")
}

fn proof(receipt: &Value) -> Vec<String> {
    let verdict = words(receipt.get("verdict").unwrap_or(&Value::Null));
    let mut all = vec![format!("{:<10} {verdict} on {}", "proof", text(receipt, "host"))];
    for step in list(receipt, "steps") {
        let ended = match step.get("exit").and_then(Value::as_i64) {
            Some(0) => "ok".to_owned(),
            Some(code) => format!("exit {code}"),
            None => "ended by a signal or its time limit".to_owned(),
        };
        let command = text(step, "command");
        let line = format!("{command}: {ended}, {} ms", text(step, "ms"));
        all.push(format!("{:<10} {}", "", clean(&line)));
    }
    all
}

/// Why the last try failed, and what to do about it.
fn failure(task: &Value) -> Vec<String> {
    let Some(failure) = task.get("failure").filter(|failure| failure.is_object()) else {
        return Vec::new();
    };
    let class = text(failure, "class");
    let hard = failure.get("hard").and_then(Value::as_bool).unwrap_or_default();
    let hard = if hard { "; another try would not help" } else { "" };
    let mut all = vec![format!("{:<10} {}{hard}", "failed", clean(&class))];
    let message = text(failure, "message");
    all.extend(message.lines().map(|line| format!("{:<10} {}", "", clean_lines(line))));
    let paths = joined(failure, "paths", ", ");
    if !paths.is_empty() {
        all.push(format!("{:<10} {}", "at", clean(&paths)));
    }
    all.push(format!("{:<10} {}", "hint", hint(&class, &text(task, "task"))));
    all
}

/// What a person does about a class of failure.
fn hint(class: &str, task: &str) -> String {
    let first = match class {
        "rate_limit" => "wait until the provider's limit is over, or name a backup tool",
        "sign_in" => "sign the tool in on its host",
        "disk_full" => "make room on the host's disk",
        "out_of_memory" => "let fewer agents work at once: DEVMESH_SLOTS, DEVMESH_RAM_GB",
        "timeout" => "give it more time: --max-wall-s, or a smaller task",
        "missing_tool" => "install what it names, or say it in [worktree] setup",
        "permission" => "look at what it may touch: devmesh tools",
        "conflict" | "path" => "look at what landed on these paths meanwhile",
        "setup" => "run [worktree] setup by hand in a fresh checkout",
        "no_change" => "say more of what is to be changed: devmesh task edit",
        "plan" => "say the goal more narrowly: devmesh task edit",
        "compile" | "lint" | "test" => "read what the proof printed: devmesh task logs",
        _ => "devmesh task logs tells what it did",
    };
    format!("{first}; then devmesh task retry {task}")
}

/// Why the newest try went to whom it went.
fn award(task: &Value) -> Vec<String> {
    let bids = task.pointer("/award/bids").and_then(Value::as_array);
    let line = |bid: &Value| {
        let terms = bid.get("score").map(words).unwrap_or_default();
        format!("{:<10} {}: {} ({terms})", "bid", text(bid, "actor"), text(bid, "total"))
    };
    bids.into_iter().flatten().map(|bid| clean(&line(bid)).into_owned()).collect()
}

/// The leases that are held for it.
pub(super) fn leases(leases: &[LeaseView]) -> Vec<String> {
    let one = |lease: &LeaseView| {
        let until = match lease.expires_at {
            Some(at) => format!("until {at}"),
            None => "as long as it is heard".to_owned(),
        };
        format!("{:<10} {} ({}) by {} {until}", "holds", lease.path, lease.mode, lease.actor)
    };
    leases.iter().map(|lease| clean(&one(lease)).into_owned()).collect()
}

/// The commands of the newest proof that failed, with the digests of what they printed.
pub(super) fn failed_steps(task: &Value) -> Vec<(String, String)> {
    let receipt = task.pointer("/attempt/receipt").filter(|receipt| receipt.is_object());
    let receipt = receipt.or_else(|| task.pointer("/failure/receipt"));
    let steps = receipt.map(|receipt| list(receipt, "steps")).unwrap_or_default();
    let failed = steps.iter().filter(|step| step.get("exit").and_then(Value::as_i64) != Some(0));
    failed.map(|step| (text(step, "command"), text(step, "output"))).collect()
}

/// The open question, what is to be done, and what was said.
pub(super) fn texts(task: &Value) -> Vec<String> {
    let mut all = Vec::new();
    let said = |value: &Value| match value.get("text").and_then(Value::as_str) {
        Some(text) => clean_lines(text),
        None => "(forgotten)".to_owned(),
    };
    if let Some(question) = task.get("question").filter(|question| question.is_object()) {
        all.push(format!("{} asks: {}", text(question, "question"), said(question)));
        let options = joined(question, "options", ", ");
        if !options.is_empty() {
            all.push(format!("{:<10} {}", "options", clean(&options)));
        }
    }
    let prompt = text(task, "prompt");
    if !prompt.is_empty() {
        all.push(String::new());
        all.push(clean_lines(&prompt));
    }
    if let Some(plan) = task.get("plan").filter(|plan| plan.is_object()) {
        all.extend(planned(plan));
    }
    for one in list(task, "said") {
        let (at, by, kind) = (text(one, "at"), text(one, "by"), text(one, "kind"));
        all.push(String::new());
        all.push(format!("{} ({kind}): {}", clean(&format!("{at} {by}")), said(one)));
    }
    all
}

/// A plan that waits for a look, in full; of one that is worked to, what it became.
fn planned(plan: &Value) -> Vec<String> {
    let mut all = vec![String::new()];
    let unknown = joined(plan, "unknown", ", ");
    if !unknown.is_empty() {
        let line = format!("warning: no agent that was there is capable of: {unknown}");
        all.push(clean(&line).into_owned());
    }
    let (by, version) = (text(plan, "by"), text(plan, "framework"));
    if !version.is_empty() {
        let line = format!("planned by {by}: framework {version}, {}", joined(plan, "tasks", ", "));
        all.push(clean(&line).into_owned());
        return all;
    }
    all.push(clean(&format!("the plan of {by}")).into_owned());
    all.push(clean_lines(plan.get("text").and_then(Value::as_str).unwrap_or("(forgotten)")));
    for task in list(plan, "proposed") {
        let mut about = vec![format!("priority {}", text(task, "priority"))];
        for (lead, name) in [("after", "depends_on"), ("paths", "paths"), ("needs", "needs")] {
            let words = joined(task, name, ", ");
            if !words.is_empty() {
                about.push(format!("{lead} {words}"));
            }
        }
        let (key, title) = (text(task, "key"), text(task, "title"));
        all.push(String::new());
        all.push(clean(&format!("{key}  {title} ({})", about.join("; "))).into_owned());
        let prompt = text(task, "prompt");
        if !prompt.is_empty() {
            all.push(clean_lines(&prompt));
        }
    }
    all
}

fn text(value: &Value, name: &str) -> String {
    match value.get(name) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value.get(name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

fn joined(value: &Value, name: &str, between: &str) -> String {
    let words: Vec<String> = list(value, name)
        .iter()
        .map(|one| one.as_str().map_or_else(|| one.to_string(), str::to_owned))
        .collect();
    words.join(between)
}
