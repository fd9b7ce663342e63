//! How long a leader may be silent, and how rivals keep out of each other's way.

use std::collections::BTreeSet;

use super::*;
use crate::input::Now;
use crate::term::{FLAP_MS, JITTER_MS, PATIENCE_MS_MAX, SILENT_MS, mix};
use crate::view::Patience;

fn at(mono_ms: u64) -> Now {
    Now { wall_ms: 0, mono_ms }
}

/// So many terms were lost just now.
fn flapping(lost: u64) -> Patience {
    Patience { lost: (0..lost).collect(), drawn: 0 }
}

#[test]
fn the_bits_are_spread_as_by_splitmix64() {
    // The first numbers of that generator for the seed 0.
    let step = 0x9e37_79b9_7f4a_7c15_u64;
    assert_eq!(mix(step), 0xe220_a839_7b1d_cdaf);
    assert_eq!(mix(step.wrapping_mul(2)), 0x6e78_9e6a_a1b9_65f4);
}

#[test]
fn rivals_draw_apart_and_so_does_each_from_time_to_time() {
    let first: BTreeSet<u64> = (0..16).map(|seed| flapping(0).draw(at(0), seed)).collect();
    assert!(first.len() >= 12, "{first:?}");
    let mut patience = flapping(0);
    let draws: BTreeSet<u64> = (0..16).map(|_| patience.draw(at(0), 77)).collect();
    assert!(draws.len() >= 12, "{draws:?}");
    assert!(first.iter().chain(&draws).all(|ms| (SILENT_MS..SILENT_MS + JITTER_MS).contains(ms)));
}

#[test]
fn patience_and_its_spread_double_with_each_lost_term_up_to_a_bound() {
    for (lost, doublings) in [(0, 0), (1, 0), (2, 1), (3, 2), (5, 4), (6, 4), (50, 4)] {
        let least = (SILENT_MS << doublings).min(PATIENCE_MS_MAX);
        let jitter = JITTER_MS << doublings;
        let mut patience = flapping(lost);
        let draws: Vec<u64> = (0..200).map(|_| patience.draw(at(100), 77)).collect();
        let (min, max) = (*draws.iter().min().unwrap(), *draws.iter().max().unwrap());
        assert!(min >= least && max < least + jitter, "{lost}: {min} to {max}");
        assert!(max - min > jitter * 3 / 4, "{lost}: {min} to {max}");
    }
}

#[test]
fn after_one_lost_term_the_next_is_claimed_at_once_and_after_two_it_is_not() {
    let mut patience = Patience::default();
    assert!(patience.lose(at(0)));
    assert!(!patience.lose(at(FLAP_MS)));
    assert!(!patience.lose(at(FLAP_MS + 1)), "the first is forgotten, the second is not");
    assert!(patience.lose(at(FLAP_MS * 3)));
}

#[test]
fn a_lost_connection_costs_a_moment_and_a_second_one_soon_after_a_while() {
    let mut world = World::led();
    world.furnish();
    for (n, least, most) in [(2, 0, 100), (3, SILENT_MS, 2_000)] {
        let before = world.mono;
        world.lose_link(0);
        world.until(3_000, |world| epochs(world).len() == n);
        let took = world.mono - before;
        assert!((least..=most).contains(&took), "{n}: {took}");
    }
    world.check();
}
