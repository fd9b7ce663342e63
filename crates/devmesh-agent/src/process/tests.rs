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
    let asked = Instant::now();
    run.freeze().await;
    assert!(asked.elapsed() < Duration::from_secs(1));
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
