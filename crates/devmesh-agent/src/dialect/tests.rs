//! Lines as the tools print them, and what they mean.

mod plain;
mod stream;

use super::*;

fn read(dialect: Dialect, lines: &[&str]) -> Vec<Fact> {
    let mut parser = Parser::new(dialect);
    lines.iter().flat_map(|line| parser.read(line)).collect()
}

fn done(success: bool, message: &str, status: Option<u16>) -> Fact {
    Fact::Done(Done { success, message: message.into(), status, retry_ms: None })
}

#[test]
fn codex_tells_session_edit_command_usage_and_its_last_message() {
    let facts = read(
        Dialect::Codex,
        &[
            r#"{"type":"thread.started","thread_id":"01a1"}"#,
            r#"{"type":"turn.started"}"#,
            r#"{"type":"item.completed","item":{"id":"item_0","type":"agent_message","text":"I will"}}"#,
            r#"{"type":"item.started","item":{"id":"item_1","type":"file_change","changes":[{"path":"/r/hello.txt","kind":"add"}],"status":"in_progress"}}"#,
            r#"{"type":"item.completed","item":{"id":"item_1","type":"file_change","changes":[{"path":"/r/hello.txt","kind":"add"}],"status":"completed"}}"#,
            r#"{"type":"item.completed","item":{"type":"command_execution","command":"/bin/bash -lc 'x'","aggregated_output":"","exit_code":7,"status":"failed"}}"#,
            r#"{"type":"item.completed","item":{"type":"error","message":"Model metadata for `x` not found"}}"#,
            "2026-01-01 ERROR not json at all",
            r#"{"type":"item.completed","item":{"type":"agent_message","text":"All done"}}"#,
            r#"{"type":"turn.completed","usage":{"input_tokens":2600,"cached_input_tokens":1500,"output_tokens":105}}"#,
        ],
    );
    let usage = Usage {
        input_tokens: Some(2_600),
        output_tokens: Some(105),
        cost_micros: None,
        tokens_scope: Scope::Session,
        cost_scope: Scope::Step,
    };
    let wanted = vec![
        Fact::Session("01a1".into()),
        Fact::Message("I will".into()),
        Fact::Edit("/r/hello.txt".into()),
        Fact::Command { command: "/bin/bash -lc 'x'".into(), exit: Some(7) },
        Fact::Message("All done".into()),
        Fact::Usage(usage),
        done(true, "All done", None),
    ];
    assert_eq!(facts, wanted);
}

