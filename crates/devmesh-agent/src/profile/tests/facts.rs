//! Each tool's command line, variables and files against what is known of the tool. The whole
//! table is a text to be read: `lines.txt` beside this file.

use std::fmt::Write as _;
use std::path::PathBuf;

use super::*;

/// One run as a person would write it down.
fn shown(text: &mut String, what: &str, invocation: &Invocation) {
    let id = Uuid::from_u128(7).to_string();
    let quoted = |arg: &String| match arg.contains([' ', '"', '{']) || arg.is_empty() {
        true => format!("'{arg}'"),
        false => arg.clone(),
    };
    let args: Vec<String> = invocation.args.iter().map(quoted).collect();
    let _ = writeln!(text, "  {what}: {}", args.join(" ").replace(&id, "NEW"));
    for (name, value) in &invocation.env {
        let _ = writeln!(text, "    {name}={}", value.replace(&id, "NEW"));
    }
    for (name, file) in &invocation.files {
        let _ = writeln!(text, "    {name}: {}", file.replace(&id, "NEW"));
    }
    if let Some(home) = &invocation.home {
        let _ = writeln!(text, "    home {}", home.display().to_string().replace(&id, "NEW"));
    }
}

fn table() -> String {
    let mut text = String::new();
    for (name, profile) in load(None).unwrap() {
        let proven = if profile.proven { "" } else { ", not run" };
        let _ = writeln!(text, "{name} ({:?}{proven})", profile.dialect);
        let mut modes: Vec<Permission> = profile.permissions.keys().copied().collect();
        if modes.is_empty() {
            modes.push(Permission::Edit);
        }
        for mode in modes {
            let wanted = Wanted { worktree: "/w", prompt: "PROMPT", ..with(mode) };
            shown(&mut text, mode.name(), &profile.invocation(&wanted).unwrap());
        }
        if profile.resume_args.is_some() {
            let mode = profile.permissions.keys().max().copied().unwrap_or(Permission::Edit);
            let wanted = Wanted { worktree: "/w", prompt: "PROMPT", ..with(mode) };
            let wanted = Wanted { session: Some("OLD"), model: None, ..wanted };
            shown(&mut text, "resumed", &profile.invocation(&wanted).unwrap());
        }
        text.push('\n');
    }
    text
}

/// Whoever changes a profile sees what becomes of it. `DEVMESH_UPDATE=1` takes the change.
#[test]
fn every_command_line_is_as_it_was() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/profile/tests/lines.txt");
    let text = table();
    if std::env::var_os("DEVMESH_UPDATE").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let before = std::fs::read_to_string(&path).unwrap_or_default();
    for (number, (was, is)) in (1..).zip(before.lines().zip(text.lines())) {
        assert_eq!(was, is, "line {number} of {}; DEVMESH_UPDATE=1 takes it", path.display());
    }
    assert_eq!(before.len(), text.len(), "{}; DEVMESH_UPDATE=1 takes it", path.display());
}

