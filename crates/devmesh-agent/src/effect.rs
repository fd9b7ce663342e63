//! Performs what `step` asks for. Decides nothing: every outcome goes back as an input.

mod desk;
mod freshen;
mod kinds;
mod mesh;
mod patience;
mod prepare;
mod read;
mod review;
mod tool;
mod worktree;

pub use kinds::{Effect, LandOrder};

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::ops::ControlFlow;
use std::sync::Arc;

use devmesh_bus::client::Client;
use devmesh_protocol::command::task::Bid;
use devmesh_protocol::view::RepoView;
use devmesh_protocol::{RepoId, Verb};
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinHandle;

use crate::clock::Clock;
use crate::config::Config;
use crate::input::Input;
use crate::keeper::Post;
use crate::origin::Origin;
use crate::outbox::Outbox;
use crate::view::Key;
use desk::Desk;

/// Performs effects, each in a task of its own.
#[derive(Debug)]
pub(crate) struct Performer {
    world: World,
    desks: BTreeMap<Key, Arc<Desk>>,
    /// The last save, which may be under way.
    saving: Option<(Key, JoinHandle<()>)>,
}

/// What effects work with; a cheap copy for each.
#[derive(Debug, Clone)]
pub(crate) struct World {
    pub(crate) config: Arc<Config>,
    pub(crate) client: Client,
    /// What is asked of other hosts' keepers.
    pub(crate) post: Post,
    /// Repositories of other hosts that were reached when they were last asked for.
    pub(crate) reached: Arc<std::sync::Mutex<BTreeSet<RepoId>>>,
    pub(crate) outbox: Arc<Mutex<Outbox>>,
    pub(crate) inputs: mpsc::Sender<Input>,
    pub(crate) clock: Clock,
}

impl World {
    /// Gives an input to the process; one that is ending needs none.
    pub(crate) async fn put(&self, input: Input) {
        let _ = self.inputs.send(input).await;
    }

    /// Where a repository is, where that is another host.
    pub(crate) fn origin(&self, repo: &RepoView) -> Option<Origin> {
        match &repo.host {
            Some(host) if *host == self.config.host => None,
            Some(host) => Some(Origin::Kept(Box::new(self.post.line(host, &repo.repo)))),
            None => {
                let address = self.config.origin.as_ref()?;
                Some(Origin::Git(address.replace("{repo}", repo.repo.as_str())))
            }
        }
    }
}

impl Performer {
    pub(crate) fn new(world: World) -> Self {
        Self { world, desks: BTreeMap::new(), saving: None }
    }

    /// Begins an effect; `Break` where the process is to end.
    pub(crate) fn perform(&mut self, effect: Effect) -> ControlFlow<()> {
        let world = self.world.clone();
        match effect {
            Effect::Exit => return ControlFlow::Break(()),
            Effect::Join { session, join } => spawn(mesh::join(world, session, join)),
            Effect::RenewSession(old) => spawn(mesh::renew(world, old)),
            Effect::Beat { session, seen } => spawn(mesh::beat(world, session, seen)),
            Effect::Leave { session } => spawn(mesh::leave(world, session)),
            Effect::Resend => spawn(mesh::resend(world)),
            Effect::Reconcile => spawn(read::reconcile(world)),
            Effect::FindWork(task) => spawn(read::find_work(world, task)),
            Effect::LookAtLeases(session) => spawn(read::leases(world, session)),
            Effect::LookAt(task) => spawn(read::look_at(world, task)),
            Effect::Bid { session, task, score } => {
                let bid = Bid { task, score, declined: None };
                spawn(mesh::bid(world, session, bid));
            }
            Effect::Decline { session, task, why } => {
                let bid = Bid { task, score: BTreeMap::new(), declined: Some(why) };
                spawn(mesh::bid(world, session, bid));
            }
            Effect::LookUp { key, seen } => spawn(read::look_up(world, key, seen)),
            Effect::Send { key, session, verb } => {
                let cancel = self.desk(key).cancel.clone();
                spawn(mesh::send(world, key, session, *verb, cancel));
            }
            Effect::Tell { session, verb } => spawn(mesh::tell(world, session, *verb)),
            Effect::Post { key, session, verbs } => {
                // What has landed needs no save, and the branch waits to be told.
                let has_landed = verbs.iter().any(|verb| matches!(verb, Verb::TaskComplete(_)));
                let saving = self.saving.take_if(|(of, _)| *of == key && !has_landed);
                let saving = saving.map(|(_, saving)| saving);
                spawn(mesh::post(world, key, session, verbs, saving));
            }
            Effect::ShareNotes { session, notes } => spawn(mesh::share(world, session, notes)),
            Effect::ReadSaid { key, known } => spawn(read::said(world, key, known)),
            Effect::ReadFramework { session, version, text } => {
                spawn(read::framework(world, session, version, text));
            }
            effect => self.at_desk(world, effect),
        }
        ControlFlow::Continue(())
    }

