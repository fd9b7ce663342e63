//! The worlds that are explored, and what is expected of them.

use std::time::Duration;

use devmesh_domain::glance;
use devmesh_domain::state::task::Phase;
use devmesh_protocol::Mode::{CoWrite, Intent, Read, Write};
use devmesh_protocol::command::task::Flow;
use devmesh_protocol::{Event, Mode};

use crate::check::{Mesh, Outcome};
use crate::options::{ENDLESS, Options, Reach, Spec};
use crate::world::{Left, World};

pub(crate) const A: &[&[&str]] = &[&["a"]];
pub(crate) const AB: &[&[&str]] = &[&["a"], &["b"], &["a", "b"]];
pub(crate) const FOLDER: &[&[&str]] = &[&["d/"], &["d/x"]];
pub(crate) const RW: &[Mode] = &[Read, Write];

fn recorded(world: &World, found: fn(&Event) -> bool) -> bool {
    world.records().iter().flat_map(|record| &record.events).any(found)
}

const WAITED: Reach = ("somebody waited and was granted", |world| {
    recorded(world, |event| matches!(event, Event::LockGranted(e) if e.waited.is_some()))
});
const QUEUE: Reach = ("two wait at once", |world| glance::waiting(&world.state).count() > 1);
const LAPSED: Reach = ("a silent agent lost its leases", |world| {
    recorded(world, |event| matches!(event, Event::LeasesLapsed(_)))
});
const LOST: Reach = ("a silent agent lost its session", |world| {
    recorded(world, |event| matches!(event, Event::SessionLost(_)))
});
const EXPIRED: Reach = ("a person's lease ran out", |world| {
    recorded(world, |event| matches!(event, Event::LockExpired(_)))
});
const COMPLETED: Reach = ("a task was completed", |world| {
    recorded(world, |event| matches!(event, Event::TaskCompleted(_)))
});
const FAILED: Reach = ("a task failed for good", |world| {
    glance::tasks(&world.state).any(|(_, task)| task.phase == Phase::Failed)
});
const TURN: Reach = ("somebody waited for a turn to land", |world| {
    recorded(world, |event| matches!(event, Event::LandQueued(_)))
});

const fn crashes(crashes: u8, ticks: u8) -> Left {
    Left { crashes, ticks, again: 0, terms: 0, person: 0 }
}

/// Three agents and one path: read and write, waiting, silence, return, new sessions.
fn three_on_one() -> Options {
    Options {
        agents: 3,
        asks: A,
        modes: RW,
        left: crashes(1, 5),
        heals: 16,
        reaches: &[WAITED, QUEUE, LAPSED, LOST],
        ..Options::named("3 agents, 1 path")
    }
}

/// Two agents and two paths, alone and together, with conversions: where circles could close.
fn two_on_two() -> Options {
    Options {
        agents: 2,
        asks: AB,
        modes: RW,
        converts: true,
        heals: 16,
        reaches: &[WAITED],
        ..Options::named("2 agents, 2 paths")
    }
}

/// The same in all four modes, with silence.
fn two_on_two_modes() -> Options {
    Options {
        modes: &[Read, Intent, CoWrite, Write],
        left: crashes(1, 5),
        heals: 64,
        reaches: &[WAITED, LAPSED, LOST],
        ..two_on_two()
    }
}

/// A folder and what is in it.
fn folders() -> Options {
    Options {
        agents: 2,
        asks: FOLDER,
        modes: RW,
        converts: true,
        heals: 16,
        reaches: &[WAITED],
        ..Options::named("2 agents, a folder")
    }
}

/// People, whose leases end by the clock, and changes of term.
fn clocks() -> Options {
    Options {
        agents: 1,
        people: 2,
        asks: A,
        modes: RW,
        commands: 3,
        left: Left { crashes: 1, ticks: 6, terms: 1, again: 0, person: 0 },
        heals: 4,
        reaches: &[WAITED, EXPIRED, LAPSED],
        ..Options::named("clocks and terms")
    }
}

/// Commands that come late, twice, and from the past.
fn delays() -> Options {
    Options {
        agents: 2,
        asks: A,
        modes: &[Write],
        delays: true,
        commands: 3,
        left: Left { crashes: 1, ticks: 5, again: 2, terms: 0, person: 0 },
        heals: 8,
        reaches: &[WAITED, LAPSED, LOST],
        ..Options::named("late and repeated commands")
    }
}

pub(crate) const TWO_TASKS: &[Spec] = &[
    Spec { path: Some("a"), after: None, flow: Flow::Merge },
    Spec { path: Some("b"), after: None, flow: Flow::Merge },
];
pub(crate) const ONE_TASK: &[Spec] = &[Spec { path: Some("a"), after: None, flow: Flow::Merge }];
pub(crate) const CHAIN: &[Spec] = &[
    Spec { path: None, after: None, flow: Flow::Branch },
    Spec { path: None, after: Some(1), flow: Flow::Branch },
];

