//! What an agent asks of the mesh.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use devmesh_agent::effect::Effect;
use devmesh_agent::input::{Answer, Input, LeasesSeen, Sight, Unable};
use devmesh_agent::view::{Job, Key};
use devmesh_protocol::command::agent::Leave;
use devmesh_protocol::command::task::Bid;
use devmesh_protocol::query::{List, Locks, Query, Task, Tasks, What};
use devmesh_protocol::report::{Beat, BeatReply};
use devmesh_protocol::view::{AttemptView, LeaseView, RepoView, TaskView};
use devmesh_protocol::{Command, Rejection, Reply, SessionId, TaskId, Verb};
use serde_json::Value;

use super::{WorkerTag, shown};
use crate::call::{BEAT_ANSWER_MS, Body, Came, Tag, uuid};
use crate::world::World;

/// A command is sent until it is answered.
const EVER_MS: u64 = u64::MAX / 4;
/// A question is given up after this.
const ASK_MS: u64 = 20_000;
/// The states that an agent asks about.
const STATES: [&str; 8] =
    ["blocked", "paused", "landing", "review", "verifying", "working", "claimed", "queued"];

impl World {
    /// Performs what goes over the bus.
    pub(super) fn perform_mesh(&mut self, worker: usize, effect: Effect) {
        match effect {
            Effect::Join { session, join } => {
                let verb = Verb::AgentJoin(join);
                let tag = WorkerTag::Joined(session.clone());
                self.tell(worker, &session, verb, EVER_MS, tag);
            }
            Effect::RenewSession(_) => {
                let wall = self.worker_now(worker).wall_ms;
                let session = SessionId::new(&uuid(&mut self.rng, wall)).expect("a UUID is an id");
                self.workers[worker].session = session.clone();
                self.soon(worker, 1, Input::SessionRenewed(session));
            }
            Effect::Beat { session, seen } => {
                let sent_ms = self.worker_now(worker).ms;
                let it = &self.workers[worker];
                let body = Body::Beat(it.actor().clone(), Beat { session: session.clone(), seen });
                let tag = Tag::Worker(worker, WorkerTag::Beaten(session, sent_ms));
                self.ask(it.process, body, BEAT_ANSWER_MS, tag);
            }
            Effect::Leave { session } => {
                let leave = Leave { reason: Some("it ends".into()) };
                self.tell(worker, &session, Verb::AgentLeave(leave), 5_000, WorkerTag::Left);
            }
            Effect::Resend => {
                let letters: VecDeque<_> = self.workers[worker].outbox.iter().cloned().collect();
                self.resend(worker, letters);
            }
            Effect::Reconcile => self.list(worker, STATES.to_vec(), Vec::new()),
            Effect::FindWork(task) => {
                self.question(worker, task_of(task), None, WorkerTag::Found);
            }
            Effect::LookAtLeases(session) => {
                let actor = Some(self.workers[worker].actor().clone());
                let what = What::Locks(Locks { actor, ..Locks::default() });
                let tag = WorkerTag::Leases(session, None, Vec::new());
                self.question(worker, what, None, tag);
            }
            Effect::LookAt(task) => {
                self.question(worker, task_of(task), None, WorkerTag::Sight(task, None));
            }
            Effect::Bid { session, task, score } => {
                let verb = Verb::TaskBid(Bid { task, score, declined: None });
                self.tell(worker, &session, verb, 2_000, WorkerTag::Nothing);
            }
            Effect::Decline { session, task, why } => self.decline(worker, &session, task, why),
            Effect::LookUp { key, seen } => {
                self.question(worker, task_of(key.task), Some(seen), WorkerTag::Job(key, None));
            }
            Effect::Send { key, session, verb } => {
                let name = verb.name();
                self.workers[worker].desks.entry(key).or_default();
                self.tell(worker, &session, *verb, EVER_MS, WorkerTag::Sent(key, name));
            }
            Effect::Tell { session, verb } => {
                self.tell(worker, &session, *verb, 30_000, WorkerTag::Nothing);
            }
            Effect::ShareNotes { session, notes } => {
                for note in notes {
                    let verb = Verb::NoteShare(note);
                    self.tell(worker, &session, verb, 30_000, WorkerTag::Nothing);
                }
            }
            Effect::Post { key, session, verbs } => self.post(worker, key, &session, verbs),
            Effect::ReadSaid { key, known } => {
                self.question(worker, task_of(key.task), None, WorkerTag::Said(key, known));
            }
            _ => {}
        }
    }

