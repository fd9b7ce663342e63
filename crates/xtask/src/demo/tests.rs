//! The parts of the demonstration that judge: they must be able to say no.

use std::time::Duration;

use super::check::{Report, not_single};
use super::tasks::{Shows, TASKS};

#[test]
fn a_merge_and_a_root_are_not_single() {
    assert!(not_single("a b\nb c").is_empty());
    assert_eq!(not_single("a b c\nb c\nc"), ["a b c", "c"]);
}

#[test]
fn one_failed_check_fails_all() {
    let mut report = Report::default();
    report.check("this", true, "seen");
    assert!(report.told(Duration::ZERO).is_ok());
    report.check("that", false, "not there");
    let error = report.told(Duration::ZERO).expect_err("a failed check");
    assert!(error.to_string().contains("that: not there"), "{error}");
}

#[test]
fn the_tasks_show_what_they_are_there_for() {
    assert!(TASKS.len() >= 10);
    for shows in [Shows::Retry, Shows::Review, Shows::Kill] {
        assert_eq!(TASKS.iter().filter(|task| task.shows == shows).count(), 1, "{shows:?}");
    }
    assert_eq!(TASKS.iter().filter(|task| task.shows == Shows::Conflict).count(), 2);
    for (at, task) in TASKS.iter().enumerate() {
        assert!(
            task.after.is_none_or(|before| before < at),
            "{} waits for a later one",
            task.title
        );
    }
    let chained = TASKS.iter().filter(|task| task.after.is_some()).count();
    assert_eq!(chained, 2);
}
