//! Exploring a world with stateright: every state once, every promise in each.
//!
//! A state of a mesh is large and its normal form is small. So what the checker keeps of a state
//! is the normal form's digest and the way there; the state itself is made again from the way,
//! which costs a step or two, since neighbours in the checker's queue share most of theirs.

use std::cell::RefCell;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use devmesh_domain::invariant;
use devmesh_protocol::Digest;
use devmesh_protocol::planted::{Fault, plant};
use stateright::{Checker, HasDiscoveries, Model, Property};

use crate::action::Action;
use crate::options::Options;
use crate::world::{Broken, World};

/// The one promise of all promises, by the name that the checker knows it by.
const PROMISES: &str = "every promise holds";

/// A world to be explored.
#[derive(Clone, Debug)]
pub(crate) struct Mesh {
    options: Arc<Options>,
    fault: Option<Fault>,
    /// Tells the models apart whose states a thread has seen.
    number: u64,
}

/// A state as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Packed {
    key: [u64; 2],
    way: Box<[u16]>,
    broken: Option<&'static str>,
}

impl Hash for Packed {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key.hash(state);
        self.broken.hash(state);
    }
}

/// An action and its place among all that can happen.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Step {
    place: u16,
    pub(crate) action: Action,
}

/// What an exploration came to.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) unique: usize,
    pub(crate) generated: usize,
    pub(crate) depth: usize,
    pub(crate) took: Duration,
    pub(crate) broken: Option<(Broken, Vec<Action>)>,
    /// What should have happened somewhere and did not.
    pub(crate) missed: Vec<&'static str>,
    /// It came to its end.
    pub(crate) whole: bool,
}

/// The worlds along the way that a thread was on last.
#[derive(Default)]
struct Trail {
    number: u64,
    way: Vec<u16>,
    worlds: Vec<World>,
    /// What was found of the last of them.
    verdict: Option<Option<&'static str>>,
}

thread_local! {
    static TRAIL: RefCell<Trail> = RefCell::default();
}

impl Mesh {
    pub(crate) fn new(options: Options, fault: Option<Fault>) -> Mesh {
        static NUMBERS: AtomicU64 = AtomicU64::new(1);
        let number = NUMBERS.fetch_add(1, Ordering::Relaxed);
        Mesh { options: Arc::new(options), fault, number }
    }

    /// The world at the end of a way.
    fn at<T>(
        &self,
        way: &[u16],
        f: impl FnOnce(&World, &mut Option<Option<&'static str>>) -> T,
    ) -> T {
        let _bug = plant(self.fault);
        TRAIL.with_borrow_mut(|trail| {
            if trail.number != self.number {
                let worlds = vec![World::new(Arc::clone(&self.options))];
                *trail = Trail { number: self.number, worlds, ..Trail::default() };
            }
            let shared = trail.way.iter().zip(way).take_while(|(a, b)| a == b).count();
            if shared < trail.way.len() || shared < way.len() {
                trail.verdict = None;
            }
            trail.way.truncate(shared);
            trail.worlds.truncate(shared + 1);
            for place in &way[shared..] {
                let mut world = trail.worlds.last().expect("the first is always there").clone();
                let mut actions = Vec::new();
                world.actions(&mut actions);
                world.happen(&actions[usize::from(*place)]).expect("it was taken before");
                trail.way.push(*place);
                trail.worlds.push(world);
            }
            let Trail { worlds, verdict, .. } = trail;
            f(worlds.last().expect("the first is always there"), verdict)
        })
    }

    /// Whether every promise holds in a state; the name of one that does not.
    fn verdict(&self, packed: &Packed) -> Option<&'static str> {
        if packed.broken.is_some() {
            return packed.broken;
        }
        let heals = u64::from(self.options.heals);
        let heal = heals > 0 && packed.key[0].is_multiple_of(heals);
        self.at(&packed.way, |world, known| {
            *known.get_or_insert_with(|| examine(world, heal).err().map(|broken| broken.name))
        })
    }

