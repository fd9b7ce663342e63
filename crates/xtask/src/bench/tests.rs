//! How figures are printed and chosen; never how fast anything is.

use std::time::Duration;

use serde_json::json;

use super::load::{Load, Series};
use super::sample::Times;
use super::*;

fn row(value: f64, against: Option<Against>) -> Row {
    Row { bench: "lock", what: "acquire p50".to_owned(), value, unit: "ms", against }
}

fn against(value: f64, aim: Option<Aim>) -> Option<Against> {
    Some(Against { what: "raw floor".to_owned(), value, aim })
}

#[test]
fn a_figure_is_printed_with_its_ratio_and_aim() {
    let rows = [
        row(0.5, None),
        row(0.5, against(0.4, None)),
        row(0.5, against(0.4, Some(Aim::AtMost(1.25)))),
        row(0.5, against(0.4, Some(Aim::AtLeast(1.5)))),
    ];
    assert_eq!(
        table(&rows),
        "acquire p50         0.500 ms\n\
         acquire p50         0.500 ms         1.25 × raw floor (0.400)\n\
         acquire p50         0.500 ms         1.25 × raw floor (0.400)  aim ≤ 1.25: met\n\
         acquire p50         0.500 ms         1.25 × raw floor (0.400)  aim ≥ 1.5: missed\n"
    );
}

#[test]
fn json_has_the_ratio_too() {
    let printed = json(&row(0.5, against(0.4, Some(Aim::AtMost(1.25))))).unwrap();
    let value: serde_json::Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(value["ratio"], 1.25);
    assert_eq!(value["against"]["aim"]["at_most"], 1.25);
    let floor: serde_json::Value = serde_json::from_str(&json(&row(0.5, None)).unwrap()).unwrap();
    assert!(floor["ratio"].is_null() && floor["against"].is_null());
}

#[test]
fn numbers_have_about_three_places() {
    assert_eq!(number(0.2), "0.200");
    assert_eq!(number(37.46), "37.5");
    assert_eq!(number(37_510.4), "37510");
}

#[test]
fn percentiles_are_of_the_nearest_rank() {
    let times = Times::of((1..=200).rev().map(Duration::from_millis).collect());
    assert_eq!([50, 99, 100].map(|percent| times.percentile_ms(percent)), [100.0, 198.0, 200.0]);
    assert_eq!(Times::of(Vec::new()).percentile_ms(50), 0.0);
}

#[test]
fn warming_up_is_not_measured() {
    let mut steps = 0;
    let times = Times::measure(3, 4, || {
        steps += 1;
        Ok::<(), ()>(())
    });
    assert!(times.unwrap().percentile_ms(100) < 1000.0);
    assert_eq!(steps, 7);
}

#[test]
fn an_unknown_bench_is_named() {
    assert!(chosen(&["floor".to_owned()]).unwrap().len() == 1);
    let error = chosen(&["flor".to_owned()]).err().expect("there is none");
    assert!(error.to_string().contains("flor"), "{error}");
    assert_eq!(chosen(&[]).unwrap().len(), BENCHES.len());
}

#[test]
fn the_disk_can_be_measured() {
    let folder = tempfile::TempDir::new().unwrap();
    let times = floor::append(folder.path(), 10).unwrap();
    assert!(times.percentile_ms(50) > 0.0);
    assert!(times.percentile_ms(99) >= times.percentile_ms(50));
    assert!(std::fs::read_dir(folder.path()).unwrap().next().is_none(), "left a file behind");
    assert!(floor::append(&folder.path().join("absent"), 1).is_err());
}

/// The verdicts of rows, in order; none where there is no aim.
fn verdicts(rows: &[Row]) -> Vec<Option<bool>> {
    let verdict = |row: &Row| Some(row.against.as_ref()?.aim?.is_met(row.ratio()?));
    rows.iter().map(verdict).collect()
}

fn one<const N: usize>(load: Load) -> Series<N> {
    Series(vec![[load; N]])
}

#[test]
fn hand_offs_are_judged_by_rate_spread_and_fairness() {
    let floor = one(Load { pairs_per_s: 600.0, ..Load::default() });
    let good = Load { pairs_per_s: 1_200.0, p50_ms: 12.0, p99_ms: 24.0, jain: 0.995 };
    let rows = lock::hand_off_rows(&floor, &one(good));
    assert_eq!(verdicts(&rows), [Some(true), None, Some(true), Some(true)]);
    // A pair is two durable requests, a hand-off one.
    assert_eq!(rows[1].ratio(), Some(1.0));
    let bad = Load { pairs_per_s: 999.0, p50_ms: 12.0, p99_ms: 24.1, jain: 0.98 };
    let rows = lock::hand_off_rows(&floor, &one(bad));
    assert_eq!(verdicts(&rows), [Some(false), None, Some(false), Some(false)]);
}

