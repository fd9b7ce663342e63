//! Benches: what is measured stands beside a floor or a peer of the same run, as a ratio, or
//! beside the aim that the design sets for it.
//!
//! A ratio survives a slow or busy machine, a bare number does not; so no test is timed. The few
//! figures that stand alone (memory, the parts of a sum) are there to explain others.

use std::env;
use std::path::PathBuf;

use serde::Serialize;

use crate::cargo::{cargo, run};
use crate::error::{Error, Result};

mod cost;
mod crowd;
mod floor;
mod fold;
mod load;
mod lock;
#[cfg(any(test, feature = "peers"))]
mod peers;
mod project;
mod sample;
mod scale;
mod still;
mod takeover;
mod usage;
mod world;

#[cfg(test)]
mod tests;

/// Which benches to run and how to print them.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// The benches to run; all, when none is named.
    names: Vec<String>,
    /// Name the benches and what they measure.
    #[arg(long)]
    list: bool,
    /// Print JSON, a row each; with a file, beside the table and into that.
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true)]
    json: Option<Option<PathBuf>>,
    /// Measure locks beside etcd, PostgreSQL and Redis, installed from Debian's packages where
    /// they are missing.
    #[arg(long, conflicts_with = "names")]
    peers: bool,
    /// Rounds of --peers, of which the median is told.
    #[arg(long, value_name = "N", default_value_t = 3, requires = "peers")]
    #[arg(value_parser = clap::value_parser!(u8).range(1..))]
    rounds: u8,
}

/// A bench by its name.
struct Bench {
    name: &'static str,
    about: &'static str,
    run: fn() -> Result<Vec<Row>>,
}

const BENCHES: &[Bench] = &[
    Bench {
        name: "floor",
        about: "one write and fsync of the disk, the least that durable can cost",
        run: floor::fsync,
    },
    Bench {
        name: "lock",
        about: "durable acquire and release beside an empty responder and one fsynced append",
        run: lock::acquire_and_release,
    },
    Bench {
        name: "handoff",
        about: "one key that 16 clients want, handed on as fast as it goes",
        run: lock::hand_offs,
    },
    Bench {
        name: "cost",
        about: "processor time of a command: coordinator, server and clients",
        run: cost::of_a_command,
    },
    Bench {
        name: "fold",
        about: "events folded, and a log of 100 000 records read, decoded and folded",
        run: fold::all,
    },
    Bench {
        name: "scale",
        about: "a lock among 1 000 agents, 100 000 leases and 10 000 tasks, beside an empty mesh",
        run: scale::all,
    },
    Bench {
        name: "still",
        about: "an idle coordinator, and one that hears 1 000 agents",
        run: still::all,
    },
    Bench {
        name: "takeover",
        about: "nobody answers from the leader's SIGKILL until the standby leads",
        run: takeover::all,
    },
    Bench {
        name: "project",
        about: "a log folded into SQLite beside a bare insert of the same rows",
        run: project::into_sqlite,
    },
];

/// One figure.
#[derive(Debug, Serialize)]
struct Row {
    bench: &'static str,
    what: String,
    value: f64,
    unit: &'static str,
    /// What it is held against; none for a floor itself.
    against: Option<Against>,
}

/// What a figure is held against.
#[derive(Debug, Serialize)]
struct Against {
    what: String,
    value: f64,
    aim: Option<Aim>,
}

/// Where the ratio of figure to floor should be.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
enum Aim {
    /// For rates.
    AtLeast(f64),
    /// For times and sizes.
    AtMost(f64),
}

impl Aim {
    fn is_met(self, ratio: f64) -> bool {
        match self {
            Aim::AtLeast(least) => ratio >= least,
            Aim::AtMost(most) => ratio <= most,
        }
    }
}

impl Row {
    /// A figure that is held against nothing yet.
    fn new(bench: &'static str, what: impl Into<String>, value: f64, unit: &'static str) -> Row {
        Row { bench, what: what.into(), value, unit, against: None }
    }

    /// Held against a figure of the same run.
    fn against(self, what: impl Into<String>, value: f64, aim: Option<Aim>) -> Row {
        Row { against: Some(Against { what: what.into(), value, aim }), ..self }
    }

    fn ratio(&self) -> Option<f64> {
        self.against.as_ref().map(|against| self.value / against.value)
    }
}

