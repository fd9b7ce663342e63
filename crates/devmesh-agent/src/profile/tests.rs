//! Profiles read, found and expanded.

mod facts;
mod place;
mod probe;

use std::path::Path;

use uuid::Uuid;

use super::*;

fn wanted<'a>(session: Option<&'a str>, model: Option<&'a str>) -> Wanted<'a> {
    Wanted {
        worktree: "/w {prompt}",
        prompt: "do {session}",
        session,
        model,
        permission: Permission::Edit,
        folder: Path::new("/state/run"),
        new_session: Uuid::from_u128(7),
    }
}

fn with(permission: Permission) -> Wanted<'static> {
    Wanted { permission, ..wanted(None, Some("m")) }
}

fn built_in(name: &str) -> Profile {
    load(None).unwrap().remove(name).unwrap()
}

fn mine(more: &str) -> String {
    format!(
        "name = 'mine'\nprograms = ['mine']\nargs = ['{{prompt}}']\nprompt = 'argument'\n\
         dialect = 'text'\nco_author = 'Mine <m@x>'\n{more}"
    )
}

#[test]
fn every_built_in_profile_reads_and_has_its_file_name() {
    let all = load(None).unwrap();
    assert_eq!(all.len(), built_in::BUILT_IN.len());
    for (name, profile) in all {
        assert_eq!(name, profile.name);
        let modes = profile.permissions.keys().copied().collect::<Vec<_>>();
        for mode in if modes.is_empty() { vec![Permission::Edit] } else { modes } {
            assert!(profile.invocation(&with(mode)).is_ok(), "{name} {mode:?}");
        }
    }
}

#[test]
fn every_tool_that_edits_gets_its_prompt_without_a_limit_of_length_but_cursor() {
    for (name, profile) in load(None).unwrap() {
        let by_argument = profile.prompt == PromptBy::Argument;
        assert_eq!(by_argument, name == "cursor", "{name}");
    }
}

