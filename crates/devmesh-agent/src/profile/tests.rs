//! Profiles read, found and expanded.

use super::*;

fn wanted<'a>(session: Option<&'a str>, model: Option<&'a str>) -> Wanted<'a> {
    let permission = Permission::Edit;
    Wanted { worktree: "/w {prompt}", prompt: "do {session}", session, model, permission }
}

fn built_in(name: &str) -> Profile {
    load(None).unwrap().remove(name).unwrap()
}

#[test]
fn every_built_in_profile_reads_and_has_its_file_name() {
    for (name, profile) in load(None).unwrap() {
        assert_eq!(name, profile.name);
        assert!(profile.invocation(&wanted(None, None)).is_ok(), "{name}");
    }
}

#[test]
fn codex_gets_its_prompt_by_stdin_and_resumes_by_id() {
    let codex = built_in("codex");
    let first = codex.invocation(&wanted(None, Some("gpt-5.5"))).unwrap();
    let line = first.args.join(" ");
    assert_eq!(
        line,
        "exec --json --skip-git-repo-check --sandbox workspace-write -m gpt-5.5 \
         -C /w {prompt} -"
    );
    assert_eq!((first.stdin.as_str(), first.resumes), ("do {session}", false));
    let next = codex.invocation(&wanted(Some("01a1"), None)).unwrap();
    assert!(next.args.ends_with(&["resume".into(), "01a1".into(), "-".into()]));
    assert!(next.resumes);
}

#[test]
fn claude_has_no_sandbox_and_falls_back_to_edits() {
    let claude = built_in("claude");
    assert_eq!(claude.default_permission(), Permission::Edit);
    let sandboxed = Wanted { permission: Permission::Sandbox, ..wanted(None, None) };
    assert!(claude.invocation(&sandboxed).is_err(), "rights nobody chose");
    let full = Wanted { permission: Permission::Full, ..wanted(None, None) };
    let full = claude.invocation(&full).unwrap();
    assert_eq!(full.env.get("IS_SANDBOX").map(String::as_str), Some("1"));
}

#[test]
fn text_put_into_a_template_is_no_template() {
    assert_eq!(
        built_in("codex").invocation(&wanted(Some("s"), None)).unwrap().args[6],
        "/w {prompt}"
    );
}

#[test]
fn a_file_of_the_user_replaces_and_adds() {
    let dir = tempfile::tempdir().unwrap();
    let text = "name = 'mine'\nprograms = ['mine']\nargs = ['{prompt}']\nprompt = 'argument'\n\
                dialect = 'text'\nco_author = 'Mine <m@x>'\n";
    std::fs::write(dir.path().join("mine.toml"), text).unwrap();
    let other = text.replace("'mine'", "'codex'");
    std::fs::write(dir.path().join("other.toml"), other).unwrap();
    let all = load(Some(dir.path())).unwrap();
    assert_eq!(all["mine"].invocation(&wanted(None, None)).unwrap().args, ["do {session}"]);
    assert_eq!(all["codex"].dialect, Dialect::Text);
}

#[test]
fn a_broken_file_is_named() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("bad.toml"), "name = 'x'\nfancy = 1\n").unwrap();
    let error = load(Some(dir.path())).unwrap_err().to_string();
    assert!(error.contains("bad.toml") && error.contains("fancy"), "{error}");
}

#[test]
fn a_name_that_the_mesh_would_refuse_is_refused_here() {
    for name in ["", "My Tool", "a.*"] {
        let text = format!(
            "name = '{name}'\nprograms = ['x']\nargs = []\nprompt = 'stdin'\ndialect = 'text'\n\
             co_author = 'X <x@x>'\n"
        );
        let error = parse("x.toml", &text).unwrap_err().to_string();
        assert!(error.contains("is not the name of a tool"), "{error}");
    }
}

#[tokio::test]
async fn a_tool_is_found_in_the_path_with_its_version() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("codex");
    std::fs::write(&file, "#!/bin/sh\necho codex-cli v0.169.0\n").unwrap();
    let codex = built_in("codex");
    let path = format!("{}:/usr/bin:/bin", dir.path().display());
    assert_eq!(codex.detect(OsStr::new(dir.path())).await, None, "not executable");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
    let found = codex.detect(OsStr::new(&path)).await.unwrap();
    assert_eq!(found, Detected { program: file, version: Some("0.169.0".into()) });
}

#[test]
fn limits_and_sign_ins_are_told_by_words() {
    let codex = built_in("codex");
    assert!(codex.is_rate_limit("last status: 429 too many requests"));
    assert!(codex.is_sign_in("unexpected status 401 Unauthorized"));
    assert!(!codex.is_rate_limit("the build failed"));
}