    /// All that could be said of it by one who walks there.
    fn walk(&self, actions: &[Action]) -> Option<Broken> {
        let _bug = plant(self.fault);
        let mut world = World::new(Arc::clone(&self.options));
        for action in actions {
            if let Err(broken) = world.happen(action) {
                return Some(broken);
            }
        }
        examine(&world, self.options.heals > 0).err()
    }

    /// Explores all of it, or until something is broken, or until the time is over.
    pub(crate) fn explore(self, threads: usize, most: Duration) -> Outcome {
        let began = Instant::now();
        let mesh = self.clone();
        let checker = self
            .checker()
            .threads(threads)
            .timeout(most)
            .finish_when(HasDiscoveries::AnyOf([PROMISES].into()))
            .spawn_bfs()
            .join();
        let took = began.elapsed();
        let broken = checker.discovery(PROMISES).map(|path| {
            let steps = path.into_actions();
            let actions: Vec<Action> = steps.into_iter().map(|step| step.action).collect();
            let unsaid = || Broken { name: "unsaid", why: "it was not seen again".to_owned() };
            (mesh.walk(&actions).unwrap_or_else(unsaid), actions)
        });
        let reached = |name: &&'static str| checker.discovery(name).is_some();
        let names = mesh.options.reaches.iter().map(|(name, _)| *name);
        Outcome {
            unique: checker.unique_state_count(),
            generated: checker.state_count(),
            depth: checker.max_depth(),
            took,
            whole: took < most,
            missed: names.filter(|name| !reached(name)).collect(),
            broken,
        }
    }
}

fn examine(world: &World, heal: bool) -> Result<(), Broken> {
    for (name, holds) in invariant::ALL {
        holds(&world.state).map_err(|why| Broken { name, why })?;
    }
    if heal { world.clone().drains() } else { Ok(()) }
}

fn reaches<const N: usize>(mesh: &Mesh, packed: &Packed) -> bool {
    packed.broken.is_none() && mesh.at(&packed.way, |world, _| (mesh.options.reaches[N].1)(world))
}

impl Model for Mesh {
    type State = Packed;
    type Action = Step;

    fn init_states(&self) -> Vec<Packed> {
        let key = self.at(&[], |world, _| key(world));
        vec![Packed { key, way: Box::default(), broken: None }]
    }

    fn actions(&self, packed: &Packed, out: &mut Vec<Step>) {
        if packed.broken.is_some() {
            return;
        }
        let mut actions = Vec::new();
        self.at(&packed.way, |world, _| world.actions(&mut actions));
        out.extend((0..).zip(actions).map(|(place, action)| Step { place, action }));
    }

    fn next_state(&self, packed: &Packed, step: Step) -> Option<Packed> {
        let mut world = self.at(&packed.way, |world, _| world.clone());
        let _bug = plant(self.fault);
        let broken = world.happen(&step.action).err().map(|broken| broken.name);
        let mut way = packed.way.to_vec();
        way.push(step.place);
        Some(Packed { key: key(&world), way: way.into(), broken })
    }

    fn properties(&self) -> Vec<Property<Mesh>> {
        let all: [fn(&Mesh, &Packed) -> bool; 6] =
            [reaches::<0>, reaches::<1>, reaches::<2>, reaches::<3>, reaches::<4>, reaches::<5>];
        let promises = Property::always(PROMISES, |mesh: &Mesh, packed: &Packed| {
            mesh.verdict(packed).is_none()
        });
        let reaches = self.options.reaches.iter().zip(all);
        let reaches = reaches.map(|((name, _), reached)| Property::sometimes(name, reached));
        [promises].into_iter().chain(reaches).collect()
    }
}

fn key(world: &World) -> [u64; 2] {
    let digest = Digest::of(&world.form()).0;
    let word = |i: usize| {
        u64::from_le_bytes(digest[i..i + 8].try_into().expect("eight bytes of thirty-two"))
    };
    [word(0), word(8)]
}
