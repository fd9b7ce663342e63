//! A repository, a home and a mesh of their own for the real tools, and the scripted model that
//! they ask.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use devmesh_protocol::Record;
use devmesh_protocol::view::TaskView;
use devmesh_testkit::left;
use devmesh_testkit::model::{Script, Server};
use devmesh_testkit::tools::{Tool, folder, locate, write_home};
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;

use crate::scripts::rig::programs;

/// One command; far above what it takes, for a machine with many other things to do.
const COMMAND_MAX: Duration = Duration::from_secs(120);
/// All tasks of a test.
const TASKS_MAX: Duration = Duration::from_secs(180);
/// Models that the tools know and that need no patch of theirs.
const MODELS: [(Tool, &str); 2] = [(Tool::Codex, "gpt-5.5"), (Tool::Claude, "sonnet")];

/// A mesh whose agents are real tools.
pub(crate) struct Rig {
    pub(crate) model: Server,
    folder: TempDir,
    env: Vec<(&'static str, OsString)>,
    devmesh: PathBuf,
}

impl Rig {
    /// A repository with these files; none where a tool is not installed.
    pub(crate) async fn new(files: &[(&str, &str)]) -> Option<Self> {
        let mut path = Vec::new();
        for tool in Tool::USUAL {
            let Some(command) = locate(tool) else {
                let (name, version) = (tool.name(), tool.version());
                // Past the capture of the test runner: a skipped test shall be seen.
                let _ = writeln!(std::io::stderr(), "SKIP: {name} {version} is not installed");
                return None;
            };
            path.extend(command.parent().map(Path::to_owned));
        }
        let around = std::env::var_os("PATH").unwrap_or_default();
        path.extend(std::env::split_paths(&around));
        // Codex wants no home in the system's temporary folder, worktrees lie in no repository.
        let beside = folder().unwrap().with_file_name("tests");
        std::fs::create_dir_all(&beside).unwrap();
        let folder = tempfile::tempdir_in(beside).unwrap();
        let model = Server::start().await.unwrap();
        let env = environment(folder.path(), &path);
        let rig = Self { model, folder, env, devmesh: programs().await.join("devmesh") };
        rig.furnish(files).await;
        Some(rig)
    }

