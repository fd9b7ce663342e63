//! Agents that are stopped with all that they run, longer than their session lives, and woken when
//! another has done their work.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use devmesh_bus::client::{Client, Outcome};
use devmesh_protocol::event::task::TaskAwarded;
use devmesh_protocol::{ActorId, Code, Event, MeshId, Record, Reply};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use crate::scripts::rig::Rig;

/// Sessions end after three heartbeats that do not come, and not after half a minute.
const SHORT: &str = "DEVMESH_LOCK_TTL_SEC=8 DEVMESH_HEARTBEAT_GRACE_SEC=2 \
                     DEVMESH_AGENT_RECONNECT_GRACE_SEC=12";
/// How long a condition may take to come about.
const WITHIN: Duration = Duration::from_secs(90);
/// The branch that work lands on.
const LANDED: &str = "devmesh/landed/main";

/// The tool of the first attempt writes, waits for its release, and writes on; that of the second
/// finds what was written before.
const WORK: &str = "write\n\n\
    ```sh attempt=1\n\
    echo draft > src/draft.txt\n\
    for i in $(seq 1500); do test -e GO && break; sleep 0.1; done\n\
    echo late > src/late.txt\n\
    ```\n\
    ```sh attempt=2+\n\
    grep -qx draft src/draft.txt\n\
    echo done > src/done.txt\n\
    ```\n";

/// What the first tool does once it is released.
const LATE: &str = "echo late > src/late.txt";

/// A mesh of two agents with one task.
struct Scene {
    rig: Rig,
}

impl Scene {
    async fn new(prompt: &str, verify: &str) -> Self {
        let rig = Rig::new().await;
        let agents = "--agent a1=scripted --agent a2=scripted";
        rig.done(&format!("{SHORT} devmesh up -d {agents}")).await;
        std::fs::write(rig.at("tmp/prompt.md"), prompt).unwrap();
        let add = format!("devmesh task add -F ../tmp/prompt.md --verify '{verify}'");
        assert_eq!(rig.done(&add).await, "t-1");
        Self { rig }
    }

