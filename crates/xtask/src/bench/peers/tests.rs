//! What is said of a run, from figures that were made up.

use super::*;

fn series<const N: usize>(rate: f64, p50_ms: f64) -> Series<N> {
    Series(vec![[Load { pairs_per_s: rate, p50_ms, p99_ms: 2.0 * p50_ms, jain: 1.0 }; N]])
}

fn measured(name: &str, rate: f64, p50_ms: f64) -> Measured {
    let means = format!("on {name}'s disk");
    Measured { name: name.to_owned(), means, series: series(rate, p50_ms) }
}

fn run(ours: f64, p50_ms: f64) -> Run {
    Run {
        devmesh: measured("devmesh 1", ours, p50_ms),
        etcd: measured("etcd 3", 1_000.0, 0.5),
        postgres: measured("PostgreSQL 15", 2_000.0, 0.25),
        redis: measured("Redis 7", 9_000.0, 0.125),
        null: series(6_000.0, 0.1),
    }
}

/// The verdicts of a run, by what and against whom.
fn verdicts(run: &Run) -> Vec<(String, String, bool)> {
    let judged = run.rows().into_iter().filter_map(|row| {
        let ratio = row.ratio()?;
        let against = row.against?;
        Some((row.what, against.what, against.aim?.is_met(ratio)))
    });
    judged.collect()
}

fn missed(run: &Run) -> Vec<String> {
    let missed = verdicts(run).into_iter().filter(|(_, _, met)| !met);
    missed.map(|(what, against, _)| format!("{what} / {against}")).collect()
}

#[test]
fn every_aim_is_met_by_what_is_good_enough() {
    assert_eq!(missed(&run(5_200.0, 0.5)), Vec::<String>::new());
    // Rates beside two peers and the floor at 16 and 64, p50 at 1, p99 at all; the shared key.
    assert_eq!(verdicts(&run(5_200.0, 0.5)).len(), 2 * 3 + 1 + 3 + 3);
}

#[test]
fn each_aim_is_missed_by_what_is_not() {
    let own = |clients: &str| format!("acquire + release, {clients} clients, keys of their own");
    // Ahead of both and three times etcd, but below 1.5 times PostgreSQL and below the floor.
    assert_eq!(
        missed(&run(2_900.0, 0.5)),
        [
            format!("{} / null floor", own("16")),
            format!("{} / etcd 3", own("64")),
            format!("{} / PostgreSQL 15", own("64")),
            format!("{} / null floor", own("64")),
        ]
    );
    let slower = missed(&run(5_200.0, 0.6));
    assert_eq!(slower, ["acquire p50, 1 client, keys of their own / etcd 3"]);
    let mut uneven = run(5_200.0, 0.5);
    uneven.devmesh.series.0[0][3] =
        Load { pairs_per_s: 900.0, p50_ms: 1.0, p99_ms: 2.5, jain: 0.9 };
    assert_eq!(
        missed(&uneven),
        ["hand-offs", "wait p99", "fairness (Jain)"]
            .iter()
            .zip(["the design's aim", "its p50", "all served alike"])
            .map(|(what, against)| format!("{what}, 16 clients, one contended key / {against}"))
            .collect::<Vec<_>>()
    );
}

#[test]
fn all_stand_side_by_side() {
    let text = run(5_200.0, 0.5).side_by_side();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "1 client, keys of their own");
    assert_eq!(lines[2], "  devmesh 1            5200     0.500     1.000     1.000");
    assert_eq!(lines[6], "  empty responder      6000     0.100     0.200     1.000");
    // The empty responder hands nothing on, so that it is in three loads of five.
    assert_eq!(text.matches("empty responder").count(), 3);
    assert_eq!(text.matches("\n  Redis 7 ").count(), LOADS.len() + 1);
    assert!(text.ends_with("  Redis 7         on Redis 7's disk\n"), "{text}");
}

#[test]
fn values_say_what_an_answer_means() {
    let values = run(5_200.0, 0.5).values();
    assert_eq!(values.len(), LOADS.len() * 4);
    assert_eq!(
        values[1],
        json!({ "bench": "peers", "peer": "etcd 3", "means": "on etcd 3's disk", "clients": 1,
            "keys": "own", "rounds": 1, "pairs_per_s": 1000.0, "p50_ms": 0.5, "p99_ms": 1.0,
            "jain": 1.0 })
    );
}
