//! Which tools a command line asks for.

use clap::Parser;

use super::*;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    args: Args,
}

fn asked(line: &str) -> Option<Vec<&'static str>> {
    let words = ["setup"].into_iter().chain(line.split_whitespace());
    let args = Line::try_parse_from(words).unwrap().args;
    args.tools.map(|named| wanted(&named).into_iter().map(Tool::name).collect())
}

#[test]
fn nobody_gets_more_than_asked_for() {
    assert_eq!(asked(""), None);
    assert_eq!(asked("--browser"), None);
    assert_eq!(asked("--tools"), Some(vec!["codex", "claude"]));
    assert_eq!(asked("--tools --browser"), Some(vec!["codex", "claude"]));
    assert_eq!(asked("--tools aider,gemini --browser"), Some(vec!["aider", "gemini"]));
    assert_eq!(asked("--tools all").unwrap().len(), Tool::ALL.len());
    assert!(Line::try_parse_from(["setup", "--tools", "cody"]).is_err());
}
