//! A repository, a home and a scripted model for one real tool, and what its runs say.

use std::io::Write;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use devmesh_testkit::model::Server;
use devmesh_testkit::tools::{Tool, folder, locate, write_home};
use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// A turn takes a second, or five with the larger tools; this is for a machine with many other
/// things to do.
const RUN_MAX: Duration = Duration::from_secs(120);

/// The steps that every tool must manage, in the words of the script. Gemini runs no command with
/// another inside.
const WORK: &str = r##"[[model {"steps":[
    {"say":"On it."},
    {"write":{"path":"new.txt","content":"it's\n\n\"new\"\n"}},
    {"edit":{"path":"README.md","old":"# scratch","new":"# edited\n\nmore"}},
    {"shell":"cat \"new.txt\" | wc -l | tr -d ' \\n' > lines.txt"}],
    "final":"All three are done."}]]"##;

/// A repository and a home built from nothing, and the tool that works there.
pub(crate) struct Rig {
    pub(crate) server: Server,
    tool: Tool,
    command: PathBuf,
    env: Vec<(String, String)>,
    folder: tempfile::TempDir,
}

/// What a run left.
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    /// The lines of stdout that are JSON.
    pub(crate) lines: Vec<Value>,
    stdout: String,
    /// All it said.
    pub(crate) talk: String,
}

impl Rig {
    /// None where the tool is not installed.
    pub(crate) async fn new(tool: Tool, model: &str) -> Option<Self> {
        let Some(command) = locate(tool) else {
            let (name, version) = (tool.name(), tool.version());
            // Past the capture of the test runner: a skipped test shall be seen.
            let _ = writeln!(std::io::stderr(), "SKIP: {name} {version} is not installed");
            return None;
        };
        // Outside every repository, and codex wants no home in the system's temporary folder.
        let beside = folder().unwrap().with_file_name("tests");
        std::fs::create_dir_all(&beside).unwrap();
        let folder = tempfile::tempdir_in(beside).unwrap();
        let server = Server::start().await.unwrap();
        let mut rig = Self { server, tool, command, env: Vec::new(), folder };
        std::fs::create_dir_all(rig.repo()).unwrap();
        std::fs::create_dir_all(rig.folder.path().join("tmp")).unwrap();
        rig.env = write_home(tool, &rig.home(), &rig.server.url(), model).unwrap();
        std::fs::write(rig.repo().join("README.md"), "# scratch\n").unwrap();
        rig.git(&["init", "-q", "-b", "main"]);
        rig.git(&["add", "."]);
        let who = ["-c", "user.name=t", "-c", "user.email=t@example.invalid"];
        rig.git(&[&who[..], &["commit", "-q", "-m", "start"]].concat());
        Some(rig)
    }

    pub(crate) fn repo(&self) -> PathBuf {
        self.folder.path().join("repo")
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    pub(crate) fn file(&self, name: &str) -> String {
        std::fs::read_to_string(self.repo().join(name)).unwrap_or_default()
    }

    pub(crate) fn git(&self, args: &[&str]) -> String {
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
            (Tool::Gemini, None) => words(GEMINI),
            (Tool::Gemini, Some(session)) => words(&format!("{GEMINI} --resume {session}")),
            (Tool::OpenCode, None) => words(OPENCODE),
            (Tool::OpenCode, Some(session)) => words(&format!("{OPENCODE} --session {session}")),
            (Tool::Copilot, None) => words(COPILOT),
            (Tool::Copilot, Some(session)) => words(&format!("{COPILOT} --resume={session}")),
            (Tool::Continue, None) => words("-p --auto"),
            (Tool::Continue, Some(_)) => words("-p --auto --resume"),
            (Tool::Aider, _) => words("--message-file /dev/stdin"),
        }
    }

