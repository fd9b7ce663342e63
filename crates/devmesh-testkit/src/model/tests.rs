//! The server over real connections: choosing scripts, counting, and every fault.

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::{Value, json};

use super::serve::Place;
use super::*;

const SOON: Duration = Duration::from_secs(10);

/// Sends a request and reads until the server closes: the status (0 without any), all of it.
async fn post(server: &Server, path: &str, body: &Value) -> (u16, String) {
    let (address, path, body) = (server.address, path.to_owned(), body.to_string());
    let exchange = move || {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        let length = body.len();
        let head = format!("POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n");
        write!(stream, "{head}content-length: {length}\r\n\r\n{body}").unwrap();
        let mut bytes = Vec::new();
        // A cut connection may show as an error: what came before it is what counts.
        let _ = stream.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    };
    let text = tokio::task::spawn_blocking(exchange).await.unwrap();
    (text.get(9..12).and_then(|status| status.parse().ok()).unwrap_or(0), text)
}

fn ask(prompt: &str) -> Value {
    json!({
        "model": "m", "stream": true,
        "messages": [{ "role": "user", "content": prompt }],
        "tools": [{ "name": "Bash", "input_schema": {
            "type": "object", "properties": { "command": { "type": "string" } } } }],
    })
}

#[test]
fn a_path_names_scenario_and_key() {
    let place = |path| {
        let Place { scenario, key, path } = Place::of(path);
        (scenario, key, path)
    };
    assert_eq!(place("/v1/responses"), (None, None, "/v1/responses"));
    assert_eq!(place("/s/edit/v1/messages"), (Some("edit"), None, "/v1/messages"));
    assert_eq!(place("/s/edit/k/t1/responses"), (Some("edit"), Some("t1"), "/responses"));
    assert_eq!(place("/s/edit"), (None, None, "/s/edit"));
}

#[tokio::test]
async fn a_directive_goes_before_the_url_and_the_url_before_the_default() {
    let options = Options { default: Some("noedit".to_owned()), ..Options::default() };
    let server = Server::start_with(options).await.unwrap();
    server.script("named", Script { last: Some("from-url".to_owned()), ..Script::default() });
    let directive = "[[model {\"final\":\"from-prompt\"}]]";
    for (path, prompt, expect) in [
        ("/s/named/v1/messages", directive, "from-prompt"),
        ("/s/named/v1/messages", "x", "from-url"),
        ("/v1/messages", "x", "nothing "),
    ] {
        let (status, text) = post(&server, path, &ask(prompt)).await;
        assert_eq!(status, 200);
        assert!(text.contains(expect), "{expect}: {text}");
    }
}

#[tokio::test]
async fn without_a_script_the_request_is_refused() {
    let server = Server::start().await.unwrap();
    for (path, prompt) in [
        ("/v1/messages", "x"),
        ("/s/nowhere/v1/messages", "x"),
        ("/v1/messages", "[[model {\"finale\":1}]]"),
    ] {
        let (status, text) = post(&server, path, &ask(prompt)).await;
        assert_eq!(status, 400, "{text}");
    }
    assert_eq!(server.stats().unscripted, 3);
    assert_eq!(post(&server, "/v1/embeddings", &json!({})).await.0, 404);
    assert_eq!(server.stats().unknown["/v1/embeddings"], 1);
}

#[tokio::test]
async fn a_status_befalls_the_first_requests_of_each_key() {
    let server = Server::start().await.unwrap();
    let prompt = |key: &str| {
        let script = format!(
            r#"{{"final":"ok","key":"{key}","fault":{{"status":429,"retry_after":7,"first":2}}}}"#
        );
        ask(&format!("[[model {script}]]"))
    };
    let mut seen = Vec::new();
    for key in ["a", "b", "a", "a", "b", "b"] {
        let (status, text) = post(&server, "/v1/messages", &prompt(key)).await;
        assert_eq!(text.contains("retry-after: 7"), status == 429);
        seen.push(status);
    }
    assert_eq!(seen, [429, 429, 429, 200, 429, 200]);
    let stats = server.stats();
    assert_eq!((stats.requests, stats.faults), (6, 4));
    assert_eq!(server.seen()[3].text, "ok");
    server.reset();
    assert_eq!(server.stats(), Stats::default());
    assert_eq!(post(&server, "/v1/messages", &prompt("a")).await.0, 429);
}

