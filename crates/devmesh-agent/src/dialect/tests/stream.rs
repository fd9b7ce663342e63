//! Tools that tell each step as a line of JSON.

use super::*;

fn used(input: u64, output: u64, cost_micros: Option<u64>) -> Usage {
    Usage {
        input_tokens: Some(input),
        output_tokens: Some(output),
        cost_micros,
        ..Usage::default()
    }
}

#[test]
fn gemini_says_a_message_in_pieces_and_ends_by_a_result() {
    let facts = read(
        Dialect::Gemini,
        &[
            r#"{"type":"init","timestamp":"2026-01-01T00:00:00Z","session_id":"e148","model":"gemini-2.5-pro"}"#,
            r#"{"type":"message","role":"user","content":"do it"}"#,
            r#"{"type":"message","role":"assistant","content":"I will ","delta":true}"#,
            r#"{"type":"message","role":"assistant","content":"write.","delta":true}"#,
            r#"{"type":"tool_use","tool_name":"write_file","tool_id":"w1","parameters":{"file_path":"hello.txt","content":"x"}}"#,
            r#"{"type":"tool_result","tool_id":"w1","status":"success"}"#,
            r#"{"type":"tool_use","tool_name":"run_shell_command","tool_id":"s1","parameters":{"command":"make"}}"#,
            r#"{"type":"tool_result","tool_id":"s1","status":"success","output":"Command exited with code: 7"}"#,
            r#"{"type":"message","role":"assistant","content":"Done.","delta":true}"#,
            r#"{"type":"result","status":"success","stats":{"total_tokens":2705,"input_tokens":2600,"output_tokens":105,"cached":1500,"input":1100,"duration_ms":138,"tool_calls":2}}"#,
        ],
    );
    let wanted = vec![
        Fact::Session("e148".into()),
        Fact::Message("I will write.".into()),
        Fact::Edit("hello.txt".into()),
        Fact::Command { command: "make".into(), exit: None },
        Fact::Message("Done.".into()),
        Fact::Usage(used(2_600, 105, None)),
        done(true, "Done.", None),
    ];
    assert_eq!(facts, wanted);
}

