//! The real coding CLIs against the scripted model: both sides of the wire, no network.
//!
//! A test whose CLI is not installed prints a line that begins SKIP and passes; its name ends
//! in `_when_installed`, so that a runner can count what it did not see.

#![expect(clippy::unwrap_used, reason = "what cannot be set up is a failed test")]

use std::io::Write;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use devmesh_testkit::model::Server;
use devmesh_testkit::tools::{Tool, locate, write_home};
use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// A turn takes a second; this is for a machine with many other things to do.
const RUN_MAX: Duration = Duration::from_secs(120);

/// The steps that every tool must manage, in the words of the script.
const WORK: &str = r##"[[model {"steps":[
    {"say":"On it."},
    {"write":{"path":"new.txt","content":"it's\n\n\"new\"\n"}},
    {"edit":{"path":"README.md","old":"# scratch","new":"# edited\n\nmore"}},
    {"shell":"printf '%s' \"$(cat new.txt | wc -l | tr -d ' ')\" > lines.txt"}],
    "final":"All three are done."}]]"##;

/// A repository and a home built from nothing, and the tool that works there.
struct Rig {
    server: Server,
    tool: Tool,
    command: PathBuf,
    folder: tempfile::TempDir,
}

/// What a run left.
struct Ran {
    code: Option<i32>,
    lines: Vec<Value>,
    talk: String,
}

impl Rig {
    async fn new(tool: Tool, model: &str) -> Option<Self> {
        let Some(command) = locate(tool) else {
            let (name, version) = (tool.name(), tool.version());
            // Past the capture of the test runner: a skipped test shall be seen.
            let _ = writeln!(std::io::stderr(), "SKIP: {name} {version} is not installed");
            return None;
        };
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let server = Server::start().await.unwrap();
        let rig = Self { server, tool, command, folder };
        std::fs::create_dir_all(rig.repo()).unwrap();
        std::fs::create_dir_all(rig.home()).unwrap();
        write_home(tool, &rig.home(), &rig.server.url(), model).unwrap();
        std::fs::write(rig.repo().join("README.md"), "# scratch\n").unwrap();
        rig.git(&["init", "-q", "-b", "main"]);
        rig.git(&["add", "."]);
        let who = ["-c", "user.name=t", "-c", "user.email=t@example.invalid"];
        rig.git(&[&who[..], &["commit", "-q", "-m", "start"]].concat());
        Some(rig)
    }

    fn repo(&self) -> PathBuf {
        self.folder.path().join("repo")
    }