#[tokio::test]
async fn a_fault_can_wait_for_its_step() {
    let server = Server::start().await.unwrap();
    let script = r#"{"steps":[{"shell":"ls"}],"fault":{"status":500,"on_step":1}}"#;
    let mut body = ask(&format!("[[model {script}]]"));
    let (status, text) = post(&server, "/v1/messages", &body).await;
    assert!(status == 200 && text.contains("tool_use"), "{text}");
    let result = json!([{ "type": "tool_result", "tool_use_id": "t", "content": "out" }]);
    body["messages"].as_array_mut().unwrap().push(json!({ "role": "user", "content": result }));
    assert_eq!(post(&server, "/v1/messages", &body).await.0, 500);
    assert_eq!(server.seen()[1].result.as_deref(), Some("out"));
}

#[tokio::test]
async fn a_drop_sends_nothing_and_a_drop_midstream_no_end() {
    let server = Server::start().await.unwrap();
    let (status, text) = post(&server, "/s/drop/v1/messages", &ask("x")).await;
    assert_eq!((status, text.as_str()), (0, ""));
    let half = r#"[[model {"fault":{"kind":"drop_midstream"}}]]"#;
    let (status, text) = post(&server, "/v1/messages", &ask(half)).await;
    assert_eq!(status, 200);
    assert!(text.contains("message_start") && !text.contains("message_stop"), "{text}");
    assert!(!text.ends_with("0\r\n\r\n"), "a cut stream has no last chunk");
}

#[tokio::test]
async fn hangs_last_until_the_server_stops() {
    let server = Server::start().await.unwrap();
    let url = server.url();
    let mut streams = Vec::new();
    for scenario in ["hang", "hang_midstream"] {
        let mut stream = TcpStream::connect(url.trim_start_matches("http://")).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        let (body, path) = (ask("x").to_string(), format!("/s/{scenario}/v1/messages"));
        let length = body.len();
        write!(stream, "POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n\r\n{body}")
            .unwrap();
        streams.push(stream);
    }
    assert!(server.wait_for_requests(2, SOON).await);
    assert!(!server.wait_for_requests(3, Duration::from_millis(20)).await);
    server.stop().await;
    let read = |mut stream: TcpStream| {
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    };
    let texts: Vec<String> = streams.into_iter().map(read).collect();
    assert_eq!(texts[0], "");
    assert!(texts[1].contains("message_start") && !texts[1].contains("message_stop"));
}

#[tokio::test]
async fn whole_answers_counts_and_models_are_plain_json() {
    let server = Server::start().await.unwrap();
    let mut body = ask("[[model {\"final\":\"plain\",\"delay_ms\":1}]]");
    body["stream"] = json!(false);
    let (_, text) = post(&server, "/v1/messages", &body).await;
    let (_, json) = text.split_once("\r\n\r\n").unwrap();
    let whole: Value = serde_json::from_str(json).unwrap();
    assert_eq!(whole["content"][0]["text"], "plain");
    let (_, text) = post(&server, "/v1/messages/count_tokens", &body).await;
    assert!(text.contains("{\"input_tokens\":"), "{text}");
    assert_eq!(server.stats().requests, 1, "a count of tokens is no request");
}

