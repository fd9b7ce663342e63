//! Steps as blocks that aider finds in a message.

use super::super::answer::decide;
use super::super::script::Script;
use super::*;

fn script(json: &str) -> Script {
    serde_json::from_str(json).unwrap()
}

fn aider() -> Request {
    let system = "*SEARCH/REPLACE block* rules: every block must use this format".to_owned();
    Request { system, ..Request::default() }
}

#[test]
fn all_steps_are_one_message() {
    let script = script(
        r#"{"steps":[{"say":"On it."},{"write":{"path":"a.txt","content":"x\ny"}},
            {"read":{"path":"b"}},{"edit":{"path":"b","old":"o","new":"n\nm"}}],"final":"Ready."}"#,
    );
    let answer = decide(&aider(), &script, None);
    assert_eq!((answer.call, answer.step, answer.unfit), (None, Some(0), false));
    let expect = "On it.\n\
        a.txt\n```\n<<<<<<< SEARCH\n=======\nx\ny\n>>>>>>> REPLACE\n```\n\n\
        b\n```\n<<<<<<< SEARCH\no\n=======\nn\nm\n>>>>>>> REPLACE\n```\n\n\
        Ready.";
    assert_eq!(answer.text, expect);
}

#[test]
fn what_cannot_be_told_is_told_to_the_test() {
    for step in [
        r#"{"shell":"make"}"#,
        r#"{"write":{"path":"a","content":"x","existing":true}}"#,
        r#"{"call":{"tool":"t"}}"#,
    ] {
        let answer = decide(&aider(), &script(&format!(r#"{{"steps":[{step}]}}"#)), None);
        assert!(answer.unfit && answer.text.contains("no words for"), "{}", answer.text);
    }
}

#[test]
fn without_the_form_in_the_system_text_it_is_no_work() {
    let commit = Request { system: "Write one commit message.".into(), ..Request::default() };
    assert!(aider().is_work() && !commit.is_work());
    let answer = decide(&commit, &script(r#"{"steps":[{"shell":"a"}]}"#), None);
    assert_eq!((answer.step, answer.text.as_str()), (None, "Scripted"));
}