    pub(crate) async fn run(&self, prompt: &str, resume: Option<&str>) -> Ran {
        let mut command = Command::new(&self.command);
        command.args(self.arguments(resume)).current_dir(self.repo());
        command.env_clear().env("HOME", self.home()).env("IS_SANDBOX", "1");
        command.env("TMPDIR", self.folder.path().join("tmp")).envs(self.env.iter().cloned());
        // Aider commits what it did.
        for who in ["AUTHOR", "COMMITTER"] {
            command.env(format!("GIT_{who}_NAME"), "t");
            command.env(format!("GIT_{who}_EMAIL"), "t@example.invalid");
        }
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
            stdout: text,
        }
    }

    /// The work of [`WORK`], and that the tool did it by these calls.
    pub(crate) async fn check_work(&self, called: &[&str]) -> Ran {
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
    pub(crate) async fn check_rate_limit(&self) {
        let prompt = r#"[[model {"steps":[{"shell":"echo hi > hi.txt"}],"final":"At last.",
            "fault":{"status":429,"retry_after":1,"first":2}}]]"#;
        let ran = self.run(prompt, None).await;
        assert_eq!(ran.code, Some(0), "{}", ran.talk);
        assert_eq!(self.file("hi.txt"), "hi\n");
        let seen = self.server.seen();
        let work = seen.iter().filter(|seen| seen.step.is_some());
        let faulted: Vec<bool> = work.map(|seen| seen.faulted).collect();
        assert_eq!(faulted, [true, true, false, false], "{}", ran.talk);
        assert_eq!(ran.last_message(self.tool), "At last.");
    }

    /// A second turn in the same session plays the script's second part.
    pub(crate) async fn check_resume(&self) {
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

const COPILOT: &str = "--allow-all --no-ask-user --no-auto-update --no-color --output-format json";
const GEMINI: &str = "--approval-mode yolo --skip-trust -o stream-json";
const OPENCODE: &str = "run --format json --auto";
const CLAUDE: &str = "-p --output-format stream-json --verbose --dangerously-skip-permissions";

impl Ran {
    pub(crate) fn of_type(&self, kind: &str) -> impl DoubleEndedIterator<Item = &Value> {
        self.lines.iter().filter(move |line| line["type"] == kind)
    }

    /// The session's id; empty where the tool prints none.
    pub(crate) fn session(&self, tool: Tool) -> String {
        let (kind, field) = match tool {
            Tool::Codex => ("thread.started", "thread_id"),
            Tool::Claude => ("system", "session_id"),
            Tool::Gemini => ("init", "session_id"),
            Tool::OpenCode => ("step_start", "sessionID"),
            Tool::Copilot => ("result", "sessionId"),
            Tool::Continue | Tool::Aider => return String::new(),
        };
        let line = self.of_type(kind).next().expect("a line that names the session");
        line[field].as_str().expect("a session").to_owned()
    }

    /// The last thing that the model said.
    pub(crate) fn last_message(&self, tool: Tool) -> String {
        let text = match tool {
            Tool::Codex => self
                .of_type("item.completed")
                .map(|line| &line["item"])
                .rfind(|item| item["type"] == "agent_message")
                .map(|item| &item["text"]),
            Tool::Claude => self.of_type("result").next_back().map(|line| &line["result"]),
            Tool::Gemini => return self.last_deltas(),
            Tool::OpenCode => self.of_type("text").next_back().map(|line| &line["part"]["text"]),
            Tool::Copilot => {
                self.of_type("assistant.message").next_back().map(|line| &line["data"]["content"])
            }
            Tool::Continue | Tool::Aider => return self.stdout.trim().to_owned(),
        };
        text.and_then(Value::as_str).unwrap_or_default().to_owned()
    }

    /// The pieces that gemini said since the last result of a tool.
    fn last_deltas(&self) -> String {
        let since = self.lines.rsplit(|line| line["type"] == "tool_result").next();
        let pieces = since.into_iter().flatten().filter(|line| line["delta"] == true);
        pieces.filter_map(|line| line["content"].as_str()).collect()
    }
}

pub(crate) fn is_uuid(text: &str) -> bool {
    text.len() == 36 && text.chars().filter(|letter| *letter == '-').count() == 4
}
