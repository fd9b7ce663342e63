//! Requests in the shapes that opencode, copilot and continue send, and the answers they can read.

use super::super::dialect::Dialect;
use super::super::script::Usage;
use super::*;

fn opencode() -> Value {
    json!({
        "model": "scripted", "stream": true, "stream_options": { "include_usage": true },
        "messages": [
            { "role": "system", "content": "<env>\n  Working directory: /r\n  Platform: linux\n" },
            { "role": "user", "content": [{ "type": "text", "text": "Fix it." }] },
            { "role": "assistant", "content": null, "tool_calls": [{ "id": "c1",
              "type": "function", "function": { "name": "bash", "arguments": "{}" } }] },
            { "role": "tool", "tool_call_id": "c1", "content": "ok" },
        ],
        "tools": [
            { "type": "function", "function": { "name": "bash", "parameters": {
                "type": "object", "properties": { "command": { "type": "string" } } } } },
            { "type": "custom", "custom": { "name": "apply_patch" } },
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
fn a_request_is_understood() {
    let request = parse(&opencode());
    assert_eq!((request.prompt(), request.done()), ("Fix it.", 1));
    assert_eq!((request.cwd(), request.last_result()), (Some("/r"), Some("ok")));
    assert!(request.stream && request.is_work());
    assert_eq!(request.tool(&["bash"]).unwrap().schema["type"], "object");
    assert_eq!(request.tool(&["apply_patch"]).unwrap().kind, ToolKind::Freeform);
}

#[test]
fn the_shape_asked_for_is_found() {
    let schema = json!({ "type": "object", "properties": { "t": { "const": 1 } } });
    let format = json!({ "type": "json_schema", "json_schema": { "schema": schema } });
    assert_eq!(parse(&json!({ "response_format": format })).schema, Some(schema));
    let any = parse(&json!({ "response_format": { "type": "json_object" } }));
    assert_eq!(any.schema, Some(json!({ "type": "object" })));
}

#[test]
fn plain_content_and_nonsense_do_not_break_it() {
    let plain = json!({ "messages": [{ "role": "user", "content": "hello" }] });
    assert_eq!(parse(&plain).prompt(), "hello");
    let odd = json!({ "messages": [1, {}, { "role": "user" }], "tools": [7, { "type": "x" }] });
    for body in [json!(null), odd, json!({ "messages": "m", "tools": 3 })] {
        assert_eq!(parse(&body).prompt(), "");
    }
}

#[test]
fn a_stream_tells_the_same_as_the_whole() {
    let request = parse(&opencode());
    let ids = Ids::fresh();
    for (call, kind, field) in [
        (None, "", ""),
        (
            Some(call(ToolKind::Function, json!({ "c": "é\" ".repeat(50) }))),
            "function",
            "arguments",
        ),
        (Some(call(ToolKind::Freeform, json!("*** Begin Patch"))), "custom", "input"),
    ] {
        let answer = answer(call);
        let whole = &render(&request, &answer, &ids)["choices"][0];
        let mut events = events(&request, &answer, &ids);
        assert_eq!(events.pop().unwrap().encode(), "data: [DONE]\n\n");
        let last = events.pop().unwrap().data;
        assert_eq!((&last["choices"], &last["usage"]["total_tokens"]), (&json!([]), &json!(12)));
        let (mut text, mut input, mut finish) = (String::new(), String::new(), Value::Null);
        for event in &events {
            assert_eq!((event.name.as_str(), &event.data["id"]), ("", &last["id"]));
            let choice = &event.data["choices"][0];
            finish = choice["finish_reason"].clone();
            text += choice["delta"]["content"].as_str().unwrap_or_default();
            let call = &choice["delta"]["tool_calls"][0];
            input += call[kind][field].as_str().unwrap_or_default();
        }
        assert_eq!(
            (&json!(text), &finish),
            (&whole["message"]["content"], &whole["finish_reason"])
        );
        let called = &whole["message"]["tool_calls"][0];
        assert_eq!(input, called[kind][field].as_str().unwrap_or_default());
    }
}

#[test]
fn a_call_alone_has_no_content_and_is_named_once() {
    let mut answer = answer(Some(call(ToolKind::Function, json!({ "command": "ls" }))));
    answer.text.clear();
    let ids = Ids::fresh();
    let whole = &render(&Request::default(), &answer, &ids)["choices"][0];
    assert_eq!(whole["message"]["content"], Value::Null);
    assert_eq!(whole["finish_reason"], "tool_calls");
    let called = &whole["message"]["tool_calls"][0];
    assert_eq!(called["function"]["arguments"], "{\"command\":\"ls\"}");
    let events = events(&Request::default(), &answer, &ids);
    let pieces = events.iter().map(|event| &event.data["choices"][0]["delta"]["tool_calls"][0]);
    let named = pieces.filter(|piece| piece["function"]["name"] == "t").collect::<Vec<_>>();
    assert_eq!(named.len(), 1);
    assert_eq!((&named[0]["id"], &named[0]["index"]), (&called["id"], &json!(0)));
}

#[test]
fn usage_is_told_in_the_terms_of_this_dialect() {
    let usage = &render(&Request::default(), &answer(None), &Ids::fresh())["usage"];
    assert_eq!((&usage["prompt_tokens"], &usage["completion_tokens"]), (&json!(7), &json!(5)));
    assert_eq!(usage["prompt_tokens_details"]["cached_tokens"], 3);
    assert_eq!(usage["completion_tokens_details"]["reasoning_tokens"], 2);
}

#[test]
fn errors_carry_the_codes_that_clients_look_for() {
    let quota = Fault { status: 429, code: Some("insufficient_quota".into()), ..Fault::default() };
    let error = Dialect::Chat.error(&quota);
    assert_eq!(error["error"]["code"], "insufficient_quota");
    assert_eq!(error["error"]["type"], "rate_limit_error");
}
