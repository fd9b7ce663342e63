//! The real coding CLIs against the scripted model: both sides of the wire, no network.
//!
//! A test whose CLI is not installed prints a line that begins SKIP and passes; its name ends
//! in `_when_installed`, so that a runner can count what it did not see.

#![expect(clippy::unwrap_used, reason = "what cannot be set up is a failed test")]

use devmesh_testkit::tools::Tool;

use crate::rig::{Rig, is_uuid};

#[path = "real_clis/others.rs"]
mod others;
#[path = "real_clis/rig.rs"]
mod rig;

#[tokio::test]
async fn codex_works_with_functions_and_patches_when_installed() {
    let Some(rig) = Rig::new(Tool::Codex, "gpt-5.5").await else { return };
    let ran = rig.check_work(&["apply_patch", "apply_patch", "exec_command"]).await;
    assert!(is_uuid(&ran.session(Tool::Codex)));
    let usage = &ran.of_type("turn.completed").next_back().unwrap()["usage"];
    assert_eq!((&usage["input_tokens"], &usage["output_tokens"]), (&4800.into(), &340.into()));
    assert_eq!(usage["cached_input_tokens"], 1200);
}

#[tokio::test]
async fn codex_works_in_code_mode_when_installed() {
    let Some(rig) = Rig::new(Tool::Codex, "gpt-6-sol").await else { return };
    rig.check_work(&["exec", "exec", "exec"]).await;
}

#[tokio::test]
async fn codex_works_with_a_shell_alone_when_installed() {
    let Some(rig) = Rig::new(Tool::Codex, "nobody-knows-it").await else { return };
    rig.check_work(&["exec_command", "exec_command", "exec_command"]).await;
}

#[tokio::test]
async fn codex_waits_out_a_rate_limit_when_installed() {
    let Some(rig) = Rig::new(Tool::Codex, "gpt-5.5").await else { return };
    rig.check_rate_limit().await;
}

#[tokio::test]
async fn codex_resumes_its_session_when_installed() {
    let Some(rig) = Rig::new(Tool::Codex, "gpt-5.5").await else { return };
    rig.check_resume().await;
}

#[tokio::test]
async fn claude_works_when_installed() {
    let Some(rig) = Rig::new(Tool::Claude, "sonnet").await else { return };
    let ran = rig.check_work(&["Write", "Read", "Edit", "Bash"]).await;
    assert!(is_uuid(&ran.session(Tool::Claude)));
    let result = ran.of_type("result").next_back().unwrap();
    assert_eq!((&result["is_error"], &result["num_turns"]), (&false.into(), &5.into()));
    assert_eq!(result["usage"]["output_tokens"], 425);
    assert!(result["total_cost_usd"].as_f64().unwrap() > 0.0);
}

#[tokio::test]
async fn claude_waits_out_a_rate_limit_when_installed() {
    let Some(rig) = Rig::new(Tool::Claude, "sonnet").await else { return };
    rig.check_rate_limit().await;
}

#[tokio::test]
async fn claude_resumes_its_session_when_installed() {
    let Some(rig) = Rig::new(Tool::Claude, "sonnet").await else { return };
    rig.check_resume().await;
}

#[tokio::test]
async fn a_broken_connection_is_an_error_and_no_success_when_installed() {
    let Some(rig) = Rig::new(Tool::Codex, "gpt-5.5").await else { return };
    let config = rig.home().join(".codex/config.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text + "request_max_retries = 1\nstream_max_retries = 1\n").unwrap();
    let ran = rig.run(r#"[[model {"fault":{"kind":"drop_midstream"}}]]"#, None).await;
    assert_eq!(ran.code, Some(1), "{}", ran.talk);
    assert_eq!(ran.of_type("turn.failed").count(), 1, "{}", ran.talk);
    assert_eq!(rig.git(&["status", "--porcelain"]), "");
    assert!(rig.server.stats().faults >= 2);
}
