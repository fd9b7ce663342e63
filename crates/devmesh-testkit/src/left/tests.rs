//! A process is found by the folder that it was given.

use std::time::Duration;

use super::{end_all, processes};

#[tokio::test]
async fn a_process_that_names_the_folder_is_found_and_ended() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut child = tokio::process::Command::new("sleep")
        .arg("60")
        .env("HOME", folder.path())
        .kill_on_drop(true)
        .spawn()
        .expect("sleep");
    let ended = async {
        while processes(folder.path()).is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let ((), status) = tokio::join!(end_all(folder.path()), child.wait());
        status.expect("its end")
    };
    let status = tokio::time::timeout(Duration::from_secs(20), ended).await.expect("in time");
    assert!(!status.success());
    assert!(processes(folder.path()).is_empty());
}
