//! Browsers that do not read, while much happens.

use std::time::{Duration, Instant};

use devmesh_protocol::HostId;
use devmesh_protocol::command::internal::Internal;
use devmesh_protocol::event::Capacity;
use futures::StreamExt;
use serde_json::json;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use crate::world::{PATIENCE, World, rows};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_that_do_not_read_hold_up_nobody() {
    let world = World::start().await;
    world.desk.say("alice", "repo.add", json!({ "name": "app", "path": "/srv/app" }));
    let mut slow = Vec::new();
    for _ in 0..50 {
        let (socket, _) = world.page().await;
        slow.push(socket);
    }
    let (mut page, _) = world.page().await;
    // Each round is one push of about a quarter of a megabyte: a row with a long list.
    let began = Instant::now();
    let mut pushes = 0;
    let mut slowest = Duration::ZERO;
    let wide: Vec<String> = (0..120).map(|n| format!("{n}/{}", "p".repeat(200))).collect();
    while pushes < 700 && began.elapsed() < PATIENCE {
        let sent = Instant::now();
        let title = format!("task {pushes}");
        let added = world.desk.say("alice", "task.add", json!({ "title": title, "paths": wide }));
        assert!(matches!(added, devmesh_protocol::Reply::Ok { .. }), "{added:?}");
        page.find(|frame| rows(frame, "tasks").iter().any(|row| row["title"] == title)).await;
        slowest = slowest.max(sent.elapsed());
        pushes += 1;
    }
    assert!(pushes > 300, "{pushes} pushes in {:?}", began.elapsed());
    assert!(slowest < Duration::from_secs(2), "{slowest:?}");
    // Those who did not read were let go, and may come back.
    let mut ended = 0;
    for socket in &mut slow {
        let close = tokio::time::timeout(PATIENCE, socket.end()).await.unwrap();
        ended += 1;
        assert!(close.is_none_or(|close| close.code == CloseCode::Again));
    }
    assert_eq!(ended, 50);
    let (_, snapshot) = world.page().await;
    assert_eq!(rows(&snapshot, "tasks").len(), pushes);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn much_at_once_is_few_pushes() {
    let world = World::start().await;
    let (mut page, _) = world.page().await;
    let hosts = 500;
    let before = world.desk.seq();
    for n in 0..hosts {
        let host = HostId::new(&format!("h{n}")).unwrap();
        let capacity = Capacity { ram_mb: 1_024, vram_mb: Vec::new(), slots: 1 };
        world.desk.put_in(Internal::HostMeasured { host, capacity, report: None });
    }
    let records = world.desk.seq() - before;
    let (mut seen, mut pushes) = (0, 0);
    while seen < hosts {
        let delta = page.until("delta").await;
        seen += rows(&delta, "hosts").len();
        pushes += 1;
    }
    assert!(pushes * 5 < records, "{pushes} pushes for {records} records");
}

/// How long it takes is printed, for people who change this, and judged by nobody.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_look_on_and_each_sees_all() {
    let world = World::start().await;
    world.desk.say("alice", "repo.add", json!({ "name": "app", "path": "/srv/app" }));
    let (count, mut others) = (1_000_u64, tokio::task::JoinSet::new());
    let last = format!("\"task {}\"", count - 1);
    for _ in 0..199 {
        let (mut socket, _) = world.page().await;
        let last = last.clone();
        others.spawn(async move {
            loop {
                let message = socket.stream.next().await.unwrap().unwrap();
                if message.to_text().is_ok_and(|text| text.contains(&last)) {
                    return;
                }
            }
        });
    }
    let (mut page, _) = world.page().await;
    let (desk, base) = (world.desk.clone(), Instant::now());
    let sent = std::thread::spawn(move || {
        let mut times = Vec::new();
        for n in 0..count {
            let due = Duration::from_millis(n);
            std::thread::sleep(due.saturating_sub(base.elapsed()));
            times.push(base.elapsed());
            desk.say("alice", "task.add", json!({ "title": format!("task {n}") }));
        }
        times
    });
    let mut came = std::collections::BTreeMap::new();
    while (came.len() as u64) < count {
        let delta = page.until("delta").await;
        for row in rows(&delta, "tasks") {
            let n = row["title"].as_str().unwrap().strip_prefix("task ").unwrap();
            came.entry(n.parse::<usize>().unwrap()).or_insert(base.elapsed());
        }
    }
    let sent = sent.join().unwrap();
    let mut took: Vec<Duration> = came.iter().map(|(n, at)| at.saturating_sub(sent[*n])).collect();
    took.sort();
    println!("p50 {:?}, p99 {:?}", took[took.len() / 2], took[took.len() * 99 / 100]);
    let all = async { while others.join_next().await.is_some_and(|seen| seen.is_ok()) {} };
    tokio::time::timeout(PATIENCE, all).await.unwrap();
    assert!(others.is_empty(), "each saw the last one");
}