    fn home(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    fn file(&self, name: &str) -> String {
        std::fs::read_to_string(self.repo().join(name)).unwrap_or_default()
    }

    fn git(&self, args: &[&str]) -> String {
        let mut git = std::process::Command::new("git");
        git.args(args).current_dir(self.repo());
        git.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_SYSTEM", "/dev/null");
        let output = git.output().unwrap();
        assert!(output.status.success(), "{args:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn arguments(&self, resume: Option<&str>) -> Vec<String> {
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        match (self.tool, resume) {
            (Tool::Codex, None) => {
                words("exec --json --dangerously-bypass-approvals-and-sandbox -")
            }
            (Tool::Codex, Some(session)) => words(&format!(
                "exec --json --dangerously-bypass-approvals-and-sandbox resume {session} -"
            )),
            (Tool::Claude, None) => words(CLAUDE),
            (Tool::Claude, Some(session)) => words(&format!("{CLAUDE} --resume {session}")),
        }
    }

    async fn run(&self, prompt: &str, resume: Option<&str>) -> Ran {
        let mut command = Command::new(&self.command);
        command.args(self.arguments(resume)).current_dir(self.repo());
        command.env_clear().env("HOME", self.home()).env("IS_SANDBOX", "1");
        command.env("PATH", std::env::var_os("PATH").unwrap()).env("TERM", "dumb");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.kill_on_drop(true).process_group(0).spawn().unwrap();
        child.stdin.take().unwrap().write_all(prompt.as_bytes()).await.unwrap();
        let output = tokio::time::timeout(RUN_MAX, child.wait_with_output()).await;
        let output = output.expect("the CLI ends in time").unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        Ran {
            code: output.status.code(),
            lines: text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect(),
            talk: format!("{text}\n{}", String::from_utf8_lossy(&output.stderr)),
        }
    }

    /// The work of [`WORK`], and that the tool did it by these calls.
    async fn check_work(&self, called: &[&str]) -> Ran {
        let ran = self.run(&format!("Please.\n\n{WORK}\n"), None).await;
        assert_eq!(ran.code, Some(0), "{}", ran.talk);
        assert_eq!(self.file("new.txt"), "it's\n\n\"new\"\n", "{}", ran.talk);
        assert_eq!(self.file("README.md"), "# edited\n\nmore\n", "{}", ran.talk);
        assert_eq!(self.file("lines.txt"), "3", "{}", ran.talk);
        let status = self.git(&["status", "--porcelain"]);
        assert_eq!(status, " M README.md\n?? lines.txt\n?? new.txt\n");
        let seen = self.server.seen();
        let calls: Vec<_> = seen.iter().filter_map(|seen| seen.called.as_deref()).collect();
        assert_eq!(calls, called);
        let stats = self.server.stats();
        assert_eq!((stats.unfit, stats.unscripted, stats.faults), (0, 0, 0), "{stats:?}");
        assert_eq!(ran.last_message(self.tool), "All three are done.");
        ran
    }

    /// Two refusals, then the work.
    async fn check_rate_limit(&self) {
        let prompt = r#"[[model {"steps":[{"shell":"echo hi > hi.txt"}],"final":"At last.",
            "fault":{"status":429,"retry_after":1,"first":2}}]]"#;
        let ran = self.run(prompt, None).await;
        assert_eq!(ran.code, Some(0), "{}", ran.talk);
        assert_eq!(self.file("hi.txt"), "hi\n");
        let faulted: Vec<bool> = self.server.seen().iter().map(|seen| seen.faulted).collect();
        assert_eq!(faulted, [true, true, false, false], "{}", ran.talk);
        assert_eq!(ran.last_message(self.tool), "At last.");
    }

    /// A second turn in the same session plays the script's second part.
    async fn check_resume(&self) {
        let prompt = r#"[[model {"steps":[{"shell":"echo 1 > n.txt"}],"final":"One.",
            "again":{"steps":[{"shell":"echo 2 >> n.txt"}],"final":"Two."}}]]"#;
        let first = self.run(prompt, None).await;
        assert_eq!(first.last_message(self.tool), "One.", "{}", first.talk);
        let session = first.session(self.tool);
        let second = self.run("That is not enough.", Some(&session)).await;
        assert_eq!(second.code, Some(0), "{}", second.talk);
        assert_eq!(second.session(self.tool), session);
        assert_eq!(second.last_message(self.tool), "Two.", "{}", second.talk);
        assert_eq!(self.file("n.txt"), "1\n2\n");
    }
}

const CLAUDE: &str = "-p --output-format stream-json --verbose --dangerously-skip-permissions";

impl Ran {
    fn of_type(&self, kind: &str) -> impl DoubleEndedIterator<Item = &Value> {
        self.lines.iter().filter(move |line| line["type"] == kind)
    }

    fn session(&self, tool: Tool) -> String {
        let (kind, field) = match tool {
            Tool::Codex => ("thread.started", "thread_id"),
            Tool::Claude => ("system", "session_id"),
        };
        let line = self.of_type(kind).next().expect("a first line");
        line[field].as_str().expect("a session").to_owned()
    }

    fn last_message(&self, tool: Tool) -> String {
        let text = match tool {
            Tool::Codex => self
                .of_type("item.completed")
                .map(|line| &line["item"])
                .rfind(|item| item["type"] == "agent_message")
                .map(|item| &item["text"]),
            Tool::Claude => self.of_type("result").next_back().map(|line| &line["result"]),
        };
        text.and_then(Value::as_str).unwrap_or_default().to_owned()
    }
}

fn is_uuid(text: &str) -> bool {
    text.len() == 36 && text.chars().filter(|letter| *letter == '-').count() == 4
}

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
