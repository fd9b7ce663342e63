//! Real processes, run, bounded and ended.

use std::time::Instant;

use super::*;

fn spec(dir: &tempfile::TempDir, script: &str) -> RunSpec {
    RunSpec {
        program: "sh".into(),
        args: vec!["-c".into(), script.into()],
        cwd: dir.path().to_owned(),
        env: vec![("PATH".into(), std::env::var_os("PATH").unwrap())],
        stdin: Vec::new(),
        limits: RunLimits { grace: Duration::from_millis(500), ..RunLimits::default() },
        runs: dir.path().join("runs"),
        label: "t-1/1".into(),
    }
}

async fn to_end(mut events: mpsc::Receiver<RunEvent>) -> (Vec<Line>, RunEnd) {
    let mut lines = Vec::new();
    loop {
        let next = tokio::time::timeout(Duration::from_secs(60), events.recv());
        match next.await.unwrap().unwrap() {
            RunEvent::Line(line) => lines.push(line),
            RunEvent::Ended(end) => return (lines, end),
        }
    }
}

async fn run(spec: RunSpec) -> (Vec<Line>, RunEnd) {
    let (run, events) = start(spec).unwrap();
    let ended = to_end(events).await;
    drop(run);
    ended
}

fn is_alive(pid: i32) -> bool {
    table::one(pid).is_some_and(|entry| entry.state != table::State::Zombie)
}

/// Waits until the file has a whole line and gives it as a number.
async fn pid_in(path: &std::path::Path) -> i32 {
    let until = Instant::now() + Duration::from_secs(20);
    loop {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        if let (true, Ok(pid)) = (text.ends_with('\n'), text.trim().parse()) {
            return pid;
        }
        assert!(Instant::now() < until, "no pid in {}", path.display());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn the_prompt_comes_by_stdin_and_lines_keep_their_stream() {
    let dir = tempfile::tempdir().unwrap();
    let mut spec = spec(&dir, "cat; echo oops >&2; exit 3");
    spec.stdin = b"hello\nworld".to_vec();
    let (lines, end) = run(spec).await;
    let of = |stream| {
        let lines = lines.iter().filter(move |line| line.stream == stream);
        lines.map(|line| line.text.clone()).collect::<Vec<_>>()
    };
    assert_eq!(
        (of(Stream::Stdout), of(Stream::Stderr)),
        (vec!["hello".to_owned(), "world".to_owned()], vec!["oops".to_owned()])
    );
    assert_eq!((end.exit, end.cause), (Some(3), EndCause::Exited));
    let left = std::fs::read_dir(dir.path().join("runs")).unwrap().count();
    assert_eq!(left, 0, "the note goes with the run");
}

#[tokio::test]
async fn a_large_prompt_reaches_a_tool_that_talks_meanwhile() {
    let dir = tempfile::tempdir().unwrap();
    let mut spec = spec(&dir, "while read -r l; do echo \"$l\"; done");
    spec.stdin = "a line of some length\n".repeat(5_000).into_bytes();
    assert_eq!(run(spec).await.0.len(), 5_000);
}

#[tokio::test]
async fn the_environment_is_what_it_was_given_and_stdin_is_closed() {
    let dir = tempfile::tempdir().unwrap();
    let (lines, _) = run(spec(&dir, "env; cat; echo end")).await;
    let allowed = ["PATH=", "PWD=", "_=", "SHLVL=", "OLDPWD=", "DEVMESH_RUN=", "end"];
    for line in &lines {
        assert!(allowed.iter().any(|name| line.text.starts_with(name)), "{}", line.text);
    }
    assert_eq!(lines.last().unwrap().text, "end");
}

#[tokio::test]
async fn lines_and_their_sum_are_bounded() {
    let dir = tempfile::tempdir().unwrap();
    let mut spec = spec(&dir, "printf 'abcdefgh\\nxy\\n'; printf 'more\\nand more\\n'");
    spec.limits.line_bytes = 5;
    spec.limits.total_bytes = 12;
    let (lines, end) = run(spec).await;
    let texts: Vec<_> = lines.iter().map(|line| (line.text.as_str(), line.cut)).collect();
    assert_eq!(texts, [("abcde", true), ("xy", false)]);
    assert_eq!((end.dropped_lines, end.exit), (2, Some(0)));
}

#[tokio::test]
async fn silence_ends_a_run_and_output_keeps_it() {
    let dir = tempfile::tempdir().unwrap();
    let mut silent = spec(&dir, "sleep 300");
    silent.limits.idle = Duration::from_millis(300);
    assert_eq!(run(silent).await.1.cause, EndCause::Idle);
    let mut talking =
        spec(&dir, "i=0; while [ $i -lt 12 ]; do printf .; sleep 0.1; i=$((i+1)); done");
    talking.limits.idle = Duration::from_millis(1_000);
    assert_eq!(run(talking).await.1.cause, EndCause::Exited);
}

#[tokio::test]
async fn the_wall_limit_ends_even_a_tool_that_ignores_the_polite_signal() {
    let dir = tempfile::tempdir().unwrap();
    let mut spec = spec(&dir, "trap '' TERM; while :; do echo x; sleep 0.05; done");
    spec.limits.wall = Duration::from_millis(300);
    let (_, end) = run(spec).await;
    assert_eq!((end.cause, end.exit, end.signal), (EndCause::Wall, None, Some(9)));
}

#[tokio::test]
async fn stopping_ends_what_hides_in_other_sessions() {
    become_subreaper();
    let dir = tempfile::tempdir().unwrap();
    // A tool shell in its own session, an orphan of a double fork, and one deaf to TERM.
    let script = "setsid sh -c 'echo $$ > one; exec sleep 300' & \
                  (setsid sh -c 'echo $$ > two; exec sleep 300' &) ; \
                  setsid sh -c 'trap \"\" TERM; echo $$ > three; while :; do sleep 1; done' & \
                  sleep 300";
    let (run, events) = start(spec(&dir, script)).unwrap();
    let mut pids = Vec::new();
    for name in ["one", "two", "three"] {
        pids.push(pid_in(&dir.path().join(name)).await);
    }
    assert!(pids.iter().all(|pid| is_alive(*pid)));
    run.stop().await;
    let (_, end) = to_end(events).await;
    assert_eq!(end.cause, EndCause::Stopped);
    for pid in pids {
        assert!(!is_alive(pid), "{pid} survived");
    }
}

#[tokio::test]
async fn a_run_that_ends_by_itself_leaves_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let script = "setsid sh -c 'echo $$ > one; exec sleep 300' & while [ ! -s one ]; do :; done";
    let (_, end) = run(spec(&dir, script)).await;
    assert_eq!((end.cause, end.exit), (EndCause::Exited, Some(0)));
    assert!(!is_alive(pid_in(&dir.path().join("one")).await));
}

/// A process that has shed everything that could be known of it: parent, session, environment
/// and folder.
const STRAY: &str = "(cd /; setsid env -i /bin/sh -c \
                     'echo $$ > \"$0\"; trap \"\" TERM; while :; do /bin/sleep 1; done' \
                     \"$OUT\" </dev/null >/dev/null 2>&1 &) ; ";

/// Orphans belong to the whole process, so each of these tests has one of its own: it runs itself
/// again. True in the process where it is to happen.
fn is_alone(test: &str) -> bool {
    const ALONE: &str = "DEVMESH_TEST_ALONE";
    if std::env::var_os(ALONE).is_some() {
        become_subreaper();
        return true;
    }
    let name = format!("process::tests::{test}");
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &name, "--nocapture"])
        .env(ALONE, "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
    false
}

