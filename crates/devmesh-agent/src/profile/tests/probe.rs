//! Tools found on this host, and whether one is signed in with them.

use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::*;

type Env = Vec<(OsString, OsString)>;

/// A folder with programs, and an environment that has it as home and first in its PATH.
fn host(programs: &[(&str, &str)]) -> (tempfile::TempDir, Env) {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in programs {
        program(&dir.path().join("bin").join(name), text);
    }
    let around = std::env::var_os("PATH").unwrap();
    let path = std::iter::once(dir.path().join("bin")).chain(std::env::split_paths(&around));
    let path = std::env::join_paths(path).unwrap();
    let env = vec![("PATH".into(), path), ("HOME".into(), dir.path().into())];
    (dir, env)
}

fn program(at: &PathBuf, text: &str) {
    std::fs::create_dir_all(at.parent().unwrap()).unwrap();
    std::fs::write(at, format!("#!/bin/sh\n{text}\n")).unwrap();
    std::fs::set_permissions(at, std::fs::Permissions::from_mode(0o755)).unwrap();
}

#[tokio::test]
async fn a_tool_is_found_in_the_path_with_its_version() {
    let (dir, env) = host(&[("codex", "echo codex-cli v0.169.0"), ("cn", "echo 1.5.47")]);
    let found = built_in("codex").detect(&env).await.unwrap();
    assert_eq!(found.program, dir.path().join("bin/codex"));
    assert_eq!(found.version.as_deref(), Some("0.169.0"));
    let found = built_in("continue").detect(&env).await.unwrap();
    assert_eq!(found.version.as_deref(), Some("1.5.47"));
    let nowhere = vec![("PATH".into(), dir.path().as_os_str().to_owned())];
    assert_eq!(built_in("codex").detect(&nowhere).await, None);
}

#[tokio::test]
async fn a_name_that_others_use_too_must_lead_to_the_tool() {
    let (dir, env) = host(&[("agent", "echo 1.0")]);
    let cursor = built_in("cursor");
    assert_eq!(cursor.find(&env), None, "some other agent");
    let real = dir.path().join("share/cursor-agent/versions/1/cursor-agent");
    program(&real, "echo 2026.01.02-abc");
    std::fs::remove_file(dir.path().join("bin/agent")).unwrap();
    std::os::unix::fs::symlink(&real, dir.path().join("bin/agent")).unwrap();
    let found = cursor.detect(&env).await.unwrap();
    assert_eq!(found.program, dir.path().join("bin/agent"));
    assert_eq!(found.version.as_deref(), Some("2026.01.02-abc"));
}

#[tokio::test]
async fn whether_one_is_signed_in_is_told_by_the_first_sign_that_is_there() {
    let status = "[ -e \"$HOME/in\" ]";
    let (dir, mut env) = host(&[("codex", status)]);
    let codex = built_in("codex");
    let program = codex.find(&env).unwrap();
    let out = SignIn::SignedOut { how: "run `codex login`".into() };
    assert_eq!(codex.sign_in(&program, &env).await, out);
    std::fs::write(dir.path().join("in"), "").unwrap();
    let by = |by: &str| SignIn::SignedIn { by: by.into() };
    assert_eq!(codex.sign_in(&program, &env).await, by("login status"));
    std::fs::create_dir(dir.path().join(".codex")).unwrap();
    std::fs::write(dir.path().join(".codex/config.toml"), "model_provider = 'x'").unwrap();
    assert_eq!(codex.sign_in(&program, &env).await, by("~/.codex/config.toml"));
    env.push(("CODEX_API_KEY".into(), "k".into()));
    assert_eq!(codex.sign_in(&program, &env).await, by("CODEX_API_KEY"));
}

