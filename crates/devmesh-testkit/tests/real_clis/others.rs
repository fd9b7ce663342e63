//! The tools that are installed only where somebody asks for all of them.

use devmesh_testkit::tools::Tool;

use crate::rig::{Rig, is_uuid};

/// A refusal that no tool has reason to try again.
const REFUSED: &str = r#"[[model {"steps":[{"write":{"path":"a.txt","content":"x\n"}}],
    "fault":{"status":401,"aside":true}}]]"#;

/// A refusal of the key: nothing is written, and the tool ends with its own code.
async fn check_refused(rig: &Rig, code: i32) {
    let ran = rig.run(REFUSED, None).await;
    assert_eq!(ran.code, Some(code), "{}", ran.talk);
    assert_eq!(rig.file("a.txt"), "");
    let stats = rig.server.stats();
    assert!(stats.faults >= 1 && stats.faults == stats.requests, "{stats:?}");
}

#[tokio::test]
async fn gemini_works_when_installed() {
    let Some(rig) = Rig::new(Tool::Gemini, "gemini-2.5-pro").await else { return };
    let ran = rig.check_work(&["write_file", "read_file", "replace", "run_shell_command"]).await;
    assert!(is_uuid(&ran.session(Tool::Gemini)));
    let result = ran.of_type("result").next_back().unwrap();
    assert_eq!(result["status"], "success");
    assert_eq!(result["stats"]["output_tokens"], 425);
}

#[tokio::test]
async fn gemini_waits_out_a_rate_limit_when_installed() {
    let Some(rig) = Rig::new(Tool::Gemini, "gemini-2.5-pro").await else { return };
    rig.check_rate_limit().await;
}

#[tokio::test]
async fn gemini_ends_when_refused_when_installed() {
    let Some(rig) = Rig::new(Tool::Gemini, "gemini-2.5-pro").await else { return };
    // The status, modulo 256.
    check_refused(&rig, 401 % 256).await;
}

#[tokio::test]
async fn gemini_resumes_its_session_when_installed() {
    let Some(rig) = Rig::new(Tool::Gemini, "gemini-2.5-pro").await else { return };
    rig.check_resume().await;
}

#[tokio::test]
async fn opencode_works_when_installed() {
    let Some(rig) = Rig::new(Tool::OpenCode, "scripted").await else { return };
    let ran = rig.check_work(&["write", "read", "edit", "bash"]).await;
    assert!(ran.session(Tool::OpenCode).starts_with("ses_"));
    let ends = ran.of_type("step_finish").map(|line| &line["part"]);
    let tokens = ends.map(|part| part["tokens"]["output"].as_u64().unwrap()).sum::<u64>();
    assert_eq!(tokens, 425);
}

#[tokio::test]
async fn opencode_waits_out_a_rate_limit_when_installed() {
    let Some(rig) = Rig::new(Tool::OpenCode, "scripted").await else { return };
    rig.check_rate_limit().await;
}

#[tokio::test]
async fn opencode_ends_when_refused_when_installed() {
    let Some(rig) = Rig::new(Tool::OpenCode, "scripted").await else { return };
    check_refused(&rig, 1).await;
}

#[tokio::test]
async fn opencode_resumes_its_session_when_installed() {
    let Some(rig) = Rig::new(Tool::OpenCode, "scripted").await else { return };
    rig.check_resume().await;
}

#[tokio::test]
async fn copilot_works_when_installed() {
    let Some(rig) = Rig::new(Tool::Copilot, "scripted").await else { return };
    let ran = rig.check_work(&["create", "view", "edit", "bash"]).await;
    assert!(is_uuid(&ran.session(Tool::Copilot)));
    assert_eq!(ran.of_type("result").next_back().unwrap()["exitCode"], 0);
}

#[tokio::test]
async fn copilot_waits_out_a_rate_limit_when_installed() {
    let Some(rig) = Rig::new(Tool::Copilot, "scripted").await else { return };
    rig.check_rate_limit().await;
}

#[tokio::test]
async fn copilot_ends_when_refused_when_installed() {
    let Some(rig) = Rig::new(Tool::Copilot, "scripted").await else { return };
    check_refused(&rig, 1).await;
}

#[tokio::test]
async fn copilot_resumes_its_session_when_installed() {
    let Some(rig) = Rig::new(Tool::Copilot, "scripted").await else { return };
    rig.check_resume().await;
}

#[tokio::test]
async fn continue_works_when_installed() {
    let Some(rig) = Rig::new(Tool::Continue, "scripted").await else { return };
    rig.check_work(&["Write", "Read", "Edit", "Bash"]).await;
}

#[tokio::test]
async fn continue_waits_out_a_rate_limit_when_installed() {
    let Some(rig) = Rig::new(Tool::Continue, "scripted").await else { return };
    rig.check_rate_limit().await;
}

#[tokio::test]
async fn continue_ends_when_refused_when_installed() {
    let Some(rig) = Rig::new(Tool::Continue, "scripted").await else { return };
    check_refused(&rig, 1).await;
}

#[tokio::test]
async fn aider_works_and_commits_when_installed() {
    let Some(rig) = Rig::new(Tool::Aider, "scripted").await else { return };
    let prompt = r##"[[model {"steps":[{"write":{"path":"new.txt","content":"new\n"}},
        {"edit":{"path":"README.md","old":"# scratch","new":"# edited\n\nmore"}}],
        "final":"Both are done."}]]"##;
    let ran = rig.run(prompt, None).await;
    assert_eq!(ran.code, Some(0), "{}", ran.talk);
    assert_eq!(
        (rig.file("new.txt").as_str(), rig.file("README.md").as_str()),
        ("new\n", "# edited\n\nmore\n"),
        "{}",
        ran.talk
    );
    let changed = rig.git(&["log", "-1", "--format=%s", "--name-only"]);
    assert_eq!(changed, "Scripted\n\nREADME.md\nnew.txt\n", "{}", ran.talk);
    let stats = rig.server.stats();
    assert_eq!((stats.unfit, stats.unscripted, stats.faults), (0, 0, 0), "{stats:?}");
}

#[tokio::test]
async fn aider_changes_nothing_when_refused_when_installed() {
    let Some(rig) = Rig::new(Tool::Aider, "scripted").await else { return };
    // It says what went wrong, and that all is well.
    check_refused(&rig, 0).await;
}