#[test]
fn codex_retries_are_no_failure_and_a_failed_turn_is() {
    let limit = "exceeded retry limit, last status: 429 Too Many Requests";
    let facts = read(
        Dialect::Codex,
        &[
            &format!(r#"{{"type":"error","message":"Reconnecting... 3/5 ({limit})"}}"#),
            r#"{"type":"error","message":"Reconnecting... 1/5"}"#,
            &format!(r#"{{"type":"turn.failed","error":{{"message":"{limit}"}}}}"#),
        ],
    );
    let wanted = vec![Fact::Throttled { retry_ms: None }, done(false, limit, Some(429))];
    assert_eq!(facts, wanted);
}

#[test]
fn claude_tells_session_edit_command_usage_and_result() {
    let facts = read(
        Dialect::Claude,
        &[
            r#"{"type":"system","subtype":"init","session_id":"e816","model":"m","cwd":"/r","tools":[]}"#,
            r#"{"type":"assistant","message":{"id":"msg_1","content":[{"type":"text","text":"Hi"}],"usage":{"output_tokens":1}},"session_id":"e816"}"#,
            r#"{"type":"assistant","message":{"content":[{"type":"tool_use","id":"t1","name":"Write","input":{"file_path":"/r/hello.txt","content":"x"}}]}}"#,
            r#"{"type":"assistant","message":{"content":[{"type":"tool_use","id":"t2","name":"Bash","input":{"command":"ls"}}]}}"#,
            r#"{"type":"user","message":{"content":[{"type":"tool_result","tool_use_id":"t1","content":"ok"}]}}"#,
            r#"{"type":"system","subtype":"api_retry","attempt":1,"max_retries":10,"retry_delay_ms":602,"error_status":429,"error":"rate_limit"}"#,
            r#"{"is_error":false,"subtype":"success","result":"final text","total_cost_usd":0.0064,"usage":{"input_tokens":2600,"cache_read_input_tokens":1500,"cache_creation_input_tokens":0,"output_tokens":105},"type":"result","session_id":"e816"}"#,
        ],
    );
    let usage = Usage {
        input_tokens: Some(4_100),
        output_tokens: Some(105),
        cost_micros: Some(6_400),
        tokens_scope: Scope::Step,
        cost_scope: Scope::Session,
    };
    let wanted = vec![
        Fact::Session("e816".into()),
        Fact::Message("Hi".into()),
        Fact::Edit("/r/hello.txt".into()),
        Fact::Command { command: "ls".into(), exit: None },
        Fact::Throttled { retry_ms: Some(602) },
        Fact::Usage(usage),
        done(true, "final text", None),
    ];
    assert_eq!(facts, wanted);
}

#[test]
fn claude_calls_an_api_failure_a_success_but_for_one_flag() {
    let line = r#"{"type":"result","subtype":"success","is_error":true,"api_error_status":429,"terminal_reason":"api_error","result":"limit reached|1749924000"}"#;
    let facts = read(Dialect::Claude, &[line]);
    assert_eq!(facts.last(), Some(&done(false, "limit reached|1749924000", Some(429))));
    let line =
        r#"{"type":"result","subtype":"error_max_turns","is_error":true,"errors":["too many"]}"#;
    assert_eq!(read(Dialect::Claude, &[line]).last(), Some(&done(false, "too many", None)));
}

#[test]
fn scripted_tells_the_same_facts() {
    let facts = read(
        Dialect::Scripted,
        &[
            r#"{"type":"started","session":"s-1"}"#,
            r#"{"type":"message","text":"Working"}"#,
            r#"{"type":"command","command":"make","exit_code":2,"output":"","ms":3}"#,
            r#"{"type":"usage","input_tokens":10,"output_tokens":5,"cost_usd":0.25}"#,
            r#"{"type":"nobody knows this"}"#,
            r#"{"type":"done","message":"Done"}"#,
        ],
    );
    let usage = Usage {
        input_tokens: Some(10),
        output_tokens: Some(5),
        cost_micros: Some(250_000),
        ..Usage::default()
    };
    let wanted = vec![
        Fact::Session("s-1".into()),
        Fact::Message("Working".into()),
        Fact::Command { command: "make".into(), exit: Some(2) },
        Fact::Usage(usage),
        done(true, "Done", None),
    ];
    assert_eq!(facts, wanted);
}

#[test]
fn scripted_limits_carry_their_reset() {
    let line = r#"{"type":"failed","code":"rate_limit","message":"slow","retry_after_s":30}"#;
    let limited = Done { retry_ms: Some(30_000), ..Done::failure("slow", Some(429)) };
    assert_eq!(read(Dialect::Scripted, &[line]), [Fact::Done(limited)]);
    let line = r#"{"type":"failed","code":"error","message":"no","retry_after_s":null}"#;
    assert_eq!(read(Dialect::Scripted, &[line]), [done(false, "no", None)]);
}

#[test]
fn a_price_that_is_not_told_is_unknown_and_not_zero() {
    let facts = read(Dialect::Scripted, &[r#"{"type":"usage","input_tokens":1,"cost_usd":null}"#]);
    let [Fact::Usage(usage)] = facts.as_slice() else { panic!("{facts:?}") };
    assert_eq!((usage.cost_micros, usage.output_tokens), (None, None));
}

#[test]
fn text_has_its_last_line_as_message() {
    let mut parser = Parser::new(Dialect::Text);
    parser.read("Applied edit to hello.txt");
    parser.read("");
    assert_eq!(parser.last_message(), "Applied edit to hello.txt");
    assert!(!parser.marks_end());
}

#[test]
fn no_line_of_any_shape_is_fatal() {
    let lines = [
        "",
        "null",
        "[]",
        "{}",
        "{",
        "\u{0}",
        r#"{"type":5}"#,
        r#"{"type":"result"}"#,
        r#"{"type":"tool_use","part":{"state":1}}"#,
        r#"{"type":"message","message":{"role":"assistant","content":[1]}}"#,
        r#"{"usage":{},"modelMetrics":{"m":{}}}"#,
        "Tokens: sent, received.",
        "Tokens: 99999999999999999999k sent, -1 received. Cost: $x message",
        "Retrying in",
    ];
    for line in lines {
        for dialect in <Dialect as clap::ValueEnum>::value_variants() {
            let mut parser = Parser::new(*dialect);
            parser.read(line);
            parser.end();
            dialect.usage_in(line);
        }
    }
}

#[test]
fn cumulative_numbers_are_booked_once() {
    let mut ledger = Ledger::default();
    let session = |tokens, cost| Usage {
        input_tokens: Some(tokens),
        cost_micros: cost,
        tokens_scope: Scope::Session,
        cost_scope: Scope::Session,
        ..Usage::default()
    };
    assert_eq!(ledger.book(&session(100, Some(10))).input_tokens, Some(100));
    let second = ledger.book(&session(150, Some(30)));
    assert_eq!((second.input_tokens, second.cost_micros), (Some(50), Some(20)));
    assert_eq!(ledger.book(&session(40, None)).input_tokens, Some(40), "a new count");
    assert_eq!(ledger.book(&session(40, None)).cost_micros, None, "unknown stays unknown");
}

#[test]
fn resets_are_read_from_words() {
    let now = 1_749_920_000_000;
    let cases = [
        ("Claude AI usage limit reached|1749924000", Some(1_749_924_000_000)),
        ("Try again in 3 hours 12 minutes.", Some(now + 11_520_000)),
        ("try again in 1h2m3s", Some(now + 3_723_000)),
        ("please retry after 30", Some(now + 30_000)),
        ("retry-after: 5", Some(now + 5_000)),
        ("Please try again in 1.2s", Some(now + 2_000)),
        ("try again in 2 days, 1 hour and 5 minutes", Some(now + 176_700_000)),
        ("Your quota will reset after 12h3m4s.", Some(now + 43_384_000)),
        ("Please retry in 3.2s.", Some(now + 4_000)),
        ("limit|5", None),
        ("rate limit reached", None),
        ("try again in 9999 days", None),
    ];
    for (text, wanted) in cases {
        assert_eq!(reset_at_ms(text, now), wanted, "{text}");
    }
}
