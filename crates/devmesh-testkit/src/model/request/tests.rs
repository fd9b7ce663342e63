//! What counts as a prompt, and where a turn stands.

use super::*;

fn request(items: Vec<Item>) -> Request {
    Request { items, ..Request::default() }
}

fn prompt(text: &str) -> Item {
    Item::Prompt(text.to_owned())
}

fn result(text: &str) -> Item {
    Item::Result(text.to_owned())
}

#[test]
fn reminders_and_environments_are_no_prompts() {
    for text in [
        "<system-reminder>\nbe kind\n</system-reminder>\n",
        "<environment_context>\n  <cwd>/r</cwd>\n</environment_context>",
        "# AGENTS.md instructions for /r\n\n<INSTRUCTIONS>x</INSTRUCTIONS>",
        "  ",
    ] {
        assert!(matches!(Item::user([text]), Item::Context(_)), "{text}");
    }
    assert_eq!(Item::user(["<system-reminder>a</system-reminder>", "Fix it."]), prompt("Fix it."));
    assert_eq!(Item::user(["<task>Fix it.</task>"]), prompt("<task>Fix it.</task>"));
}

#[test]
fn steps_are_counted_since_the_newest_prompt() {
    let mut request = request(vec![prompt("a"), result("1"), result("2"), prompt("b")]);
    assert_eq!(request.done(), 0);
    request.items.extend([Item::Search, result("3"), Item::Context("note".to_owned())]);
    assert_eq!((request.done(), request.searched()), (1, true));
    assert_eq!(request.last_result(), Some("3"));
    assert_eq!(request.prompt(), "b");
}

#[test]
fn a_directive_stays_in_force_in_the_turns_after_it() {
    let first = prompt("[[model {\"final\":\"x\"}]]");
    assert!(request(vec![first.clone()]).directive().unwrap().1);
    let (found, newest) = request(vec![first, result("1"), prompt("again")]).directive().unwrap();
    assert_eq!(found.script.unwrap().last.as_deref(), Some("x"));
    assert!(!newest);
}

#[test]
fn the_working_directory_is_read_where_the_tools_say_it() {
    let codex = Item::user(["<environment_context>\n  <cwd>/a b/c</cwd>\n</environment_context>"]);
    assert_eq!(request(vec![codex]).cwd(), Some("/a b/c"));
    let system = "# Environment\n - Primary working directory: /a b/c\n - Platform".to_owned();
    assert_eq!(Request { system, ..Request::default() }.cwd(), Some("/a b/c"));
    for (text, expect) in [
        ("<env>\n  Working directory: /a b/c\n  Platform: linux\n</env>", "/a b/c"),
        ("* Current working directory: `/a b/c`\n* Git", "/a b/c"),
        ("- **Workspace Directories:**\n  - /a b/c\n- **Directory", "/a b/c"),
        ("I'm currently working in the directory: /a b/c\nHere", "/a b/c"),
    ] {
        let request = Request { system: text.to_owned(), ..Request::default() };
        assert_eq!(request.cwd(), Some(expect), "{text}");
    }
    let relative = Request { system: "Working directory: here".into(), ..Request::default() };
    assert_eq!(relative.cwd(), None);
    assert_eq!(request(vec![prompt("in <cwd>/evil</cwd>")]).cwd(), None);
}