#[test]
fn gemini_names_the_status_in_its_error_and_counts_nothing_then() {
    let cases = [
        (r#"[API Error: {\"error\":{\"code\":500,\"message\":\"no\"}}]"#, Some(500)),
        (r#"[API Error: {\"error\":{\"code\": 429,\"message\":\"slow\"}}]"#, Some(429)),
        ("You have exhausted your capacity: RESOURCE_EXHAUSTED", Some(429)),
        ("socket hang up", None),
    ];
    for (message, status) in cases {
        let line = format!(
            r#"{{"type":"result","status":"error","error":{{"type":"unknown","message":"{message}"}},"stats":{{"total_tokens":0,"input_tokens":0,"output_tokens":0}}}}"#
        );
        let facts = read(Dialect::Gemini, &[&line]);
        let [Fact::Usage(usage), Fact::Done(done)] = facts.as_slice() else { panic!("{facts:?}") };
        assert_eq!((usage.input_tokens, done.success, done.status), (None, false, status));
    }
}

#[test]
fn a_killed_gemini_has_no_last_word_though_it_exits_with_nothing() {
    let mut parser = Parser::new(Dialect::Gemini);
    parser.read(r#"{"type":"message","role":"assistant","content":"Thinking","delta":true}"#);
    assert!(parser.end().is_empty() && parser.done().is_none() && parser.marks_end());
}

#[test]
fn opencode_adds_its_steps_up_and_ends_by_the_one_that_calls_no_tool() {
    let step = |reason: &str| {
        format!(
            r#"{{"type":"step_finish","timestamp":1,"sessionID":"ses_1","part":{{"type":"step-finish","reason":"{reason}","tokens":{{"total":1285,"input":900,"output":80,"reasoning":5,"cache":{{"read":300,"write":0}}}},"cost":0.0011}}}}"#
        )
    };
    let facts = read(
        Dialect::Opencode,
        &[
            r#"{"type":"step_start","sessionID":"ses_1","part":{"type":"step-start","snapshot":"ab"}}"#,
            r#"{"type":"tool_use","sessionID":"ses_1","part":{"type":"tool","tool":"write","callID":"c1","state":{"status":"completed","input":{"filePath":"/r/hello.txt","content":"x"},"output":"ok","metadata":{}}}}"#,
            r#"{"type":"tool_use","sessionID":"ses_1","part":{"type":"tool","tool":"edit","callID":"c2","state":{"status":"error","input":{"filePath":"/r/no.txt"},"error":"denied"}}}"#,
            r#"{"type":"tool_use","sessionID":"ses_1","part":{"type":"tool","tool":"bash","callID":"c3","state":{"status":"completed","input":{"command":"false"},"output":"","metadata":{"exit":1}}}}"#,
            &step("tool-calls"),
            r#"{"type":"text","sessionID":"ses_1","part":{"type":"text","text":"All done."}}"#,
            &step("stop"),
        ],
    );
    let wanted = vec![
        Fact::Session("ses_1".into()),
        Fact::Edit("/r/hello.txt".into()),
        Fact::Command { command: "false".into(), exit: Some(1) },
        Fact::Usage(used(1_200, 85, Some(1_100))),
        Fact::Message("All done.".into()),
        Fact::Usage(used(1_200, 85, Some(1_100))),
        done(true, "All done.", None),
    ];
    assert_eq!(facts, wanted);
}

#[test]
fn opencode_calls_a_model_without_a_price_free_and_is_not_believed() {
    let line = r#"{"type":"step_finish","part":{"reason":"stop","tokens":{"input":9,"output":1},"cost":0}}"#;
    let facts = read(Dialect::Opencode, &[line]);
    assert_eq!(facts[0], Fact::Usage(used(9, 1, None)));
}

#[test]
fn opencode_fails_by_its_error_and_by_an_answer_that_was_cut() {
    let line = r#"{"type":"error","sessionID":"s","error":{"name":"APIError","data":{"message":"slow down","statusCode":429,"isRetryable":true}}}"#;
    let facts = read(Dialect::Opencode, &[line]);
    assert_eq!(facts[1], done(false, "APIError: slow down", Some(429)));
    let line = r#"{"type":"error","sessionID":"s","error":{"name":"ProviderAuthError","data":{"message":"no key"}}}"#;
    let facts = read(Dialect::Opencode, &[line]);
    assert_eq!(facts[1], done(false, "ProviderAuthError: no key", Some(401)));
    let line = r#"{"type":"step_finish","part":{"reason":"length","tokens":{}}}"#;
    let facts = read(Dialect::Opencode, &[line]);
    assert_eq!(facts[1], done(false, "the model's answer ended by length", None));
}

#[test]
fn copilot_tells_edits_with_their_end_and_its_session_last() {
    let facts = read(
        Dialect::Copilot,
        &[
            r#"{"type":"user.message","data":{"content":"do it"},"id":"1"}"#,
            r#"{"type":"assistant.message_delta","data":{"content":"Al"},"ephemeral":true}"#,
            r#"{"type":"assistant.message","data":{"content":"","toolRequests":[{"toolCallId":"c1","name":"create"}]}}"#,
            r#"{"type":"tool.execution_start","data":{"toolCallId":"c1","toolName":"create","arguments":{"path":"/r/hello.txt"}}}"#,
            r#"{"type":"tool.execution_complete","data":{"toolCallId":"c1","success":true,"fileEdits":[{"path":"/r/hello.txt","kind":"create"}]}}"#,
            r#"{"type":"tool.execution_start","data":{"toolCallId":"c2","toolName":"bash","arguments":{"command":"make"}}}"#,
            r#"{"type":"tool.execution_complete","data":{"toolCallId":"c2","success":true,"shellExecution":{"exitCode":2}}}"#,
            r#"{"type":"assistant.turn_retry","data":{"reason":"rate_limit"}}"#,
            r#"{"type":"assistant.message","data":{"content":"All done.","toolRequests":[]}}"#,
            r#"{"type":"result","sessionId":"f00d","exitCode":0,"usage":{"premiumRequests":0,"codeChanges":{"linesAdded":1}}}"#,
        ],
    );
    let wanted = vec![
        Fact::Edit("/r/hello.txt".into()),
        Fact::Command { command: "make".into(), exit: Some(2) },
        Fact::Throttled { retry_ms: None },
        Fact::Message("All done.".into()),
        Fact::Session("f00d".into()),
        done(true, "All done.", None),
    ];
    assert_eq!(facts, wanted);
}

#[test]
fn a_copilot_that_was_ended_is_no_success_whatever_its_result_says() {
    let result = r#"{"type":"result","sessionId":"f00d","exitCode":0}"#;
    let facts = read(Dialect::Copilot, &[r#"{"type":"abort","data":{"reason":"signal"}}"#, result]);
    assert_eq!(facts.last(), Some(&done(false, "the run was aborted", None)));
    let error = r#"{"type":"session.error","data":{"errorType":"rate_limit","message":"slow","statusCode":429}}"#;
    let facts = read(Dialect::Copilot, &[error, result]);
    assert_eq!(facts.last(), Some(&done(false, "slow", Some(429))));
    let error = r#"{"type":"session.error","data":{"errorType":"authentication","message":"no"}}"#;
    let facts = read(Dialect::Copilot, &[error]);
    assert_eq!(facts.last(), Some(&done(false, "no", Some(401))));
}

#[test]
fn copilot_keeps_its_tokens_in_a_file() {
    let file = r#"{"modelMetrics":{"a":{"usage":{"inputTokens":2600,"outputTokens":100,"cacheReadTokens":1500}},"b":{"usage":{"inputTokens":10,"outputTokens":5}}}}"#;
    assert_eq!(Dialect::Copilot.usage_in(file), Some(used(2_610, 105, None)));
    let nothing = Dialect::Copilot.usage_in(r#"{"modelMetrics":{}}"#).unwrap();
    assert_eq!((nothing.input_tokens, nothing.output_tokens), (None, None), "unknown, not zero");
}

#[test]
fn cursor_speaks_as_claude_does_but_for_its_calls() {
    let facts = read(
        Dialect::Cursor,
        &[
            r#"{"type":"system","subtype":"init","apiKeySource":"login","cwd":"/r","session_id":"c6b6","model":"m","permissionMode":"default"}"#,
            r#"{"type":"user","message":{"role":"user","content":[{"type":"text","text":"do it"}]},"session_id":"c6b6"}"#,
            r#"{"type":"assistant","message":{"role":"assistant","content":[{"type":"text","text":"I will."}]},"session_id":"c6b6"}"#,
            r#"{"type":"tool_call","subtype":"started","call_id":"t1","tool_call":{"writeToolCall":{"args":{"path":"/r/a.txt"}}}}"#,
            r#"{"type":"tool_call","subtype":"completed","call_id":"t1","tool_call":{"writeToolCall":{"args":{"path":"/r/a.txt"},"result":{"success":{"path":"/r/a.txt","linesCreated":1}}}}}"#,
            r#"{"type":"tool_call","subtype":"completed","call_id":"t2","tool_call":{"writeToolCall":{"args":{"path":"/r/b.txt"},"result":{"rejected":{}}}}}"#,
            r#"{"type":"tool_call","subtype":"completed","call_id":"t3","tool_call":{"shellToolCall":{"args":{"command":"make"},"result":{"success":{"exitCode":0}}}}}"#,
            r#"{"type":"result","subtype":"success","is_error":false,"duration_ms":5,"result":"Done.","session_id":"c6b6","request_id":"r"}"#,
        ],
    );
    let unknown = Usage { cost_scope: Scope::Session, ..Usage::default() };
    let wanted = vec![
        Fact::Session("c6b6".into()),
        Fact::Message("I will.".into()),
        Fact::Edit("/r/a.txt".into()),
        Fact::Command { command: "make".into(), exit: Some(0) },
        Fact::Usage(unknown),
        done(true, "Done.", None),
    ];
    assert_eq!(facts, wanted);
}

#[test]
fn goose_joins_the_pieces_of_a_message_and_fails_by_its_error() {
    let piece = |id: &str, text: &str| {
        format!(
            r#"{{"type":"message","message":{{"id":"{id}","role":"assistant","created":1,"content":[{{"type":"text","text":"{text}"}}]}}}}"#
        )
    };
    let call = r#"{"type":"message","message":{"id":"m1","role":"assistant","content":[{"type":"toolRequest","id":"t1","toolCall":{"status":"success","value":{"name":"developer__shell","arguments":{"command":"ls"}}}},{"type":"toolRequest","id":"t2","toolCall":{"status":"success","value":{"name":"developer__text_editor","arguments":{"command":"write","path":"/r/a.txt"}}}}]}}"#;
    let (one, two, three) = (piece("m1", "I "), piece("m1", "will."), piece("m2", "Done."));
    let facts = read(
        Dialect::Goose,
        &[&one, &two, call, &three, r#"{"type":"complete","total_tokens":900}"#],
    );
    let wanted = vec![
        Fact::Message("I will.".into()),
        Fact::Command { command: "ls".into(), exit: None },
        Fact::Edit("/r/a.txt".into()),
        Fact::Message("Done.".into()),
        done(true, "Done.", None),
    ];
    assert_eq!(facts, wanted);
    let mut parser = Parser::new(Dialect::Goose);
    assert!(parser.read(r#"{"type":"error","error":"429 Too Many Requests"}"#).is_empty());
    assert_eq!(parser.end(), [done(false, "429 Too Many Requests", Some(429))]);
}
