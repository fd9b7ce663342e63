//! The whole process against a real bus, real git and a stand-in for the coordinator.

mod defects;
pub(crate) mod mesh;
mod real;

use std::path::Path;
use std::time::{Duration, Instant};

use clap::Parser;
use devmesh_protocol::event::task::{TaskCancelled, TaskPaused, TaskResumed};
use devmesh_protocol::{ActorId, Code, Rejection};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::fixture::TestRepo;
use mesh::{Mesh, TASK};

const TARGET: &str = "devmesh/landed/main";

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    args: crate::Args,
}

/// An agent that runs `script` as its tool.
struct Agent {
    task: tokio::task::JoinHandle<crate::Result<()>>,
    shutdown: CancellationToken,
}

async fn agent(mesh: &Mesh, repo: &TestRepo, script: &str) -> Agent {
    let state = repo.slots().with_file_name("state");
    let (state, slots) = (state.display().to_string(), repo.slots().display().to_string());
    let args = Cli::parse_from([
        "agent",
        "--tool",
        "custom",
        "--host",
        "h1",
        "--state-dir",
        &state,
        "--worktrees",
        &slots,
        "--",
        "sh",
        "-c",
        script,
    ]);
    let shutdown = CancellationToken::new();
    let client = mesh.client("codex-1").await;
    let task = tokio::spawn(crate::run(args.args, client, shutdown.clone()));
    Agent { task, shutdown }
}

impl Agent {
    async fn stop(self) {
        self.shutdown.cancel();
        let ended = tokio::time::timeout(Duration::from_secs(40), self.task).await;
        ended.expect("it ends").expect("no panic").expect("no error");
    }
}

