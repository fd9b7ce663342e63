//! Requests in the shapes that gemini-cli sends, and the answers it can read.

use super::super::call::Call;
use super::super::dialect::Dialect;
use super::super::script::Usage;
use super::*;

const STREAM: &str = "/v1beta/models/gemini-2.5-pro:streamGenerateContent";

fn gemini() -> Value {
    json!({
        "systemInstruction": { "role": "user", "parts": [{ "text": "You are an agent." }] },
        "contents": [
            { "role": "user", "parts": [{ "text":
              "<session_context>\n- **Workspace Directories:**\n  - /r s\n</session_context>" }] },
            { "role": "user", "parts": [{ "text": "Fix it." }] },
            { "role": "model", "parts": [
                { "functionCall": { "name": "run_shell_command", "args": {} } }] },
            { "role": "user", "parts": [
                { "functionResponse": { "name": "run_shell_command",
                  "response": { "output": "ok" } } },
                { "text": "a comment" }] },
        ],
        "tools": [{ "functionDeclarations": [
            { "name": "run_shell_command", "parametersJsonSchema": { "type": "object" } },
            { "name": "write_file", "parameters": { "type": "OBJECT" } },
        ] }],
    })
}

fn answer(text: &str, call: Option<Call>) -> Answer {
    let usage = Usage { input: 7, output: 5, cached: 3, reasoning: 2 };
    Answer { text: text.to_owned(), call, usage, step: Some(0), unfit: false }
}

fn shell(command: &str) -> Call {
    let (name, args) = ("run_shell_command".to_owned(), json!({ "command": command }));
    Call { name, namespace: None, kind: ToolKind::Function, args }
}

#[test]
fn the_path_says_model_and_stream() {
    for (path, expect) in [
        (STREAM, Some(("gemini-2.5-pro", true))),
        ("/v1beta/models/m:generateContent", Some(("m", false))),
        ("/v1beta/models/m:countTokens", None),
        ("/v1beta/m:generateContent", None),
    ] {
        assert_eq!((addressed(path), is_path(path)), (expect, expect.is_some()), "{path}");
    }
    assert!(is_count("/v1beta/models/m:countTokens") && !is_count(STREAM));
}

#[test]
fn a_gemini_request_is_understood() {
    let request = parse(STREAM, &gemini());
    assert_eq!((request.prompt(), request.done()), ("Fix it.", 1));
    assert_eq!((request.cwd(), request.last_result()), (Some("/r s"), Some("ok")));
    assert_eq!((request.model.as_str(), request.stream), ("gemini-2.5-pro", true));
    assert!(request.is_work() && request.system.contains("an agent"));
    assert_eq!(request.tool(&["write_file"]).unwrap().schema["type"], "OBJECT");
    assert_eq!(request.tool(&["run_shell_command"]).unwrap().schema["type"], "object");
}

#[test]
fn the_shape_asked_for_is_found() {
    let schema = json!({ "type": "OBJECT", "properties": { "t": { "const": 1 } } });
    for name in ["responseSchema", "responseJsonSchema"] {
        let body = json!({ "generationConfig": { name: schema } });
        assert_eq!(parse(STREAM, &body).schema.as_ref(), Some(&schema));
    }
    let any = json!({ "generationConfig": { "responseMimeType": "application/json" } });
    assert_eq!(parse(STREAM, &any).schema, Some(json!({ "type": "object" })));
}

#[test]
fn nonsense_does_not_break_it() {
    let odd = json!({ "contents": [1, {}, { "parts": 3 }], "tools": [7, {}], "system": [] });
    for body in [json!(null), odd, json!({ "contents": "x", "tools": "y" })] {
        assert_eq!(parse(STREAM, &body).prompt(), "");
    }
}

#[test]
fn a_stream_tells_the_same_as_the_whole() {
    let request = parse(STREAM, &gemini());
    let ids = Ids::fresh();
    for answer in [answer("two words", Some(shell("ls"))), answer("two words", None)] {
        let whole = render(&request, &answer, &ids);
        let events = events(&request, &answer, &ids);
        let (mut text, mut called) = (String::new(), None);
        for event in &events {
            let part = &event.data["candidates"][0]["content"]["parts"][0];
            text += part["text"].as_str().unwrap_or_default();
            called = called.or(part.get("functionCall"));
        }
        let parts = &whole["candidates"][0]["content"]["parts"];
        assert_eq!((json!(text), called), (parts[0]["text"].clone(), parts[1].get("functionCall")));
        let ends = events.iter().map(|event| &event.data["candidates"][0]["finishReason"]);
        assert_eq!(ends.clone().filter(|end| **end == "STOP").count(), 1);
        let last = &events.last().unwrap().data;
        assert_eq!(last["candidates"][0]["finishReason"], "STOP");
        assert_eq!(last["usageMetadata"], whole["usageMetadata"]);
        assert!(events[0].encode().starts_with("data: {"), "no event has a name");
    }
}

#[test]
fn an_empty_word_and_a_call_alone_have_their_end() {
    let ids = Ids::fresh();
    let request = Request::default();
    let silent = events(&request, &answer("", None), &ids);
    assert_eq!(silent.len(), 1);
    assert_eq!(silent[0].data["candidates"][0]["content"]["parts"], json!([{ "text": "" }]));
    let calling = events(&request, &answer("", Some(shell("ls"))), &ids);
    assert_eq!(calling.len(), 1);
    let part = &calling[0].data["candidates"][0]["content"]["parts"][0];
    assert_eq!(part["functionCall"]["args"], json!({ "command": "ls" }));
}

#[test]
fn a_beginning_has_words_and_no_end() {
    for text in ["two words", ""] {
        let begun = opening(&Request::default(), &answer(text, None), &Ids::fresh());
        let candidate = &begun[0].data["candidates"][0];
        assert!(!candidate["content"]["parts"][0]["text"].as_str().unwrap().is_empty());
        assert_eq!(candidate.get("finishReason"), None);
    }
}

#[test]
fn thoughts_count_apart() {
    let usage = &render(&Request::default(), &answer("x", None), &Ids::fresh())["usageMetadata"];
    assert_eq!((&usage["promptTokenCount"], &usage["totalTokenCount"]), (&json!(7), &json!(12)));
    assert_eq!(usage["candidatesTokenCount"], 3);
    assert_eq!(usage["thoughtsTokenCount"], 2);
    assert_eq!(usage["cachedContentTokenCount"], 3);
}

#[test]
fn errors_carry_the_details_that_the_client_looks_for() {
    let fault = Fault { status: 429, retry_after: Some(9), ..Fault::default() };
    let limit = &Dialect::Gemini.error(&fault)["error"];
    assert_eq!((&limit["code"], &limit["status"]), (&json!(429), &json!("RESOURCE_EXHAUSTED")));
    assert_eq!(limit["details"][0]["retryDelay"], "9s");
    let quota = Fault { code: Some("insufficient_quota".to_owned()), ..fault };
    let details = &Dialect::Gemini.error(&quota)["error"]["details"];
    assert!(details[0]["violations"][0]["quotaId"].as_str().unwrap().contains("PerDay"));
}