    async fn records(&self) -> Vec<Record> {
        let lines = self.rig.done("devmesh replay --records --json").await;
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn run_file(&self) -> Value {
        let text = std::fs::read_to_string(self.rig.at("state/run.json")).unwrap();
        serde_json::from_str(&text).unwrap()
    }

    /// The first award, and the token that came with it.
    async fn award(&self) -> (TaskAwarded, u64) {
        let find = |records: Vec<Record>| {
            records.into_iter().find_map(|record| {
                let event = record.events.into_iter().find_map(|event| match event {
                    Event::TaskAwarded(award) => Some(award),
                    _ => None,
                });
                event.map(|award| (award, record.seq))
            })
        };
        let deadline = Instant::now() + WITHIN;
        loop {
            if let Some(found) = find(self.records().await) {
                return found;
            }
            assert!(Instant::now() < deadline, "nobody takes the task");
        }
    }

    fn pid(&self, name: &str) -> i32 {
        let pid = self.run_file()["pids"][name].as_i64();
        i32::try_from(pid.unwrap_or_else(|| panic!("{name} runs"))).unwrap()
    }

    /// Stops an agent with all that it runs.
    fn stop(&self, agent: &ActorId) -> Frozen {
        Frozen::stop(self.pid(agent.as_str()))
    }

    /// Waits until a record tells of this.
    async fn until(&self, what: &str, is_it: impl Fn(&Event) -> bool) {
        let deadline = Instant::now() + WITHIN;
        while !self.records().await.iter().flat_map(|it| &it.events).any(&is_it) {
            assert!(Instant::now() < deadline, "{what}: not within {WITHIN:?}");
        }
    }

    /// Waits until the first attempt's work is saved.
    async fn is_saved(&self) {
        let saved = "git for-each-ref --format='%(objectname)' refs/devmesh/work/t-1/1";
        let deadline = Instant::now() + WITHIN;
        while self.rig.done(saved).await.is_empty() {
            assert!(Instant::now() < deadline, "no save comes");
        }
    }

    /// Waits until another has landed the task.
    async fn finished_by_another(&self, first: &TaskAwarded) -> String {
        self.rig.done("devmesh task wait --timeout 90 --within 90 t-1").await;
        let records = self.records().await;
        assert!(
            records.iter().flat_map(|it| &it.events).any(|event| {
                matches!(event, Event::SessionLost(it) if it.session == first.session)
            }),
            "the session was ended for its silence"
        );
        let workers: Vec<&TaskAwarded> = awards(&records).collect();
        let second = workers.last().unwrap();
        assert_ne!(second.actor, first.actor, "{workers:?}");
        assert_eq!(second.attempt, 2);
        self.rig.done(&format!("git rev-parse {LANDED}")).await
    }

    /// Waits until the agent is back in the mesh, under another session.
    async fn joins_again(&self, first: &TaskAwarded) {
        let came = |event: &Event| {
            matches!(event, Event::AgentJoined(it)
                if it.actor == first.actor && it.session != first.session)
        };
        self.until("it joins again", came).await;
    }

    /// What the woken process could still send is refused, and on record as that.
    async fn is_refused(&self, first: &TaskAwarded, token: u64) {
        let run = self.run_file();
        let mesh = MeshId::new(run["mesh"].as_str().unwrap()).unwrap();
        let creds = self.rig.at(&format!("state/creds/{}.creds", first.actor));
        let url = run["nats_url"].as_str().unwrap();
        let client = Client::connect(url, Some(&creds), &mesh, &first.actor).await.unwrap();
        let tree = self.rig.done(&format!("git rev-parse {LANDED}^{{tree}}")).await;
        let commit = self.rig.done(&format!("git rev-parse {LANDED}")).await;
        let of = |more: Value| {
            let mut body = json!({ "session": first.session, "task": first.task,
                "attempt": first.attempt, "token": token });
            body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            body
        };
        let stale = [
            ("task.start", of(json!({ "base_commit": commit }))),
            ("task.progress", of(json!({ "message": "still here" }))),
            ("land.begin", of(json!({ "tree": tree }))),
            ("land.end", of(json!({ "outcome": "landed", "commit": commit, "tree": tree }))),
            ("task.complete", of(json!({}))),
            ("task.fail", of(json!({ "class": "exit", "message": "too late", "hard": false }))),
            ("task.abandon", of(json!({ "reason": "too late", "unspent": false }))),
        ];
        for (verb, body) in stale {
            let answer = client.submit_body(verb, body, WITHIN).await.unwrap();
            let Outcome::Reply(Reply::Err { error, seq }) = answer else {
                panic!("{verb}: {answer:?}");
            };
            assert_eq!(error.code, Code::StaleToken, "{verb}: {error}");
            assert!(seq.is_some(), "{verb}: a refusal that explains a task is on record");
        }
        let acquire = json!({ "session": first.session, "paths": ["src/"], "mode": "write" });
        let answer = client.submit_body("lock.acquire", acquire, WITHIN).await.unwrap();
        let Outcome::Reply(Reply::Err { error, .. }) = answer else { panic!("{answer:?}") };
        assert_eq!(error.code, Code::AgentNotRegistered, "{error}");
    }

    /// After its session's end the first attempt has changed nothing.
    async fn has_changed_nothing(&self, first: &TaskAwarded) {
        let records = self.records().await;
        let is_end = |event: &Event| matches!(event, Event::SessionLost(_));
        let end = records.iter().position(|it| it.events.iter().any(is_end)).unwrap();
        let own = records[end + 1..].iter().filter(|record| record.actor == first.actor);
        for event in own.flat_map(|record| &record.events) {
            match event {
                Event::CommandRejected(it) => {
                    assert_eq!(it.rejection.code, Code::StaleToken, "{it:?}");
                }
                Event::RefusalsSuppressed(_) | Event::AgentJoined(_) | Event::FrameworkRead(_) => {}
                other => panic!("{} has done {other:?}", first.actor),
            }
        }
    }
}

fn awards(records: &[Record]) -> impl Iterator<Item = &TaskAwarded> {
    records.iter().flat_map(|record| &record.events).filter_map(|event| match event {
        Event::TaskAwarded(award) => Some(award),
        _ => None,
    })
}

/// Processes that stand still.
struct Frozen(BTreeSet<i32>);

impl Frozen {
    /// Stops one process alone.
    fn only(pid: i32) -> Self {
        kill(Pid::from_raw(pid), Signal::SIGSTOP).unwrap();
        Self(BTreeSet::from([pid]))
    }