    fn decline(&mut self, worker: usize, session: &SessionId, task: TaskId, why: String) {
        let verb = Verb::TaskBid(Bid { task, score: BTreeMap::new(), declined: Some(why) });
        self.tell(worker, session, verb, 2_000, WorkerTag::Nothing);
    }

    fn tell(
        &mut self,
        worker: usize,
        session: &SessionId,
        verb: Verb,
        within_ms: u64,
        tag: WorkerTag,
    ) {
        let (process, actor) = (self.workers[worker].process, self.workers[worker].actor().clone());
        let command = self.command(process, &actor, Some(session), verb);
        self.ask(process, Body::Command(command), within_ms, Tag::Worker(worker, tag));
    }

    fn question(&mut self, worker: usize, what: What, at_least: Option<u64>, tag: WorkerTag) {
        let it = &self.workers[worker];
        let query = Query { actor: it.actor().clone(), at_least, what };
        self.ask(it.process, Body::Query(Box::new(query)), ASK_MS, Tag::Worker(worker, tag));
    }

    fn list(&mut self, worker: usize, mut states: Vec<&'static str>, tasks: Vec<TaskView>) {
        let Some(state) = states.pop() else {
            return self.reach_worker(worker, None, Input::Reconciled(tasks));
        };
        let what = What::Tasks(Tasks { state: Some(state.into()), ..Tasks::default() });
        self.question(worker, what, None, WorkerTag::Tasks(states, tasks));
    }

    /// First the leases of a session have come, then one task after the other that they are for.
    fn leased(
        &mut self,
        worker: usize,
        session: SessionId,
        mut seen: Option<Box<LeasesSeen>>,
        mut tasks: Vec<TaskId>,
        came: Came,
    ) {
        if let (Some(seen), Some(task)) = (&mut seen, tasks.pop()) {
            let actor = self.workers[worker].actor();
            let running = shown::<TaskView>(came).map(|task| task.attempt);
            let own = |it: &AttemptView| it.actor == *actor && it.session == session;
            if running.is_none_or(|running| running.as_ref().is_some_and(own)) {
                seen.awarded.insert(task);
            }
        } else {
            // A list that does not come is no answer.
            if came.is_none() {
                return;
            }
            let mut leases = many::<LeaseView>(came, "leases");
            leases.retain(|lease| lease.session.as_ref() == Some(&session));
            let of: BTreeSet<TaskId> = leases.iter().filter_map(|lease| lease.task).collect();
            tasks = of.into_iter().collect();
            seen = Some(Box::new(LeasesSeen { leases, ..LeasesSeen::default() }));
        }
        match (tasks.last().copied(), seen) {
            (Some(task), seen) => {
                let tag = WorkerTag::Leases(session, seen, tasks);
                self.question(worker, task_of(task), None, tag);
            }
            (None, seen) => {
                let seen = seen.map(|seen| *seen).unwrap_or_default();
                self.reach_worker(worker, None, Input::LeasesSeen { session, seen });
            }
        }
    }

    /// Letters go out one after the other, each until it is answered.
    fn resend(&mut self, worker: usize, letters: VecDeque<Arc<Command>>) {
        let Some(first) = letters.front().cloned() else {
            return self.reach_worker(worker, None, Input::Resent);
        };
        let process = self.workers[worker].process;
        let tag = Tag::Worker(worker, WorkerTag::Resent(letters));
        self.ask(process, Body::Command(first), EVER_MS, tag);
    }

    fn post(&mut self, worker: usize, key: Key, session: &SessionId, verbs: Vec<Verb>) {
        let process = self.workers[worker].process;
        let actor = self.workers[worker].actor().clone();
        let mut letters = VecDeque::new();
        for verb in verbs {
            letters.push_back(self.command(process, &actor, Some(session), verb));
        }
        // All on disk before the first is sent.
        self.workers[worker].outbox.extend(letters.iter().cloned());
        self.posting(worker, key, letters, None);
    }

    fn posting(
        &mut self,
        worker: usize,
        key: Key,
        letters: VecDeque<Arc<Command>>,
        refused: Option<Rejection>,
    ) {
        let Some(first) = letters.front().cloned() else {
            return self.reach_worker(worker, None, Input::Posted { key, refused });
        };
        let process = self.workers[worker].process;
        let tag = Tag::Worker(worker, WorkerTag::Posted(key, letters, refused));
        self.ask(process, Body::Command(first), EVER_MS, tag);
    }

