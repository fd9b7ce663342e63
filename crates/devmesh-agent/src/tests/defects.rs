//! What was found wrong with how comparable systems drive their tools, each shown to be otherwise
//! here. A test is named after the defect that it denies.

use clap::Parser;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::mesh::Mesh;
use super::{Agent, Cli, TARGET, agent};
use crate::fixture::TestRepo;

/// What is locked is what was changed, whatever the tool says that it has written.
#[tokio::test(flavor = "multi_thread")]
async fn the_lock_is_on_a_name_for_output_and_not_on_what_was_edited() {
    let repo = TestRepo::new();
    let mesh = Mesh::start(&repo, &["true"]).await;
    let script = "cat > /dev/null; mkdir -p src; echo x > src/new.rs; echo y >> a.txt; \
                  echo 'I have written the result to output/t-1.md'";
    let agent = agent(&mesh, &repo, script).await;
    mesh.saw("task.complete").await;
    let locked: Vec<_> = mesh.bodies("lock.acquire").iter().map(|b| b["paths"].clone()).collect();
    assert_eq!(locked, [json!(["a.txt", "src/new.rs"])]);
    assert_eq!(mesh.body("lock.acquire")["mode"], "write");
    let landed = repo.git(&["diff", "--name-only", "main", TARGET]);
    assert_eq!(landed.lines().collect::<Vec<_>>(), ["a.txt", "src/new.rs"]);
    agent.stop().await;
}

/// A tool that takes its prompt as an argument reads the same as one that reads it from stdin.
#[tokio::test(flavor = "multi_thread")]
async fn the_bare_prompt_is_sent_where_it_is_an_argument() {
    let repo = TestRepo::new();
    let mesh = Mesh::start(&repo, &["test -s prompt.txt"]).await;
    let profiles = repo.slots().with_file_name("profiles");
    std::fs::create_dir(&profiles).unwrap();
    let profile = "name = \"words\"\nprograms = [\"sh\"]\nprompt = \"argument\"\n\
                   dialect = \"text\"\nco_author = \"words <words@localhost>\"\n\
                   args = [\"-c\", \"printf %s \\\"$1\\\" > prompt.txt\", \"sh\", \"{prompt}\"]\n";
    std::fs::write(profiles.join("words.toml"), profile).unwrap();
    let path = |name: &str| repo.slots().with_file_name(name).display().to_string();
    let args = ["--state-dir", &path("state"), "--worktrees", &path("slots")];
    let own = ["agent", "--tool", "words", "--host", "h1", "--profiles", &path("profiles")];
    let args = Cli::parse_from(own.iter().chain(&args));
    let (shutdown, client) = (CancellationToken::new(), mesh.client("codex-1").await);
    let task = tokio::spawn(crate::run(args.args, client, shutdown.clone()));
    mesh.saw("task.complete").await;
    let told = repo.git(&["show", &format!("{TARGET}:prompt.txt")]);
    for part in ["# Task t-1: Say hello", "test -s prompt.txt", "## Repository", "\n## Rules\n"] {
        assert!(told.contains(part), "{part} in {told}");
    }
    // The rules as they were told at the join, word for word.
    let rules = devmesh_protocol::rulebook::view().prompt;
    let rules: Vec<String> = rules.iter().map(|(id, text)| format!("{id} {text}")).collect();
    let wanted = format!("\n{}", rules.join("\n"));
    assert!(told.trim_end().ends_with(&wanted), "{told}");
    Agent { task, shutdown }.stop().await;
}
