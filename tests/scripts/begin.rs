//! How a mesh begins: by one of several at once, with what the environment says, and with agents
//! that come later; and how it says that something of it has ended.

use std::io::Write as _;

use futures::future::join_all;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use super::rig::Rig;

fn run_file(rig: &Rig) -> Value {
    let run = std::fs::read_to_string(rig.at("state/run.json")).unwrap();
    serde_json::from_str(&run).unwrap()
}

fn pid(rig: &Rig, name: &str) -> Pid {
    let pid = run_file(rig)["pids"][name].as_i64().unwrap();
    Pid::from_raw(i32::try_from(pid).unwrap())
}

#[tokio::test]
async fn of_several_at_once_one_begins_the_mesh_and_the_others_find_it() {
    let rig = Rig::new().await;
    let ups = (0..5).map(|_| rig.fails("devmesh up -d --lite"));
    let said = join_all(ups).await;
    for (code, said) in &said {
        assert_eq!(*code, 0, "{said}");
    }
    let count = |part: &str| said.iter().filter(|(_, said)| said.contains(part)).count();
    assert_eq!(count("leads term 1"), 1, "{said:#?}");
    assert_eq!(count("runs already"), 4, "{said:#?}");
    assert_eq!(run_file(&rig)["ready"], true);
    rig.done("devmesh down").await;
    assert_eq!(rig.left().await, []);
}

#[tokio::test]
async fn what_the_processes_cannot_read_is_told_before_any_starts() {
    let rig = Rig::new().await;
    let cases: [(&str, &[&str]); 6] = [
        ("DEVMESH_RAM_GB=abc", &["DEVMESH_RAM_GB=\"abc\"", "--ram-gb", "unset it"]),
        ("DEVMESH_SLOTS=x DEVMESH_RAM_GB=q", &["2 variables", "DEVMESH_SLOTS", "DEVMESH_RAM_GB"]),
        ("DEVMESH_SLOTS=0", &["DEVMESH_SLOTS=\"0\""]),
        ("DEVMESH_DASHBOARD_LISTEN=here", &["DEVMESH_DASHBOARD_LISTEN"]),
        ("DEVMESH_WITHIN_SEC=z", &["DEVMESH_WITHIN_SEC=\"z\"", "--within"]),
        ("DEVMESH_LOG_FORMAT=xml", &["DEVMESH_LOG_FORMAT", "one of human, json"]),
    ];
    for (variables, words) in cases {
        let (code, said) = rig.fails(&format!("{variables} devmesh up -d --no-agents")).await;
        assert_eq!(code, 2, "{variables}: {said}");
        for word in words {
            assert!(said.contains(word), "{variables}: {word} is not in: {said}");
        }
        assert!(!rig.at("state/run.json").exists(), "{variables}: nothing has begun");
    }
}

#[tokio::test]
async fn agents_are_added_to_a_mesh_that_runs() {
    let rig = Rig::new().await;
    rig.done("devmesh up -d --lite").await;
    let (code, said) = rig.fails("devmesh up --agent a1=scripted --agent a2=nosuch").await;
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("a1 has joined"), "{said}");
    assert!(said.contains("a2 cannot be started"), "{said}");
    assert!(said.contains("there is no tool nosuch"), "{said}");
    let agents: Value = serde_json::from_str(&rig.done("devmesh agents --json").await).unwrap();
    assert_eq!(agents["result"]["agents"].as_array().unwrap().len(), 1, "{agents}");
    let (code, said) = rig.fails("devmesh up --agent a1=scripted").await;
    assert_eq!((code, said.contains("a1 runs already")), (0, true), "{said}");
    let (code, said) = rig.fails("devmesh up --port 1").await;
    assert_eq!((code, said.contains("--port counts at a start alone")), (2, true), "{said}");
    rig.done("devmesh down").await;
    assert_eq!(rig.left().await, [], "an added agent ends with the others");
}

