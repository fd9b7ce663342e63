//! Runs seeds on all cores, says what was done, and keeps the history of a run that failed.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a chore talks to the person who runs it: data on stdout, talk on stderr"
)]

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

use devmesh_sim::{Outcome, Stats, run};

/// Failures that are told before the rest is left alone.
const FAILURES_MAX: usize = 10;

/// What to run.
#[derive(Debug)]
struct Args {
    seeds: u64,
    first: u64,
    steps: u64,
    keep: PathBuf,
}

fn args() -> Result<Args, String> {
    let keep = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../replay/histories");
    let mut args = Args { seeds: 100, first: 1, steps: 2_000, keep };
    let mut given = env::args().skip(1);
    while let Some(name) = given.next() {
        let value = given.next().ok_or(format!("{name} takes a value"))?;
        let number = || value.parse::<u64>().map_err(|error| format!("{name} {value}: {error}"));
        match name.as_str() {
            "--seeds" => args.seeds = number()?,
            "--seed" => args.first = number()?,
            "--steps" => args.steps = number()?,
            "--keep" => args.keep = value.into(),
            _ => return Err(format!("there is no {name}; --seeds, --seed, --steps, --keep")),
        }
    }
    Ok(args)
}

fn main() -> ExitCode {
    let args = match args() {
        Ok(args) => args,
        Err(why) => {
            eprintln!("error: {why}");
            return ExitCode::from(2);
        }
    };
    let began = Instant::now();
    let (stats, failures) = run_all(&args);
    let seconds = began.elapsed().as_secs_f64();
    tell(&stats, seconds);
    for failure in &failures {
        let wrong = failure.wrong.as_deref().unwrap_or_default();
        eprintln!("seed {}: {wrong}", failure.seed);
        match keep(&args.keep, failure) {
            Ok(path) => eprintln!("  its log is kept in {}", path.display()),
            Err(error) => eprintln!("  its log could not be kept: {error}"),
        }
        eprintln!(
            "  again: cargo xtask sim --seeds 1 --seed {} --steps {}",
            failure.seed, args.steps
        );
    }
    let is_idle = stats.all_faults() == 0 || stats.operations == 0;
    if is_idle && args.seeds > 20 {
        eprintln!("error: nothing went wrong in {} runs; that is no test", stats.runs);
    }
    if failures.is_empty() && !(is_idle && args.seeds > 20) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Every seed, on all cores. A seed that panics has failed.
fn run_all(args: &Args) -> (Stats, Vec<Outcome>) {
    let next = AtomicU64::new(args.first);
    let last = args.first + args.seeds;
    let is_over = AtomicBool::new(false);
    let all = Mutex::new((Stats::default(), Vec::new()));
    let cores = thread::available_parallelism().map_or(2, usize::from);
    thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= last || is_over.load(Ordering::Relaxed) {
                        return;
                    }
                    let outcome = run_one(seed, args.steps);
                    let mut all = all.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                    all.0.add(&outcome.stats);
                    if outcome.wrong.is_some() {
                        all.1.push(outcome);
                        is_over.store(all.1.len() >= FAILURES_MAX, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    all.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn run_one(seed: u64, steps: u64) -> Outcome {
    let outcome = std::panic::catch_unwind(|| run(seed, steps));
    outcome.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Outcome {
            seed,
            stats: Stats { runs: 1, ..Stats::default() },
            trace: 0,
            log: devmesh_protocol::Digest::of(b""),
            wrong: Some(format!("panic: {}", text.unwrap_or_default())),
            messages: Vec::new(),
        }
    })
}

/// Keeps the messages of a log, one file each, numbered by their position.
fn keep(folder: &Path, failure: &Outcome) -> std::io::Result<PathBuf> {
    let folder = folder.join(format!("sim-{}", failure.seed));
    fs::create_dir_all(&folder)?;
    for (position, message) in (1..).zip(&failure.messages) {
        let position: u64 = position;
        fs::write(folder.join(format!("{position:06}.cbor")), message)?;
    }
    fs::write(folder.join("why"), failure.wrong.as_deref().unwrap_or_default())?;
    Ok(folder)
}

fn tell(stats: &Stats, seconds: f64) {
    println!("{} runs in {seconds:.1} s", stats.runs);
    println!(
        "{} steps, {} timers, {} hours simulated",
        stats.steps,
        stats.ticks,
        stats.simulated_ms / 3_600_000
    );
    println!(
        "{} records checked, {} answers ({} given again), {} operations on leases linearizable",
        stats.records, stats.answers, stats.again, stats.operations
    );
    println!(
        "{} faults: {} lost, {} doubled, {} late, {} to or from who was cut off, {} old commands",
        stats.all_faults(),
        stats.lost,
        stats.twice,
        stats.late,
        stats.cut,
        stats.ghosts
    );
    for (title, counts) in
        [("faults", &stats.faults), ("events", &stats.events), ("refusals", &stats.refusals)]
    {
        println!("{title}:");
        for (name, n) in counts {
            println!("  {n:>10}  {name}");
        }
    }
}
