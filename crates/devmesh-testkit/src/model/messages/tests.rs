//! Requests in the shapes that claude sends, and the answers it can read.

use super::super::call::Call;
use super::super::dialect::Dialect;
use super::super::script::Usage;
use super::*;

fn claude() -> Value {
    json!({
        "model": "claude-sonnet-5-5", "stream": true, "max_tokens": 128_000,
        "system": [{ "type": "text", "text": "You are an agent." }],
        "messages": [
            { "role": "user", "content": [
                { "type": "text", "text": "<system-reminder>\nclean\n</system-reminder>\n" },
                { "type": "text", "text": "Fix it." }] },
            { "role": "system", "content": "# Environment\n - Primary working directory: /r\n" },
            { "role": "assistant", "content": [
                { "type": "tool_use", "id": "t1", "name": "ToolSearch", "input": {} }] },
            { "role": "user", "content": [
                { "type": "tool_result", "tool_use_id": "t1",
                  "content": [{ "type": "tool_reference", "tool_name": "mcp__mesh__lock" }] },
                { "type": "text", "text": "Tool loaded." }] },
            { "role": "assistant", "content": [
                { "type": "tool_use", "id": "t2", "name": "Bash", "input": {} }] },
            { "role": "user", "content": [
                { "type": "tool_result", "tool_use_id": "t2", "content": "ok" }] },
        ],
        "tools": [
            { "name": "Bash", "input_schema": { "type": "object", "properties": {} } },
            { "name": "web_search", "type": "web_search_20250305" },
        ],
    })
}

fn answer(call: Option<Call>) -> Answer {
    let usage = Usage { input: 7, output: 5, cached: 3, reasoning: 0 };
    Answer { text: "two words".to_owned(), call, usage, step: Some(0), unfit: false }
}

fn bash(command: &str) -> Call {
    let args = json!({ "command": command });
    Call { name: "Bash".to_owned(), namespace: None, kind: ToolKind::Function, args }
}

#[test]
fn a_claude_request_is_understood() {
    let request = parse(&claude());
    assert_eq!((request.prompt(), request.done()), ("Fix it.", 1));
    assert_eq!((request.cwd(), request.last_result()), (Some("/r"), Some("ok")));
    assert!(request.searched() && request.stream && request.is_work());
    assert_eq!(request.tool(&["web_search"]).unwrap().kind, ToolKind::Hosted);
}

#[test]
fn plain_content_and_nonsense_do_not_break_it() {
    let plain = json!({ "messages": [{ "role": "user", "content": "hello" }] });
    assert_eq!(parse(&plain).prompt(), "hello");
    for body in [json!(null), json!({ "messages": [1, {}, { "role": "user" }], "tools": 3 })] {
        assert_eq!(parse(&body).prompt(), "");
    }
}

#[test]
fn a_stream_tells_the_same_as_the_whole() {
    let request = parse(&claude());
    let answer = answer(Some(bash(&"é\" ".repeat(50))));
    let ids = Ids::fresh();
    let whole = render(&request, &answer, &ids);
    let (mut text, mut input) = (String::new(), String::new());
    let events = events(&request, &answer, &ids);
    for delta in events.iter().map(|event| &event.data["delta"]) {
        text += delta["text"].as_str().unwrap_or_default();
        input += delta["partial_json"].as_str().unwrap_or_default();
    }
    assert_eq!(text, whole["content"][0]["text"]);
    assert_eq!(serde_json::from_str::<Value>(&input).unwrap(), whole["content"][1]["input"]);
    let names: Vec<&str> = events.iter().map(|event| event.name.as_str()).collect();
    assert_eq!((names[0], names[names.len() - 1]), ("message_start", "message_stop"));
    let end = &events[events.len() - 2].data;
    assert_eq!(
        (&end["delta"]["stop_reason"], &whole["stop_reason"]),
        (&json!("tool_use"), &json!("tool_use"))
    );
    assert_eq!(end["usage"]["output_tokens"], 5);
    assert_eq!(end["usage"]["cache_read_input_tokens"], 3);
}

#[test]
fn a_last_message_ends_the_turn() {
    let whole = render(&parse(&claude()), &answer(None), &Ids::fresh());
    assert_eq!(whole["stop_reason"], "end_turn");
    assert_eq!(whole["model"], "claude-sonnet-5-5");
    assert_eq!(whole["content"], json!([{ "type": "text", "text": "two words" }]));
}

#[test]
fn errors_carry_the_types_that_clients_look_for() {
    for (status, kind) in [(429, "rate_limit_error"), (529, "overloaded_error"), (500, "api_error")]
    {
        let fault = Fault { status, ..Fault::default() };
        assert_eq!(Dialect::Messages.error(&fault)["error"]["type"], kind);
    }
}
