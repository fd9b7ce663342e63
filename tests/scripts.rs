//! Sessions at the command line, as text: `tests/scripts/*.txt`, run line by line with the real
//! program. `DEVMESH_UPDATE=1` writes what came instead of comparing it.
//!
//! `$ COMMAND` is run by a shell in the repository; what follows is what it prints: stdout as it
//! is, stderr behind `! `, an exit other than 0 as `? N`. Lines that begin `//` are remarks.

mod begin;
mod care;
mod meet;
mod plain;
mod plan;
pub(crate) mod rig;
mod text;

use rig::Rig;

/// Runs a session and compares.
async fn session(rig: &Rig, name: &str) {
    let path = rig::root().join("tests/scripts").join(name);
    let before = std::fs::read_to_string(&path).unwrap();
    let mut after = String::new();
    for block in text::blocks(&before) {
        after += &block.remarks;
        let Some(command) = block.command else { continue };
        after += &format!("$ {command}\n{}\n", rig.shell(&command).await);
    }
    if std::env::var_os("DEVMESH_UPDATE").is_some() {
        std::fs::write(&path, &after).unwrap();
        return;
    }
    let lines = before.lines().zip(after.lines()).enumerate();
    for (number, (was, is)) in lines {
        assert_eq!(was, is, "{name}:{}; the whole session:\n{after}", number + 1);
    }
    assert_eq!(before, after, "{name}");
}

#[tokio::test]
async fn without_a_mesh() {
    session(&Rig::new().await, "offline.txt").await;
}

#[tokio::test]
async fn a_mesh_from_up_to_down() {
    let rig = Rig::new().await;
    session(&rig, "mesh.txt").await;
    assert_eq!(rig.left().await, [], "nothing runs after `down`");
}

#[tokio::test]
async fn a_task_that_nobody_can_begin() {
    let rig = Rig::new().await;
    session(&rig, "stuck.txt").await;
    assert_eq!(rig.left().await, [], "nothing runs after `down`");
}

#[tokio::test]
async fn leases_of_people() {
    let rig = Rig::new().await;
    session(&rig, "lock.txt").await;
}
