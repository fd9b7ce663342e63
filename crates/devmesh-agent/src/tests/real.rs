//! Profiles against the real tools, where they are installed, and the scripted model.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use devmesh_testkit::model::Server;
use devmesh_testkit::tools::{Tool, folder, locate, write_home};

use crate::dialect::{Fact, Parser};
use crate::fixture::git_in;
use crate::process::{self, RunEvent, RunLimits, RunSpec, Stream};
use crate::profile::{self, Permission, Wanted};

/// A tool with a home and a repository of its own.
struct Real {
    tool: Tool,
    program: PathBuf,
    model: Server,
    place: tempfile::TempDir,
}

/// What a run of it came to.
struct Came {
    session: Option<String>,
    success: Option<bool>,
    lines: String,
}

impl Real {
    /// None where the tool is not installed.
    async fn new(tool: Tool, model: &str) -> Option<Self> {
        let Some(program) = locate(tool) else {
            // Past the capture of the test runner: a skipped test shall be seen.
            let _ = writeln!(std::io::stderr(), "SKIP: {} is not installed", tool.name());
            return None;
        };
        // Codex wants no home in the system's temporary folder.
        let beside = folder().unwrap().with_file_name("tests");
        std::fs::create_dir_all(&beside).unwrap();
        let place = tempfile::tempdir_in(beside).unwrap();
        let server = Server::start().await.unwrap();
        write_home(tool, &place.path().join("home"), &server.url(), model).unwrap();
        let real = Self { tool, program, model: server, place };
        std::fs::create_dir(real.worktree()).unwrap();
        git_in(&real.worktree(), &["init", "--quiet", "--initial-branch=main"]);
        Some(real)
    }

    fn worktree(&self) -> PathBuf {
        self.place.path().join("worktree")
    }

    /// A run as an attempt would make it.
    async fn run(&self, prompt: &str, session: Option<&str>) -> Came {
        let profile = profile::load(None).unwrap().remove(self.tool.name()).unwrap();
        // What the machine of a test may forbid is not what is tried here.
        let permission = Permission::Full;
        let worktree = self.worktree().display().to_string();
        let folder = &self.place.path().join("run");
        let new_session = uuid::Uuid::now_v7();
        let model = None;
        let wanted =
            Wanted { worktree: &worktree, prompt, session, model, permission, folder, new_session };
        let invocation = profile.invocation(&wanted).unwrap();
        let path = std::env::var_os("PATH").unwrap();
        let mut env = vec![
            ("PATH".into(), path),
            ("HOME".into(), self.place.path().join("home").into_os_string()),
        ];
        env.extend(invocation.env.iter().map(|(key, value)| (key.into(), value.into())));
        let (run, mut events) = process::start(RunSpec {
            program: self.program.display().to_string(),
            args: invocation.args,
            cwd: self.worktree(),
            env,
            stdin: invocation.stdin.into_bytes(),
            limits: RunLimits { wall: Duration::from_secs(120), ..RunLimits::default() },
            runs: self.place.path().join("runs"),
            label: "real".into(),
        })
        .unwrap();
        let mut parser = Parser::new(profile.dialect);
        let mut came = Came { session: None, success: None, lines: String::new() };
        while let Some(RunEvent::Line(line)) = events.recv().await {
            came.lines.push_str(&format!("{}\n", line.text));
            let facts =
                if line.stream == Stream::Stdout { parser.read(&line.text) } else { vec![] };
            for fact in facts {
                match fact {
                    Fact::Session(id) => came.session = Some(id),
                    Fact::Done(done) => came.success = Some(done.success),
                    _ => {}
                }
            }
        }
        drop(run);
        came
    }
}

fn text(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

/// The same session goes on, and it reads what comes by stdin.
async fn a_session_goes_on(tool: Tool, model: &str) {
    let Some(real) = Real::new(tool, model).await else { return };
    let script = r#"[[model {"steps":[{"shell":"echo 1 > one.txt"}],"final":"One.",
        "again":{"steps":[{"shell":"echo 2 > two.txt"}],"final":"Two."}}]]"#;
    let first = real.run(&format!("Begin. {script}"), None).await;
    assert_eq!(first.success, Some(true), "{}", first.lines);
    let session = first.session.expect("a session is told");
    assert_eq!(text(&real.worktree().join("one.txt")), "1\n", "{}", first.lines);
    let news = "-- the check failed\nwith 'quotes' and a second line";
    let second = real.run(news, Some(&session)).await;
    assert_eq!(second.success, Some(true), "{}", second.lines);
    assert_eq!(second.session, Some(session), "{}", second.lines);
    assert_eq!(text(&real.worktree().join("two.txt")), "2\n", "{}", second.lines);
    let seen = real.model.seen();
    let prompt = &seen.last().expect("it was asked").prompt;
    assert!(prompt.contains("the check failed") && prompt.contains("second line"), "{prompt}");
}

#[tokio::test(flavor = "multi_thread")]
async fn codex_goes_on_in_its_session_with_what_comes_by_stdin() {
    a_session_goes_on(Tool::Codex, "gpt-5.5").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn claude_goes_on_in_its_session_with_what_comes_by_stdin() {
    a_session_goes_on(Tool::Claude, "sonnet").await;
}
