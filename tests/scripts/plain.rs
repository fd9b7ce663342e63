//! For programs: JSON everywhere, exit codes that can be relied on, and a mesh in the foreground.

use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use super::rig::Rig;

/// How long a condition may take to come about.
const WITHIN: Duration = Duration::from_secs(60);

fn running(rig: &Rig) -> Option<Value> {
    let run = std::fs::read_to_string(rig.at("state/run.json")).ok()?;
    serde_json::from_str(&run).ok()
}

#[tokio::test]
async fn every_command_speaks_json() {
    let rig = Rig::new().await;
    let up = rig.done("devmesh up -d --json --agent a1=scripted 2>/dev/null").await;
    let up: Value = serde_json::from_str(&up).unwrap();
    assert_eq!(up["mesh"], "default");
    assert_eq!(running(&rig), Some(up));
    let add = "devmesh task add --json 'write a file' --paths src/ --review person";
    let added: Value = serde_json::from_str(&rig.done(add).await).unwrap();
    assert_eq!((&added["ok"], &added["result"]["task"]), (&true.into(), &"t-1".into()));
    let lines = [
        "status",
        "task list",
        "task show t-1",
        "agents",
        "hosts",
        "repo list",
        "lock list",
        "lock check src/",
        "review",
        "cred list",
        "tools",
        "doctor",
        "config",
        "config --keys",
        "pull",
        "log",
        "why t-1",
        "replay --verify",
        "task logs t-1",
        "task pause t-1",
        "task resume t-1",
        "task cancel t-1",
        "lock acquire docs/",
        "lock release docs/",
        "pause",
        "resume",
        "down",
    ];
    for line in lines {
        let said = rig
            .done(&format!(
                "devmesh {line} --json 2>/dev/null; case $? in 0|3|6) ;; *) exit 1; esac"
            ))
            .await;
        let values: Result<Vec<Value>, _> =
            serde_json::Deserializer::from_str(&said).into_iter().collect();
        assert!(values.is_ok(), "{line}: {said}");
    }
}

#[tokio::test]
async fn a_list_of_many_parts_is_given_whole() {
    let rig = Rig::new().await;
    rig.done("devmesh up -d --lite").await;
    let tasks = "for n in $(seq 201); do echo '{\"title\":\"x\"}'; done";
    rig.done(&format!("{tasks} | devmesh task add --jsonl")).await;
    for (limit, count) in [("", 201), ("--limit 3", 3)] {
        let list = rig.done(&format!("devmesh task list --json {limit}")).await;
        let list: Value = serde_json::from_str(&list).unwrap();
        assert_eq!(list["result"]["tasks"].as_array().unwrap().len(), count, "{limit}");
        let lines = rig.done(&format!("devmesh task list {limit}")).await;
        assert_eq!(lines.lines().count(), count + 1, "{limit}");
    }
}

#[tokio::test]
async fn what_is_not_answered_is_never_told_as_failed() {
    let rig = Rig::new().await;
    rig.done("devmesh up -d --lite").await;
    let run = running(&rig).unwrap();
    let coordinator = i32::try_from(run["pids"]["coordinator"].as_i64().unwrap()).unwrap();
    kill(Pid::from_raw(coordinator), Signal::SIGSTOP).unwrap();
    let (code, said) = rig.fails("devmesh task add slow --repo repo --within 1").await;
    assert_eq!(code, 5, "{said}");
    assert!(said.contains("it may have happened"), "{said}");
    let (code, said) = rig.fails("devmesh task list --within 1").await;
    assert_eq!(code, 4, "{said}");
    kill(Pid::from_raw(coordinator), Signal::SIGCONT).unwrap();
    // What was sent while it stood was not lost, and what was sent again was done once.
    let deadline = Instant::now() + WITHIN;
    loop {
        let list: Value =
            serde_json::from_str(&rig.done("devmesh task list --json --within 30").await).unwrap();
        let tasks = list["result"]["tasks"].as_array().unwrap().len();
        if tasks == 1 {
            break;
        }
        assert!(tasks == 0 && Instant::now() < deadline, "{tasks} tasks");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_mesh_in_the_foreground_outlives_its_terminal_and_ends_by_ctrl_c() {
    let rig = Rig::new().await;
    let mut up = rig.spawn("exec devmesh up --lite");
    let pid = Pid::from_raw(i32::try_from(up.id().unwrap()).unwrap());
    let serves = async {
        while rig.fails("devmesh repo list 2>/dev/null | grep -q repo").await.0 != 0 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(WITHIN, serves).await.unwrap();
    kill(pid, Signal::SIGHUP).unwrap();
    rig.done("devmesh task add 'still here'").await;
    kill(pid, Signal::SIGINT).unwrap();
    let status = tokio::time::timeout(WITHIN, up.wait()).await.unwrap().unwrap();
    assert_eq!(status.code(), Some(0));
    assert_eq!(rig.left().await, []);
}

#[tokio::test]
async fn a_stop_in_the_middle_of_the_start_leaves_nothing() {
    let rig = Rig::new().await;
    let mut up = rig.spawn("exec devmesh up --lite");
    let pid = Pid::from_raw(i32::try_from(up.id().unwrap()).unwrap());
    let begun = async {
        while running(&rig).is_none() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(WITHIN, begun).await.unwrap();
    kill(pid, Signal::SIGTERM).unwrap();
    tokio::time::timeout(WITHIN, up.wait()).await.unwrap().unwrap();
    assert_eq!(rig.left().await, []);
    assert!(running(&rig).is_none());
}