    fn take_letter(&mut self, worker: usize, letters: &mut VecDeque<Arc<Command>>) {
        if let Some(done) = letters.pop_front() {
            self.workers[worker].outbox.retain(|letter| letter.id != done.id);
        }
    }

    /// Something has come of a request of an agent's.
    pub(crate) fn came_to_worker(
        &mut self,
        worker: usize,
        tag: WorkerTag,
        came: Came,
        beat: Option<BeatReply>,
    ) {
        let input = match tag {
            WorkerTag::Joined(session) => {
                let Some(answer) = answer_of(came) else { return };
                Input::Joined { session, answer }
            }
            WorkerTag::Beaten(session, sent_ms) => Input::Beaten { sent_ms, session, answer: beat },
            WorkerTag::Left => Input::Left,
            WorkerTag::Resent(mut letters) => {
                self.take_letter(worker, &mut letters);
                return self.resend(worker, letters);
            }
            WorkerTag::Posted(key, mut letters, mut refused) => {
                if let Some(Answer::Refused(rejection)) = answer_of(came) {
                    refused.get_or_insert(rejection);
                }
                self.take_letter(worker, &mut letters);
                return self.posting(worker, key, letters, refused);
            }
            WorkerTag::Sent(key, verb) => {
                let Some(answer) = answer_of(came) else { return };
                Input::Answered { key, verb, answer }
            }
            WorkerTag::Tasks(states, mut tasks) => {
                tasks.extend(many::<TaskView>(came, "tasks"));
                return self.list(worker, states, tasks);
            }
            WorkerTag::Found => Input::Reconciled(shown::<TaskView>(came).into_iter().collect()),
            WorkerTag::Leases(of, seen, left) => return self.leased(worker, of, seen, left, came),
            WorkerTag::Sight(task, None) => match shown::<TaskView>(came) {
                Some(view) => {
                    let tag = WorkerTag::Sight(task, Some(Box::new(view)));
                    return self.question(worker, What::Repos(List::default()), None, tag);
                }
                None => Input::LookedAt { task, sight: Err(unheard()) },
            },
            WorkerTag::Sight(task, Some(_)) => {
                let repo = many::<RepoView>(came, "repos").pop();
                let base_commit = self.git.head();
                let warm = self.rng.chance(300);
                let sight = repo.map(|repo| Sight { repo, warm, base_commit });
                let sight = sight.ok_or_else(unheard);
                Input::LookedAt { task, sight }
            }
            WorkerTag::Job(key, None) => match shown::<TaskView>(came) {
                Some(view) => {
                    let tag = WorkerTag::Job(key, Some(Box::new(view)));
                    return self.question(worker, What::Repos(List::default()), None, tag);
                }
                None => Input::LookedUp { key, job: Err(unheard()) },
            },
            WorkerTag::Job(key, Some(task)) => {
                let repo = many::<RepoView>(came, "repos").pop().ok_or_else(unheard);
                let base_commit = self.git.head();
                let repo_path = "/r".into();
                let job =
                    repo.map(|repo| Box::new(Job { task: *task, repo, repo_path, base_commit }));
                Input::LookedUp { key, job }
            }
            WorkerTag::Said(key, known) => Input::Said { key, words: said(came, known) },
            WorkerTag::Nothing => return,
        };
        self.reach_worker(worker, None, input);
    }
}

fn said(came: Came, known: usize) -> Vec<String> {
    let said = shown::<TaskView>(came).map(|task| task.said).unwrap_or_default();
    said.iter().skip(known).map(|said| said.kind.clone()).collect()
}

fn unheard() -> Unable {
    Unable::Unheard("the task or its repository cannot be read".into())
}

fn task_of(task: TaskId) -> What {
    What::Task(Task { task })
}

fn answer_of(came: Came) -> Option<Answer> {
    Some(match came? {
        Reply::Ok { seq, result } => Answer::Done { seq, result },
        Reply::Err { error, .. } => Answer::Refused(error),
    })
}

/// A list in a reply, by its name.
fn many<T: serde::de::DeserializeOwned>(came: Came, name: &str) -> Vec<T> {
    let result = came.and_then(|reply| reply.into_result().ok()).map(|(_, result)| result);
    let list = result.and_then(|mut result| result.get_mut(name).map(Value::take));
    list.and_then(|list| serde_json::from_value(list).ok()).unwrap_or_default()
}