    /// Stops a process and all below it: those above first, so that none is started meanwhile.
    fn stop(root: i32) -> Self {
        let mut all = BTreeSet::new();
        let mut next = vec![root];
        while let Some(pid) = next.pop() {
            if all.insert(pid) {
                // It may have ended by itself.
                let _ = kill(Pid::from_raw(pid), Signal::SIGSTOP);
            }
            next.extend(children(pid).into_iter().filter(|child| !all.contains(child)));
        }
        Self(all)
    }

    /// Wakes them all.
    fn wake(self) {}
}

impl Drop for Frozen {
    /// A test that fails leaves nothing that stands still.
    fn drop(&mut self) {
        for pid in &self.0 {
            let _ = kill(Pid::from_raw(*pid), Signal::SIGCONT);
        }
    }
}

fn children(parent: i32) -> Vec<i32> {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    pids.filter(|pid| parent_of(*pid) == Some(parent)).collect()
}

fn parent_of(pid: i32) -> Option<i32> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

async fn until_there(path: &Path) {
    let deadline = Instant::now() + WITHIN;
    while !path.exists() {
        assert!(Instant::now() < deadline, "{} does not come", path.display());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_frozen_at_its_work_lands_nothing_and_another_goes_on_from_its_save() {
    let folder = tempfile::tempdir().unwrap();
    let go = folder.path().join("go");
    let prompt = WORK.replace("GO", go.to_str().unwrap());
    let scene = Scene::new(&prompt, "true").await;
    let (first, token) = scene.award().await;
    scene.is_saved().await;
    let frozen = scene.stop(&first.actor);
    assert!(frozen.0.len() > 2, "the agent, its tool and what that runs: {:?}", frozen.0);
    let landed = scene.finished_by_another(&first).await;
    std::fs::write(&go, "").unwrap();
    frozen.wake();
    scene.joins_again(&first).await;
    scene.is_refused(&first, token).await;
    scene.has_changed_nothing(&first).await;
    let rig = &scene.rig;
    let files = rig.done(&format!("git ls-tree -r --name-only {LANDED}")).await;
    assert_eq!(files, "src/done.txt\nsrc/draft.txt\nsrc/main.txt");
    rig.done("devmesh down").await;
    assert_eq!(rig.left().await, [], "what it ran is gone");
    assert_eq!(rig.done(&format!("git rev-parse {LANDED}")).await, landed, "it landed nothing");
}

/// Counts its runs, tells of each and waits for its release.
const GATE: &str = "n=$(ls GATES | grep -c run); touch GATES/run$n; \
    for i in $(seq 1500); do test -e GATES/go$n && exit 0; sleep 0.1; done; exit 1";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_frozen_in_its_turn_lands_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let gates = folder.path();
    let gate = gates.join("gate.sh");
    std::fs::write(&gate, GATE.replace("GATES", gates.to_str().unwrap())).unwrap();
    let prompt = "write\n\n```sh\necho $DEVMESH_ATTEMPT > src/which.txt\n```\n";
    let scene = Scene::new(prompt, &format!("sh {}", gate.display())).await;
    let (first, token) = scene.award().await;
    until_there(&gates.join("run0")).await;
    // The base gains a commit, so that what lands is proven once more, in the turn.
    scene.rig.done("echo more > src/more.txt; git add -A; git commit -qm more").await;
    std::fs::write(gates.join("go0"), "").unwrap();
    until_there(&gates.join("run1")).await;
    let began = |event: &Event| matches!(event, Event::LandBegan(it) if it.attempt == 1);
    assert!(scene.records().await.iter().flat_map(|it| &it.events).any(began), "it has the turn");
    let frozen = scene.stop(&first.actor);
    for n in 2..9 {
        std::fs::write(gates.join(format!("go{n}")), "").unwrap();
    }
    let landed = scene.finished_by_another(&first).await;
    std::fs::write(gates.join("go1"), "").unwrap();
    frozen.wake();
    scene.joins_again(&first).await;
    scene.is_refused(&first, token).await;
    scene.has_changed_nothing(&first).await;
    let rig = &scene.rig;
    assert_eq!(rig.done(&format!("git show {LANDED}:src/which.txt")).await, "2");
    rig.done("devmesh down").await;
    assert_eq!(rig.left().await, [], "what it ran is gone");
    assert_eq!(rig.done(&format!("git rev-parse {LANDED}")).await, landed, "it landed nothing");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_frozen_agent_had_left_to_tell_is_refused_when_it_wakes() {
    let folder = tempfile::tempdir().unwrap();
    let go = folder.path().join("go");
    // Its provider's limit ends the attempt for good.
    let limit = "```\n```scripted attempt=1\nrate-limit 1";
    let prompt = WORK.replace("GO", go.to_str().unwrap()).replace(LATE, limit);
    let scene = Scene::new(&prompt, "true").await;
    let (first, _) = scene.award().await;
    let runs =
        |event: &Event| matches!(event, Event::TaskProgressed(it) if it.tool_session.is_some());
    scene.until("its tool runs", runs).await;
    // Nobody hears how the attempt ends: the coordinator is dead, and nobody starts it again.
    let supervisor = Frozen::only(scene.pid("up"));
    kill(Pid::from_raw(scene.pid("coordinator")), Signal::SIGKILL).unwrap();
    std::fs::write(&go, "").unwrap();
    let outbox = scene.rig.at(&format!("state/agents/{}/outbox.json", first.actor));
    let deadline = Instant::now() + WITHIN;
    let waiting = || std::fs::read_to_string(&outbox).unwrap_or_default();
    while !waiting().contains("task.fail") {
        assert!(Instant::now() < deadline, "the attempt does not end: {}", waiting());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    scene.is_saved().await;
    let frozen = scene.stop(&first.actor);
    supervisor.wake();
    scene.finished_by_another(&first).await;
    frozen.wake();
    scene.joins_again(&first).await;
    let refused = |event: &Event| {
        matches!(event, Event::CommandRejected(it)
            if it.verb == "task.fail" && it.rejection.code == Code::StaleToken)
    };
    scene.until("what it had to tell is refused", refused).await;
    scene.has_changed_nothing(&first).await;
    let deadline = Instant::now() + WITHIN;
    while waiting().contains("task.fail") {
        assert!(Instant::now() < deadline, "it goes on telling");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_done_when_an_attempt_ended_is_there_for_the_next() {
    // So much that a save takes longer than an auction.
    let prompt = "write\n\n\
        ```sh attempt=1\nfor i in $(seq 5000); do echo $i > src/f$i; done\n```\n\
        ```scripted attempt=1\nrate-limit 600\n```\n\
        ```sh attempt=2+\nls src | grep -c '^f' > src/count.txt; rm src/f*\n```\n";
    let scene = Scene::new(prompt, "true").await;
    let (first, _) = scene.award().await;
    scene.rig.done("devmesh task wait --timeout 90 --within 90 t-1").await;
    let records = scene.records().await;
    assert_ne!(awards(&records).last().unwrap().actor, first.actor);
    assert_eq!(scene.rig.done(&format!("git show {LANDED}:src/count.txt")).await, "5000");
}
