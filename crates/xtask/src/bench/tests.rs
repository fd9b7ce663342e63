//! How figures are printed and chosen; never how fast anything is.

use std::time::Duration;

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
