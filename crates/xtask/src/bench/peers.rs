//! Locks of devmesh beside those of etcd, PostgreSQL and Redis: the same clients, the same loads,
//! one run, each at its most durable.
//!
//! Who is measured is a crate of its own to build, so all that needs one stands behind the feature
//! `peers`; what is made of the figures does not.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::load::{Keys, Load, Series};
use super::{Aim, Row, number};

#[cfg(feature = "peers")]
mod etcd;
#[cfg(feature = "peers")]
mod postgres;
#[cfg(feature = "peers")]
mod programs;
#[cfg(feature = "peers")]
mod redis;
#[cfg(feature = "peers")]
mod round;
#[cfg(test)]
mod tests;

#[cfg(feature = "peers")]
pub(super) use round::measure;

/// Each load: how many clients, and which keys they take.
const LOADS: [(usize, Keys); 5] =
    [(1, Keys::Own), (16, Keys::Own), (64, Keys::Own), (16, Keys::One), (64, Keys::One)];

/// What was measured of one of them.
pub(super) struct Measured {
    /// With its version.
    pub(super) name: String,
    /// What an acknowledgement means, and how a waiter waits.
    pub(super) means: String,
    pub(super) series: Series<{ LOADS.len() }>,
}

/// All that one run measured.
pub(super) struct Run {
    pub(super) devmesh: Measured,
    pub(super) etcd: Measured,
    pub(super) postgres: Measured,
    pub(super) redis: Measured,
    /// The empty responder; keys of their own only.
    pub(super) null: Series<3>,
}

fn rate(load: &Load) -> f64 {
    load.pairs_per_s
}

fn p50(load: &Load) -> f64 {
    load.p50_ms
}

fn p99(load: &Load) -> f64 {
    load.p99_ms
}

fn named((clients, keys): (usize, Keys)) -> String {
    let keys = match keys {
        Keys::Own => "keys of their own",
        Keys::One => "one contended key",
    };
    let s = if clients == 1 { "" } else { "s" };
    format!("{clients} client{s}, {keys}")
}

impl Run {
    fn all(&self) -> [&Measured; 4] {
        [&self.devmesh, &self.etcd, &self.postgres, &self.redis]
    }

    /// Every load with all of them under one another, then what each answer means.
    pub(super) fn side_by_side(&self) -> String {
        let mut text = String::new();
        let width = self.all().map(|measured| measured.name.chars().count());
        let width = width.into_iter().max().unwrap_or_default().max("empty responder".len());
        for (column, load) in LOADS.into_iter().enumerate() {
            let head = named(load);
            let (wide, narrow) = (width + 2, 9);
            let _ = writeln!(text, "{head}");
            let _ = writeln!(
                text,
                "{:wide$} {:>narrow$} {:>narrow$} {:>narrow$} {:>narrow$}",
                "", "pairs/s", "p50 ms", "p99 ms", "Jain"
            );
            let mut line = |name: &str, figures: [f64; 4]| {
                let [rate, p50, p99, jain] = figures.map(number);
                let _ = writeln!(
                    text,
                    "  {name:width$} {rate:>narrow$} {p50:>narrow$} {p99:>narrow$} {jain:>narrow$}"
                );
            };
            for measured in self.all() {
                line(&measured.name, figures(&measured.series, column));
            }
            if self.null.0.first().is_some_and(|round| column < round.len()) {
                line("empty responder", figures(&self.null, column));
            }
        }
        text.push_str("what an answer means\n");
        for measured in self.all() {
            let _ = writeln!(text, "  {:width$} {}", measured.name, measured.means);
        }
        text
    }

    /// The same, a value a load and peer.
    pub(super) fn values(&self) -> Vec<Value> {
        let mut values = Vec::new();
        for (column, (clients, keys)) in LOADS.into_iter().enumerate() {
            for measured in self.all() {
                let [rate, p50, p99, jain] = figures(&measured.series, column);
                values.push(json!({ "bench": "peers", "peer": measured.name,
                    "means": measured.means, "clients": clients,
                    "keys": if keys == Keys::Own { "own" } else { "one" },
                    "rounds": measured.series.0.len(),
                    "pairs_per_s": rate, "p50_ms": p50, "p99_ms": p99, "jain": jain }));
            }
        }
        values
    }

    /// Ours held against each of theirs.
    pub(super) fn rows(&self) -> Vec<Row> {
        let mut rows = Vec::new();
        for (column, load) in LOADS.into_iter().enumerate() {
            match load.1 {
                Keys::Own => self.own(column, load, &mut rows),
                Keys::One => self.one(column, load, &mut rows),
            }
        }
        rows
    }

    fn own(&self, column: usize, load: (usize, Keys), rows: &mut Vec<Row>) {
        let least = |at_16, at_64| match load.0 {
            1 => None,
            16 => Some(Aim::AtLeast(at_16)),
            _ => Some(Aim::AtLeast(at_64)),
        };
        let what = format!("acquire + release, {}", named(load));
        let ours = self.devmesh.series.median(column, rate);
        let peers =
            [(&self.etcd, least(1.0, 3.0)), (&self.postgres, least(1.0, 1.5)), (&self.redis, None)];
        for (peer, aim) in peers {
            let row = Row::new("peers", what.clone(), ours, "/s");
            rows.push(row.against(&*peer.name, peer.series.median(column, rate), aim));
        }
        let row = Row::new("peers", what, ours, "/s");
        rows.push(row.against("null floor", self.null.median(column, rate), least(0.5, 0.85)));
        if load.0 == 1 {
            let what = format!("acquire p50, {}", named(load));
            let row = Row::new("peers", what, self.devmesh.series.median(column, p50), "ms");
            let theirs = self.etcd.series.median(column, p50);
            rows.push(row.against(&*self.etcd.name, theirs, Some(Aim::AtMost(1.0))));
        }
        let what = format!("acquire p99, {}", named(load));
        let row = Row::new("peers", what, self.devmesh.series.median(column, p99), "ms");
        let most = if load.0 == 1 { 1.5 } else { 5.0 };
        rows.push(row.against("the design's aim", most, Some(Aim::AtMost(1.0))));
    }

    fn one(&self, column: usize, load: (usize, Keys), rows: &mut Vec<Row>) {
        let series = &self.devmesh.series;
        let what = format!("hand-offs, {}", named(load));
        let ours = series.median(column, rate);
        let gates = load.0 == 16;
        let aim = |aim| gates.then_some(aim);
        let row = Row::new("peers", what.clone(), ours, "/s");
        rows.push(row.against("the design's aim", 1_000.0, aim(Aim::AtLeast(1.0))));
        for peer in [&self.etcd, &self.postgres, &self.redis] {
            let row = Row::new("peers", what.clone(), ours, "/s");
            rows.push(row.against(&*peer.name, peer.series.median(column, rate), None));
        }
        let what = format!("wait p99, {}", named(load));
        let row = Row::new("peers", what, series.median(column, p99), "ms");
        rows.push(row.against("its p50", series.median(column, p50), aim(Aim::AtMost(2.0))));
        let what = format!("fairness (Jain), {}", named(load));
        let row = Row::new("peers", what, series.median(column, |load| load.jain), "");
        rows.push(row.against("all served alike", 1.0, aim(Aim::AtLeast(0.99))));
    }
}

fn figures<const N: usize>(series: &Series<N>, column: usize) -> [f64; 4] {
    let median = |figure: fn(&Load) -> f64| series.median(column, figure);
    [median(rate), median(p50), median(p99), median(|load| load.jain)]
}
