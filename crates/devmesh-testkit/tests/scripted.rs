//! The stand-in coding CLI as a process: what it prints, how it exits, what it leaves.

#![expect(clippy::unwrap_used, reason = "what cannot be set up is a failed test")]

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use devmesh_testkit::scripted::Line;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, getpgid, getsid};

const SOON: Duration = Duration::from_secs(10);

fn command(cwd: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_devmesh-scripted"));
    command.args(args).current_dir(cwd).env_remove("DEVMESH_ATTEMPT");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn start(mut command: Command, prompt: &str) -> Child {
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(prompt.as_bytes()).unwrap();
    child
}

/// Runs to the end: the exit code and the lines.
fn finish(child: Child) -> (Option<i32>, Vec<Line>) {
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    (output.status.code(), lines)
}

/// Reads lines until one fits.
fn read_until(child: &mut Child, fits: impl Fn(&Line) -> bool) -> Line {
    let lines = BufReader::new(child.stdout.as_mut().unwrap()).lines();
    let mut read = lines.map(|line| serde_json::from_str(&line.unwrap()).unwrap());
    read.find(|line| fits(line)).unwrap()
}

fn pid_of(child: &Child) -> Pid {
    Pid::from_raw(i32::try_from(child.id()).unwrap())
}

fn wait_until(what: &str, mut ready: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !ready() {
        assert!(begun.elapsed() < SOON, "{what} never came");
        std::thread::sleep(Duration::from_millis(5));
    }
}

const PROMPT: &str = "Make a file.\n\n```sh\nprintf 'one\\n' > a.txt\necho out; echo err >&2\n```\n\
    ```sh attempt=2+\nprintf 'two\\n' >> a.txt\n```\n";

#[test]
fn it_edits_files_and_tells_a_whole_story() {
    let folder = tempfile::tempdir().unwrap();
    let (code, lines) = finish(start(command(folder.path(), &[]), PROMPT));
    assert_eq!(code, Some(0));
    assert_eq!(std::fs::read_to_string(folder.path().join("a.txt")).unwrap(), "one\n");
    let [Line::Started { session, attempt: 1, resumed: false }, rest @ ..] = &lines[..] else {
        panic!("{lines:?}")
    };
    assert_eq!(session.len(), 36);
    let [Line::Message { .. }, Line::Command { exit_code: 0, output, .. }, usage, last] = rest
    else {
        panic!("{rest:?}")
    };
    assert_eq!(output, "out\nerr\n");
    assert!(matches!(usage, Line::Usage { input_tokens, cost_usd, .. }
        if *input_tokens > 0 && *cost_usd > 0.0));
    assert!(matches!(last, Line::Done { .. }));
}

#[test]
fn a_later_attempt_runs_its_own_blocks_in_the_same_session() {
    let folder = tempfile::tempdir().unwrap();
    let prompt = folder.path().join("prompt.md");
    std::fs::write(&prompt, PROMPT).unwrap();
    let args = ["--prompt-file", "prompt.md", "--resume", "s-1", "--delay-ms", "20"];
    let mut second = command(folder.path(), &args);
    let begun = Instant::now();
    let (code, lines) = finish(start(
        {
            second.env("DEVMESH_ATTEMPT", "2");
            second
        },
        "",
    ));
    assert_eq!(code, Some(0));
    assert!(begun.elapsed() >= Duration::from_millis(40), "two blocks, two delays");
    let first = Line::Started { session: "s-1".to_owned(), attempt: 2, resumed: true };
    assert_eq!(lines[0], first);
    assert_eq!(std::fs::read_to_string(folder.path().join("a.txt")).unwrap(), "one\ntwo\n");
}

#[test]
fn failures_end_with_failed_and_one() {
    let folder = tempfile::tempdir().unwrap();
    let limit = "```scripted\nusage 10 20 0.5\nrate-limit 30\nsay never\n```";
    for (args, prompt, expect, expected) in [
        (&["--fail"][..], "", "error", None),
        (&[], "```sh\nexit 3\n```\n```sh\ntouch never\n```", "command", None),
        (&[], "```scripted\nfail on purpose\n```", "error", None),
        (&[], "```sh attempt=x\n```", "error", None),
        (&[], limit, "rate_limit", Some(429)),
    ] {
        let (exit, lines) = finish(start(command(folder.path(), args), prompt));
        assert_eq!(exit, Some(1), "{prompt}");
        let Some(Line::Failed { code, status, .. }) = lines.last() else { panic!("{lines:?}") };
        assert_eq!((code.as_str(), *status), (expect, expected));
        if expected.is_some() {
            let usage = Line::Usage { input_tokens: 10, output_tokens: 20, cost_usd: 0.5 };
            let throttled = Line::Throttled { retry_ms: 30_000 };
            assert_eq!(lines[lines.len() - 3..][..2], [throttled, usage]);
        }
    }
    assert!(!folder.path().join("never").exists());
    let (code, _) = finish(start(command(folder.path(), &["--nonsense"]), ""));
    assert_eq!(code, Some(2));
}

#[test]
fn a_hanging_run_ends_by_signal_unless_it_is_deaf() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = start(command(folder.path(), &["--hang"]), PROMPT);
    read_until(&mut child, |line| matches!(line, Line::Command { .. }));
    kill(pid_of(&child), Signal::SIGTERM).unwrap();
    assert_eq!(child.wait().unwrap().signal(), Some(15));

    let waits = "```sh\necho ready\n```\n```sh\nuntil [ -e go ]; do sleep 0.01; done\n```";
    let mut child = start(command(folder.path(), &["--ignore-term"]), waits);
    read_until(&mut child, |line| matches!(line, Line::Command { .. }));
    kill(pid_of(&child), Signal::SIGTERM).unwrap();
    std::fs::write(folder.path().join("go"), "").unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_stray_outlives_it_in_a_session_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let (code, lines) = finish(start(command(folder.path(), &["--spawn-stray"]), PROMPT));
    assert_eq!(code, Some(0));
    let stray = lines.iter().find_map(|line| match line {
        Line::Stray { pid } => Some(Pid::from_raw(i32::try_from(*pid).unwrap())),
        _ => None,
    });
    let stray = Stray(stray.unwrap());
    let pid = stray.0;
    wait_until("its own session", || getsid(Some(pid)) == Ok(pid));
    assert_eq!(getpgid(Some(pid)), Ok(pid));
}

/// A process that is ended even when the test fails.
struct Stray(Pid);

impl Drop for Stray {
    fn drop(&mut self) {
        let _ = kill(self.0, Signal::SIGKILL);
    }
}