fn straying(dir: &tempfile::TempDir, name: &str, then: &str) -> RunSpec {
    let mut spec = spec(dir, &format!("{STRAY} while [ ! -s \"$OUT\" ]; do :; done; {then}"));
    spec.env.push(("OUT".into(), dir.path().join(name).into()));
    spec
}

#[tokio::test]
async fn what_has_shed_parent_session_and_environment_ends_with_its_run() {
    if !is_alone("what_has_shed_parent_session_and_environment_ends_with_its_run") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (_, end) = run(straying(&dir, "one", "exit 0")).await;
    assert_eq!((end.cause, end.exit), (EndCause::Exited, Some(0)));
    assert!(!is_alive(pid_in(&dir.path().join("one")).await));
    let (run, events) = start(straying(&dir, "two", "sleep 300")).unwrap();
    let stray = pid_in(&dir.path().join("two")).await;
    run.stop().await;
    to_end(events).await;
    assert!(!is_alive(stray), "told to stop");
}

#[tokio::test]
async fn runs_of_one_process_leave_each_others_strays_alone() {
    if !is_alone("runs_of_one_process_leave_each_others_strays_alone") {
        return;
    }
    let (ours, theirs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (first, first_events) = start(straying(&ours, "one", "sleep 300")).unwrap();
    let (second, second_events) = start(straying(&theirs, "two", "sleep 300")).unwrap();
    // This one has kept its folder, which tells whose it is.
    let placed = "(setsid env -i /bin/sh -c 'echo $$ > three; exec /bin/sleep 300' &); sleep 300";
    let third = tempfile::tempdir().unwrap();
    let (placed, placed_events) = start(spec(&third, placed)).unwrap();
    let one = pid_in(&ours.path().join("one")).await;
    let two = pid_in(&theirs.path().join("two")).await;
    let three = pid_in(&third.path().join("three")).await;
    placed.stop().await;
    to_end(placed_events).await;
    assert_eq!([one, two, three].map(is_alive), [true, true, false]);
    second.stop().await;
    to_end(second_events).await;
    assert!(is_alive(one), "the first run's, whose tool goes on");
    assert!(is_alive(i32::try_from(first.pid).unwrap()));
    first.stop().await;
    to_end(first_events).await;
    assert_eq!([one, two].map(is_alive), [false, false], "the last run takes what is left");
}

#[tokio::test]
async fn dropping_the_handle_stops_the_run() {
    let dir = tempfile::tempdir().unwrap();
    let (run, events) = start(spec(&dir, "sleep 300")).unwrap();
    drop(run);
    assert_eq!(to_end(events).await.1.cause, EndCause::Stopped);
}

#[tokio::test]
async fn a_frozen_tree_stands_still_and_its_time_too() {
    let dir = tempfile::tempdir().unwrap();
    let script = "setsid sh -c 'echo $$ > one; while :; do sleep 0.02; echo x; done'";
    let mut spec = spec(&dir, script);
    spec.limits.idle = Duration::from_millis(1_500);
    let (run, mut events) = start(spec).unwrap();
    let shell = pid_in(&dir.path().join("one")).await;
    run.freeze().await;
    let state = |pid| table::one(pid).unwrap().state;
    assert_eq!(state(shell), table::State::Stopped);
    assert_eq!(state(i32::try_from(run.pid).unwrap()), table::State::Stopped);
    while let Ok(Some(_)) = tokio::time::timeout(Duration::from_millis(1_800), events.recv()).await
    {
    }
    assert_eq!(state(shell), table::State::Stopped, "silence does not count while frozen");
    run.thaw().await;
    let next = tokio::time::timeout(Duration::from_secs(10), events.recv()).await.unwrap();
    assert!(matches!(next, Some(RunEvent::Line(_))), "{next:?}");
    run.freeze().await;
    run.stop().await;
    assert_eq!(to_end(events).await.1.cause, EndCause::Stopped);
    assert!(!is_alive(shell), "a frozen tree ends as well");
}

#[tokio::test]
async fn the_runs_of_an_earlier_process_are_found_and_ended() {
    let dir = tempfile::tempdir().unwrap();
    let script = "setsid sh -c 'echo $$ > one; exec sleep 300' & sleep 300";
    let (run, _events) = start(spec(&dir, script)).unwrap();
    let tool = pid_in(&dir.path().join("one")).await;
    let noted = || {
        std::fs::read_dir(dir.path().join("runs")).is_ok_and(|dir| {
            dir.flatten().any(|file| file.file_name().to_string_lossy().ends_with(".run.json"))
        })
    };
    let until = Instant::now() + Duration::from_secs(20);
    while !noted() {
        assert!(Instant::now() < until, "the run is not noted");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let found = fence(&dir.path().join("runs"), Duration::from_millis(200)).await.unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].label.as_str(), found[0].pid), ("t-1/1", i32::try_from(run.pid).unwrap()));
    assert!(!is_alive(tool) && !is_alive(found[0].pid));
    assert!(fence(&dir.path().join("runs"), Duration::ZERO).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_note_of_another_boot_or_of_a_reused_number_hurts_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let mut other = std::process::Command::new("sleep").arg("300").spawn().unwrap();
    let pid = other.id();
    RunFile::write(dir.path(), pid, "m1", "old").await.unwrap();
    let path = dir.path().join("m1.run.json");
    let text = std::fs::read_to_string(&path).unwrap();
    let started = table::one(i32::try_from(pid).unwrap()).unwrap().started;
    let reused = text.replace(&format!("\"started\":{started}"), "\"started\":1");
    assert_ne!(reused, text);
    std::fs::write(&path, reused).unwrap();
    std::fs::write(dir.path().join("m2.run.json"), text.replace("\"boot\":\"", "\"boot\":\"x"))
        .unwrap();
    std::fs::write(dir.path().join("m3.run.json"), "half").unwrap();
    fence(dir.path(), Duration::ZERO).await.unwrap();
    assert!(is_alive(i32::try_from(pid).unwrap()));
    other.kill().unwrap();
    other.wait().unwrap();
}

#[tokio::test]
async fn a_program_that_is_not_there_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let mut spec = spec(&dir, "");
    spec.program = "no-such-program".into();
    let error = start(spec).unwrap_err().to_string();
    assert_eq!(error, "start no-such-program");
}

#[test]
fn the_environment_is_an_allow_list() {
    let source = ["PATH", "LC_ALL", "AWS_SECRET_ACCESS_KEY", "CODEX_HOME", "https_proxy", "PATHS"];
    let source = source.map(|key| (OsString::from(key), OsString::from("v")));
    let kept = allowed(source, &["CODEX_*".to_owned()]);
    let keys: Vec<_> = kept.iter().map(|(key, _)| key.to_str().unwrap()).collect();
    assert_eq!(keys, ["PATH", "LC_ALL", "CODEX_HOME", "https_proxy"]);
}