    /// What is done in an attempt's slot.
    fn at_desk(&mut self, world: World, effect: Effect) {
        match effect {
            Effect::Prepare { key, job, lore } => {
                let desk = self.desk(key);
                at(&desk, prepare::prepare(world, desk.clone(), *job, lore, false));
            }
            Effect::ProveBase { key } => {
                let desk = self.desk(key);
                at(&desk, worktree::prove_base(world, desk.clone()));
            }
            Effect::Run { key, prompt, session } => {
                let desk = self.desk(key);
                at(&desk, tool::run(world, desk.clone(), prompt, session));
            }
            Effect::Freeze(key) => spawn(tool::freeze(self.desk(key), true)),
            Effect::Thaw(key) => spawn(tool::freeze(self.desk(key), false)),
            Effect::StopTool(key) => spawn(tool::stop(self.desk(key))),
            Effect::Save(key) => {
                let saving = tokio::spawn(worktree::save(world, self.desk(key)));
                self.saving = Some((key, saving));
            }
            Effect::Capture { key, conflicts } => {
                let desk = self.desk(key);
                at(&desk, worktree::capture(world, desk.clone(), conflicts));
            }
            Effect::Refresh { key, work } => {
                let desk = self.desk(key);
                at(&desk, freshen::refresh(world, desk.clone(), work));
            }
            Effect::Verify { key, work } => {
                let desk = self.desk(key);
                at(&desk, worktree::verify(world, desk.clone(), work));
            }
            Effect::Land { key, order } => {
                let desk = self.desk(key);
                at(&desk, worktree::land(world, desk.clone(), *order));
            }
            Effect::Publish { key, job, work, flow, message } => {
                let desk = self.desk(key);
                at(&desk, worktree::publish(world, desk.clone(), *job, work, flow, message));
            }
            Effect::Rebase { key, work, onto } => {
                let desk = self.desk(key);
                at(&desk, freshen::rebase(world, desk.clone(), work, onto));
            }
            Effect::Halt(key) => {
                let desk = self.desk(key);
                desk.cancel.cancel();
                spawn(tool::stop(desk));
            }
            Effect::Drop(key) => {
                let desk = self.desk(key);
                desk.cancel.cancel();
                self.desks.remove(&key);
                spawn(worktree::drop_all(world, desk));
            }
            Effect::Finish(key) => {
                let desk = self.desk(key);
                self.desks.remove(&key);
                spawn(worktree::finish(world, desk));
            }
            effect => self.looking(world, effect),
        }
    }

    /// What is done for another's work, and where it meets others'.
    fn looking(&mut self, world: World, effect: Effect) {
        match effect {
            Effect::PrepareReview { key, tree } => {
                let desk = self.desk(key);
                at(&desk, review::prepare(world, desk.clone(), tree));
            }
            Effect::PreparePlan { key, job, lore } => {
                let desk = self.desk(key);
                at(&desk, prepare::prepare(world, desk.clone(), *job, lore, true));
            }
            Effect::Vacate(key) => {
                let desk = self.desk(key);
                desk.cancel.cancel();
                self.desks.remove(&key);
                spawn(review::end(world, desk));
            }
            _ => tracing::error!("an effect without a performer"),
        }
    }

    fn desk(&mut self, key: Key) -> Arc<Desk> {
        self.desks.entry(key).or_insert_with(|| Arc::new(Desk::new(key))).clone()
    }
}

fn spawn(work: impl Future<Output = ()> + Send + 'static) {
    tokio::spawn(work);
}

/// Work that ends unfinished when its attempt is let go.
fn at(desk: &Arc<Desk>, work: impl Future<Output = ()> + Send + 'static) {
    let cancel = desk.cancel.clone();
    tokio::spawn(async move {
        tokio::select! {
            () = cancel.cancelled() => {}
            () = work => {}
        }
    });
}