#[tokio::test]
async fn a_tool_that_cannot_be_asked_is_unknown_and_one_without_accounts_needs_none() {
    let (_dir, env) = host(&[("gemini", "exit 3"), ("ollama", "exit 3")]);
    let gemini = built_in("gemini");
    let said = gemini.sign_in(&gemini.find(&env).unwrap(), &env).await;
    assert!(matches!(said, SignIn::Unknown { .. }) && !said.is_missing(), "{said:?}");
    let ollama = built_in("ollama");
    let said = ollama.sign_in(&ollama.find(&env).unwrap(), &env).await;
    assert_eq!(said, SignIn::NotNeeded);
}

/// A trial of a tool whose program is this script.
async fn tried(script: &str, more: &str) -> Proof {
    let (dir, env) = host(&[("mine", script)]);
    let text = mine(more).replace("['{prompt}']", "[]").replace("'argument'", "'stdin'");
    let profile = parse("mine", &text).unwrap();
    let program = profile.find(&env).unwrap();
    let folder = dir.path().join("trial");
    let trial = Trial {
        profile: &profile,
        program: &program,
        model: None,
        permission: Permission::Edit,
        env: &env,
        limit: Duration::from_secs(20),
        folder: &folder,
        beside: None,
    };
    trial.run(&CancellationToken::new()).await.unwrap()
}

#[tokio::test]
async fn a_tool_is_proven_by_what_git_finds_and_not_by_its_words() {
    // The line to write is read from the prompt: the tool was asked, and what it was asked came.
    let write = "grep -x 'devmesh was here' > devmesh-trial.txt";
    let cases = [
        (write.to_owned(), Verdict::Proven),
        (format!("{write}; echo x > README.md"), Verdict::Doubtful),
        (format!("{write}; exit 3"), Verdict::Doubtful),
        (
            format!("{write}; git add -A; git -c user.name=a -c user.email=b commit -qm x"),
            Verdict::Doubtful,
        ),
        ("echo I have created the file.".to_owned(), Verdict::NoChange),
        ("echo something > devmesh-trial.txt".to_owned(), Verdict::WrongChange),
        ("echo 'last status: 429' >&2; exit 1".to_owned(), Verdict::RateLimited),
        ("echo 'Please sign in.'; exit 1".to_owned(), Verdict::NotSignedIn),
        ("echo broken; exit 5".to_owned(), Verdict::Failed),
        ("echo 'E: no answer'".to_owned(), Verdict::Failed),
    ];
    let words =
        "rate_limit_words = ['429']\nsign_in_words = ['sign in']\nfailure_words = ['E: ']\n";
    for (script, verdict) in cases {
        let proof = tried(&script, words).await;
        assert_eq!(proof.verdict, verdict, "{script}: {proof:?}");
        assert_eq!(proof.why.is_none(), verdict == Verdict::Proven, "{script}: {proof:?}");
    }
}

#[tokio::test]
async fn what_a_tool_used_in_a_trial_is_told_and_what_it_does_not_tell_is_unknown() {
    let script = r#"grep -x 'devmesh was here' > devmesh-trial.txt
echo '{"type":"started","session":"s-1"}'
echo '{"type":"usage","input_tokens":10,"output_tokens":5,"cost_usd":null}'
echo '{"type":"done","message":"Done"}'"#;
    let profile = "dialect = 'scripted'";
    let (dir, env) = host(&[("mine", script)]);
    let text = mine("").replace("['{prompt}']", "[]").replace("'argument'", "'stdin'");
    let profile = parse("mine", &text.replace("dialect = 'text'", profile)).unwrap();
    let program = profile.find(&env).unwrap();
    let trial = Trial {
        profile: &profile,
        program: &program,
        model: None,
        permission: Permission::Edit,
        env: &env,
        limit: Duration::from_secs(20),
        folder: &dir.path().join("trial"),
        beside: None,
    };
    let proof = trial.run(&CancellationToken::new()).await.unwrap();
    assert_eq!(proof.verdict, Verdict::Proven, "{proof:?}");
    let told = (proof.input_tokens, proof.output_tokens, proof.cost_micro_usd);
    assert_eq!(told, (Some(10), Some(5), None));
    assert_eq!((proof.session.as_deref(), &*proof.message), (Some("s-1"), "Done"));
}
