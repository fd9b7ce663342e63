//! Coordinators over real servers: what is acknowledged is in the log, once, whatever dies.

use std::time::{Duration, Instant};

use devmesh_bus::client::{Client, Outcome};
use devmesh_bus::cred::{Account, Role};
use devmesh_coordinator::Args;
use devmesh_protocol::{ActorId, Event, MeshId, Record, Reply, SessionId};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::coordinator_world::{Load, WITHIN, World, call, compare, ok};

fn terms(records: &[Record]) -> usize {
    let events = records.iter().flat_map(|record| &record.events);
    events.filter(|event| matches!(event, Event::EpochStarted(_))).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leaders_that_die_under_load_lose_nothing_and_do_nothing_twice() {
    let world = World::start(1).await;
    let mut running = vec![world.coordinator(0), world.coordinator(1)];
    world.furnish(8).await;
    let load = Load::start(&world, 8).await;
    for number in 2..8 {
        load.progress(50).await;
        // The older of the two leads, or has just lost the claim to the other.
        running.remove(0).kill().await;
        running.push(world.coordinator(number));
    }
    load.progress(50).await;
    let told = load.end().await;
    let (_, records) = world.read().await;
    compare(&told, &records);
    assert!(terms(&records) >= 4, "{}", terms(&records));
    for running in running {
        running.stop().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_takeover_is_soon_done_and_the_standby_has_the_same_state() {
    let world = World::start(1).await;
    let first = world.coordinator(0);
    world.furnish(1).await;
    let second = world.coordinator(1);
    let person = world.client("p0").await;
    for n in 0..50 {
        ok(&person, "lock.acquire", json!({ "paths": [format!("{n}.rs")], "mode": "write" })).await;
    }
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    first.kill().await;
    let died = Instant::now();
    ok(&person, "lock.acquire", json!({ "paths": ["last.rs"], "mode": "write" })).await;
    // A shared machine may add to the second; two would be another design.
    assert!(died.elapsed() < Duration::from_secs(2), "{:?}", died.elapsed());
    let shown = person.query("state", json!({}), WITHIN).await.unwrap();
    let Outcome::Reply(Reply::Ok { result, .. }) = shown else { panic!("{shown:?}") };
    let (mut reader, _) = world.read().await;
    assert_eq!(result["hash"], json!(reader.hash()));
    assert_eq!(result["epoch"], 2);
    second.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_killed_under_load_loses_nothing() {
    let mut world = World::start(1).await;
    let coordinator = world.coordinator(0);
    world.furnish(8).await;
    let load = Load::start(&world, 8).await;
    for _ in 0..4 {
        load.progress(50).await;
        world.cluster.servers[0].restart().await;
    }
    load.progress(50).await;
    let told = load.end().await;
    let (_, records) = world.read().await;
    compare(&told, &records);
    assert!(!coordinator.has_ended());
    coordinator.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_servers_lose_their_leader_and_no_command() {
    let mut world = World::start(3).await;
    let coordinators = [world.coordinator(0), world.coordinator(1)];
    world.furnish(4).await;
    let load = Load::start(&world, 4).await;
    for _ in 0..2 {
        load.progress(20).await;
        let leader = world.cluster.leader("DEVMESH_T").await;
        world.cluster.servers[leader].kill();
        load.progress(20).await;
        world.cluster.servers[leader].run().await;
        world.cluster.current("DEVMESH_T").await;
    }
    let told = load.end().await;
    let (_, records) = world.read().await;
    compare(&told, &records);
    for coordinator in coordinators {
        coordinator.stop().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_server_makes_the_outcome_unknown_and_never_wrong() {
    let world = World::start(1).await;
    let coordinator = world.coordinator(0);
    world.furnish(2).await;
    let load = Load::start(&world, 2).await;
    load.progress(50).await;
    world.cluster.servers[0].freeze();
    tokio::time::sleep(Duration::from_millis(2_600)).await;
    world.cluster.servers[0].thaw();
    load.progress(50).await;
    let told = load.end().await;
    let (_, records) = world.read().await;
    compare(&told, &records);
    coordinator.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn texts_are_shown_and_forgotten() {
    let world = World::start(1).await;
    let coordinator = world.coordinator(0);
    world.furnish(1).await;
    let person = world.client("p0").await;
    let prompt = "make the parser accept tabs";
    let added = ok(&person, "task.add", json!({ "title": "t", "prompt": prompt })).await;
    let ask = || person.query("task", json!({ "task": added["task"] }), WITHIN);
    let Outcome::Reply(Reply::Ok { result, .. }) = ask().await.unwrap() else { panic!() };
    assert_eq!(result["prompt"], prompt);
    // Another process has it from the store.
    coordinator.kill().await;
    let coordinator = world.coordinator(1);
    let Outcome::Reply(Reply::Ok { result, .. }) = ask().await.unwrap() else { panic!() };
    assert_eq!(result["prompt"], prompt);
    let digest = devmesh_protocol::Digest::of(prompt.as_bytes());
    ok(&person, "redact", json!({ "digest": digest })).await;
    let Outcome::Reply(Reply::Ok { result, .. }) = ask().await.unwrap() else { panic!() };
    assert_eq!(result["prompt"], json!(null));
    let deadline = Instant::now() + WITHIN;
    while devmesh_bus::media::text::get(&person, &digest).await.unwrap().is_some() {
        assert!(Instant::now() < deadline, "the bytes are still there");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    coordinator.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_came_back_older_is_not_written_on() {
    let mut world = World::start(1).await;
    let coordinator = world.coordinator(0);
    world.furnish(1).await;
    coordinator.stop().await.unwrap();
    world.cluster.servers[0].stop();
    let copy = world.cluster.servers[0].copy_store();
    world.cluster.servers[0].run().await;
    let coordinator = world.coordinator(0);
    ok(&world.client("p0").await, "note.share", json!({ "key": "k", "value": "v" })).await;
    coordinator.stop().await.unwrap();
    world.cluster.servers[0].stop();
    world.cluster.servers[0].put_store(&copy);
    world.cluster.servers[0].run().await;
    let coordinator = world.coordinator(0);
    let deadline = Instant::now() + WITHIN;
    while !coordinator.has_ended() {
        assert!(Instant::now() < deadline, "it goes on");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let error = coordinator.stop().await.unwrap_err().to_string();
    assert!(error.contains("rolled back"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_credentials_each_speaks_for_itself() {
    let world = super::world::World::start().await;
    let minted = world.mint("coordinator", Role::Coordinator);
    let mesh = MeshId::new(super::world::MESH).unwrap();
    let args = Args {
        nats_url: world.server.url().to_owned(),
        creds: minted.file(Account::Core).map(Into::into),
        mesh: mesh.clone(),
        node: None,
        state_dir: None,
        store_dir: None,
        trust_everybody: false,
    };
    let stop = CancellationToken::new();
    let running = tokio::spawn(devmesh_coordinator::run(args, stop.clone()));
    let connect = async |name: &str, role| {
        let minted = world.mint(name, role);
        let actor = ActorId::new(name).unwrap();
        let url = world.server.url();
        Client::connect(url, minted.file(Account::Mesh), &mesh, &actor).await.unwrap()
    };
    let admin = connect("admin", Role::Admin).await;
    let alice = connect("alice", Role::Person).await;
    let codex = connect("codex-1", Role::Agent).await;
    for (actor, role) in [("alice", "person"), ("codex-1", "agent")] {
        ok(&admin, "actor.add", json!({ "actor": actor, "role": role })).await;
    }
    ok(&alice, "repo.add", json!({ "name": "web", "path": "/w" })).await;
    let join = json!({ "session": "s1", "tool": "codex", "host": "h1" });
    ok(&codex, "agent.join", join).await;
    let acquire = json!({ "session": "s1", "paths": ["a.rs"], "mode": "write" });
    ok(&codex, "lock.acquire", acquire).await;
    let beat = codex.beat(&SessionId::new("s1").unwrap(), 1).await.unwrap();
    assert!(beat.live && beat.leases.len() == 1, "{beat:?}");
    let Reply::Err { error, seq } =
        call(&alice, "lock.acquire", json!({ "paths": ["a.rs"], "mode": "write" })).await
    else {
        panic!("it is held")
    };
    assert_eq!((error.code.as_str(), seq.is_some()), ("LOCK_CONFLICT", true));
    let shown = alice.query("locks", json!({ "at_least": seq }), WITHIN).await.unwrap();
    let Outcome::Reply(Reply::Ok { result, .. }) = shown else { panic!("{shown:?}") };
    assert!(result.to_string().contains("a.rs"), "{result}");
    stop.cancel();
    running.await.unwrap().unwrap();
}
