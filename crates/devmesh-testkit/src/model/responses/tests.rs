//! Requests in the shapes that codex sends, and the answers it can read.

use super::super::dialect::Dialect;
use super::super::script::Usage;
use super::*;

fn codex() -> Value {
    json!({
        "model": "gpt-5.5", "stream": true, "store": false, "tool_choice": "auto",
        "input": [
            { "type": "message", "role": "developer",
              "content": [{ "type": "input_text", "text": "You are a coding agent." }] },
            { "type": "message", "role": "user", "content": [{ "type": "input_text",
              "text": "<environment_context>\n  <cwd>/r</cwd>\n</environment_context>" }] },
            { "type": "message", "role": "user",
              "content": [{ "type": "input_text", "text": "Fix it." }] },
            { "type": "reasoning", "summary": [], "encrypted_content": "x" },
            { "type": "function_call", "name": "exec_command", "arguments": "{}",
              "call_id": "c1" },
            { "type": "function_call_output", "call_id": "c1", "output": "Exit code 0" },
            { "type": "tool_search_call", "call_id": "c2", "arguments": { "query": "q" } },
            { "type": "tool_search_output", "call_id": "c2", "tools": [
              { "type": "namespace", "name": "mcp__mesh", "tools": [
                { "type": "function", "name": "lock", "parameters": { "type": "object" } }] }] },
            { "type": "custom_tool_call", "name": "apply_patch", "input": "x",
              "call_id": "c3" },
            { "type": "custom_tool_call_output", "call_id": "c3",
              "output": [{ "type": "input_text", "text": "Done" }] },
        ],
        "tools": [
            { "type": "function", "name": "exec_command", "parameters": { "type": "object" } },
            { "type": "custom", "name": "apply_patch", "format": { "type": "grammar" } },
            { "type": "tool_search", "execution": "client", "parameters": {} },
            { "type": "web_search" },
        ],
    })
}

fn answer(call: Option<Call>) -> Answer {
    let usage = Usage { input: 7, output: 5, cached: 3, reasoning: 2 };
    Answer { text: "two words".to_owned(), call, usage, step: Some(0), unfit: false }
}

fn call(kind: ToolKind, args: Value) -> Call {
    Call { name: "t".to_owned(), namespace: None, kind, args }
}

#[test]
fn a_codex_request_is_understood() {
    let request = parse(&codex());
    assert_eq!((request.prompt(), request.done()), ("Fix it.", 2));
    assert_eq!((request.cwd(), request.last_result()), (Some("/r"), Some("Done")));
    assert!(request.searched() && request.stream && request.is_work());
    let kinds: Vec<_> = request.tools.iter().map(|tool| (tool.name.as_str(), tool.kind)).collect();
    assert!(kinds.contains(&("apply_patch", ToolKind::Freeform)));
    assert!(kinds.contains(&("tool_search", ToolKind::Search)));
    assert!(kinds.contains(&("web_search", ToolKind::Hosted)));
    assert_eq!(request.tool(&["lock"]).unwrap().namespace.as_deref(), Some("mcp__mesh"));
}

#[test]
fn code_mode_brings_its_tools_in_the_conversation() {
    let request = parse(&json!({ "model": "gpt-6-sol", "input": [
        { "type": "additional_tools", "role": "developer", "tools": [
            { "type": "namespace", "name": "functions", "tools": [
                { "type": "custom", "name": "exec" }] }] },
    ]}));
    let exec = request.tool(&["exec"]).unwrap();
    assert_eq!((exec.kind, exec.namespace.as_deref()), (ToolKind::Freeform, Some("functions")));
    assert!(request.is_work());
}

#[test]
fn plain_input_and_nonsense_do_not_break_it() {
    assert_eq!(parse(&json!({ "input": "hello" })).prompt(), "hello");
    for body in [json!(null), json!([]), json!({ "input": [1, {}, null], "tools": "x" })] {
        assert_eq!(parse(&body).prompt(), "");
    }
}

#[test]
fn a_stream_tells_the_same_as_the_whole() {
    let request = parse(&codex());
    let ids = Ids::fresh();
    for call in [
        None,
        Some(call(ToolKind::Function, json!({ "cmd": "ls" }))),
        Some(call(ToolKind::Freeform, json!("*** Begin Patch"))),
        Some(call(ToolKind::Search, json!({ "query": "q" }))),
    ] {
        let answer = answer(call);
        let whole = render(&request, &answer, &ids);
        let events = events(&request, &answer, &ids);
        let done: Vec<&Value> = events
            .iter()
            .filter(|event| event.name == "response.output_item.done")
            .map(|event| &event.data["item"])
            .collect();
        assert_eq!(done, whole["output"].as_array().unwrap().iter().collect::<Vec<_>>());
        assert_eq!(events.last().unwrap().data["response"], whole);
        let spoken: String = events
            .iter()
            .filter(|event| event.name == "response.output_text.delta")
            .map(|event| event.data["delta"].as_str().unwrap())
            .collect();
        assert_eq!(spoken, "two words");
        for (number, event) in events.iter().enumerate() {
            assert_eq!(event.data["sequence_number"], number);
            assert_eq!(event.data["type"], event.name);
        }
    }
}

#[test]
fn calls_take_the_form_of_their_kind() {
    let ids = Ids::fresh();
    let item = |kind, args| call_item(&call(kind, args), &ids);
    let function = item(ToolKind::Function, json!({ "cmd": "ls" }));
    assert_eq!(function["arguments"], "{\"cmd\":\"ls\"}");
    assert_eq!(function["type"], "function_call");
    let free = item(ToolKind::Freeform, json!("patch"));
    assert_eq!((&free["type"], &free["input"]), (&json!("custom_tool_call"), &json!("patch")));
    let search = item(ToolKind::Search, json!({ "query": "q" }));
    assert_eq!(search["arguments"]["query"], "q");
    assert_eq!(search["execution"], "client");
}

#[test]
fn usage_is_told_in_openai_terms() {
    let usage = &render(&Request::default(), &answer(None), &Ids::fresh())["usage"];
    assert_eq!(usage["input_tokens"], 7);
    assert_eq!(usage["input_tokens_details"]["cached_tokens"], 3);
    assert_eq!(usage["output_tokens_details"]["reasoning_tokens"], 2);
    assert_eq!(usage["total_tokens"], 12);
}

#[test]
fn errors_carry_the_codes_that_clients_look_for() {
    let fault = |status, code: Option<&str>| Fault {
        status,
        code: code.map(str::to_owned),
        retry_after: Some(9),
        ..Fault::default()
    };
    let limit = Dialect::Responses.error(&fault(429, None));
    assert_eq!(limit["error"]["code"], "rate_limit_exceeded");
    assert!(limit["error"]["message"].as_str().unwrap().contains("9s"));
    let quota = Dialect::Responses.error(&fault(429, Some("insufficient_quota")));
    assert_eq!(quota["error"]["code"], "insufficient_quota");
}
