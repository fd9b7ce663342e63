//! A store without room: what is asked then is not acknowledged, what was acknowledged stays, and
//! when the server finds room again all goes on.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufRead, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use devmesh_bus::client::{Client, Outcome, mint};
use devmesh_bus::server::ServerOptions;
use devmesh_protocol::Reply;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::agree;
use super::load::Load;
use super::mesh::{Mesh, Process, WITHIN};

/// How long something is asked for that must not be answered as done.
const ASKED: Duration = Duration::from_secs(3);

/// A small disk for the server's store: a tmpfs in a namespace of its own, so that no right of the
/// machine's is needed. It lives as long as the process that holds the namespace.
struct Small {
    holder: Child,
    dir: TempDir,
}

impl Small {
    /// None where the machine lends no namespaces.
    fn new() -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let store = dir.path().join("nats/store");
        std::fs::create_dir_all(&store).unwrap();
        let mount = "mount -t tmpfs -o size=24m none \"$0\" && echo held && exec cat";
        let mut holder = Command::new("unshare");
        holder.args(["-Urm", "sh", "-c", mount]).arg(&store);
        holder.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut said = String::new();
        if let Ok(mut holder) = holder.spawn() {
            let out = holder.stdout.as_mut().unwrap();
            let _ = BufReader::new(out).read_line(&mut said);
            let small = Self { holder, dir };
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
        let text = format!(
            "#!/bin/sh\nexec nsenter -t {} -U -m --preserve-credentials '{}' \"$@\"\n",
            self.holder.id(),
            options.binary.display(),
        );
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
        options.binary = path;
        options.dir = self.dir.path().join("nats");
    }

    /// The store, as the server sees it.
    fn store(&self) -> PathBuf {
        let store = self.dir.path().join("nats/store");
        PathBuf::from(format!("/proc/{}/root{}", self.holder.id(), store.display()))
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
    let outcome = attempt(&person, &body).await;
    assert!(matches!(outcome, Outcome::Unknown { .. }), "{outcome:?}");
    // A server that is started on it does not acknowledge either, if it starts at all.
    mesh.kill_server().await;
    if mesh.start_server().await.is_ok() {
        let outcome = attempt(&person, &body).await;
        assert!(matches!(outcome, Outcome::Unknown { .. }), "{outcome:?}");
        mesh.kill_server().await;
    }
    small.make_room();
    mesh.start_server().await.unwrap();
    goes_on(&person, &body).await;
    let said: String = running.iter().map(Process::said).collect();
    assert!(said.contains("the claim is not acknowledged"), "it says what is wrong: {said}");
    let whole = agree::hashes(&mesh, &person).await;
    let records: BTreeSet<u64> = whole.records().map(|record| record.seq).collect();
    assert!(story.told().all(|told| records.contains(&told.seq)), "what was acknowledged is lost");
    agree::again(&mesh, &story).await;
}

/// What was asked is done, under the same id, once.
async fn goes_on(person: &Client, body: &Value) {
    let answer = person.submit_body("lock.acquire", body.clone(), WITHIN).await.unwrap();
    let Outcome::Reply(Reply::Ok { seq, .. }) = answer else { panic!("{answer:?}") };
    let answer = person.submit_body("lock.acquire", body.clone(), WITHIN).await.unwrap();
    let Outcome::Reply(Reply::Ok { seq: again, .. }) = answer else { panic!("{answer:?}") };
    assert_eq!(seq, again);
}
