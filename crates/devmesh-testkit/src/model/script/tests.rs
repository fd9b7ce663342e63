//! Directives in prompts, and scripts laid over each other.

use super::*;

fn script(json: &str) -> Script {
    serde_json::from_str(json).unwrap()
}

#[test]
fn a_directive_is_cut_out_of_the_text_around_it() {
    let found = find("Fix it.\n[[model {\"final\":\"a ]] b\"}]]\nThanks.").unwrap();
    assert_eq!(found.script.unwrap().last.as_deref(), Some("a ]] b"));
    assert_eq!(found.rest, "Fix it.\n\nThanks.");
    assert_eq!(found.raw, "[[model {\"final\":\"a ]] b\"}]]");
}

#[test]
fn the_last_directive_of_a_prompt_counts() {
    let found = find("[[model {\"final\":\"one\"}]] [[model {\"final\":\"two\"}]]").unwrap();
    assert_eq!(found.script.unwrap().last.as_deref(), Some("two"));
}

#[test]
fn a_requoted_directive_is_read_all_the_same() {
    let found = find(r#""do [[model {\"steps\":[{\"shell\":\"ls -l\"}]}]] now""#).unwrap();
    assert_eq!(found.script.unwrap().steps, [Step::Shell("ls -l".to_owned())]);
    assert_eq!(found.rest, "\"do  now\"");
}

#[test]
fn a_slip_of_the_pen_is_told_and_not_ignored() {
    for text in ["[[model {\"stesp\":[]}]]", "[[model nothing]]", "[[model", "[[model {\"final\":"]
    {
        assert!(find(text).unwrap().script.is_err(), "{text}");
    }
    assert_eq!(find("no directive [[here]]"), None);
}

#[test]
fn a_script_survives_the_trip_through_a_prompt() {
    let first = script(
        r#"{"steps":[{"write":{"path":"a","content":"x\n"}},{"say":"…"},
            {"edit":{"path":"a","old":"x","new":"y"}},{"mcp":{"server":"s","tool":"t"}}],
            "final":"done","fault":{"status":429,"first":2,"retry_after":1},"key":"k"}"#,
    );
    assert_eq!(find(&first.directive()).unwrap().script, Ok(first));
}

#[test]
fn what_a_directive_says_goes_before_the_scenario() {
    let base = script(r#"{"steps":[{"shell":"a"}],"final":"base","delay_ms":5}"#);
    let over = script(r#"{"final":"mine"}"#).over(base);
    assert_eq!(over.steps, [Step::Shell("a".to_owned())]);
    assert_eq!((over.last.as_deref(), over.delay_ms), (Some("mine"), Some(5)));
}

#[test]
fn the_built_in_scenarios_can_be_read() {
    let known = built_in();
    assert_eq!(known["ratelimit"].fault.as_ref().unwrap().first, Some(2));
    assert_eq!(known["hang"].fault.as_ref().unwrap().kind, FaultKind::Hang);
}
