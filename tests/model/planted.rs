//! Every promise can fail: deliberate bugs, and which promise notices each, after how many states.

use std::time::Duration;

use devmesh_protocol::Mode;
use devmesh_protocol::planted::Fault;

use crate::check::Mesh;
use crate::options::Options;
use crate::world::Left;
use crate::worlds::{A, AB, CHAIN, FOLDER, ONE_TASK, RW, TWO_TASKS};

/// Bugs of the coordinator's own work, which the simulation has to find.
const FOR_THE_SIMULATION: &[Fault] = &[
    Fault::ReplyBeforeAck,
    Fault::AppendWithoutExpected,
    Fault::TermGoesOn,
    Fault::BeatWithoutProof,
];

/// How long a bug is looked for at most: minutes for the slowest on a machine that others use too.
const MOST: Duration = Duration::from_secs(600);

/// The smallest worlds that show each of these bugs.
fn worlds() -> Vec<(Options, &'static [Fault])> {
    let locks = |name, agents, asks, modes, commands| Options {
        agents,
        asks,
        modes,
        commands,
        ..Options::named(name)
    };
    let silence = Left { crashes: 1, ticks: 8, ..Left::default() };
    let clock = Left { ticks: 4, terms: 1, ..Left::default() };
    let twice = Left { again: 1, ..Left::default() };
    let mut worlds: Vec<(Options, &'static [Fault])> = vec![
        (locks("a folder", 2, FOLDER, RW, 1), &[Fault::ModesIgnored, Fault::FoldersIgnored]),
        (
            locks("two paths", 2, AB, &[Mode::Write], 3),
            &[Fault::CircleAllowed, Fault::PartialGrant, Fault::WakeUpLost, Fault::TokenBeforeWait],
        ),
        (
            Options { converts: true, ..locks("conversions", 2, A, RW, 2) },
            &[Fault::ConversionUnchecked],
        ),
        (locks("a queue", 3, A, RW, 2), &[Fault::GrantOutOfOrder, Fault::NewcomerOvertakes]),
        (
            Options { left: silence, step_ms: 5_000, ..locks("silence", 2, A, &[Mode::Write], 1) },
            &[
                Fault::ExpiryWithoutGrace,
                Fault::LeaseOutlivesSession,
                Fault::WaiterOutlivesSession,
                Fault::SessionNotCompared,
                Fault::SessionReborn,
            ],
        ),
        (
            Options { people: 1, left: clock, ..locks("clocks", 0, A, &[Mode::Write], 1) },
            &[Fault::ExpiryEarly, Fault::TermKeepsDeadlines],
        ),
        (
            Options { left: twice, ..locks("again", 2, A, &[Mode::Write], 2) },
            &[Fault::ForgottenCommandIds, Fault::BodyNotCompared, Fault::OwnerNotCompared],
        ),
    ];
    worlds.extend(task_worlds());
    worlds
}

fn task_worlds() -> Vec<(Options, &'static [Fault])> {
    let mishaps = Left { crashes: 1, ticks: 8, again: 1, person: 1, ..Left::default() };
    let twice = Left { again: 1, ..Left::default() };
    let worker = |tasks, agents, commands, left| Options {
        agents,
        locks: false,
        tasks,
        commands,
        left,
        step_ms: 5_000,
        ..Options::named("tasks")
    };
    vec![
        (
            worker(ONE_TASK, 2, 5, mishaps),
            &[
                Fault::TokenNotCompared,
                Fault::AttemptNotCompared,
                Fault::StartUnbounded,
                Fault::LostSessionKeepsTask,
                Fault::TriesUncounted,
                Fault::CancelKeepsAttempt,
                Fault::ReservationKept,
                Fault::LeaseOutlivesAttempt,
            ],
        ),
        (worker(CHAIN, 2, 1, twice), &[Fault::AwardWithoutAuction]),
        (
            worker(CHAIN, 1, 5, Left::default()),
            &[Fault::DependencyIgnored, Fault::CompletedTwice, Fault::EvidenceUnchecked],
        ),
        (worker(TWO_TASKS, 2, 3, Left::default()), &[Fault::TwoTurns]),
    ]
}

#[test]
fn every_bug_is_found() {
    let worlds = worlds();
    let mut missed = Vec::new();
    for fault in Fault::ALL.iter().copied() {
        if FOR_THE_SIMULATION.contains(&fault) {
            println!("{:24} for the simulation", fault.name());
            continue;
        }
        let found = match worlds.iter().find(|(_, faults)| faults.contains(&fault)) {
            Some((world, _)) => find(world.clone(), fault),
            None => crate::log::find(fault),
        };
        match found {
            Some(line) => println!("{:24} {line}", fault.name()),
            None => missed.push(fault.name()),
        }
    }
    assert!(missed.is_empty(), "nobody notices {missed:?}");
}

/// What is planted is what is found: without a bug the same worlds are in order.
#[test]
fn without_a_bug_the_same_worlds_are_in_order() {
    for (world, _) in worlds() {
        let name = world.name;
        let outcome = Mesh::new(world, None).explore(2, Duration::from_secs(3));
        assert!(outcome.broken.is_none(), "{name}: {:?}", outcome.broken);
    }
}

fn find(world: Options, fault: Fault) -> Option<String> {
    let name = world.name;
    let outcome = Mesh::new(world, Some(fault)).explore(2, MOST);
    let (broken, actions) = outcome.broken?;
    let (unique, steps) = (outcome.unique, actions.len());
    Some(format!("{} after {unique} states, {steps} steps, in a world of {name}", broken.name))
}
