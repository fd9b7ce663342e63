//! The person at the terminal: names the actors, adds a repository and tasks, and meddles.

use devmesh_domain::glance;
use devmesh_protocol::command::agent::{ActorAdd, Role};
use devmesh_protocol::command::lock::{Acquire, Release};
use devmesh_protocol::command::mesh::{Pause, RepoAdd, Resume};
use devmesh_protocol::command::task::{Add, Edit, Judgement, Reasoned, Review, Reviewed, Say};
use devmesh_protocol::report::{HostReport, Pressure};
use devmesh_protocol::{ActorId, Code, LeaseId, Mode, Reply, RepoId, RepoPath, TaskId, Verb};
use serde_json::Value;

use crate::call::{Body, Came, Tag};
use crate::rng::Rng;
use crate::world::{Happening, World};

/// Where a task may say that it works.
const PATHS: [&str; 5] = ["a.rs", "b.rs", "src/", "src/f/", "c.rs"];
/// How long the person waits for an answer.
const PATIENCE_MS: u64 = 60_000;

/// What the person waits for.
#[derive(Debug)]
pub(crate) enum PersonTag {
    /// One of the first things, which is done until it is done.
    First(usize),
    /// A task.
    Added,
    /// Anything else.
    Meddled,
}

/// The person.
#[derive(Debug)]
pub(crate) struct Person {
    /// Which process.
    pub(crate) process: usize,
    /// How many of the first things are done.
    begun: usize,
    is_busy: bool,
    /// The first things are not all done.
    pub(crate) is_beginning: bool,
    /// Tasks that were asked for.
    pub(crate) asked: u64,
    /// Tasks that are known.
    pub(crate) tasks: Vec<TaskId>,
}

impl Person {
    /// One who has not begun.
    #[must_use]
    pub(crate) fn new(process: usize) -> Person {
        Person {
            process,
            begun: 0,
            is_busy: false,
            is_beginning: true,
            asked: 0,
            tasks: Vec::new(),
        }
    }
}

impl World {
    /// Does the next thing.
    pub(crate) fn act_person(&mut self) {
        let ms = if self.healing { 2_000 } else { self.rng.within(1, self.plan.tasks_ms) };
        let is_beginning = self.person.is_beginning;
        self.after(if is_beginning { 50 } else { ms }, Happening::Person);
        if self.person.is_busy && !self.healing {
            return;
        }
        if is_beginning {
            return self.begin_mesh();
        }
        if self.healing {
            return self.clear_up();
        }
        let (meddles, most) = (self.rng.chance(self.plan.meddle), self.plan.tasks_max);
        if meddles && !self.person.tasks.is_empty() {
            self.meddle();
        } else if self.person.asked < most {
            self.add_task();
        }
    }

    fn says(&mut self, actor: &ActorId, verb: Verb, tag: PersonTag) {
        let process = self.person.process;
        let command = self.command(process, actor, None, verb);
        self.person.is_busy = true;
        self.ask(process, Body::Command(command), PATIENCE_MS, Tag::Person(tag));
    }

    fn alice() -> ActorId {
        ActorId::new("alice").expect("letters are an id")
    }

    /// Who is who, and the repository.
    fn first_things(&self) -> Vec<(ActorId, Verb)> {
        let add = |actor: &ActorId, role| {
            let verb = Verb::ActorAdd(ActorAdd { actor: actor.clone(), role });
            (ActorId::admin(), verb)
        };
        let mut things = vec![add(&World::alice(), Role::Person)];
        things.extend(
            self.lockers
                .iter()
                .map(|it| add(&it.actor, if it.is_person { Role::Person } else { Role::Agent })),
        );
        things.extend(self.workers.iter().map(|it| add(it.actor(), Role::Agent)));
        let repo = RepoAdd {
            name: RepoId::new("web").expect("letters are an id"),
            url: None,
            path: Some("/src/web".into()),
            host: None,
            base: Some("main".into()),
            verify: vec!["true".into()],
            setup: None,
            target: None,
            ignore_case: false,
            hot: None,
        };
        things.push((World::alice(), Verb::RepoAdd(repo)));
        things
    }

    fn begin_mesh(&mut self) {
        let at = self.person.begun;
        if let Some((actor, verb)) = self.first_things().into_iter().nth(at) {
            self.says(&actor, verb, PersonTag::First(at));
        }
    }

    fn add_task(&mut self) {
        self.person.asked += 1;
        let path = self.rng.pick(&PATHS);
        let depends_on = match self.person.tasks.last() {
            Some(task) if self.rng.chance(150) => vec![*task],
            _ => Vec::new(),
        };
        let priority = u8::try_from(self.rng.below(5)).unwrap_or(2);
        let add = Add {
            title: format!("task {}", self.person.asked),
            prompt: self.rng.chance(300).then(|| format!("text {}", self.person.asked)),
            paths: vec![RepoPath::new(path).expect("a plain path")],
            priority: Some(priority),
            depends_on,
            ..Add::default()
        };
        self.says(&World::alice(), Verb::TaskAdd(add), PersonTag::Added);
    }

    fn meddle(&mut self) {
        let task = self.rng.pick(&self.person.tasks.clone());
        let reasoned = Reasoned { task, reason: None };
        let verb = match self.rng.below(10) {
            0 => Verb::TaskPause(reasoned),
            1 => Verb::TaskResume(reasoned),
            2 => Verb::TaskCancel(reasoned),
            3 => Verb::TaskRetry(reasoned),
            4 => Verb::TaskSay(Say { task, text: "look again".into() }),
            5 => Verb::MeshPause(Pause { now: self.rng.chance(500), reason: None }),
            6 => Verb::MeshResume(Resume::default()),
            7 | 8 => self.holds_files(),
            _ => Verb::TaskEdit(Edit {
                task,
                title: None,
                prompt: None,
                paths: None,
                priority: Some(0),
                depends_on: None,
                reason: None,
            }),
        };
        self.says(&World::alice(), verb, PersonTag::Meddled);
    }

