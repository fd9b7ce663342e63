//! What the checker of histories leaves out explains nothing, and what it bounds may be bounded.

use devmesh_protocol::Mode;
use devmesh_sim::history::{History, Op, Tenure};
use devmesh_sim::rng::Rng;

const HISTORIES: u64 = 30_000;
const TIME: u64 = 24;

/// A history that nobody has to be able to explain: times and answers are drawn.
fn drawn(seed: u64) -> History {
    let mut rng = Rng::new(seed);
    let mut history = History::default();
    for _ in 0..rng.within(2, 4) {
        one(&mut history, &mut rng);
    }
    history
}

fn one(history: &mut History, rng: &mut Rng) {
    let locker = usize::try_from(rng.below(3)).unwrap();
    let asked_at = rng.below(TIME);
    let tenure = history.begin(locker, &[0], rng.pick(&Mode::ALL), asked_at);
    let mut now = asked_at + rng.below(6);
    match rng.below(10) {
        0 => return history.refused(tenure),
        1 | 2 => history.unknown(tenure),
        _ => {
            history.granted(tenure, now);
        }
    }
    for _ in 0..rng.below(3) {
        let op = if rng.chance(600) { Op::Convert(rng.pick(&Mode::ALL)) } else { Op::Release };
        now = tell(history, rng, tenure, op, now);
    }
    if rng.chance(300) {
        history.lapses(tenure, asked_at + rng.below(12));
    }
}

fn tell(history: &mut History, rng: &mut Rng, tenure: Tenure, op: Op, now: u64) -> u64 {
    let called = now + rng.below(3);
    let returned = called + rng.below(6);
    history.call(tenure, op, called);
    match rng.below(6) {
        0 => {}
        1 => history.withdrawn(tenure),
        2 => history.never_returned(tenure),
        _ => history.returned(tenure, returned),
    }
    returned
}

#[test]
fn what_nobody_saw_the_end_of_may_be_given_one() {
    let (mut explained, mut unsure) = (0, 0);
    for seed in 0..HISTORIES {
        let history = drawn(seed);
        let (check, at_length) = (history.check(), history.is_explained_at_length());
        assert_eq!(check.is_ok(), at_length, "history {seed}: {check:?}");
        explained += u64::from(at_length);
        unsure += u64::from(history.is_unsure());
    }
    let enough = HISTORIES / 10;
    assert!((enough..HISTORIES - enough).contains(&explained), "{explained} are explained");
    assert!(unsure > enough, "{unsure} are unsure");
}
