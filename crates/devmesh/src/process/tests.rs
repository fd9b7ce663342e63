//! A process is itself and nobody else.

use std::process::{Command, Stdio};
use std::time::Duration;

use super::{Known, descendants};

#[test]
fn this_process_lives_and_another_of_its_number_does_not() {
    let own = Known::own().unwrap();
    assert!(own.lives());
    let other = Known { started: "another time".into(), ..own };
    assert!(!other.lives());
}

#[tokio::test]
async fn a_deaf_process_is_killed_with_what_it_started() {
    let script = "trap '' TERM; sleep 600 & echo ready; wait; sleep 600";
    let mut child = Command::new("sh").args(["-c", script]).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    std::io::BufRead::read_line(
        &mut std::io::BufReader::new(child.stdout.take().unwrap()),
        &mut line,
    )
    .unwrap();
    let known = Known::of(child.id()).unwrap();
    let below = descendants(child.id());
    assert_eq!(below.len(), 1, "{below:?}");
    let reaped = std::thread::spawn(move || child.wait());
    assert!(!known.end(Duration::from_millis(200)).await, "it ignores the request");
    reaped.join().unwrap().unwrap();
    assert!(!known.lives());
    assert!(below[0].gone(Duration::from_secs(10)).await);
}