/// One task and two agents, who crash, come back late, and are told to stop.
fn one_task() -> Options {
    Options {
        agents: 2,
        locks: false,
        tasks: ONE_TASK,
        commands: 6,
        left: Left { crashes: 1, ticks: 5, again: 1, terms: 0, person: 1 },
        heals: 8,
        reaches: &[COMPLETED, FAILED, LOST],
        ..Options::named("1 task, 2 agents")
    }
}

/// Two tasks that land on one branch.
fn two_tasks() -> Options {
    Options {
        agents: 2,
        locks: false,
        tasks: TWO_TASKS,
        commands: 7,
        left: Left { crashes: 1, ticks: 4, again: 0, terms: 0, person: 0 },
        heals: 32,
        reaches: &[COMPLETED, TURN],
        ..Options::named("2 tasks, 2 agents")
    }
}

/// A task that waits for another.
fn dependent() -> Options {
    Options {
        agents: 2,
        locks: false,
        tasks: CHAIN,
        commands: 4,
        left: Left { crashes: 0, ticks: 2, again: 0, terms: 0, person: 1 },
        heals: 8,
        reaches: &[COMPLETED],
        ..Options::named("2 tasks in order")
    }
}

/// The same with fewer mishaps, for the run with the other tests.
///
/// How many commands each sends is what the number of states grows with; what is said here makes
/// each world a matter of seconds.
fn quick(mut options: Options) -> Options {
    let left = &mut options.left;
    left.ticks = left.ticks.min(4);
    left.again = left.again.min(1);
    match (options.agents, options.people, options.tasks.len()) {
        (3, ..) => {}
        (_, 0, 0) if options.delays => options.commands = 2,
        (_, 0, 0) => options.commands = 4,
        (_, _, 0) => {
            options.commands = 2;
            left.crashes = 0;
            options.reaches = &[WAITED, EXPIRED];
        }
        (_, _, 1) => {
            (options.agents, options.commands) = (1, 5);
            *left = Left { ticks: 2, person: 1, ..Left::default() };
            options.reaches = &[COMPLETED, FAILED];
        }
        (..) => {
            options.commands = 3;
            left.crashes = 0;
            left.ticks = 0;
            left.person = 0;
            options.reaches = &options.reaches[options.reaches.len() - 1..];
        }
    }
    options
}

fn explored(options: Options, threads: usize, most: Duration) -> Outcome {
    let (name, endless) = (options.name, options.commands == ENDLESS);
    let outcome = Mesh::new(options, None).explore(threads, most);
    let Outcome { unique, generated, depth, took, whole, .. } = &outcome;
    println!(
        "{name}: {unique} states, {generated} generated, depth {depth}, {:.1} s{}{}",
        took.as_secs_f32(),
        if endless { ", commands without end" } else { "" },
        if *whole { "" } else { ", CUT OFF" },
    );
    if let Some((broken, actions)) = &outcome.broken {
        let way: Vec<String> = actions.iter().map(|action| format!("  {action:?}")).collect();
        panic!("{name}: {} is broken: {}\n{}", broken.name, broken.why, way.join("\n"));
    }
    assert!(!whole || outcome.missed.is_empty(), "{name}: never seen: {:?}", outcome.missed);
    outcome
}

/// Set where all worlds are to be explored, each for so many seconds at most.
const SECONDS: &str = "DEVMESH_MODEL_SEC";

/// How long one world may take, in seconds; longer where somebody asks for it.
fn most() -> Duration {
    let set = std::env::var(SECONDS).ok().and_then(|text| text.parse().ok());
    Duration::from_secs(set.unwrap_or(3_600))
}

fn check(options: Options) {
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    let outcome = explored(quick(options), threads, most());
    assert!(outcome.whole, "the quick worlds are explored whole");
}

#[test]
fn three_agents_on_one_path() {
    check(three_on_one());
}

#[test]
fn two_agents_on_two_paths() {
    check(two_on_two());
}

#[test]
fn two_agents_on_a_folder() {
    check(folders());
}

#[test]
fn leases_and_terms_by_the_clock() {
    check(clocks());
}

#[test]
fn late_and_repeated_commands() {
    check(delays());
}

#[test]
fn one_task_and_all_that_can_happen_to_it() {
    check(one_task());
}

#[test]
fn two_tasks_on_one_branch() {
    check(two_tasks());
}

#[test]
fn a_task_that_waits_for_another() {
    check(dependent());
}

/// All worlds in full; minutes, and gibibytes.
#[test]
fn all_worlds_in_full() {
    if std::env::var_os(SECONDS).is_none() {
        println!("SKIP: it takes minutes, and cargo xtask model runs it");
        return;
    }
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    let worlds = [
        three_on_one(),
        two_on_two(),
        folders(),
        clocks(),
        delays(),
        one_task(),
        dependent(),
        two_tasks(),
        two_on_two_modes(),
    ];
    let mut states = 0;
    for world in worlds {
        states += explored(world, threads, most()).unique;
    }
    println!("all worlds: {states} states");
}