#[tokio::test]
async fn status_says_what_is_not_started_again_and_when_nobody_supervises() {
    let rig = Rig::new().await;
    rig.done("devmesh up -d --lite && devmesh up --agent a1=nosuch").await;
    let said = rig.done("devmesh status").await;
    assert!(said.contains("a1: not started again"), "{said}");
    assert!(said.contains("there is no tool nosuch"), "its log's last line: {said}");
    kill(pid(&rig, "up"), Signal::SIGKILL).unwrap();
    kill(pid(&rig, "coordinator"), Signal::SIGKILL).unwrap();
    // It is ended by its number: a moment may pass.
    let amiss = "for i in $(seq 200); do devmesh status --within 1 > ../tmp/said 2>&1; \
                 grep -q 'coordinator: ended' ../tmp/said && break; sleep 0.05; done; cat ../tmp/said";
    let said = rig.done(amiss).await;
    assert!(said.contains("up: nobody supervises the mesh"), "{said}");
    assert!(said.contains("coordinator: ended"), "{said}");
    assert!(said.contains("next  devmesh up -d"), "{said}");
    // And that is what helps.
    rig.done("devmesh up -d --lite").await;
    let status: Value = serde_json::from_str(&rig.done("devmesh status --json").await).unwrap();
    assert_eq!(status["amiss"], Value::Array(Vec::new()));
}

#[tokio::test]
async fn a_process_that_ends_at_once_fails_the_start_with_its_last_words() {
    let rig = Rig::new().await;
    rig.done("devmesh up -d --no-agents && devmesh down").await;
    // The dashboard cannot use its secret.
    rig.done("rm -f ../state/keys/dashboard.secret; mkdir ../state/keys/dashboard.secret").await;
    let (code, said) = rig.fails("devmesh up -d --no-agents").await;
    assert_eq!(code, 6, "{said}");
    assert!(said.contains("failed to start dashboard: it ended with"), "{said}");
    assert!(said.contains("dashboard.secret"), "{said}");
    assert_eq!(rig.left().await, [], "what had started was ended");
}

#[tokio::test]
async fn a_damaged_run_json_is_told_and_down_ends_what_runs_all_the_same() {
    let rig = Rig::new().await;
    rig.done("devmesh up -d --lite").await;
    for damage in [": > ../state/run.json", "echo '{\"mesh\":' > ../state/run.json"] {
        rig.done(damage).await;
        for command in ["status", "agents", "up -d --lite", "task add x"] {
            let (code, said) = rig.fails(&format!("devmesh {command}")).await;
            assert_eq!(code, 2, "{command}: {said}");
            assert!(said.contains("run.json is damaged"), "{command}: {said}");
            assert!(said.contains("devmesh down"), "{command}: {said}");
        }
    }
    rig.done("devmesh down").await;
    assert_eq!(rig.left().await, []);
    rig.done("devmesh up -d --lite && devmesh down").await;
}

#[tokio::test]
async fn a_damaged_credential_is_made_again_at_the_next_start() {
    let rig = Rig::new().await;
    rig.done("devmesh up -d --lite").await;
    rig.done(": > ../state/creds/ada.creds").await;
    let (code, said) = rig.fails("devmesh status").await;
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("ada.creds is damaged"), "{said}");
    assert!(said.contains("devmesh cred mint ada"), "{said}");
    rig.done("devmesh down; for f in ../state/creds/*; do echo x > $f; done").await;
    rig.done("devmesh up -d --lite && devmesh status").await;
}

#[tokio::test]
async fn a_checkout_that_work_cannot_start_from_says_why() {
    let rig = Rig::new().await;
    rig.done("git clone -q --bare . ../bare.git").await;
    // A rebase that has stopped: no branch is checked out.
    let stopped = "git switch -q -c side && echo x > src/main.txt && git commit -qam side && \
                   git switch -q main && echo y > src/main.txt && git commit -qam main && \
                   git switch -q side && ! git rebase -q main 2>/dev/null";
    rig.done(stopped).await;
    let cases = [
        ("devmesh up -d --lite", "middle of a rebase", "git rebase --continue"),
        ("devmesh pull", "middle of a rebase", "git rebase --abort"),
        ("cd ../bare.git && devmesh up -d --lite", "bare repository", "git worktree add"),
        ("cd .git && devmesh up -d --lite", "inside a .git folder", "go into the checkout"),
        ("git rebase --abort; git switch -q --detach; devmesh pull", "no branch", "git switch"),
    ];
    for (line, what, fix) in cases {
        let (code, said) = rig.fails(line).await;
        assert_eq!(code, 2, "{line}: {said}");
        assert!(said.contains(what) && said.contains(fix), "{line}: {said}");
    }
}

/// A disk of its own with so much room, under the rig's folder; none where this machine lets nobody
/// mount one.
async fn small_disk(rig: &Rig, size: &str) -> bool {
    let mount = format!("mkdir -p ../disk && mount -t tmpfs -o size={size} tmpfs ../disk");
    let (code, said) = rig.fails(&mount).await;
    if code != 0 {
        let why = said.lines().next().unwrap_or_default().to_owned();
        let _ = writeln!(std::io::stderr(), "SKIP: a small disk cannot be mounted here: {why}");
    }
    code == 0
}