/// Waits until something is so.
async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !is_so() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn has_slot(repo: &TestRepo, file: &str) -> bool {
    repo.slots().join("1/app").join(file).exists()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_is_won_done_proven_and_landed() {
    let repo = TestRepo::new();
    repo.write("a.txt", "dirty in the user's checkout");
    let mesh = Mesh::start(&repo, &["test -s hello.txt"]).await;
    let script = "grep -q 'Say hello' && echo hi > hello.txt; echo 'I said hello'";
    let agent = agent(&mesh, &repo, script).await;
    mesh.saw("task.complete").await;
    let verbs = mesh.verbs();
    let wanted = [
        "agent.join",
        "task.bid",
        "task.start",
        "lock.acquire",
        "task.verified",
        "land.begin",
        "land.end",
        "task.complete",
    ];
    let mut rest = verbs.iter();
    for verb in wanted {
        assert!(rest.any(|seen| seen == verb), "{verb} in its place of {verbs:?}");
    }
    assert_eq!(mesh.body("lock.acquire")["paths"], json!(["hello.txt"]));
    let verified = mesh.body("task.verified");
    assert_eq!(verified["receipt"]["verdict"], "passed");
    let end = mesh.body("land.end");
    assert_eq!(end["commit"], json!(repo.head(TARGET)));
    assert_eq!(end["tree"], verified["receipt"]["tree"]);
    assert_eq!(mesh.body("task.complete")["message"], "I said hello");
    assert_eq!(repo.git(&["show", &format!("{TARGET}:hello.txt")]), "hi");
    assert_eq!(repo.git(&["status", "--porcelain"]), " M a.txt");
    let refs = || repo.git(&["for-each-ref", "refs/devmesh/work"]);
    until("the saves are forgotten", || refs().is_empty()).await;
    agent.stop().await;
    assert_eq!(mesh.verbs().last().map(String::as_str), Some("agent.leave"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_known_reaches_the_tool_and_what_it_learns_the_mesh() {
    let repo = TestRepo::new();
    let mesh = Mesh::start(&repo, &["true"]).await;
    mesh.note(json!([{
        "key": "greetings", "value": "say it in English", "confidence": 80, "paths": ["docs/"],
        "by": "alice", "at": "2026-11-21T10:00:00Z",
    }]));
    let script = "grep -q 'greetings \\[docs/\\]: say it in English (alice, 2026-11-21, 80 % sure)' \
                  && echo hi > hello.txt; echo 'NOTE hello [hello.txt]: one line, sk-ant-0123456789abcdefghijklmnop'";
    let agent = agent(&mesh, &repo, script).await;
    let note = mesh.saw("note.share").await;
    assert_eq!((&note["key"], &note["task"]), (&json!("hello"), &json!(TASK)));
    assert_eq!(note["value"], "one line, [masked]");
    assert_eq!(note["paths"], json!(["hello.txt"]));
    assert_eq!(note["session"], mesh.body("task.start")["session"]);
    let asked = mesh.question("notes").unwrap();
    assert_eq!((&asked["about"], &asked["repo"]), (&json!(["./"]), &json!("app")));
    mesh.saw("task.complete").await;
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_goes_back_to_the_tool_with_its_hint() {
    let repo = TestRepo::new();
    let mesh =
        Mesh::start(&repo, &["test -e two || { echo 'test failed: no two'; exit 1; }"]).await;
    let script = "if [ -e one ]; then cat > two; else cat > /dev/null; touch one; fi";
    let agent = agent(&mesh, &repo, script).await;
    mesh.saw("task.complete").await;
    let failed = &mesh.bodies("task.verified")[0];
    assert_eq!(
        (&failed["receipt"]["verdict"], &failed["class"]),
        (&json!("failed"), &json!("test"))
    );
    let told = repo.git(&["show", &format!("{TARGET}:two")]);
    assert!(told.contains("Tests fail") && told.contains("no two"), "{told}");
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_mended_fails_and_lands_nothing() {
    let repo = TestRepo::new();
    let mesh = Mesh::start(&repo, &["echo 'test failed'; exit 1"]).await;
    let agent = agent(&mesh, &repo, "cat > /dev/null; date +%N > out").await;
    let given_back = mesh.saw("task.abandon").await;
    assert_eq!(given_back["unspent"], true, "each failed verification was a try");
    assert_eq!(mesh.bodies("task.verified").len(), 2, "the same failure twice is enough");
    assert!(!mesh.verbs().contains(&"land.begin".to_owned()));
    let saved = repo.git(&["for-each-ref", "--format=%(refname)", "refs/devmesh/work"]);
    assert_eq!(saved, format!("refs/devmesh/work/{TASK}/1"), "the work is kept");
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_task_ends_its_tool_and_keeps_the_work() {
    let repo = TestRepo::new();
    let mesh = Mesh::start(&repo, &[]).await;
    let agent = agent(&mesh, &repo, "echo half > half; setsid sleep 300 & sleep 300").await;
    until("the tool works", || has_slot(&repo, "half")).await;
    mesh.tell(TaskCancelled { task: TASK, reason: None }.into()).await;
    let saved = || repo.git(&["for-each-ref", "refs/devmesh/work"]);
    until("the work is saved", || !saved().is_empty()).await;
    until("the run is over", || runs(&repo) == 0).await;
    assert!(!mesh.verbs().iter().any(|verb| verb == "task.fail" || verb == "land.begin"));
    agent.stop().await;
}

fn runs(repo: &TestRepo) -> usize {
    let dir = repo.slots().with_file_name("state").join("agents/codex-1/runs");
    std::fs::read_dir(dir).map(Iterator::count).unwrap_or(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_task_stands_still_until_it_goes_on() {
    let repo = TestRepo::new();
    let mesh = Mesh::start(&repo, &[]).await;
    let script =
        "touch began; i=0; while [ ! -e go ]; do sleep 0.05; done; echo x > done.txt; rm go";
    let agent = agent(&mesh, &repo, script).await;
    until("the tool works", || has_slot(&repo, "began")).await;
    mesh.tell(TaskPaused { task: TASK, reason: None, parks_at: None }.into()).await;
    let stopped = || tool_states(&repo).iter().all(|state| state == "T");
    until("the tool stands still", || !tool_states(&repo).is_empty() && stopped()).await;
    std::fs::write(repo.slots().join("1/app/go"), "").unwrap();
    mesh.tell(TaskResumed { task: TASK }.into()).await;
    mesh.saw("task.complete").await;
    agent.stop().await;
}

/// States of the processes that work in the slot.
fn tool_states(repo: &TestRepo) -> Vec<String> {
    let slot = repo.slots().canonicalize().unwrap().join("1/app");
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let here = |dir: &Path| std::fs::read_link(dir.join("cwd")).is_ok_and(|cwd| cwd == slot);
    let dirs = entries.map(|entry| entry.path()).filter(|dir| here(dir));
    let state = |dir: std::path::PathBuf| {
        let stat = std::fs::read_to_string(dir.join("stat")).ok()?;
        Some(stat.rsplit(") ").next()?.split(' ').next()?.to_owned())
    };
    dirs.filter_map(state).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_gives_the_task_back_unspent_with_its_work_saved() {
    let repo = TestRepo::new();
    let mesh = Mesh::start(&repo, &[]).await;
    let agent = agent(&mesh, &repo, "echo half > half; sleep 300").await;
    until("the tool works", || has_slot(&repo, "half")).await;
    agent.stop().await;
    assert_eq!(mesh.body("task.abandon")["unspent"], true);
    assert_eq!(mesh.verbs().last().map(String::as_str), Some("agent.leave"));
    let saved = repo.git(&["show", &format!("refs/devmesh/work/{TASK}/1:half")]);
    assert_eq!(saved, "half");
    assert_eq!(runs(&repo), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stale_token_ends_the_attempt_and_lands_nothing() {
    let repo = TestRepo::new();
    let mesh = Mesh::start(&repo, &[]).await;
    mesh.refuse("land.begin", Rejection::new(Code::StaleToken, "gone"));
    let agent = agent(&mesh, &repo, "echo x > x.txt").await;
    mesh.saw("land.begin").await;
    agent.stop().await;
    let verbs = mesh.verbs();
    assert!(!verbs.iter().any(|verb| verb == "land.end" || verb == "task.complete"), "{verbs:?}");
    assert!(repo.git(&["branch", "--list", TARGET]).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rate_limit_costs_no_attempt() {
    let repo = TestRepo::new();
    let mesh = Mesh::start(&repo, &[]).await;
    let script = "echo 'Error: 429 Too Many Requests, retry after 120' >&2; exit 1";
    let agent = agent(&mesh, &repo, script).await;
    let body = mesh.saw("task.fail").await;
    assert_eq!((&body["class"], &body["hard"]), (&json!("rate_limit"), &json!(false)));
    assert!(body["message"].as_str().unwrap().starts_with("limited until 2"), "{body}");
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conflict_with_what_landed_meanwhile_is_resolved_by_the_tool() {
    let repo = TestRepo::new();
    let mesh = Mesh::start(&repo, &[]).await;
    // The first run edits; while it waits another lands on the same line; the second resolves.
    let script = "if grep -q '<<<<<<<' a.txt; then printf 'both\\n' > a.txt; else \
                  printf 'mine\\n' > a.txt; touch .env; while [ ! -e target/go ]; do sleep 0.05; done; fi";
    let agent = agent(&mesh, &repo, script).await;
    until("the tool works", || has_slot(&repo, ".env")).await;
    repo.write("a.txt", "theirs\n");
    repo.commit("meanwhile");
    let slot = repo.slots().join("1/app");
    std::fs::create_dir_all(slot.join("target")).unwrap();
    std::fs::write(slot.join("target/go"), "").unwrap();
    mesh.saw("task.complete").await;
    assert_eq!(mesh.bodies("land.end").len(), 1, "seen before a turn is taken");
    assert!(mesh.bodies("task.verified").iter().all(|it| it["receipt"]["verdict"] != "failed"));
    assert_eq!(repo.git(&["show", &format!("{TARGET}:a.txt")]), "both");
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_answered_is_sent_again_by_the_next_process() {
    let repo = TestRepo::new();
    let mesh = Mesh::start(&repo, &[]).await;
    mesh.hold(true);
    let state = repo.slots().with_file_name("state").join("agents/codex-1");
    let actor = ActorId::new("codex-1").unwrap();
    let mut outbox = crate::outbox::Outbox::open(&state, &actor).await.unwrap();
    let body = devmesh_protocol::command::task::Complete {
        task: TASK,
        attempt: 4,
        token: 9,
        message: None,
        usage: None,
    };
    let id = crate::id::command();
    let verb = devmesh_protocol::Verb::TaskComplete(body);
    let command =
        devmesh_protocol::Command { id: id.clone(), actor: actor.clone(), session: None, verb };
    outbox.put(command).await.unwrap();
    let agent = agent(&mesh, &repo, "true").await;
    let sent = mesh.saw("task.complete").await;
    assert_eq!((&sent["id"], &sent["attempt"]), (&json!(id), &json!(4)));
    let file = state.join("outbox.json");
    let stands = || std::fs::read_to_string(&file).unwrap();
    until("the answered command is out of the outbox", || stands() == "[]").await;
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_review_of_anothers_work_is_the_tools_verdict_on_its_diff() {
    let repo = TestRepo::new();
    let mesh = Mesh::start(&repo, &[]).await;
    mesh.hold(true);
    let place = repo.slots().with_file_name("other");
    repo.git(&["worktree", "add", "--quiet", "--detach", &place.display().to_string(), "main"]);
    std::fs::write(place.join("a.txt"), "their line\n").unwrap();
    let spec = crate::save::SaveSpec {
        worktree: place,
        task: TASK.to_string(),
        attempt: 3,
        base: repo.head("main"),
        copied: Vec::new(),
        conflicts: None,
        trust: None,
    };
    let saved = crate::save::save(&spec).await.unwrap().unwrap();
    let script = "cat > prompt; grep -q '^+their line' prompt && test \"$(cat a.txt)\" = 'their line' \
                  && echo 'It says what it should.' && echo 'VERDICT: approve'";
    let agent = agent(&mesh, &repo, script).await;
    mesh.saw("agent.join").await;
    let session = mesh.body("agent.join")["session"].clone();
    let given = json!({
        "task": TASK, "attempt": 3, "reviewer": "codex-1", "session": session, "host": "h1",
        "needs": { "ram_mb": 0, "vram_mb": 0, "slots": 1 }, "tree": saved.tree,
        "deadline": "2036-01-01T00:00:00Z",
    });
    let given: devmesh_protocol::event::task::ReviewAssigned =
        serde_json::from_value(given).unwrap();
    mesh.tell(given.into()).await;
    let told = mesh.saw("task.review").await;
    assert_eq!((&told["verdict"], &told["tree"]), (&json!("approve"), &json!(saved.tree)));
    assert_eq!(told["comments"], "It says what it should.");
    agent.stop().await;
    let refs = repo.git(&["for-each-ref", "--format=%(objectname)", "refs/devmesh/work"]);
    assert_eq!(refs, saved.commit, "what the reviewer's tool left behind is nobody's work");
    assert_eq!(mesh.verbs().last().map(String::as_str), Some("agent.leave"));
}

/// The host's own trouble costs the task nothing: it passes while the agent waits.
#[tokio::test(flavor = "multi_thread")]
async fn a_worktree_that_cannot_be_made_for_a_moment_is_made_after_it() {
    let repo = TestRepo::new();
    let register = repo.path().join(".git/worktrees");
    std::fs::write(&register, "in the way").unwrap();
    let mesh = Mesh::start(&repo, &["true"]).await;
    let agent = agent(&mesh, &repo, "cat > /dev/null; echo hi > hello.txt").await;
    mesh.saw("task.start").await;
    let claim = repo.slots().join("1/devmesh.lock");
    until("a slot is taken", || claim.exists()).await;
    tokio::time::sleep(Duration::from_millis(600)).await;
    std::fs::remove_file(&register).unwrap();
    mesh.saw("task.complete").await;
    let verbs = mesh.verbs();
    assert!(!verbs.iter().any(|verb| verb == "task.fail" || verb == "task.abandon"), "{verbs:?}");
    agent.stop().await;
}

/// What only a person can mend is told with the words that mend it, and costs no try.
#[tokio::test(flavor = "multi_thread")]
async fn a_persons_half_made_worktree_gives_the_task_back_and_says_how_to_mend_it() {
    let repo = TestRepo::new();
    let entry = repo.path().join(".git/worktrees/mine");
    std::fs::create_dir_all(&entry).unwrap();
    std::fs::write(entry.join("gitdir"), "/somewhere/.git\n").unwrap();
    std::fs::write(entry.join("commondir"), "").unwrap();
    let mesh = Mesh::start(&repo, &["true"]).await;
    let agent = agent(&mesh, &repo, "true").await;
    mesh.saw("task.abandon").await;
    let body = mesh.body("task.abandon");
    assert_eq!(body["unspent"], true);
    let said = body["reason"].as_str().unwrap();
    let mend = format!("echo ../.. > '{}/commondir'", entry.display());
    assert!(said.starts_with("no worktree can be made") && said.ends_with(&mend), "{said}");
    agent.stop().await;
}
