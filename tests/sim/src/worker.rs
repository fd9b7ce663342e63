//! An agent: the real step of its process, over a modelled disk, worktree, tool and repository.

mod desk;
mod mesh;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use devmesh_agent::clock::Now;
use devmesh_agent::effect::Effect;
use devmesh_agent::input::{Input, LeasesSeen, Timed};
use devmesh_agent::step::step;
use devmesh_agent::view::{Job, Key, Me, Place, View, Work};
use devmesh_protocol::command::agent::Join;
use devmesh_protocol::view::TaskView;
use devmesh_protocol::{ActorId, Command, HostId, Rejection, SessionId, TaskId};

use crate::call::{Came, uuid};
use crate::rng::Rng;
use crate::world::{Happening, World};

/// How often an agent looks at its clock.
const TICK_MS: u64 = 250;

/// What an agent waits for.
#[derive(Debug)]
pub(crate) enum WorkerTag {
    /// The join of a session.
    Joined(SessionId),
    /// A heartbeat, sent at that time of its clock.
    Beaten(SessionId, u64),
    /// That it has left.
    Left,
    /// Letters of an earlier process, one by one.
    Resent(VecDeque<Arc<Command>>),
    /// The last commands of an attempt, one by one.
    Posted(Key, VecDeque<Arc<Command>>, Option<Rejection>),
    /// A command about an attempt.
    Sent(Key, &'static str),
    /// Lists of tasks, state by state.
    Tasks(Vec<&'static str>, Vec<TaskView>),
    /// The task that a beat's answer named.
    Found,
    /// The leases of a session, then the tasks that they are for, one by one.
    Leases(SessionId, Option<Box<LeasesSeen>>, Vec<TaskId>),
    /// A task to be looked at, then its repository.
    Sight(TaskId, Option<Box<TaskView>>),
    /// A task that was awarded, then its repository.
    Job(Key, Option<Box<TaskView>>),
    /// What people said.
    Said(Key, usize),
    /// Nothing.
    Nothing,
}

/// What is done for one attempt.
#[derive(Debug, Default)]
pub(crate) struct Desk {
    /// Counts what was cancelled: what was begun before comes to nothing.
    pub(crate) cancelled: u32,
    /// What is to be done.
    pub(crate) job: Option<Box<Job>>,
    /// Below the work.
    pub(crate) base: String,
    /// The work that stands in the worktree.
    pub(crate) work: Option<Work>,
    /// Something was changed since.
    pub(crate) is_dirty: bool,
    /// The tool's end, held up while it is frozen.
    pub(crate) frozen: bool,
    /// What comes when it goes on.
    pub(crate) held: Option<Input>,
    /// What is to be landed.
    pub(crate) order: Option<Box<devmesh_agent::effect::LandOrder>>,
}

/// An agent's process.
#[derive(Debug)]
pub(crate) struct Worker {
    /// Which process.
    pub(crate) process: usize,
    /// All that it knows.
    pub(crate) view: View,
    /// On its disk: the session.
    pub(crate) session: SessionId,
    /// On its disk: letters that were not answered.
    pub(crate) outbox: Vec<Arc<Command>>,
    /// What is being done.
    pub(crate) desks: BTreeMap<Key, Desk>,
    /// It has left and ended.
    pub(crate) is_gone: bool,
    me: Me,
    /// Its machine.
    pub(crate) host: HostId,
}

impl Worker {
    /// An agent that has never run.
    #[must_use]
    pub(crate) fn new(number: usize, process: usize, rng: &mut Rng) -> Worker {
        let actor = ActorId::new(&format!("agent-{number}")).expect("letters are an id");
        let host = HostId::new(&format!("host-{number}")).expect("letters are an id");
        let join = Join {
            tool: "codex".into(),
            host: host.clone(),
            model: None,
            capabilities: Vec::new(),
            needs: Default::default(),
            repos: Vec::new(),
            for_persons: Vec::new(),
            seen: None,
        };
        let me = Me {
            actor,
            join,
            retries_max: 2,
            resumes: true,
            lease_wait_ms: rng.pick(&[5_000, 30_000]),
            ttl_ms: 15_000,
        };
        let session = SessionId::new(&uuid(rng, 0)).expect("a UUID is a session id");
        let view = View::new(me.clone(), session.clone());
        Worker {
            process,
            view,
            session,
            outbox: Vec::new(),
            desks: BTreeMap::new(),
            is_gone: false,
            me,
            host,
        }
    }

    /// Who it is.
    #[must_use]
    pub(crate) fn actor(&self) -> &ActorId {
        &self.me.actor
    }
}

impl World {
    /// An agent's process begins, with what is on its disk.
    pub(crate) fn begin_worker(&mut self, worker: usize) {
        let it = &mut self.workers[worker];
        it.view = View::new(it.me.clone(), it.session.clone());
        it.desks.clear();
        self.after(0, Happening::WorkerTick { worker });
    }

    /// It looks at its clock.
    pub(crate) fn tick_worker(&mut self, worker: usize) {
        if self.workers[worker].is_gone {
            return;
        }
        self.after(TICK_MS, Happening::WorkerTick { worker });
        self.reach_worker(worker, None, Input::Tick);
    }

    /// Both clocks of an agent.
    pub(crate) fn worker_now(&self, worker: usize) -> Now {
        let process = &self.processes[self.workers[worker].process];
        Now { ms: process.age(self.now), wall_ms: process.wall(self.now) }
    }

    /// Something has come to an agent; what an attempt's desk made is dropped where that was
    /// cancelled since.
    pub(crate) fn reach_worker(&mut self, worker: usize, desk: Option<(Key, u32)>, input: Input) {
        let it = &mut self.workers[worker];
        if it.is_gone {
            return;
        }
        if let Some((key, cancelled)) = desk {
            let Some(desk) = it.desks.get_mut(&key).filter(|it| it.cancelled == cancelled) else {
                return;
            };
            if desk.frozen && matches!(input, Input::ToolEnded { .. }) {
                desk.held = Some(input);
                return;
            }
        }
        let now = self.worker_now(worker);
        for effect in step(&mut self.workers[worker].view, Timed { now, input }) {
            self.perform_worker(worker, effect);
        }
    }

    /// Something comes to an agent after a while.
    fn soon(&mut self, worker: usize, ms: u64, input: Input) {
        let input = Box::new(input);
        self.after(ms, Happening::ToWorker { worker, desk: None, input });
    }

    fn perform_worker(&mut self, worker: usize, effect: Effect) {
        match effect {
            Effect::Exit => {
                self.workers[worker].is_gone = true;
                let process = self.workers[worker].process;
                self.calls.forget(process);
            }
            Effect::Join { .. }
            | Effect::RenewSession(_)
            | Effect::Beat { .. }
            | Effect::Leave { .. }
            | Effect::Resend
            | Effect::Reconcile
            | Effect::LookAt(_)
            | Effect::FindWork(_)
            | Effect::LookAtLeases(_)
            | Effect::Bid { .. }
            | Effect::Decline { .. }
            | Effect::LookUp { .. }
            | Effect::Send { .. }
            | Effect::Tell { .. }
            | Effect::Post { .. }
            | Effect::ShareNotes { .. }
            | Effect::ReadSaid { .. }
            | Effect::ReadFramework { .. } => self.perform_mesh(worker, effect),
            Effect::Prepare { .. }
            | Effect::ProveBase { .. }
            | Effect::Run { .. }
            | Effect::Freeze(_)
            | Effect::Thaw(_)
            | Effect::StopTool(_)
            | Effect::Save(_)
            | Effect::Capture { .. }
            | Effect::PrepareReview { .. }
            | Effect::Vacate(_)
            | Effect::PreparePlan { .. }
            | Effect::Refresh { .. }
            | Effect::Verify { .. }
            | Effect::Land { .. }
            | Effect::Publish { .. }
            | Effect::Rebase { .. }
            | Effect::Halt(_)
            | Effect::Drop(_)
            | Effect::Finish(_) => self.perform_desk(worker, effect),
        }
    }

    /// A place for a job.
    fn place(base: &str, continues: bool) -> Place {
        Place { worktree: "/w".into(), base: base.to_owned(), prompt: "do it".into(), continues }
    }
}

/// What a reply holds, as a view; `None` where it was refused or did not come.
pub(crate) fn shown<T: serde::de::DeserializeOwned>(came: Came) -> Option<T> {
    let (_, result) = came?.into_result().ok()?;
    serde_json::from_value(result).ok()
}
