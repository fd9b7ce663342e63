//! `claude -p --output-format stream-json --verbose`. `is_error` tells, `subtype` does not: an
//! API failure is a result of subtype `success`.

use serde_json::Value;

use super::{Done, Fact, Scope, Usage, micros, number, text};

/// Tools of the CLI whose input names a file that they write.
const EDITING: [&str; 4] = ["Write", "Edit", "MultiEdit", "NotebookEdit"];

pub(super) fn read(line: &Value) -> Vec<Fact> {
    match (text(line, "/type"), text(line, "/subtype")) {
        (Some("system"), Some("init")) => {
            text(line, "/session_id").map(|id| Fact::Session(id.into())).into_iter().collect()
        }
        (Some("system"), Some("api_retry")) if number(line, "/error_status") == Some(429) => {
            vec![Fact::Throttled { retry_ms: number(line, "/retry_delay_ms") }]
        }
        (Some("assistant"), _) => {
            let blocks = line.pointer("/message/content").and_then(Value::as_array);
            blocks.into_iter().flatten().filter_map(block).collect()
        }
        (Some("result"), _) => result(line),
        _ => Vec::new(),
    }
}

fn block(block: &Value) -> Option<Fact> {
    match text(block, "/type")? {
        "text" => text(block, "/text").map(|said| Fact::Message(said.into())),
        "tool_use" if text(block, "/name").is_some_and(|name| EDITING.contains(&name)) => {
            let path = text(block, "/input/file_path").or(text(block, "/input/notebook_path"));
            path.map(|path| Fact::Edit(path.into()))
        }
        "tool_use" if text(block, "/name") == Some("Bash") => {
            let command = text(block, "/input/command")?.to_owned();
            Some(Fact::Command { command, exit: None })
        }
        _ => None,
    }
}

fn result(line: &Value) -> Vec<Fact> {
    let failed = line.pointer("/is_error").and_then(Value::as_bool).unwrap_or(true);
    let said = text(line, "/result").or(text(line, "/errors/0")).or(text(line, "/subtype"));
    let status = number(line, "/api_error_status").and_then(|status| u16::try_from(status).ok());
    let done =
        Done { success: !failed, message: said.unwrap_or_default().into(), status, retry_ms: None };
    vec![Fact::Usage(usage(line)), Fact::Done(done)]
}

/// Tokens are those of this run, cached ones counted apart; the price is that of the session.
fn usage(line: &Value) -> Usage {
    let part = |name: &str| number(line, &format!("/usage/{name}"));
    let cached = part("cache_read_input_tokens").unwrap_or(0)
        + part("cache_creation_input_tokens").unwrap_or(0);
    Usage {
        input_tokens: part("input_tokens").map(|fresh| fresh + cached),
        output_tokens: part("output_tokens"),
        cost_micros: micros(line, "/total_cost_usd"),
        tokens_scope: Scope::Step,
        cost_scope: Scope::Session,
    }
}