#[test]
fn a_full_mesh_is_judged_beside_an_empty_one() {
    let alone = Load { pairs_per_s: 1_000.0, p50_ms: 1.0, p99_ms: 2.0, jain: 1.0 };
    let among = Load { pairs_per_s: 670.0, p50_ms: 9.0, p99_ms: 3.0, jain: 1.0 };
    let judged = |among| verdicts(&scale::whole::judged(&one(alone), &one(among)));
    assert_eq!(judged(among), [Some(true), None, Some(true), Some(true), None, Some(true)]);
    let among = Load { pairs_per_s: 660.0, p99_ms: 3.1, ..among };
    assert_eq!(judged(among)[..3], [Some(false), None, Some(false)]);
}

#[test]
fn a_mesh_that_is_not_full_measures_nothing() {
    let state = |agents, leases, queued, landed| {
        json!({ "agents": agents, "leases": leases,
            "tasks": { "queued": queued, "completed": landed } })
    };
    scale::whole::is_full(&state(1_000, 100_000, 10_000, 0)).unwrap();
    for emptied in [
        state(999, 100_000, 10_000, 0),
        state(1_000, 99_999, 10_000, 0),
        state(1_000, 100_000, 9_999, 1),
        json!({}),
    ] {
        scale::whole::is_full(&emptied).unwrap_err();
    }
}

#[test]
fn a_takeover_counts_where_the_standby_leads() {
    takeover::follows(&json!({ "leader": "standby-1-60d0" }), "standby-1").unwrap();
    takeover::follows(&json!({ "leader": "first-60d0" }), "standby-1").unwrap_err();
    takeover::follows(&json!({}), "standby-1").unwrap_err();
    let gaps = [0.4, 1.2, 0.5].map(|first| takeover::Gap { first, command: first + 1.0 });
    let rows = takeover::rows(&gaps);
    assert_eq!(verdicts(&rows), [Some(true), Some(false), None, None]);
    assert_eq!(rows.iter().map(|row| row.value).collect::<Vec<_>>(), [0.5, 1.2, 1.5, 2.2]);
}

#[test]
fn what_is_written_while_nothing_happens_is_missed() {
    let watched =
        |coordinator, records| still::Watched { coordinator, server: 1.0, records, beats: 3_000.0 };
    let rows = |idle, heard| verdicts(&still::rows(&idle, 30.0, &heard));
    let met = [Some(true), Some(true), None, None, Some(true), None, Some(true)];
    assert_eq!(rows(watched(0.5, 0.0), watched(2.0, 0.0)), met);
    let missed = [Some(true), Some(false), None, None, Some(false), None, Some(false)];
    assert_eq!(rows(watched(0.6, 0.0), watched(2.1, 1.0)), missed);
}

#[test]
fn replay_is_judged_beside_a_bare_insert() {
    let measured = |text| project::rows(&serde_json::from_str(text).unwrap());
    let rows = measured(r#"{ "rows": 700, "replay_s": 1.0, "bare_s": 0.7 }"#);
    assert_eq!((rows[0].value, verdicts(&rows)), (700.0, vec![Some(true)]));
    let rows = measured(r#"{ "rows": 600, "replay_s": 1.0, "bare_s": 0.6 }"#);
    assert_eq!(verdicts(&rows), [Some(false)]);
}

#[test]
fn what_the_kernel_tells_is_read() {
    let stat = "12 (a) b) c) S 1 1 1 0 -1 4194560 9 0 0 0 34 8 0 0 20 0 1 0 5 6 7";
    assert_eq!(usage::ticks(stat), Some(42));
    assert_eq!(usage::ticks("12 no name"), None);
    assert_eq!(usage::resident_kib("Name:\tx\nVmRSS:\t    2048 kB\n"), Some(2_048));
    assert_eq!(usage::resident_kib("Name:\tx\n"), None);
    assert!(usage::resident_mib(std::process::id()).unwrap() > 0.0);
    assert!(usage::cpu_us(u32::MAX).is_err());
}

#[test]
fn a_log_to_measure_is_one_that_folds() {
    let mut reader = devmesh_domain::Reader::default();
    for (place, payload) in (1_u64..).zip(fold::messages().take(100)) {
        reader.take(place, &payload).unwrap();
    }
    assert!(reader.state().seq > 1_000, "{}", reader.state().seq);
}

#[test]
fn figures_are_printed_as_lines_of_json() {
    let figures = Figures {
        text: "side by side\n".to_owned(),
        values: vec![json!({ "peer": "etcd" })],
        rows: vec![row(0.5, None)],
    };
    let printed = figures.json().unwrap();
    let lines: Vec<serde_json::Value> =
        printed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(
        (lines.len(), &lines[0]["peer"], &lines[1]["value"]),
        (2, &json!("etcd"), &json!(0.5))
    );
    assert!(figures.text().starts_with("side by side\nacquire p50"));
}
