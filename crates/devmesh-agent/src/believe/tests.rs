//! Belief over time.

use super::*;

#[test]
fn belief_counts_from_the_sending_of_an_answered_beat() {
    let mut belief = Belief::new(15_000);
    assert!(!belief.holds(0), "joined is not answered");
    belief.answered(1_000);
    assert!(belief.holds(14_499));
    assert!(!belief.holds(14_500));
    belief.answered(500);
    assert_eq!(belief.until_ms(), Some(14_500), "a late answer takes nothing back");
}