/// What makes each mode mean what it says: words of the command line, its variables and files.
#[test]
fn every_mode_really_means_that_to_the_tool() {
    use Permission::{Ask, Edit, Full, Sandbox};
    let cases: [(&str, Permission, &str, &str); 24] = [
        ("claude", Ask, "--disallowedTools=Bash,Edit,MultiEdit,NotebookEdit,Write", "acceptEdits"),
        ("claude", Edit, "--permission-mode acceptEdits", "dangerously"),
        ("claude", Full, "--dangerously-skip-permissions", "acceptEdits"),
        ("codex", Ask, "--sandbox read-only", "bypass"),
        ("codex", Edit, "--sandbox workspace-write", "bypass"),
        ("codex", Sandbox, "--sandbox workspace-write", "bypass"),
        ("codex", Full, "--dangerously-bypass-approvals-and-sandbox", "--sandbox read"),
        ("gemini", Ask, "--approval-mode default", "yolo"),
        ("gemini", Edit, "--approval-mode auto_edit", "yolo"),
        ("gemini", Full, "--approval-mode yolo", "auto_edit"),
        ("opencode", Ask, r#""edit":"deny","bash":"deny""#, "--auto"),
        ("opencode", Edit, r#""edit":"allow","bash":"deny""#, "--auto"),
        ("opencode", Full, "--auto", "deny"),
        ("copilot", Ask, "--deny-tool=write --deny-tool=shell", "--allow"),
        ("copilot", Edit, "--allow-tool=write --deny-tool=shell", "--allow-all"),
        ("copilot", Full, "--allow-all", "--deny"),
        ("continue", Ask, "--exclude Write --exclude Bash", "--allow"),
        ("continue", Edit, "--exclude Bash", "--auto"),
        ("continue", Full, "--auto", "--exclude"),
        ("aider", Ask, "--chat-mode ask --dry-run", "NOTHING"),
        ("aider", Edit, "--no-suggest-shell-commands", "--dry-run"),
        ("cursor", Sandbox, "--force --sandbox enabled", "disabled"),
        ("goose", Ask, "GOOSE_MODE chat", "auto"),
        ("amp", Edit, r#"{"tool":"Bash","action":"reject"}"#, "--dangerously-allow-all"),
    ];
    for (tool, mode, holds, lacks) in cases {
        let run = built_in(tool).invocation(&with(mode)).unwrap();
        let env: Vec<String> =
            run.env.iter().map(|(name, value)| format!("{name} {value}")).collect();
        let files: Vec<&str> = run.files.values().map(String::as_str).collect();
        let all = format!("{}\n{}\n{}", run.args.join(" "), env.join("\n"), files.join("\n"));
        assert!(all.contains(holds), "{tool} {mode:?} lacks {holds}:\n{all}");
        assert!(!all.contains(lacks), "{tool} {mode:?} has {lacks}:\n{all}");
    }
}

#[test]
fn a_variable_of_the_person_does_not_widen_what_copilot_may_do() {
    let copilot = built_in("copilot");
    let own = [("COPILOT_ALLOW_ALL".into(), "1".into())];
    let passed = crate::process::allowed(own, &copilot.pass);
    assert_eq!(passed.len(), 1, "it would reach the tool");
    let run = copilot.invocation(&with(Permission::Edit)).unwrap();
    assert_eq!(run.env["COPILOT_ALLOW_ALL"], "false", "but for the profile's word");
}

#[test]
fn the_tools_that_can_are_told_to_retry_little() {
    let claude = built_in("claude").invocation(&with(Permission::Edit)).unwrap();
    assert_eq!(claude.env["CLAUDE_CODE_MAX_RETRIES"], "3");
    let gemini = built_in("gemini").invocation(&with(Permission::Edit)).unwrap();
    let settings: serde_json::Value = serde_json::from_str(&gemini.files["settings.json"]).unwrap();
    assert_eq!(settings["general"]["maxAttempts"], 3);
    assert_eq!(gemini.env["GEMINI_CLI_SYSTEM_SETTINGS_PATH"], "/state/run/settings.json");
    assert_eq!(gemini.env["GEMINI_CLI_NO_RELAUNCH"], "true");
}

#[test]
fn aider_reads_its_prompt_from_a_file_and_leaves_nothing_in_the_worktree() {
    let run = built_in("aider").invocation(&with(Permission::Edit)).unwrap();
    assert_eq!(run.files["prompt.md"], "do {session}");
    assert_eq!(run.stdin, "");
    let files = ["--message-file", "--chat-history-file", "--input-history-file"];
    for flag in files {
        let at = run.args.iter().position(|arg| arg == flag).unwrap();
        assert!(run.args[at + 1].starts_with("/state/run/"), "{flag} {}", run.args[at + 1]);
    }
    assert!(run.args.contains(&"--no-auto-commits".to_owned()));
}