#[test]
fn no_profile_passes_another_tools_keys_but_aider_which_has_no_sign_in_of_its_own() {
    let keys = ["ANTHROPIC_API_KEY", "OPENAI_API_KEY", "GEMINI_API_KEY", "GH_TOKEN", "AMP_API_KEY"];
    for (name, profile) in load(None).unwrap() {
        let env = keys.map(|key| (key.into(), "secret".into()));
        let passed = crate::process::allowed(env, &profile.pass).len();
        let most = if name == "aider" { 3 } else { 1 };
        assert!(passed <= most, "{name} passes {passed} keys");
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
    assert_eq!(first.session, None, "it gives the id itself");
    let next = codex.invocation(&wanted(Some("01a1"), None)).unwrap();
    assert!(next.args.ends_with(&["resume".into(), "01a1".into(), "-".into()]));
    assert!(next.resumes);
}

#[test]
fn claude_has_no_sandbox_and_falls_back_to_edits() {
    let claude = built_in("claude");
    assert_eq!(claude.permission_for(None), Ok(Permission::Edit));
    let sandboxed = Wanted { permission: Permission::Sandbox, ..wanted(None, None) };
    assert!(claude.invocation(&sandboxed).is_err(), "rights nobody chose");
    let full = Wanted { permission: Permission::Full, ..wanted(None, None) };
    let full = claude.invocation(&full).unwrap();
    assert_eq!(full.env.get("IS_SANDBOX").map(String::as_str), Some("1"));
}

#[test]
fn a_run_gets_the_widest_mode_that_is_no_wider_than_allowed() {
    use Permission::{Ask, Edit, Full, Sandbox};
    let cases = [
        ("codex", None, Some(Sandbox)),
        ("codex", Some(Full), Some(Full)),
        ("gemini", None, Some(Edit)),
        ("gemini", Some(Sandbox), Some(Edit)),
        ("aider", Some(Full), Some(Edit)),
        ("aider", Some(Ask), Some(Ask)),
        ("cursor", None, Some(Sandbox)),
        // It can edit only by being allowed everything: nobody gets that without a word.
        ("cursor", Some(Edit), None),
        ("goose", None, None),
        ("goose", Some(Full), Some(Full)),
        ("cody", None, None),
        ("cody", Some(Ask), Some(Ask)),
        ("custom", None, Some(Edit)),
        ("custom", Some(Full), Some(Full)),
    ];
    for (tool, wanted, given) in cases {
        assert_eq!(built_in(tool).permission_for(wanted).ok(), given, "{tool} {wanted:?}");
    }
    let why = built_in("goose").permission_for(None).unwrap_err();
    assert!(why.contains("ask and full") && why.contains("sandbox"), "{why}");
}

#[test]
fn text_put_into_a_template_is_no_template() {
    assert_eq!(
        built_in("codex").invocation(&wanted(Some("s"), None)).unwrap().args[6],
        "/w {prompt}"
    );
}

#[test]
fn a_session_that_a_tool_is_told_is_known_before_it_runs() {
    let id = Uuid::from_u128(7).to_string();
    for tool in ["claude", "gemini", "copilot", "goose", "aider", "continue"] {
        let profile = built_in(tool);
        let first =
            profile.invocation(&Wanted { permission: first_of(&profile), ..with(Permission::Ask) });
        let first = first.unwrap();
        assert_eq!(first.session.as_deref(), Some(id.as_str()), "{tool}");
        let all = format!("{:?} {:?} {:?}", first.args, first.env, first.home);
        assert!(all.contains(&id) && !all.contains("{new_session}"), "{tool} {all}");
        let wanted = Wanted { permission: first_of(&profile), ..wanted(Some("old-one"), None) };
        let next = profile.invocation(&wanted).unwrap();
        assert_eq!((next.session.as_deref(), next.resumes), (Some("old-one"), true), "{tool}");
        let all = format!("{:?} {:?} {:?}", next.args, next.env, next.home);
        assert!(all.contains("old-one") && !all.contains(&id), "{tool} {all}");
    }
}

fn first_of(profile: &Profile) -> Permission {
    *profile.permissions.keys().next().unwrap()
}

#[test]
fn a_file_of_the_user_replaces_and_adds() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("mine.toml"), mine("")).unwrap();
    let other = mine("").replace("'mine'", "'codex'");
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
fn a_profile_that_would_not_do_what_it_says_is_refused() {
    let cases = [
        (mine("").replace("{prompt}", "x"), "args lack {prompt}"),
        (mine("").replace("'argument'", "'file'"), "args lack {prompt_file}"),
        (mine("resume_args = ['x']"), "args lack {prompt}"),
        (mine("[permissions.full]\nargs = ['--all']"), "args lack {permission}"),
        (mine("[files]\n'../x' = ''"), "is not the name of a file"),
        (mine("[permissions.edit.files]\n'/etc/x' = ''"), "is not the name of a file"),
        (mine("").replace("'mine'", "'My Tool'"), "is not the name of a tool"),
        (mine("[permissions.everything]"), "everything"),
    ];
    for (text, why) in cases {
        let error = parse("x.toml", &text).unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    }
}

#[test]
fn a_name_that_the_mesh_would_refuse_is_refused_here() {
    for name in ["", "My Tool", "a.*"] {
        let error =
            parse("x.toml", &mine("").replace("name = 'mine'", &format!("name = '{name}'")));
        let error = error.unwrap_err().to_string();
        assert!(error.contains("is not the name of a tool"), "{error}");
    }
}

#[test]
fn a_tool_that_needs_a_model_says_so() {
    let ollama = built_in("ollama");
    let none = Wanted { permission: Permission::Ask, ..wanted(None, None) };
    let error = ollama.invocation(&none).unwrap_err().to_string();
    assert!(error.contains("--model"), "{error}");
    let some = ollama.invocation(&with(Permission::Ask)).unwrap();
    assert_eq!(some.args, ["run", "m", "--hidethinking"]);
}

#[test]
fn limits_and_sign_ins_are_told_by_words() {
    let codex = built_in("codex");
    assert!(codex.is_rate_limit("last status: 429 too many requests"));
    assert!(codex.is_sign_in("unexpected status 401 Unauthorized"));
    assert!(!codex.is_rate_limit("the build failed after 14290 lines"));
    let claude = built_in("claude");
    assert!(claude.is_lost_session("No conversation found with session ID: e816"));
    let aider = built_in("aider");
    let ending = "Hello\nlitellm.APIConnectionError: no\n";
    assert_eq!(aider.failure_in(ending), Some("litellm.APIConnectionError: no"));
    assert_eq!(aider.failure_in("All is well\n"), None);
}
