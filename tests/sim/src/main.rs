//! Runs seeds on all cores, says what was done, and keeps the history of a run that failed.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a chore talks to the person who runs it: data on stdout, talk on stderr"
)]

use std::env;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use devmesh_sim::scene::SCENES;
use devmesh_sim::{Many, Stats, many, run};

/// What to run.
#[derive(Debug)]
struct Args {
    seeds: u64,
    first: u64,
    steps: u64,
    seconds: u64,
    keep: PathBuf,
    /// Play the long scenes with this in their name instead.
    scene: Option<String>,
}

fn args() -> Result<Args, String> {
    let keep = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../replay/histories");
    let mut args = Args { seeds: 100, first: 1, steps: 2_000, seconds: 86_400, keep, scene: None };
    let mut given = env::args().skip(1);
    while let Some(name) = given.next() {
        let value = given.next().ok_or(format!("{name} takes a value"))?;
        let number = || value.parse::<u64>().map_err(|error| format!("{name} {value}: {error}"));
        match name.as_str() {
            "--seeds" => args.seeds = number()?,
            "--seed" => args.first = number()?,
            "--steps" => args.steps = number()?,
            "--seconds" => args.seconds = number()?,
            "--keep" => args.keep = value.into(),
            "--scene" => args.scene = Some(value),
            _ => {
                return Err(format!(
                    "there is no {name}; --seeds, --seed, --steps, --seconds, --keep, --scene"
                ));
            }
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
    if let Some(name) = &args.scene {
        return play(name, &args);
    }
    let began = Instant::now();
    let seeds = Many {
        first: args.first,
        most: args.seeds,
        least: 1,
        within: Duration::from_secs(args.seconds),
    };
    let (stats, failures) = many(seeds, |seed| run(seed, args.steps));
    let seconds = began.elapsed().as_secs_f64();
    tell(&stats, seconds);
    for failure in &failures {
        let wrong = failure.wrong.as_deref().unwrap_or_default();
        eprintln!("seed {}: {wrong}", failure.seed);
        match failure.keep(&args.keep) {
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

/// Plays long scenes, each with as many seeds.
fn play(name: &str, args: &Args) -> ExitCode {
    let mut code = ExitCode::SUCCESS;
    for scene in SCENES.iter().filter(|scene| scene.name.contains(name)) {
        for seed in args.first..args.first.saturating_add(args.seeds) {
            match (scene.play)(seed) {
                Ok(seen) => println!("{} ({seed}): {seen}", scene.name),
                Err(why) => {
                    eprintln!("{} ({seed}): {why}", scene.name);
                    code = ExitCode::FAILURE;
                }
            }
        }
    }
    code
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
