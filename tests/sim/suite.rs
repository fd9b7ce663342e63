//! The simulation itself: first of all that it is the same every time, then the long scenes, many
//! seeds, and that deliberate bugs are found.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "in a test a panic is how a failure is told, and what was run is told"
)]

mod histories;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use devmesh_protocol::planted::{self, Fault};
use devmesh_sim::many::caught;
use devmesh_sim::scene::SCENES;
use devmesh_sim::{Many, Outcome, many, run};

/// Steps of each seed under faults.
const STEPS: u64 = 2_000;
/// How long seeds are begun, in seconds; `DEVMESH_SIM_SECONDS` says otherwise.
const SECONDS: u64 = 240;
/// Seeds that are run however slow the machine is.
const SEEDS_MIN: u64 = 200;
/// Seeds that are run however fast it is; `cargo xtask sim` explores beyond them.
const SEEDS_MAX: u64 = 5_000;
/// Runs among which rare things must have happened.
const RARE_RUNS: u64 = 2_000;
/// Seeds in which a deliberate bug is looked for.
const BUG_SEEDS: u64 = 2_000;
/// Seeds in which the others are looked for.
const OTHER_BUG_SEEDS: u64 = 60;

/// Bugs that only a whole mesh shows.
const ONLY_HERE: &[Fault] = &[
    Fault::ReplyBeforeAck,
    Fault::AppendWithoutExpected,
    Fault::TermGoesOn,
    Fault::BeatWithoutProof,
];

/// Seeds of each scene.
const SCENE_SEEDS: u64 = 2;

/// First of all: nothing but the seed decides.
#[test]
fn the_same_seed_makes_the_same_bytes() {
    same_bytes(20);
}

fn same_bytes(seeds: u64) {
    for seed in 1..=seeds {
        let (one, other) = (run(seed, 500), run(seed, 500));
        assert_eq!(one, other, "seed {seed}");
        assert_eq!(one.wrong, None, "seed {seed}");
    }
    assert_ne!(run(2, 300).trace, run(3, 300).trace);
}

#[test]
fn long_scenes() {
    let mut wrong = String::new();
    for scene in SCENES {
        for seed in 1..=SCENE_SEEDS {
            let began = Instant::now();
            match (scene.play)(seed) {
                Ok(seen) => {
                    println!("{} ({seed}): {seen}, {:.1?}", scene.name, began.elapsed());
                }
                Err(why) => writeln!(wrong, "{} ({seed}): {why}", scene.name).unwrap(),
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn many_seeds() {
    // Where that does not hold no seed says anything.
    same_bytes(3);
    let seconds = std::env::var("DEVMESH_SIM_SECONDS").map_or(SECONDS, |it| it.parse().unwrap());
    let within = Duration::from_secs(seconds);
    let seeds = Many { first: 1, most: SEEDS_MAX, least: SEEDS_MIN, within };
    let began = Instant::now();
    let (stats, failures) = many(seeds, |seed| run(seed, STEPS));
    println!(
        "SEEDS: {} of {STEPS} steps in {:.0?}: {} faults, {} records, {} operations on leases",
        stats.runs,
        began.elapsed(),
        stats.all_faults(),
        stats.records,
        stats.operations
    );
    failures.iter().for_each(keep);
    let told: Vec<String> = failures
        .iter()
        .map(|it| format!("seed {}: {}", it.seed, it.wrong.as_deref().unwrap_or_default()))
        .collect();
    assert!(told.is_empty(), "cargo xtask sim --seeds 1 --seed …\n{}", told.join("\n"));
    // What nothing happens in is no test.
    for (what, n) in [
        ("faults", stats.all_faults()),
        ("operations on leases", stats.operations),
        ("answers given again", stats.again),
        ("takeovers", stats.events.get("terms").copied().unwrap_or(0)),
        ("tasks completed", stats.events.get("task_completed").copied().unwrap_or(0)),
    ] {
        assert!(n > stats.runs, "{n} {what} in {} runs", stats.runs);
    }
    // Rare: a machine that is too slow for many runs cannot tell.
    if stats.runs < RARE_RUNS {
        return println!("rare events are looked for in {RARE_RUNS} runs and more");
    }
    let happened = |counts: &BTreeMap<&str, u64>, name| counts.get(name).copied().unwrap_or(0);
    for event in ["paths_queued", "lease_shared", "review_assigned"] {
        assert!(happened(&stats.events, event) > 0, "no {event} in {} runs", stats.runs);
    }
    let behind = happened(&stats.refusals, "MERGE_REQUIRED");
    assert!(behind > 0, "nobody had to bring in another's change in {} runs", stats.runs);
}

/// A run that failed stays to be looked at.
fn keep(failure: &Outcome) {
    let folder = failure.keep(env!("CARGO_TARGET_TMPDIR").as_ref()).unwrap();
    println!("the log of seed {} is kept in {}", failure.seed, folder.display());
}

/// The first seed that shows the bug, and what it says.
fn find(fault: Fault, seeds: u64) -> Option<(u64, String)> {
    let with_bug = |seed| {
        let _planted = planted::plant(fault);
        run(seed, STEPS)
    };
    (1..=seeds).find_map(|seed| Some((seed, caught(seed, with_bug).wrong?)))
}

fn table(faults: &[Fault], seeds: u64) -> Vec<&'static str> {
    let mut missed = Vec::new();
    for fault in faults {
        let line = match find(*fault, seeds) {
            Some((seed, why)) => {
                let why = why.lines().next().unwrap_or_default();
                format!("seed {seed}: {}", why.chars().take(120).collect::<String>())
            }
            None => {
                missed.push(fault.name());
                format!("not in {seeds} seeds")
            }
        };
        println!("{:24} {line}", fault.name());
    }
    missed
}

#[test]
fn bugs_that_only_a_mesh_shows_are_found() {
    let missed = table(ONLY_HERE, BUG_SEEDS);
    // The others are the model check's; the table of all of them is for people.
    if std::env::var_os("DEVMESH_SIM_BUGS").is_some() {
        let others: Vec<Fault> =
            Fault::ALL.iter().copied().filter(|fault| !ONLY_HERE.contains(fault)).collect();
        println!("not shown by a mesh: {:?}", table(&others, OTHER_BUG_SEEDS));
    }
    assert!(missed.is_empty(), "nobody notices {missed:?}");
}
