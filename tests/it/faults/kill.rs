//! Leaders that are killed, one after the other, under load.

use std::io::Write as _;
use std::time::{Duration, Instant};

use super::agree;
use super::load::Load;
use super::mesh::{Mesh, Process, WITHIN, lead, next_lead};

/// Who calls.
const CALLERS: usize = 8;
/// Leaders that die.
const KILLS: u32 = 20;
/// Between two deaths.
const EVERY: Duration = Duration::from_secs(1);
/// All of it on a slow machine; it takes a fraction of this.
const ALL_MAX: Duration = Duration::from_secs(170);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_leaders_are_killed_on_one_server() {
    tokio::time::timeout(ALL_MAX, twenty_deaths(1)).await.expect("in time");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_leaders_are_killed_on_three_servers() {
    tokio::time::timeout(ALL_MAX, twenty_deaths(3)).await.expect("in time");
}

async fn twenty_deaths(servers: usize) {
    let mesh = Mesh::start(servers).await;
    let mut running = vec![mesh.coordinator(), mesh.coordinator()];
    mesh.furnish(CALLERS).await;
    let asker = mesh.person("p0").await;
    let load = Load::start(&mesh, CALLERS).await;
    let began = tokio::time::Instant::now();
    let mut gaps = Vec::new();
    for round in 1..=KILLS {
        load.progress(CALLERS as u64).await;
        let before = lead(&asker).await;
        take(&mut running, |process| process.leads(&before)).kill();
        let died = Instant::now();
        running.push(mesh.coordinator());
        next_lead(&asker, &before).await;
        gaps.push(died.elapsed());
        tokio::time::sleep_until(began + EVERY * round).await;
    }
    load.progress(CALLERS as u64).await;
    let story = load.end().await;
    let took = began.elapsed();
    let whole = agree::hashes(&mesh, &asker).await;
    agree::commands(&story, &whole);
    agree::tokens(&story, &whole);
    agree::again(&mesh, &story).await;
    assert!(agree::terms(&whole) > KILLS as usize, "{}", agree::terms(&whole));
    // Whoever followed all the while has the same state as who led.
    let before = lead(&asker).await;
    take(&mut running, |process| process.leads(&before)).kill();
    next_lead(&asker, &before).await;
    agree::hashes(&mesh, &asker).await;
    gaps.sort_unstable();
    let (answered, unknown) = (story.told().count(), story.unknown);
    let _ = writeln!(
        std::io::stderr(),
        "{KILLS} leaders killed in {took:.1?} on {servers} server(s): {answered} commands \
         answered, {unknown} asked for again; followed after {} ms (median), {} ms (longest)",
        gaps[gaps.len() / 2].as_millis(),
        gaps[gaps.len() - 1].as_millis(),
    );
    assert!(gaps[gaps.len() / 2] < WITHIN / 3, "{gaps:?}");
}

/// Takes the process out that is meant.
fn take(running: &mut Vec<Process>, is_meant: impl Fn(&Process) -> bool) -> Process {
    let at = running.iter().position(is_meant).expect("the leader is one of those started");
    running.remove(at)
}