    /// The person keeps files that tasks are about, some for longer than a task waits in line.
    fn holds_files(&mut self) -> Verb {
        let path = self.rng.pick(&PATHS);
        Verb::LockAcquire(Acquire {
            paths: vec![RepoPath::new(path).expect("a plain path")],
            mode: self.rng.pick(&[Mode::Write, Mode::Write, Mode::Read, Mode::CoWrite]),
            repo: None,
            task: None,
            ttl_ms: Some(self.rng.pick(&[10_000, 60_000, 1_500_000])),
            wait_ms: Some(self.rng.pick(&[0, 20_000])),
            share: None,
            reason: None,
        })
    }

    /// Whatever waits for a person gets one.
    fn clear_up(&mut self) {
        let alice = World::alice();
        let held = glance::held(self.oracle.state());
        let own = held.filter(|(_, lease)| lease.holder.actor == alice).map(|(id, _)| id);
        let leases: Vec<LeaseId> = own.collect();
        if !leases.is_empty() {
            let release = Verb::LockRelease(Release { leases, ..Release::default() });
            return self.says(&alice, release, PersonTag::Meddled);
        }
        if self.oracle.is_paused() {
            let resume = Verb::MeshResume(Resume::default());
            return self.says(&World::alice(), resume, PersonTag::Meddled);
        }
        let waiting = self.rows(&["paused", "blocked", "review"]);
        if !waiting.is_empty() {
            let at = usize::try_from(self.rng.below(waiting.len() as u64)).unwrap_or(0);
            let (task, state) = &waiting[at];
            let task = *task;
            let gives_up = self.rng.chance(200);
            let verb = match *state {
                // What it depends on may never come to be.
                "blocked" if gives_up => Verb::TaskCancel(Reasoned { task, reason: None }),
                "review" => Verb::TaskReview(Review {
                    task,
                    what: Reviewed::Diff,
                    verdict: Judgement::Approve,
                    comments: None,
                    tree: None,
                }),
                _ => Verb::TaskResume(Reasoned { task, reason: None }),
            };
            self.says(&World::alice(), verb, PersonTag::Meddled);
        }
    }

    /// Tasks in those states.
    #[must_use]
    pub(crate) fn rows(&self, states: &[&str]) -> Vec<(TaskId, &'static str)> {
        let tasks = glance::tasks(self.oracle.state());
        let rows = tasks.map(|(id, task)| (id, task.state_name()));
        rows.filter(|(_, state)| states.contains(state)).collect()
    }

    /// Something has come of it.
    pub(crate) fn came_to_person(&mut self, tag: PersonTag, came: Came) {
        self.person.is_busy = false;
        match (tag, came) {
            (PersonTag::First(at), Some(Reply::Ok { .. })) => {
                self.person.begun = self.person.begun.max(at + 1);
                self.person.is_beginning = self.person.begun < self.first_things().len();
            }
            // Under a new id, the next time; by then the clock may be right again.
            (PersonTag::First(_), Some(Reply::Err { error, .. }))
                if error.code == Code::IdExpired || error.details.contains_key("ahead_ms") => {}
            (PersonTag::First(_), Some(Reply::Err { error, .. })) => {
                self.broken(format!("the mesh cannot begin: {error}"));
            }
            (PersonTag::Added, Some(Reply::Ok { result, .. })) => {
                let id = result.get("task").and_then(Value::as_str).and_then(|id| id.parse().ok());
                self.person.tasks.extend::<Option<TaskId>>(id);
            }
            (PersonTag::Added | PersonTag::Meddled | PersonTag::First(_), _) => {}
        }
    }

    /// Every host tells what it measures; now and then there is less of it.
    pub(crate) fn measure(&mut self) {
        self.after(5_000, Happening::Measure);
        for worker in 0..self.workers.len() {
            let is_short = !self.healing && self.plan.tool > 0 && self.rng.chance(20);
            if is_short {
                self.stats.fault("a host without room");
            }
            let is_strained = !self.healing && self.plan.tool > 0 && self.rng.chance(60);
            if is_strained {
                self.stats.fault("a strained host");
            }
            let strain = |rng: &mut Rng, most: u64| match is_strained {
                true => rng.within(0, most),
                false => 0,
            };
            let rng = &mut self.rng;
            let milli = |rng: &mut Rng| u32::try_from(strain(rng, 1_000)).unwrap_or(0);
            let pressure =
                Pressure { cpu_milli: milli(rng), memory_milli: milli(rng), io_milli: milli(rng) };
            let report = HostReport {
                host: self.workers[worker].host.clone(),
                at: devmesh_protocol::At(0),
                ram_total_mb: 8_192,
                ram_free_mb: 4_096 - strain(rng, 4_000),
                ram_limit_mb: None,
                swap_total_mb: 1_000,
                swap_used_mb: strain(rng, 1_000),
                cpus: 4,
                cpu_milli: 100,
                load1_milli: 100 + strain(rng, 16_000),
                pressure: Some(pressure),
                disk_free_mb: 10_000 - strain(rng, 10_000),
                gpus: Vec::new(),
                slots: if is_short { 0 } else { 2 },
                ignore_strain: false,
            };
            let process = self.workers[worker].process;
            self.ask(process, Body::Report(Box::new(report)), 2_000, Tag::Nobody);
        }
    }
}
