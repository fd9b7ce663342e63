//! Tools that print text, or one value at their end.

use super::*;

#[test]
fn continue_prints_one_object_on_one_line_or_on_several() {
    let one = r#"{"response":"Done.","status":"success","note":"wrapped"}"#;
    let wanted = [Fact::Message("Done.".into()), done(true, "Done.", None)];
    assert_eq!(read(Dialect::Continue, &["a word before it", one]), wanted);
    let several = ["{", r#"  "response": "Done.","#, r#"  "status": "success""#, "}"];
    assert_eq!(read(Dialect::Continue, &several), wanted);
}

#[test]
fn an_answer_of_continue_that_is_json_comes_as_it_is() {
    let facts = read(Dialect::Continue, &[r#"{"files":["a"]}"#]);
    assert_eq!(facts[1], done(true, r#"{"files":["a"]}"#, None));
    let facts = read(Dialect::Continue, &[r#"{"status":"error","message":"429 slow down"}"#]);
    assert_eq!(facts, [done(false, "429 slow down", Some(429))]);
    let mut ended = Parser::new(Dialect::Continue);
    assert!(ended.read("{").is_empty() && ended.end().is_empty() && ended.marks_end());
}

#[test]
fn continue_counts_over_its_session_in_a_file() {
    let file = |tokens: u64, cost: f64| {
        let text = format!(
            r#"{{"sessionId":"s","history":[],"usage":{{"promptTokens":{tokens},"completionTokens":5,"totalCost":{cost}}}}}"#
        );
        Dialect::Continue.usage_in(&text).unwrap()
    };
    let mut ledger = Ledger::default();
    assert_eq!(ledger.book(&file(100, 0.5)).input_tokens, Some(100));
    let second = ledger.book(&file(160, 0.75));
    assert_eq!((second.input_tokens, second.cost_micros), (Some(60), Some(250_000)));
    assert_eq!(file(1, 0.0).cost_micros, None, "a price of nothing is no price");
    assert_eq!(Dialect::Continue.usage_in(r#"{"history":[]}"#), None);
}

#[test]
fn aider_tells_edits_tokens_and_money_in_words() {
    let facts = read(
        Dialect::Aider,
        &[
            "Aider v0.86.2",
            "",
            "Applied edit to src/hello.txt",
            "Tokens: 1.9k sent, 33 received. Cost: $0.0013 message, $0.02 session.",
        ],
    );
    let usage = Usage {
        input_tokens: Some(1_900),
        output_tokens: Some(33),
        cost_micros: Some(1_300),
        ..Usage::default()
    };
    let wanted = vec![
        Fact::Message("Aider v0.86.2".into()),
        Fact::Edit("src/hello.txt".into()),
        Fact::Usage(usage),
    ];
    assert_eq!(facts, wanted);
    let facts = read(Dialect::Aider, &["Tokens: 12k sent, 3.1k cache hit, 1.2k received."]);
    let [Fact::Usage(usage)] = facts.as_slice() else { panic!("{facts:?}") };
    let told = (usage.input_tokens, usage.output_tokens, usage.cost_micros);
    assert_eq!(told, (Some(12_000), Some(1_200), None));
}

#[test]
fn an_error_of_aider_is_final_unless_an_answer_came_after_it() {
    let limit = "litellm.RateLimitError: RateLimitError: OpenAIException - slow down";
    let retry = "Retrying in 0.2 seconds...";
    let mut parser = Parser::new(Dialect::Aider);
    parser.read(limit);
    assert_eq!(parser.read(retry), [Fact::Throttled { retry_ms: Some(200) }]);
    assert!(parser.ending().contains("RateLimitError"));
    assert_eq!(parser.end(), [done(false, limit, Some(429))]);
    let mut parser = Parser::new(Dialect::Aider);
    for line in [limit, retry, "Tokens: 1.9k sent, 33 received."] {
        parser.read(line);
    }
    assert!(parser.end().is_empty() && parser.ending().is_empty(), "got over");
    let cases = [
        ("litellm.AuthenticationError: no", Some(401)),
        ("litellm.InternalServerError: no", Some(500)),
        ("litellm.APIConnectionError: no", None),
        ("litellm.BadRequestError: the AuthenticationError of the code is mended", Some(400)),
    ];
    for (line, status) in cases {
        let mut parser = Parser::new(Dialect::Aider);
        parser.read(line);
        assert_eq!(parser.end(), [done(false, line, status)]);
    }
}

#[test]
fn the_end_of_a_text_is_kept_within_bounds() {
    let mut parser = Parser::new(Dialect::Text);
    for number in 0..10_000 {
        parser.read(&format!("line {number}"));
    }
    let ending = parser.ending();
    assert!(ending.ends_with("line 9999") && ending.len() < 5_000, "{}", ending.len());
}

#[test]
fn a_number_is_a_status_by_itself_and_no_part_of_another() {
    assert_eq!(status_in("HTTP 429: slow"), Some(429));
    assert_eq!(status_in("used 14290 tokens in 40.1 s"), None);
    assert_eq!(status_in("status=401"), Some(401));
}
