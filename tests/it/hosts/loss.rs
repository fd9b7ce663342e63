//! A host is lost in the middle of a task: what it had saved, files that were never committed
//! included, is what another host goes on from. Both ways, for a repository of the host that has
//! the mesh, which git reaches, and for one of a host that joined, which travels as bundles.

use std::time::{Duration, Instant};

use devmesh_testkit::left;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::*;

/// How long a save may take to be where it must be; one is made every 15 s.
const SAVED_WITHIN: Duration = Duration::from_secs(60);

/// What the tool does: half of the work, and then nothing for ever; whoever finds the half there
/// makes the whole of it. The half is in no commit: a file that git does not know, and an edit.
const HALVES: &str = "finish what is begun\n\n```sh\n     if test -e src/half.txt; then mv src/half.txt src/whole.txt; echo end >> src/main.txt; else \
     echo half > src/half.txt; echo edit >> src/main.txt; sleep 600; fi\n```\n";

async fn add(hosts: &Hosts, words: &str, more: &str) -> String {
    let file = hosts.rig.at("tmp/words.txt");
    std::fs::write(&file, words).unwrap();
    let add = format!("devmesh task add -F {} --verify true {more}", file.display());
    hosts.rig.done(&hosts.here(&add)).await
}

async fn is_done(hosts: &Hosts, task: &str) {
    let waited = hosts.here(&format!("devmesh task wait --timeout 110 {task}"));
    let said = hosts.rig.done(&waited).await;
    assert!(said.contains("completed"), "{said}");
}

/// Waits until a save in this repository has the half.
async fn is_saved(hosts: &Hosts, repo: &str, task: &str) {
    let names =
        format!("git -C {repo} for-each-ref --format='%(refname)' refs/devmesh/work/{task}");
    let look = format!("{names} | xargs -rn1 git -C {repo} ls-tree -r --name-only");
    let deadline = Instant::now() + SAVED_WITHIN;
    while !hosts.rig.done(&look).await.contains("src/half.txt") {
        assert!(Instant::now() < deadline, "no save of {task} came to {repo}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// The whole landed once, and nothing of the way there is left.
async fn is_whole(hosts: &Hosts, repo: &str, task: &str) {
    let show = |what: &str| format!("git -C {repo} show devmesh/landed/main:{what}");
    assert_eq!(hosts.rig.done(&show("src/whole.txt")).await, "half");
    assert_eq!(hosts.rig.done(&show("src/main.txt")).await, "one\nedit\nend");
    let log = format!("git -C {repo} log --format=%B devmesh/landed/main");
    let log = hosts.rig.done(&log).await;
    assert_eq!(log.matches(&format!("Devmesh-Task: {task}\n")).count(), 1, "{log}");
    let saves = format!("git -C {repo} for-each-ref refs/devmesh/work");
    let deadline = Instant::now() + SAVED_WITHIN;
    while !hosts.rig.done(&saves).await.is_empty() {
        assert!(Instant::now() < deadline, "its saves are forgotten");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// What a killed agent has left running goes too, as with its host.
fn end_tools(hosts: &Hosts) {
    for process in left::processes(&hosts.rig.at("")) {
        if process.command.contains("sleep 600") || process.command.contains("devmesh-scripted") {
            let _ = kill(Pid::from_raw(process.pid), Signal::SIGKILL);
        }
    }
}

#[tokio::test]
async fn a_task_goes_on_where_a_lost_host_left_it() {
    let Some(hosts) = Hosts::new().await else { return };
    let rig = &hosts.rig;
    rig.done(&hosts.here(&format!("devmesh up -d --no-agents --listen {FIRST}"))).await;
    let code = hosts.invite().await;
    rig.done(&hosts.there(&code)).await;
    rig.done(&hosts.there("devmesh up -d --agent w1=scripted")).await;
    let task = add(&hosts, HALVES, "--paths src/").await;
    is_saved(&hosts, ".", &task).await;

    // The second host is gone, and all that it had.
    hosts.cut(&hosts.wire.second).await;
    rig.done(&format!("rm -rf {}", rig.at("away/state").display())).await;
    let _agent =
        rig.spawn(&format!("exec {}", hosts.here("devmesh agent --name w2 --tool scripted")));
    is_done(&hosts, &task).await;
    is_whole(&hosts, ".", &task).await;
    rig.done(&hosts.here("devmesh down")).await;
}

/// A repository of the second host: no git reaches it from the first.
#[tokio::test]
async fn a_repository_of_a_host_that_joined_travels_as_bundles() {
    let Some(hosts) = Hosts::new().await else { return };
    let rig = &hosts.rig;
    let far = rig.at("away/far").display().to_string();
    rig.done(&format!("git clone -q . {far} && git -C {far} remote remove origin")).await;
    let up = format!("devmesh up -d --no-agents --listen {FIRST}");
    rig.done(&hosts.here_alone(&up)).await;
    let code = hosts.invite().await;
    rig.done(&hosts.there(&code)).await;
    rig.done(&hosts.there("devmesh up -d")).await;
    let repo_add = |name: &str| {
        hosts.there(&format!("sh -c \"cd far && devmesh repo add --name {name} --verify true\""))
    };
    let (exit, said) = rig.fails(&repo_add("repo")).await;
    assert!(exit == 3 && said.contains("give this repository another name"), "{exit}: {said}");
    rig.done(&repo_add("far")).await;
    let listed = rig.done(&hosts.here("devmesh repo list")).await;
    assert!(listed.contains(&format!("beta:{far}")), "{listed}");

    // An agent of the first host, which sees nothing of the second's disk, lands there.
    let w1 = hosts.here_alone("devmesh agent --name w1 --tool scripted");
    let mut agent = rig.spawn(&format!("exec {w1}"));
    let words = "write two\n\n```sh\necho two > src/two.txt\n```\n";
    let task = add(&hosts, words, "--repo far --paths src/two.txt").await;
    is_done(&hosts, &task).await;
    let landed = format!("git -C {far} show devmesh/landed/main:src/two.txt");
    assert_eq!(rig.done(&landed).await, "two");
    assert_eq!(rig.done("git for-each-ref refs/heads/devmesh").await, "", "not in another one");

    // It is lost in the middle of the next one, and the second host goes on from its save.
    let task = add(&hosts, HALVES, "--repo far --paths src/").await;
    is_saved(&hosts, &far, &task).await;
    agent.kill().await.unwrap();
    end_tools(&hosts);
    let _agent =
        rig.spawn(&format!("exec {}", hosts.there("devmesh agent --name w2 --tool scripted")));
    is_done(&hosts, &task).await;
    is_whole(&hosts, &far, &task).await;
    rig.done(&hosts.there("devmesh down")).await;
    rig.done(&hosts.here("devmesh down")).await;
}
