//! A store without room, or read-only: what is asked then is not acknowledged and people are told
//! why, what was acknowledged stays and is shown, and when there is room again all goes on.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufRead, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use devmesh_bus::client::{Client, Outcome, mint};
use devmesh_bus::server::{ServerOptions, SyncMode};
use devmesh_protocol::Reply;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::agree;
use super::load::Load;
use super::mesh::{Mesh, Process, WITHIN, state};
use crate::scripts::rig::Rig;

/// How long something is asked for that must not be answered as done.
const ASKED: Duration = Duration::from_secs(3);

/// A small disk for the server's store: a tmpfs in a namespace of its own, so that no right of the
/// machine's is needed. It lives as long as the process that holds the namespace.
struct Small {
    holder: Child,
    dir: TempDir,
    mounted: PathBuf,
}

impl Small {
    /// None where the machine lends no namespaces.
    fn new() -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let store = dir.path().join("nats/store");
        Self::at(dir, store, "24m")
    }

    /// The same at `store`.
    fn at(dir: TempDir, store: PathBuf, size: &str) -> Option<Self> {
        std::fs::create_dir_all(&store).unwrap();
        let mount = format!("mount -t tmpfs -o size={size} none \"$0\" && echo held && exec cat");
        let mut holder = Command::new("unshare");
        holder.args(["-Urm", "sh", "-c", &mount]).arg(&store);
        holder.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut said = String::new();
        if let Ok(mut holder) = holder.spawn() {
            let out = holder.stdout.as_mut().unwrap();
            let _ = BufReader::new(out).read_line(&mut said);
            let small = Self { holder, dir, mounted: store };
            if said == "held\n" {
                return Some(small);
            }
        }
        let _ = writeln!(std::io::stderr(), "SKIP: this machine lends no mount namespace");
        None
    }

    /// Has a server keep its store here.
    fn take(&self, options: &mut ServerOptions) {
        let path = self.dir.path().join("nats-server");
        let text =
            format!("#!/bin/sh\nexec {} '{}' \"$@\"\n", self.inside(), options.binary.display(),);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
        options.binary = path;
        options.dir = self.dir.path().join("nats");
    }

    /// The store, as the server sees it.
    fn store(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root{}", self.holder.id(), self.mounted.display()))
    }

    /// What a shell line is run with to run where the disk is.
    fn inside(&self) -> String {
        format!("nsenter -t {} -U -m --preserve-credentials", self.holder.id())
    }

    /// Mounts it again, read-only or not. No while a file is open to be written.
    fn remount(&self, how: &str) -> bool {
        let line = format!("{} mount -o remount,{how} '{}'", self.inside(), self.mounted.display());
        Command::new("sh").args(["-c", &line]).stderr(Stdio::null()).status().unwrap().success()
    }

    /// Takes the disk to its last byte.
    fn fill(&self) {
        let mut file = File::create(self.store().join("filler")).unwrap();
        for size in [1 << 20, 1 << 12, 1] {
            while file.write_all(&vec![0; size]).is_ok() {}
        }
    }

    /// Gives room again.
    fn make_room(&self) {
        std::fs::remove_file(self.store().join("filler")).unwrap();
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

/// What comes of a command now: an answer, or none.
async fn attempt(client: &Client, body: &Value) -> Outcome {
    client.submit_body("lock.acquire", body.clone(), ASKED).await.unwrap()
}

/// Nothing is done, nothing is called failed, and what to do is said; what was settled is shown.
async fn is_told(mesh: &Mesh, person: &Client, body: &Value) {
    let deadline = Instant::now() + WITHIN;
    loop {
        match attempt(person, body).await {
            Outcome::Unknown { why } if why.starts_with("the store takes nothing") => {
                let store = mesh.store().display().to_string();
                assert!(why.contains(&store) && why.contains("KiB are free"), "{why}");
                break;
            }
            Outcome::Unknown { why } => {
                assert!(Instant::now() < deadline, "it is not said what is wrong: {why}");
            }
            answer @ Outcome::Reply(_) => panic!("{answer:?}"),
        }
    }
    for _ in 0..20 {
        let began = Instant::now();
        let shown = state(person).await;
        assert!(shown["stale"].as_str().unwrap().contains("the store takes nothing"), "{shown}");
        assert!(shown["seq"].as_u64().unwrap() > 0 && began.elapsed() < ASKED, "{shown}");
        tokio::time::sleep(Duration::from_millis(150)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_fills_up_stops_what_is_written_and_nothing_else() {
    let Some(small) = Small::new() else { return };
    let mut mesh = Mesh::start_with(1, |options| small.take(options)).await;
    let running = [mesh.coordinator(), mesh.coordinator()];
    mesh.furnish(4).await;
    let load = Load::start(&mesh, 4).await;
    load.progress(200).await;
    let story = load.end().await;
    small.fill();

    let person = mesh.person("p0").await;
    let body = json!({ "id": mint(), "paths": ["late.rs"], "mode": "write" });
    let deadline = Instant::now() + WITHIN;
    // The file that is written to has room left in its last block.
    for n in 0.. {
        let body = json!({ "paths": [format!("{n}.rs")], "mode": "write" });
        if matches!(attempt(&person, &body).await, Outcome::Unknown { .. }) {
            break;
        }
        assert!(Instant::now() < deadline, "the store is full and goes on");
    }
    is_told(&mesh, &person, &body).await;
    small.make_room();
    // The server does not get over it by itself.
    let outcome = attempt(&person, &body).await;
    assert!(matches!(outcome, Outcome::Unknown { .. }), "{outcome:?}");
    mesh.kill_server().await;
    mesh.start_server().await.unwrap();
    goes_on(&person, &body).await;
    let said: String = running.iter().map(Process::said).collect();
    assert!(said.contains("the store takes nothing"), "it says what is wrong: {said}");
    assert!(state(&person).await["stale"].is_null());
    let whole = agree::hashes(&mesh, &person).await;
    let records: BTreeSet<u64> = whole.records().map(|record| record.seq).collect();
    assert!(story.told().all(|told| records.contains(&told.seq)), "what was acknowledged is lost");
    agree::again(&mesh, &story).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_becomes_read_only_is_told_like_a_full_one() {
    let Some(small) = Small::new() else { return };
    let mut mesh = Mesh::start_with(1, |options| {
        small.take(options);
        options.sync = SyncMode::Every(Duration::from_secs(1));
    })
    .await;
    let _coordinator = mesh.coordinator();
    mesh.furnish(1).await;
    let person = mesh.person("p0").await;
    // Only a disk that nobody has open to be written can be mounted read-only: the server closes
    // what has not been written to for half a minute.
    let deadline = Instant::now() + WITHIN * 3;
    while !small.remount("ro") {
        assert!(Instant::now() < deadline, "the store cannot be made read-only");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let body = json!({ "id": mint(), "paths": ["late.rs"], "mode": "write" });
    is_told(&mesh, &person, &body).await;
    assert!(small.remount("rw"));
    mesh.kill_server().await;
    mesh.start_server().await.unwrap();
    goes_on(&person, &body).await;
    agree::hashes(&mesh, &person).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn up_says_that_the_disk_is_full_and_goes_on_when_there_is_room() {
    let rig = Rig::new().await;
    let dir = tempfile::tempdir().unwrap();
    let Some(small) = Small::at(dir, rig.at("state/nats/store"), "160m") else { return };
    let repo = rig.at("repo").display().to_string();
    let inside = |line: &str| format!("{} sh -c \"cd '{repo}' && {line}\"", small.inside());
    small.fill();
    let (code, said) = rig.fails(&inside("devmesh up -d --lite")).await;
    assert!(code != 0 && said.contains("free some space"), "{code}: {said}");
    small.make_room();
    rig.done(&inside("devmesh up -d --lite")).await;
    small.fill();
    let deadline = Instant::now() + WITHIN;
    // The file that is written to has room left in its last block.
    for n in 0.. {
        let ask = inside(&format!("devmesh lock acquire {n}.rs"));
        let (code, said) = rig.fails(&ask).await;
        if code == 5 && said.contains("the store takes nothing") {
            assert!(said.contains("nats/store") && said.contains("may have happened"), "{said}");
            break;
        }
        assert!(Instant::now() < deadline, "{code}: {said}");
    }
    let shown = rig.done(&inside("devmesh status")).await;
    assert!(shown.contains("nothing is recorded now: the store takes nothing"), "{shown}");
    small.make_room();
    let room = Instant::now();
    let state = inside("devmesh status --json");
    loop {
        // The bus is gone for a moment while it is started again.
        let (code, said) = rig.tried(&state).await;
        let shown: Option<Value> = (code == 0).then(|| serde_json::from_str(&said).unwrap());
        if shown.is_some_and(|shown| shown["stale"].is_null()) {
            break;
        }
        assert!(room.elapsed() < WITHIN, "it does not go on: {code}: {said}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    rig.done(&inside("devmesh lock acquire late.rs")).await;
    rig.done(&inside("devmesh down")).await;
}

/// What was asked is done, under the same id, once.
async fn goes_on(person: &Client, body: &Value) {
    let answer = person.submit_body("lock.acquire", body.clone(), WITHIN).await.unwrap();
    let Outcome::Reply(Reply::Ok { seq, .. }) = answer else { panic!("{answer:?}") };
    let answer = person.submit_body("lock.acquire", body.clone(), WITHIN).await.unwrap();
    let Outcome::Reply(Reply::Ok { seq: again, .. }) = answer else { panic!("{answer:?}") };
    assert_eq!(seq, again);
}