    async fn furnish(&self, files: &[(&str, &str)]) {
        for name in ["home", "repo", "tmp", "config/devmesh"] {
            std::fs::create_dir_all(self.at(name)).unwrap();
        }
        for (tool, model) in MODELS {
            write_home(tool, &self.at("home"), &self.model.url(), model).unwrap();
        }
        let identity = "[user]\n\tname = A Tester\n\temail = tester@example.invalid\n";
        std::fs::write(self.at("home/.gitconfig"), identity).unwrap();
        std::fs::write(self.at("config/devmesh/config.toml"), AGENTS).unwrap();
        for (path, text) in files {
            std::fs::write(self.at("repo").join(path), text).unwrap();
        }
        self.git(&["init", "--quiet", "--initial-branch", "main"]).await;
        self.git(&["add", "--all"]).await;
        self.git(&["commit", "--quiet", "--message", "start"]).await;
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What is the person's own: what the tools are told in the home, git's configuration, hooks
    /// and branch, and the files of the checkout. What a tool writes about itself is not.
    pub(crate) async fn own(&self) -> BTreeMap<String, String> {
        let mut own = BTreeMap::new();
        let hooks = std::fs::read_dir(self.at("repo/.git/hooks")).into_iter().flatten().flatten();
        let hooks = hooks.map(|file| format!("repo/.git/hooks/{}", file.file_name().display()));
        let told = ["home/.codex/config.toml", "home/.claude/settings.json", "home/.gitconfig"];
        let git = ["repo/.git/config", "repo/.git/HEAD"];
        for name in told.into_iter().chain(git).map(str::to_owned).chain(hooks) {
            let text = std::fs::read_to_string(self.at(&name)).unwrap();
            own.insert(name, text);
        }
        own.insert("files".into(), self.git(&["ls-files", "--stage"]).await);
        own.insert("changes".into(), self.git(&["status", "--porcelain"]).await);
        let refs = self.git(&["for-each-ref"]).await;
        let refs = refs.lines().filter(|line| !line.contains("devmesh/"));
        own.insert("refs".into(), refs.collect::<Vec<_>>().join("\n"));
        own
    }

    /// Runs git in the checkout.
    pub(crate) async fn git(&self, args: &[&str]) -> String {
        self.run(Path::new("git"), args).await
    }

    /// Runs devmesh in the checkout.
    pub(crate) async fn devmesh(&self, args: &[&str]) -> String {
        self.run(&self.devmesh, args).await
    }

    async fn run(&self, program: &Path, args: &[&str]) -> String {
        let mut command = Command::new(program);
        command.args(args).current_dir(self.at("repo")).stdin(Stdio::null()).kill_on_drop(true);
        command.env_clear().envs(self.env.iter().map(|(name, value)| (name, value)));
        let output = tokio::time::timeout(COMMAND_MAX, command.output()).await;
        let output = output.unwrap_or_else(|_| panic!("{args:?} did not end")).unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        let data = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{args:?}: {}\n{data}\n{said}", output.status);
        data
    }

    /// Queues a task for a tool whose model is told this.
    pub(crate) async fn add(&self, title: &str, tool: Tool, script: &str) -> String {
        let script: Script = serde_json::from_str(script).unwrap();
        let text = format!("{title}\n\n{}\n", script.directive());
        let file = self.at("tmp/prompt.md");
        std::fs::write(&file, text).unwrap();
        let file = file.to_string_lossy().into_owned();
        let id = self.devmesh(&["task", "add", "-F", &file, "--tool", tool.name()]).await;
        id.trim().to_owned()
    }

    /// All tasks, once each has ended.
    pub(crate) async fn ended(&self) -> Vec<TaskView> {
        let deadline = Instant::now() + TASKS_MAX;
        loop {
            let answer: Value =
                serde_json::from_str(&self.devmesh(&["task", "list", "--json"]).await).unwrap();
            let tasks: Vec<TaskView> =
                serde_json::from_value(answer["result"]["tasks"].clone()).unwrap();
            let has_ended =
                |task: &TaskView| matches!(&task.state[..], "completed" | "failed" | "cancelled");
            if tasks.iter().all(has_ended) {
                return tasks;
            }
            if Instant::now() >= deadline {
                let logs = self.last_words();
                panic!("not ended in time: {tasks:#?}\n{logs}");
            }
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    }

    /// The log's records.
    pub(crate) async fn records(&self) -> Vec<Record> {
        let lines = self.devmesh(&["replay", "--records", "--json"]).await;
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// A file of the landed tree.
    pub(crate) async fn landed(&self, path: &str) -> String {
        self.git(&["show", &format!("devmesh/landed/main:{path}")]).await
    }

    /// What each process wrote last.
    pub(crate) fn last_words(&self) -> String {
        let Ok(logs) = std::fs::read_dir(self.at("repo/.devmesh/logs")) else {
            return String::new();
        };
        let mut all = String::new();
        for log in logs.flatten() {
            let text = std::fs::read_to_string(log.path()).unwrap_or_default();
            let lines: Vec<&str> = text.lines().collect();
            let tail = lines[lines.len().saturating_sub(20)..].join("\n");
            all += &format!("--- {}\n{tail}\n", log.path().display());
        }
        all
    }

    /// Ends the mesh; whatever of it, or of its tools, is still there.
    pub(crate) async fn down(&self) -> Vec<left::Process> {
        self.devmesh(&["down"]).await;
        left::wait(self.folder.path()).await
    }
}

impl Drop for Rig {
    /// A test that failed leaves nothing running.
    fn drop(&mut self) {
        for process in left::processes(self.folder.path()) {
            let pid = nix::unistd::Pid::from_raw(process.pid);
            let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL);
        }
    }
}

/// Two of each, with all rights: the user's own file may say so.
const AGENTS: &str = r#"
[[agents]]
name = "codex-1"
tool = "codex"
permission = "full"
[[agents]]
name = "codex-2"
tool = "codex"
permission = "full"
[[agents]]
name = "claude-1"
tool = "claude"
permission = "full"
[[agents]]
name = "claude-2"
tool = "claude"
permission = "full"
"#;

fn environment(root: &Path, path: &[PathBuf]) -> Vec<(&'static str, OsString)> {
    let at = |name: &str| root.join(name).into_os_string();
    let mut env = vec![
        ("PATH", std::env::join_paths(path).unwrap()),
        ("HOME", at("home")),
        ("USER", "tester".into()),
        ("LANG", "C".into()),
        ("TMPDIR", at("tmp")),
        ("XDG_CACHE_HOME", at("cache")),
        ("XDG_CONFIG_HOME", at("config")),
        ("XDG_DATA_HOME", at("data")),
        ("XDG_STATE_HOME", at("state")),
        ("GIT_CONFIG_NOSYSTEM", "1".into()),
        // All four at once, however few processors there are.
        ("DEVMESH_SLOTS", "4".into()),
        // And however busy they are.
        ("DEVMESH_IGNORE_STRAIN", "1".into()),
    ];
    // Found in the cache of whoever runs the tests; the mesh has a cache of its own.
    let cached = devmesh_bus::server::cache_path().ok();
    if let Some(binary) = std::env::var_os("DEVMESH_NATS_SERVER").or(cached.map(Into::into)) {
        env.push(("DEVMESH_NATS_SERVER", binary));
    }
    env
}
