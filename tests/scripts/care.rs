//! What a mesh leaves alone, what it refuses to begin with, and what it survives.

use std::collections::BTreeMap;
use std::path::Path;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use super::rig::Rig;

/// Every file of a repository and a home that is the person's own, with its content.
async fn belongings(rig: &Rig) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    for part in ["repo/.git/config", "repo/.git/HEAD", "repo/.git/info/exclude"] {
        let text = std::fs::read_to_string(rig.at(part)).unwrap_or_default();
        all.insert(part.to_owned(), text.replace("/.devmesh\n", ""));
    }
    for part in ["repo/.git/hooks", "repo/src", "home"] {
        files(&rig.at(part), &mut all);
    }
    all.insert("status".into(), rig.done("git status --porcelain").await);
    all.insert("head".into(), rig.done("git rev-parse HEAD main").await);
    let refs = rig.done("git for-each-ref").await;
    let own = refs.lines().filter(|line| !line.contains("devmesh/"));
    all.insert("refs".into(), own.collect::<Vec<_>>().join("\n"));
    all
}

fn files(dir: &Path, all: &mut BTreeMap<String, String>) {
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            files(&path, all);
        } else {
            let text = std::fs::read(&path).unwrap_or_default();
            all.insert(path.display().to_string(), String::from_utf8_lossy(&text).into_owned());
        }
    }
}

async fn pid(rig: &Rig, name: &str) -> Pid {
    let run = std::fs::read_to_string(rig.at("state/run.json")).unwrap();
    let run: Value = serde_json::from_str(&run).unwrap();
    let pid = run["pids"][name].as_i64().unwrap_or_else(|| panic!("{name} runs: {run}"));
    Pid::from_raw(i32::try_from(pid).unwrap())
}

const TASK: &str = "printf 'write\\n\\n```sh\\necho two > src/two.txt\\n```\\n' | \
                    devmesh task add --paths src/two.txt --verify 'true'";

#[tokio::test]
async fn a_repository_and_a_home_are_left_as_they_were() {
    let rig = Rig::new().await;
    let before = belongings(&rig).await;
    rig.done("devmesh up -d --agent a1=scripted").await;
    let task = rig.done(TASK).await;
    rig.done(&format!("devmesh task wait --timeout 60 {task}")).await;
    assert_eq!(belongings(&rig).await, before, "while it runs");
    rig.done("devmesh down").await;
    assert_eq!(belongings(&rig).await, before, "and after");
    assert_eq!(rig.left().await, []);
    let landed = rig.done("git show devmesh/landed/main:src/two.txt").await;
    assert_eq!(landed, "two");
}

#[tokio::test]
async fn what_ends_is_started_again_and_all_of_it_is_ended() {
    let rig = Rig::new().await;
    rig.done("devmesh up -d --agent a1=scripted").await;
    for name in ["a1", "coordinator", "nats-server"] {
        let before = pid(&rig, name).await;
        kill(before, Signal::SIGKILL).unwrap();
        let again = format!(
            "for i in $(seq 600); do p=$(python3 -c 'import json; \
             print(json.load(open(\"{}\"))[\"pids\"].get(\"{name}\", 0))'); \
             test $p != 0 && test $p != {before} && exit 0; sleep 0.05; done; exit 1",
            rig.at("state/run.json").display()
        );
        rig.done(&again).await;
    }
    let task = rig.done(&format!("{TASK} --within 30")).await;
    rig.done(&format!("devmesh task wait --timeout 60 --within 30 {task}")).await;
    // Nobody supervises any more; `down` knows what was started.
    kill(pid(&rig, "up").await, Signal::SIGKILL).unwrap();
    rig.done("devmesh down").await;
    assert_eq!(rig.left().await, []);
    assert!(!rig.at("state/run.json").exists());
}

#[tokio::test]
async fn a_second_repository_joins_the_mesh_that_runs() {
    let rig = Rig::new().await;
    rig.done("devmesh up -d --lite").await;
    let other = "mkdir ../other && cd ../other && git init -q -b trunk && \
                 git commit -q --allow-empty -m start && devmesh up";
    rig.done(other).await;
    let repos: Value = serde_json::from_str(&rig.done("devmesh repo list --json").await).unwrap();
    let names: Vec<&str> = repos["result"]["repos"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|repo| repo["repo"].as_str())
        .collect();
    assert_eq!(names, ["other", "repo"]);
    let task: Value = serde_json::from_str(
        &rig.done("cd ../other && devmesh task add there >/dev/null && devmesh task list --json")
            .await,
    )
    .unwrap();
    assert_eq!(task["result"]["tasks"][0]["repo"], "other");
    let (code, said) = rig.fails("cd ../tmp && git init -q && devmesh task add here").await;
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("is not in this mesh"), "{said}");
}

#[tokio::test]
async fn what_cannot_be_begun_is_told_with_its_remedy() {
    let rig = Rig::new().await;
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let cases = [
        (format!("devmesh up -d --lite --port {port}"), 6, "choose another with --port"),
        ("devmesh up -d --nats-server /none".to_owned(), 4, "/none"),
        ("devmesh up -d --mesh No!".to_owned(), 2, "[a-z0-9][a-z0-9-]{0,30}"),
        ("devmesh up -d --agent x".to_owned(), 2, "NAME=TOOL"),
        ("devmesh up -d --agent probe=scripted".to_owned(), 2, "no agent can be named probe"),
        ("devmesh up -d --agents none.toml".to_owned(), 2, "none.toml"),
        ("cd ../tmp && devmesh up -d".to_owned(), 2, "is in no git repository"),
        ("cd ../tmp && git init -q e && cd e && devmesh up -d".to_owned(), 2, "no commit yet"),
        ("git switch -q --detach && devmesh up -d --lite".to_owned(), 2, "no branch checked out"),
        ("echo '[verify]\nx = 1' > devmesh.toml; devmesh up -d".to_owned(), 2, "verify.x"),
        (
            "rm -f devmesh.toml .devmesh; echo x > .devmesh; git switch -q main; devmesh up -d"
                .to_owned(),
            2,
            "is in the way",
        ),
        ("DEVMESH_LOG_LEVEL=a=b=c devmesh status".to_owned(), 2, "DEVMESH_LOG_LEVEL"),
        (
            "DEVMESH_STATE_DIR=/proc/no devmesh up -d".to_owned(),
            6,
            "choose another with --state-dir",
        ),
    ];
    for (line, code, part) in cases {
        let (got, said) = rig.fails(&line).await;
        assert_eq!(got, code, "{line}: {said}");
        assert!(said.contains(part), "{line}: {said}");
        assert!(!said.contains("panicked"), "{line}: {said}");
    }
    assert_eq!(rig.left().await, [], "nothing is left of what did not begin");
}

#[tokio::test]
async fn an_agent_that_cannot_be_started_is_told_once_and_the_mesh_serves() {
    let rig = Rig::new().await;
    let (code, _) = rig.fails("devmesh up -d --agent a1=nosuch").await;
    assert_eq!(code, 0);
    let status: Value = serde_json::from_str(&rig.done("devmesh status --json").await).unwrap();
    assert_eq!(status["agents"], 0);
    let log = std::fs::read_to_string(rig.at("state/logs/a1.log")).unwrap();
    assert_eq!(log.matches("cannot be started").count(), 1, "{log}");
    assert!(log.contains("there is no tool nosuch"), "{log}");
}
