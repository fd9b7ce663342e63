//! What the runners print, as they printed it, and how it is counted.

use std::os::unix::process::ExitStatusExt;

use super::tally::{Reader, Tally};
use super::{libtest, nextest, *};

fn read(mut reader: impl Reader, output: &str) -> (String, String) {
    let shown: Vec<String> = output.lines().filter_map(|line| reader.line(line)).collect();
    (shown.join("\n"), reader.tally().to_string())
}

const NEXTEST: &str = "\
   Compiling nx v0.1.0 (/tmp/nx)
    Starting 5 tests across 1 binary (1 test skipped)
        PASS [   0.006s] (1/5) nx tests::pass
  stdout ───

    running 1 test
    hello
    SEEDS: 1200 of 2000 steps in 240s
    Summary [   0.106s] 9 tests run: 9 passed, 0 skipped
    test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 4 filtered out

        PASS [   0.006s] (2/5) nx tests::skips
  stderr ───
    SKIP: codex is not installed
    SKIP: nor is claude

        FAIL [   0.105s] (3/5) nx tests::bad
  stdout ───
    SKIP: not counted, it failed
        PASS [   0.006s] (4/5) nx tests::good
     TIMEOUT [  60.006s] (5/5) nx tests::slow
────────────
     Summary [   0.106s] 5 tests run: 3 passed (1 slow), 1 failed, 1 timed out, 1 skipped
        FAIL [   0.105s] (3/5) nx tests::bad
error: test run failed
";

#[test]
fn nextest_is_counted_and_its_passing_output_hidden() {
    let (shown, tally) = read(nextest::Nextest::default(), NEXTEST);
    assert_eq!(tally, "2 passed, 2 failed, 2 skipped, 1200 meshes simulated");
    assert!(!shown.contains("hello"), "{shown}");
    assert!(shown.contains("SKIP nx tests::skips: codex is not installed"), "{shown}");
    assert!(!shown.contains("nor is claude"), "{shown}");
    assert!(shown.contains("SKIP: not counted, it failed"), "{shown}");
    assert!(shown.contains("PASS [   0.006s] (4/5) nx tests::good"), "{shown}");
    assert!(shown.ends_with("error: test run failed"), "{shown}");
}

const LIBTEST: &str = "\
   Compiling nx v0.1.0 (/tmp/nx)
running 5 tests
test tests::bad ... FAILED
test tests::pass ... ok

successes:

---- tests::pass stdout ----
hello
SEEDS: 1200 of 2000 steps in 240s
test result: ok. 7 passed; 0 failed; 0 ignored

---- tests::skips stdout ----
SKIP: codex is not installed


successes:
    tests::pass
    tests::skips

failures:

---- tests::bad stdout ----
it is bad
test result: ok. 7 passed; 0 failed; 0 ignored


failures:
    tests::bad

test result: FAILED. 3 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.08s

   Doc-tests nx
test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.09s
";

#[test]
fn libtest_is_summed_and_its_passing_output_hidden() {
    let (shown, tally) = read(libtest::Libtest::default(), LIBTEST);
    assert_eq!(tally, "3 passed, 1 failed, 2 skipped, 1200 meshes simulated");
    assert!(!shown.contains("hello"), "{shown}");
    assert!(shown.contains("test tests::skips ... skipped: codex is not installed"), "{shown}");
    assert!(shown.contains("it is bad"), "{shown}");
}

#[test]
fn a_runner_that_dies_is_a_failure() {
    let died = ExitStatus::from_raw(9);
    assert_eq!(settled(Tally::default(), died).to_string(), "0 passed, 1 failed, 0 skipped");
    let counted = Tally { passed: 3, failed: 2, ..Tally::default() };
    assert_eq!(settled(counted, ExitStatus::from_raw(256)), counted);
    let fine = Tally { passed: 3, ..Tally::default() };
    assert_eq!(settled(fine, ExitStatus::from_raw(0)), fine);
}

#[test]
fn what_a_runner_prints_is_streamed_from_both_pipes() {
    let mut command = Command::new("sh");
    command.args([
        "-c",
        "echo 'test result: ok. 2 passed; 0 failed; 0 ignored'; \
                         echo 'test result: ok. 1 passed; 0 failed; 1 ignored' >&2",
    ]);
    let mut run = Run { command, reader: Box::<libtest::Libtest>::default() };
    assert_eq!(stream(&mut run).unwrap().to_string(), "3 passed, 0 failed, 1 skipped");
}

fn lines(args: &Args) -> Vec<String> {
    runs(args).iter().map(|run| line_of(&run.command)).collect()
}

#[test]
fn the_whole_workspace_is_tested_unless_packages_are_named() {
    let args = |rest: &[&str]| Args {
        plain: true,
        rest: rest.iter().map(|arg| (*arg).to_owned()).collect(),
    };
    assert_eq!(
        lines(&args(&[])),
        [
            "cargo test --no-fail-fast --workspace --exclude devmesh-model --exclude devmesh-sim \
             -- --show-output",
            "cargo test --no-fail-fast --release -p devmesh-model -p devmesh-sim -- --show-output"
        ]
    );
    assert_eq!(
        lines(&args(&["-p", "xtask", "tidy"])),
        ["cargo test --no-fail-fast -p xtask tidy -- --show-output"]
    );
}
