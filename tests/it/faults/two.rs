//! Two coordinators: one serves, the other follows; who slept through a takeover is no leader.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::time::{Duration, Instant};

use devmesh_bus::client::mint;
use devmesh_bus::connect;
use devmesh_bus::cred::{Account, Role};
use devmesh_protocol::{ActorId, subject};
use futures::StreamExt;
use serde_json::{Value, json};

use super::agree;
use super::load::Load;
use super::mesh::{Mesh, WITHIN, lead, next_lead};
use crate::it::world::QUIET;

/// A generous bound of a takeover; `cargo xtask bench` measures it.
const TAKEOVER_MAX: Duration = Duration::from_secs(10);
/// Requests of which each must have one answer.
const ASKED: usize = 20;

/// Requests whose answers are all kept, and not the first alone.
struct Asked {
    client: async_nats::Client,
    answers: async_nats::Subscriber,
    inbox: String,
    mesh: devmesh_protocol::MeshId,
    sent: usize,
    got: BTreeMap<String, Vec<Value>>,
}

impl Asked {
    async fn new(mesh: &Mesh) -> Self {
        let creds = mesh.creds("p0", Role::Person, Account::Mesh);
        let client = connect::connect(&mesh.urls(), Some(&creds), "p0").await.unwrap();
        let inbox = client.new_inbox();
        let answers = client.subscribe(format!("{inbox}.*")).await.unwrap();
        let (mesh, got) = (mesh.name.clone(), BTreeMap::new());
        Self { client, answers, inbox, mesh, sent: 0, got }
    }

    /// Sends commands and queries in turn.
    async fn send(&mut self) {
        let actor = ActorId::new("p0").unwrap();
        for _ in 0..ASKED {
            let task = json!({ "id": mint(), "title": format!("{} {}", agree::ASKED, self.sent) });
            let command = subject::command(&self.mesh, &actor, "task.add");
            let query = subject::query(&self.mesh, &actor, "state");
            for (subject, body, kind) in [(command, task, "c"), (query, json!({}), "q")] {
                let reply = format!("{}.{kind}{}", self.inbox, self.sent);
                let body = body.to_string().into();
                self.client.publish_with_reply(subject, reply, body).await.unwrap();
            }
            self.sent += 1;
        }
        self.client.flush().await.unwrap();
    }

    /// Takes answers until each request has one.
    async fn all_answered(&mut self) {
        let deadline = Instant::now() + WITHIN;
        while self.got.len() < 2 * self.sent {
            assert!(Instant::now() < deadline, "{} of {}", self.got.len(), 2 * self.sent);
            self.take(Duration::from_millis(100)).await;
        }
    }

    /// Takes answers until none came for so long.
    async fn take(&mut self, quiet: Duration) {
        while let Ok(Some(answer)) = tokio::time::timeout(quiet, self.answers.next()).await {
            let body = serde_json::from_slice(&answer.payload).unwrap_or(Value::Null);
            self.got.entry(answer.subject.to_string()).or_default().push(body);
        }
    }

    /// Each request has one answer, and queries were answered by a term not before this.
    fn check(&self, epoch: u64) {
        for (subject, answers) in &self.got {
            assert_eq!(answers.len(), 1, "{subject} was answered more than once: {answers:?}");
            let answer = &answers[0];
            assert_eq!(answer["ok"], true, "{subject}: {answer}");
            let shown = answer["result"]["epoch"].as_u64();
            assert!(shown.is_none_or(|shown| shown >= epoch), "{subject}: {answer}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_two_serves_and_after_its_death_the_other() {
    let mesh = Mesh::start(1).await;
    let mut running = vec![mesh.coordinator(), mesh.coordinator()];
    mesh.furnish(1).await;
    let person = mesh.person("p0").await;
    let mut asked = Asked::new(&mesh).await;
    let first = lead(&person).await;
    asked.send().await;
    asked.all_answered().await;
    asked.take(QUIET).await;
    asked.check(first.epoch);
    assert_eq!(lead(&person).await, first, "nobody else has begun a term");

    let at = running.iter().position(|process| process.leads(&first)).unwrap();
    running.remove(at).kill();
    let died = Instant::now();
    let second = next_lead(&person, &first).await;
    let took = died.elapsed();
    let _ = writeln!(
        std::io::stderr(),
        "a standby serves {} ms after its leader died",
        took.as_millis()
    );
    assert!(took < TAKEOVER_MAX, "{took:?}");
    assert!(running[0].leads(&second), "{second:?}");
    asked.send().await;
    asked.all_answered().await;
    asked.take(QUIET).await;
    asked.check(first.epoch);
    let whole = agree::hashes(&mesh, &person).await;
    assert_eq!(agree::terms(&whole), 2, "one term for each");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_fell_asleep_at_work_changes_nothing_and_follows() {
    sleeps_through_a_takeover(true).await;
}

/// Nothing is in flight when it stops: what it finds when it wakes is all that it has missed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_fell_asleep_at_rest_changes_nothing_and_follows() {
    sleeps_through_a_takeover(false).await;
}

async fn sleeps_through_a_takeover(at_work: bool) {
    let mesh = Mesh::start(1).await;
    let mut running = vec![mesh.coordinator(), mesh.coordinator()];
    mesh.furnish(4).await;
    let person = mesh.person("p0").await;
    let early = if at_work { Some(Load::start(&mesh, 4).await) } else { None };
    if let Some(load) = &early {
        load.progress(100).await;
    }

    let first = lead(&person).await;
    let at = running.iter().position(|process| process.leads(&first)).unwrap();
    let mut asleep = running.remove(at);
    let awake = running.remove(0);
    asleep.freeze();
    let second = next_lead(&person, &first).await;
    assert!(awake.leads(&second), "{second:?}");
    // These reach both: the one that leads, and the one that believes so when it wakes.
    let mut asked = Asked::new(&mesh).await;
    asked.send().await;
    asked.all_answered().await;
    let load = match early {
        Some(load) => load,
        None => Load::start(&mesh, 4).await,
    };
    load.progress(200).await;
    asleep.thaw();
    has_stepped_down(&asleep).await;
    load.progress(200).await;
    asked.take(QUIET).await;
    asked.check(second.epoch);
    assert_eq!(lead(&person).await, second, "the one that woke has begun no term");

    // It follows: with the other gone it leads again, the same process.
    awake.kill();
    let third = next_lead(&person, &second).await;
    assert!(asleep.runs() && asleep.leads(&third), "{third:?}\n{}", asleep.said());
    load.progress(100).await;
    let story = load.end().await;
    let whole = agree::hashes(&mesh, &person).await;
    let messages = &whole.messages;
    let begun = messages.iter().position(|it| it.counts && it.batch.epoch == second.epoch);
    let late = messages[begun.unwrap()..].iter().filter(|it| it.batch.epoch == first.epoch);
    assert!(late.clone().all(|it| !it.counts), "a term that is over wrote what counts");
    agree::commands(&story, &whole);
    agree::tokens(&story, &whole);
    agree::again(&mesh, &story).await;
}

/// Waits until it says that its term has ended.
async fn has_stepped_down(process: &super::mesh::Process) {
    let deadline = Instant::now() + WITHIN;
    while !process.said().contains("the term has ended") {
        assert!(Instant::now() < deadline, "it goes on:\n{}", process.said());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
