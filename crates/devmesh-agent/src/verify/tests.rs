//! Verification on small folders.

use super::*;

fn spec(dir: &tempfile::TempDir, steps: &[(&str, &str)]) -> VerifySpec {
    let step = |(name, command): &(&str, &str)| Step {
        name: (*name).into(),
        command: (*command).into(),
        limit: Duration::from_secs(20),
    };
    VerifySpec {
        steps: steps.iter().map(step).collect(),
        worktree: dir.path().to_owned(),
        tree: "t".into(),
        env: vec![("PATH".into(), std::env::var_os("PATH").unwrap())],
        host: "h".into(),
        changed: Vec::new(),
        paths: Vec::new(),
        left: None,
        builds: crate::fixture::builds(dir.path()),
    }
}

#[tokio::test]
async fn a_step_ends_when_the_time_of_its_task_does() {
    let dir = tempfile::tempdir().unwrap();
    let mut spec = spec(&dir, &[("build", "sleep 0.3"), ("test", "echo begun; exec sleep 300")]);
    spec.left = Some(Duration::from_millis(1_000));
    let asked = Instant::now();
    let verdict = verify(&spec).await.unwrap();
    assert!(asked.elapsed() < Duration::from_secs(15), "the step's own limit is 20 s");
    let Verdict::Failed { receipt, step, classified, tail } = verdict else { panic!() };
    assert_eq!((step.as_str(), receipt.steps.len()), ("test", 2));
    assert_eq!(classified.class, Class::Timeout);
    assert!(tail.starts_with("begun\n") && tail.contains("max_wall_s"), "{tail}");
}

#[tokio::test]
async fn a_step_with_a_shorter_limit_of_its_own_ends_at_that() {
    let dir = tempfile::tempdir().unwrap();
    let mut spec = spec(&dir, &[("test", "exec sleep 300")]);
    spec.steps[0].limit = Duration::from_millis(200);
    spec.left = Some(Duration::from_secs(3_600));
    let Verdict::Failed { tail, .. } = verify(&spec).await.unwrap() else { panic!() };
    assert!(!tail.contains("max_wall_s"), "{tail}");
}

#[tokio::test]
async fn all_steps_pass_in_order_and_the_receipt_names_the_tree() {
    let dir = tempfile::tempdir().unwrap();
    let steps = [("build", "echo one > log"), ("test", "grep one log; echo two >&2")];
    let Verdict::Passed(receipt) = verify(&spec(&dir, &steps)).await.unwrap() else { panic!() };
    assert_eq!((receipt.tree.as_str(), receipt.host.as_str()), ("t", "h"));
    assert_eq!(receipt.steps.iter().map(|step| step.exit).collect::<Vec<_>>(), [0, 0]);
    let digest = Digest::of(b"one\ntwo\n");
    assert_eq!(receipt.steps[1].digest, digest, "stdout and stderr in one stream");
}

#[tokio::test]
async fn the_first_failure_ends_it_with_its_tail() {
    let dir = tempfile::tempdir().unwrap();
    let loud = "i=0; while [ $i -lt 2000 ]; do echo line $i; i=$((i+1)); done; exit 3";
    let verdict = verify(&spec(&dir, &[("lint", loud), ("test", "touch ran")])).await.unwrap();
    let Verdict::Failed { receipt, step, tail, .. } = verdict else { panic!() };
    assert_eq!((step.as_str(), receipt.steps.len(), receipt.steps[0].exit), ("lint", 1, 3));
    assert!(tail.ends_with("line 1999") && tail.chars().count() == TAIL_CHARS_MAX);
    assert!(!dir.path().join("ran").exists());
}

#[tokio::test]
async fn a_test_that_passes_the_second_time_is_flaky() {
    let dir = tempfile::tempdir().unwrap();
    let steps = [("test", "test -e once || { touch once; echo '1 test failed'; exit 1; }")];
    let Verdict::Passed(receipt) = verify(&spec(&dir, &steps)).await.unwrap() else { panic!() };
    assert!(receipt.steps[0].flaky);
}