/// The same question in each dialect: the path, the body, what only the end of a stream says.
fn asked(prompt: &str) -> [(&'static str, Value, &'static str); 4] {
    let schema = json!({ "type": "object", "properties": { "command": { "type": "string" } } });
    let said = json!([{ "role": "user", "content": prompt }]);
    let tool = json!({ "type": "function", "name": "bash", "parameters": schema });
    let input = json!({ "stream": true, "input": prompt, "tools": [tool] });
    let tool = json!({ "type": "function", "function": { "name": "bash", "parameters": schema } });
    let chat = json!({ "stream": true, "messages": said, "tools": [tool] });
    let contents = json!([{ "role": "user", "parts": [{ "text": prompt }] }]);
    let tools = json!([{ "functionDeclarations": [{ "name": "bash", "parameters": schema }] }]);
    let gemini = json!({ "contents": contents, "tools": tools });
    [
        ("/v1/responses", input, "response.completed"),
        ("/v1/messages", ask(prompt), "message_stop"),
        ("/v1/chat/completions", chat, "[DONE]"),
        ("/v1beta/models/m:streamGenerateContent", gemini, "finishReason"),
    ]
}

#[tokio::test]
async fn every_dialect_plays_every_fault() {
    let server = Server::start().await.unwrap();
    for (scenario, status, said) in [
        ("ratelimit", 429, "retry-after: 1\r\n"),
        ("ratelimit_always", 429, "retry-after: 1\r\n"),
        ("ratelimit_long", 429, "retry-after: 3600\r\n"),
        ("quota", 429, "used up its quota"),
        ("error500", 500, "error"),
        ("error500_once", 500, "error"),
        ("auth401", 401, "not valid"),
        ("drop", 0, ""),
        ("drop_once", 0, ""),
        ("drop_midstream", 200, "data: {"),
        ("noedit", 200, "data: {"),
        ("failtool", 200, "exit 7"),
        ("longshell", 200, "sleep(301)"),
    ] {
        for (index, (path, body, end)) in asked("please").into_iter().enumerate() {
            let path = format!("/s/{scenario}/k/{scenario}-{index}{path}");
            let (got, text) = post(&server, &path, &body).await;
            let of = format!("{path}: {text}");
            assert_eq!(got, status, "{of}");
            assert!(text.contains(said), "{of}");
            assert_eq!(text.contains(end), got == 200 && scenario != "drop_midstream", "{of}");
        }
    }
    assert_eq!(server.stats().by_dialect.len(), 4);
    assert_eq!((server.stats().unfit, server.stats().unscripted), (0, 0));
}

#[tokio::test]
async fn gemini_counts_tokens_and_answers_whole() {
    let server = Server::start().await.unwrap();
    let body = asked("[[model {\"final\":\"plain\"}]]")[3].1.clone();
    let (_, text) = post(&server, "/v1beta/models/m:generateContent", &body).await;
    let whole: Value = serde_json::from_str(text.split_once("\r\n\r\n").unwrap().1).unwrap();
    assert_eq!(whole["candidates"][0]["content"]["parts"][0]["text"], "plain");
    let (_, text) = post(&server, "/v1beta/models/m:countTokens", &body).await;
    assert!(text.contains("{\"totalTokens\":"), "{text}");
    assert_eq!(server.stats().requests, 1, "a count of tokens is no request");
}

#[tokio::test]
async fn nobody_listens_at_a_shut_address() {
    let shut = Shut::new().unwrap();
    let error = TcpStream::connect(shut.url().trim_start_matches("http://")).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
}

#[tokio::test]
async fn each_request_is_logged() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log.jsonl");
    let options = Options { log: Some(log.clone()), ..Options::default() };
    let server = Server::start_with(options).await.unwrap();
    post(&server, "/s/shell/k/t9/v1/messages", &ask("please")).await;
    let line: Value = serde_json::from_str(&std::fs::read_to_string(&log).unwrap()).unwrap();
    assert_eq!((&line["key"], &line["called"]), (&json!("t9"), &json!("Bash")));
    assert_eq!((&line["prompt"], &line["number"]), (&json!("please"), &json!(1)));
}
