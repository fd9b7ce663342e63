//! The simulation itself: that it is the same every time, that it can fail, and the long scenes.

#![expect(clippy::unwrap_used, reason = "in a test a panic is how a failure is told")]

use super::run;

/// First of all: nothing but the seed decides.
#[test]
fn the_same_seed_makes_the_same_bytes() {
    for seed in [1, 8, 15] {
        let (one, other) = (run(seed, 500), run(seed, 500));
        assert_eq!(one, other, "seed {seed}");
        assert_eq!(one.wrong, None, "seed {seed}");
    }
    assert_ne!(run(2, 300).trace, run(3, 300).trace);
}