#[tokio::test]
async fn a_full_disk_is_told_and_what_is_asked_goes_on_when_there_is_room() {
    let rig = Rig::new().await;
    // Far less than the streams may grow to.
    if !small_disk(&rig, "100m").await {
        return;
    }
    let here = "export DEVMESH_STATE_DIR=$PWD/../disk/state;";
    rig.done(&format!("{here} devmesh up -d --lite && devmesh task add one")).await;
    rig.fails("cat /dev/zero > ../disk/fill").await;
    let add = "head -c 180000 /dev/urandom | base64 | devmesh task add --within 3 -";
    let (code, said) = rig.fails(&format!("{here} {add}")).await;
    assert_eq!(code, 5, "it is not known, and not told as failed: {said}");
    let said = rig.done(&format!("{here} devmesh task list; devmesh status")).await;
    assert!(said.contains("t-1"), "what was recorded is answered: {said}");
    assert!(said.contains("disk: ") && said.contains("free some space"), "{said}");
    let on = "rm ../disk/fill; devmesh task add --within 60 two && devmesh replay --verify && \
              devmesh down";
    let said = rig.done(&format!("{here} {on}")).await;
    assert!(said.contains("the log is whole"), "{said}");
    rig.done("umount ../disk").await;
}

#[tokio::test]
async fn a_store_without_room_or_that_cannot_be_written_begins_nothing() {
    let rig = Rig::new().await;
    if !small_disk(&rig, "256k").await {
        return;
    }
    let up = "DEVMESH_STATE_DIR=$PWD/../disk/state devmesh up -d --lite";
    let (code, said) = rig.fails(up).await;
    assert_eq!((code, said.contains("free some space")), (6, true), "{said}");
    rig.done("mount -o remount,ro ../disk").await;
    let (code, said) = rig.fails(&up.replace("/state", "/other")).await;
    assert_eq!((code, said.contains("--state-dir")), (6, true), "{said}");
    rig.done("umount ../disk").await;
    assert_eq!(rig.left().await, []);
}

#[tokio::test]
async fn what_is_typed_wrongly_is_named_and_leaves_the_rest_alone() {
    let rig = Rig::new().await;
    rig.done("devmesh up -d --lite").await;
    let long = "$(head -c 5000 /dev/zero | tr '\\0' a)";
    let many = "$(seq -s, 10001)";
    let cases = [
        ("task add x --paths ../y".to_owned(), 2, "leads out of the repository"),
        ("task add x --paths /etc/passwd".to_owned(), 2, "the path is absolute"),
        ("task add x --paths ' '".to_owned(), 2, "it names nothing"),
        ("task add x --paths .devmesh/creds".to_owned(), 2, "devmesh's own state"),
        ("task add x --paths 'nope*'".to_owned(), 2, "matches no file"),
        (format!("task add x --paths {long}"), 2, "cannot be used"),
        (format!("task add x --paths {many}"), 3, "paths has 10001 entries"),
        ("task add x --max-cost-usd -1".to_owned(), 2, "0 to 1000000"),
        ("task add x --max-cost-usd nan".to_owned(), 2, "0 to 1000000"),
        ("task add x --after t-1 --priority 9".to_owned(), 2, "--priority"),
        ("task add x --repo 'a.*'".to_owned(), 2, "not the name of a repository"),
        ("task add -F /".to_owned(), 2, "/ cannot be read"),
        ("--as 'a.b' status".to_owned(), 2, "not the name of an actor"),
        ("--within 0 status".to_owned(), 2, "--within"),
        ("why t-999".to_owned(), 2, "the log knows nothing of \"t-999\""),
        ("replay --at 99999".to_owned(), 2, "the log ends at record"),
        ("cred mint admin --role person".to_owned(), 2, "choose another"),
        ("lock acquire src --ttl 0".to_owned(), 3, "ttl_ms"),
    ];
    for (line, code, part) in cases {
        let (got, said) = rig.fails(&format!("devmesh {line}")).await;
        assert_eq!(got, code, "{line}: {said}");
        assert!(said.contains(part), "{line}: {said}");
    }
    let (code, said) =
        rig.fails("head -c 3000000 /dev/zero | tr '\\0' a | devmesh task add -").await;
    assert_eq!((code, said.contains("at most 262144")), (2, true), "{said}");
    let tasks: Value = serde_json::from_str(&rig.done("devmesh task list --json").await).unwrap();
    assert_eq!(tasks["result"]["tasks"], Value::Array(Vec::new()), "nothing was added");
}
