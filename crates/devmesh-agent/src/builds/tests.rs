//! Places among attempts of one process and of others.

use std::process::Stdio;
use std::sync::Mutex;

use super::*;

/// Places in a folder, and what was told while waiting for them.
fn builds(dir: &Path, places: u16, who: &str) -> (Builds, Arc<Mutex<Vec<Vec<String>>>>) {
    let told: Arc<Mutex<Vec<Vec<String>>>> = Arc::default();
    let tell = told.clone();
    let on_wait = move |holders| tell.lock().unwrap().push(holders);
    (Builds::new(dir.join("builds"), places, who.to_owned(), on_wait), told)
}

async fn in_time<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), work).await.expect("it comes to its end")
}

#[tokio::test]
async fn there_are_so_many_places_and_no_more() {
    let dir = tempfile::tempdir().unwrap();
    let (first, told) = builds(dir.path(), 2, "codex (t-1)");
    let (second, _) = builds(dir.path(), 2, "claude (t-2)");
    let (third, waits) = builds(dir.path(), 2, "gemini (t-3)");
    let one = in_time(first.take()).await.unwrap();
    let _two = in_time(second.take()).await.unwrap();
    assert!(told.lock().unwrap().is_empty(), "who has not waited is told nothing");
    let waiter = tokio::spawn({
        let third = third.clone();
        async move { third.take().await.map(drop) }
    });
    in_time(async {
        while waits.lock().unwrap().is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    // Told once, with the names, however long it lasts.
    tokio::time::sleep(LOOK * 3).await;
    assert_eq!(*waits.lock().unwrap(), [["codex (t-1)", "claude (t-2)"]]);
    assert!(!waiter.is_finished());
    assert_eq!(third.waited(), Duration::ZERO, "it waits still");
    drop(one);
    in_time(waiter).await.unwrap().unwrap();
    assert!(third.waited() >= LOOK * 3, "{:?}", third.waited());
    assert_eq!(first.waited(), Duration::ZERO);
}

/// A stopped agent holds what it had: others are not kept from their work by it.
#[tokio::test]
async fn who_stands_still_is_not_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let (builds, _) = builds(dir.path(), 1, "codex");
    let held = in_time(builds.take()).await.unwrap();
    let path = dir.path().join("builds/1");
    let long_ago = || SystemTime::now() - 2 * STILL;
    let file = File::options().write(true).open(&path).unwrap();
    // Who lives marks it again, and keeps it.
    file.set_modified(long_ago()).unwrap();
    in_time(async {
        while is_still(&file) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    assert!(tokio::time::timeout(LOOK * 2, builds.take()).await.is_err());
    drop(held);
    // Somebody's lock who does not.
    file.lock().unwrap();
    file.set_modified(long_ago()).unwrap();
    let beside = in_time(builds.take()).await.unwrap();
    assert!(beside.0.is_none(), "it goes on beside it");
    drop(beside);
    assert!(matches!(File::open(&path).unwrap().try_lock(), Err(TryLockError::WouldBlock)));
}

#[tokio::test]
async fn a_wait_that_is_given_up_takes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (builds, told) = builds(dir.path(), 1, "codex");
    let held = in_time(builds.take()).await.unwrap();
    let waited = tokio::time::timeout(LOOK * 2, builds.take()).await;
    assert!(waited.is_err(), "the only place is taken");
    assert_eq!(told.lock().unwrap().len(), 1);
    drop(held);
    in_time(builds.take()).await.unwrap();
}

/// Not the process's end by a signal, nor a file that it left, keeps a place.
#[tokio::test]
async fn the_dead_give_their_places_back() {
    let dir = tempfile::tempdir().unwrap();
    let (builds, told) = builds(dir.path(), 1, "codex");
    drop(in_time(builds.take()).await.unwrap());
    let place = dir.path().join("builds/1");
    let script = "exec 9<>\"$1\"; flock 9; echo other >&9; echo held; exec sleep 300";
    let mut other = tokio::process::Command::new("sh")
        .args(["-c", script, "sh"])
        .arg(&place)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut said = other.stdout.take().unwrap();
    in_time(async {
        use tokio::io::AsyncReadExt;
        said.read_exact(&mut [0; 5]).await.unwrap();
    })
    .await;
    assert!(tokio::time::timeout(LOOK * 2, builds.take()).await.is_err());
    assert_eq!(*told.lock().unwrap(), [["other"]]);
    other.kill().await.unwrap();
    let held = in_time(builds.take()).await.unwrap();
    drop(held);
    assert_eq!(std::fs::read(&place).unwrap(), b"", "nobody is named who has it no more");
}

#[test]
fn there_is_a_place_on_the_smallest_machine() {
    assert!((1..=BUILD_SLOTS_MAX).contains(&default_places()));
}