#[tokio::test]
async fn a_step_over_its_time_is_ended_with_what_it_started() {
    let dir = tempfile::tempdir().unwrap();
    let mut spec = spec(&dir, &[("test", "setsid sleep 300 & echo $! > pid; sleep 300")]);
    spec.steps[0].limit = Duration::from_millis(400);
    let Verdict::Failed { classified, .. } = verify(&spec).await.unwrap() else { panic!() };
    assert_eq!(classified.class, Class::Timeout);
    let pid = std::fs::read_to_string(dir.path().join("pid")).unwrap();
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
    assert!(stat.is_empty() || stat.contains(") Z "), "still alive: {stat}");
}

#[tokio::test]
async fn what_a_step_leaves_in_the_background_does_not_hold_it_up() {
    let dir = tempfile::tempdir().unwrap();
    let verdict = verify(&spec(&dir, &[("test", "sleep 300 & echo ok")])).await.unwrap();
    let Verdict::Passed(receipt) = verdict else { panic!() };
    assert!(receipt.steps[0].ms < 20_000);
}

#[tokio::test]
async fn paths_are_words_whatever_they_hold() {
    let dir = tempfile::tempdir().unwrap();
    let mut spec = spec(&dir, &[("lint", "printf '%s\\n' {changed} > seen")]);
    spec.changed = vec!["a b".into(), "it's; touch owned".into(), "$(touch owned)".into()];
    verify(&spec).await.unwrap();
    let seen = std::fs::read_to_string(dir.path().join("seen")).unwrap();
    assert_eq!(seen, "a b\nit's; touch owned\n$(touch owned)\n");
    assert!(!dir.path().join("owned").exists());
}

#[tokio::test]
async fn giving_up_the_wait_ends_the_command() {
    let dir = tempfile::tempdir().unwrap();
    let spec = spec(&dir, &[("test", "echo $$ > pid; sleep 300; true")]);
    let pid = dir.path().join("pid");
    tokio::select! {
        _ = verify(&spec) => panic!("it ended"),
        () = async { while !std::fs::read_to_string(&pid).is_ok_and(|text| text.ends_with('\n')) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        } } => {}
    }
    let pid = std::fs::read_to_string(&pid).unwrap();
    let alive = || {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim()));
        stat.is_ok_and(|stat| !stat.contains(") Z "))
    };
    let until = std::time::Instant::now() + Duration::from_secs(20);
    while alive() {
        assert!(std::time::Instant::now() < until, "still alive");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The wait for a place among the builds of the host is nobody's time: neither the step's nor the
/// task's.
#[tokio::test]
async fn a_wait_for_a_place_counts_for_no_limit() {
    let dir = tempfile::tempdir().unwrap();
    let mut spec = spec(&dir, &[("build", "sleep 0.1"), ("test", "sleep 0.1")]);
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let places = |tell: tokio::sync::mpsc::UnboundedSender<Vec<String>>| {
        let folder = dir.path().join("builds");
        Builds::new(folder, 1, "codex (t-1)".to_owned(), move |who| drop(tell.send(who)))
    };
    let other = places(tell.clone());
    spec.builds = places(tell);
    spec.left = Some(Duration::from_millis(1_500));
    let held = other.take().await.unwrap();
    let verifying = tokio::spawn(async move { (verify(&spec).await, spec.builds.waited()) });
    let deadline = Duration::from_secs(30);
    let holders = tokio::time::timeout(deadline, told.recv()).await.unwrap().unwrap();
    assert_eq!(holders, ["codex (t-1)"]);
    tokio::time::sleep(Duration::from_secs(2)).await;
    drop(held);
    let (verdict, waited) = tokio::time::timeout(deadline, verifying).await.unwrap().unwrap();
    let Verdict::Passed(receipt) = verdict.unwrap() else { panic!("its time has not begun") };
    assert!(receipt.steps.iter().all(|step| step.ms < 1_500), "{receipt:?}");
    assert!(waited >= Duration::from_secs(2), "{waited:?}");
    assert!(told.try_recv().is_err(), "the second step had not to wait");
}