/// Runs the benches, in release whatever built us.
pub(crate) fn bench(args: &Args) -> Result<()> {
    if args.list {
        for bench in BENCHES {
            println!("{:12} {}", bench.name, bench.about);
        }
        return Ok(());
    }
    let chosen = chosen(&args.names)?;
    if cfg!(debug_assertions) || args.peers && !cfg!(feature = "peers") {
        let mut release = cargo(&["run", "--quiet", "--release", "--package", "xtask"]);
        if args.peers {
            release.args(["--features", "peers"]);
        }
        release.arg("--").args(env::args_os().skip(1));
        return run(release);
    }
    let (figures, came) = match args.peers {
        true => (beside_peers(args.rounds)?, Ok(())),
        false => run_all(&chosen),
    };
    match &args.json {
        Some(None) => print!("{}", figures.json()?),
        Some(Some(path)) => {
            print!("{}", figures.text());
            let write = std::fs::write(path, figures.json()?);
            write.map_err(|source| Error::Write { path: path.clone(), source })?;
        }
        None => print!("{}", figures.text()),
    }
    came
}

/// All that was measured: the rows, and before them what rows do not say.
#[derive(Default)]
struct Figures {
    text: String,
    values: Vec<serde_json::Value>,
    rows: Vec<Row>,
}

impl Figures {
    fn text(&self) -> String {
        format!("{}{}", self.text, table(&self.rows))
    }

    /// A line a value.
    fn json(&self) -> Result<String> {
        let values = self.values.iter().map(|value| Ok(value.to_string()));
        let lines: Vec<String> = values.chain(self.rows.iter().map(json)).collect::<Result<_>>()?;
        Ok(lines.into_iter().map(|line| line + "\n").collect())
    }
}

/// What was measured until one of them failed, and how that came.
fn run_all(chosen: &[&Bench]) -> (Figures, Result<()>) {
    let mut figures = Figures::default();
    for bench in chosen {
        eprintln!("{}: {}", bench.name, bench.about);
        match (bench.run)() {
            Ok(rows) => figures.rows.extend(rows),
            Err(error) => return (figures, Err(error)),
        }
    }
    (figures, Ok(()))
}

#[cfg(feature = "peers")]
fn beside_peers(rounds: u8) -> Result<Figures> {
    let run = peers::measure(rounds.into())?;
    Ok(Figures { text: run.side_by_side() + "\n", values: run.values(), rows: run.rows() })
}

/// Never reached: without the feature, a build that has it is run instead.
#[cfg(not(feature = "peers"))]
fn beside_peers(_: u8) -> Result<Figures> {
    Ok(Figures::default())
}

fn chosen(names: &[String]) -> Result<Vec<&'static Bench>> {
    if names.is_empty() {
        return Ok(BENCHES.iter().collect());
    }
    names
        .iter()
        .map(|name| {
            let bench = BENCHES.iter().find(|bench| bench.name == name.as_str());
            bench.ok_or_else(|| Error::NoSuchBench(name.clone()))
        })
        .collect()
}

/// A row with its ratio, on one line.
fn json(row: &Row) -> Result<String> {
    let mut value = serde_json::to_value(row).map_err(Error::Json)?;
    value["ratio"] = serde_json::json!(row.ratio());
    Ok(value.to_string())
}

/// The rows under one another: figure, floor, ratio, and whether the aim is met.
fn table(rows: &[Row]) -> String {
    let width = rows.iter().map(|row| row.what.chars().count()).max().unwrap_or_default();
    rows.iter().map(|row| line(row, width)).collect()
}

fn line(row: &Row, width: usize) -> String {
    let figure = format!("{:width$}  {:>12} {:6}", row.what, number(row.value), row.unit);
    let held = match (&row.against, row.ratio()) {
        (Some(against), Some(ratio)) => {
            let aim = against.aim.map(|aim| said(aim, ratio)).unwrap_or_default();
            format!("  {ratio:>7.2} × {} ({}){aim}", against.what, number(against.value))
        }
        _ => String::new(),
    };
    format!("{}\n", format!("{figure}{held}").trim_end())
}

fn said(aim: Aim, ratio: f64) -> String {
    let verdict = if aim.is_met(ratio) { "met" } else { "missed" };
    match aim {
        Aim::AtLeast(least) => format!("  aim ≥ {least}: {verdict}"),
        Aim::AtMost(most) => format!("  aim ≤ {most}: {verdict}"),
    }
}

/// Three significant places or so: more is noise.
fn number(value: f64) -> String {
    match value.abs() {
        0.0..10.0 => format!("{value:.3}"),
        10.0..1000.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}
