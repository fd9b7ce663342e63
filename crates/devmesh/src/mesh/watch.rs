//! A mesh that runs: what ended is started again, and what will not stay up is given up.

use std::collections::BTreeMap;
use std::fs::File;
use std::sync::Arc;
use std::time::{Duration, Instant};

use devmesh_bus::cred::Trust;
use tokio::task::JoinSet;

use super::begun;
use super::bus;
use super::child::{Kind, Spec, last_words};
use super::end;
use super::plan::Plan;
use super::signals::{Heard, Signals};
use super::store::{Look, Store};
use crate::error::{Error, Result};
use crate::exit::Exit;
use crate::host::now;
use crate::keys;
use crate::output::say;
use crate::process::Known;
use crate::state_dir::{GivenUp, RunFile, StateDir};

/// The name of the bus's process.
pub(super) const BUS: &str = "nats-server";
/// A process that ends more often than this within [`CRASH_WINDOW`] is given up.
const CRASHES_MAX: usize = 5;
const CRASH_WINDOW: Duration = Duration::from_secs(60);
/// The pause before the second start; it doubles with each.
const PAUSE_MIN: Duration = Duration::from_millis(200);

/// A mesh that runs, or is about to.
pub(super) struct Mesh {
    pub(super) state: StateDir,
    pub(super) plan: Plan,
    /// None on a host that joined: the keys are the other's.
    pub(super) trust: Option<Arc<Trust>>,
    pub(super) gate: Option<super::gate::Open>,
    pub(super) keeper: Option<super::keeper::Kept>,
    pub(super) run: RunFile,
    pub(super) specs: BTreeMap<String, Spec>,
    pub(super) news: JoinSet<News>,
    pub(super) store: Store,
    crashes: BTreeMap<String, Vec<Instant>>,
    /// Held for as long as this process may write what runs.
    _alone: File,
}

/// What a watched process came to.
pub(super) enum News {
    /// It ended.
    Ended {
        /// Which.
        name: String,
        /// How, in words.
        how: String,
        /// Its exit code, where it had one.
        code: Option<i32>,
    },
    /// The pause before its next start is over.
    Again {
        /// Which.
        name: String,
    },
    /// The store was looked at.
    Store(Look),
}

impl Mesh {
    /// Nothing is started yet. None where another process supervises this mesh.
    pub(super) fn new(state: StateDir, plan: Plan) -> Result<Option<Mesh>> {
        let Some(alone) = begun::alone(&state)? else { return Ok(None) };
        let trust = if plan.joined.is_none() { Some(Arc::new(keys::open(&state)?)) } else { None };
        let run = RunFile::new(&state);
        let (specs, crashes) = (BTreeMap::new(), BTreeMap::new());
        let (news, store) = (JoinSet::new(), Store::default());
        Ok(Some(Mesh {
            state,
            plan,
            trust,
            gate: None,
            keeper: None,
            run,
            specs,
            news,
            store,
            crashes,
            _alone: alone,
        }))
    }

    /// The mesh's keys.
    pub(super) fn keys(&self) -> Result<&Arc<Trust>> {
        let missing = || Error::failed("open the mesh's keys").because("they are another host's");
        self.trust.as_ref().ok_or_else(missing)
    }

    /// What runs.
    pub(super) fn run(&self) -> &RunFile {
        &self.run
    }

    /// Starts a process and begins to watch it.
    pub(super) fn launch(&mut self, spec: Spec) -> Result<Known> {
        let (mut child, known) = spec.spawn(&self.state)?;
        let name = spec.name.clone();
        self.specs.insert(name.clone(), spec);
        self.put(&name, &known)?;
        self.news.spawn(async move {
            let (how, code) = match child.wait().await {
                Ok(status) => (status.to_string(), status.code()),
                Err(error) => (error.to_string(), None),
            };
            News::Ended { name, how, code }
        });
        Ok(known)
    }

    /// Starts the bus and begins to watch it.
    pub(super) async fn launch_bus(&mut self) -> Result<()> {
        let mut server = bus::start(&self.state, &self.plan, self.keys()?).await?;
        self.run.nats_url = server.url().to_owned();
        // Whoever is connected comes back to the same port.
        self.plan.port = Some(server.port());
        let known = Known::of(server.pid());
        let known = known.ok_or_else(|| Error::failed("start the bus").because("it ended"))?;
        self.put(BUS, &known)?;
        self.news.spawn(async move {
            let how = match server.wait().await {
                Ok(status) => status.to_string(),
                Err(error) => error.to_string(),
            };
            News::Ended { name: BUS.to_owned(), how, code: None }
        });
        Ok(())
    }

    pub(super) fn put(&mut self, name: &str, known: &Known) -> Result<()> {
        self.run.put(name, known);
        self.run.write(&self.state)
    }

    /// Watches until a signal, or until the mesh cannot go on.
    pub(super) async fn watch(&mut self, signals: &mut Signals) -> Result<()> {
        // The store of a mesh that was joined is another host's.
        if self.trust.is_some() {
            self.look_at_store()?;
        }
        loop {
            tokio::select! {
                heard = signals.next() => match heard {
                    Heard::End => return Ok(()),
                    Heard::More => self.add_wanted(),
                },
                news = self.news.join_next() => match news {
                    Some(Ok(news)) => self.take(news).await?,
                    Some(Err(error)) => {
                        return Err(Error::failed("watch the processes").because(error));
                    }
                    None => {
                        return Err(Error::failed("watch the processes").because("none is left"));
                    }
                },
            }
        }
    }

    /// What follows from news.
    pub(super) async fn take(&mut self, news: News) -> Result<()> {
        match news {
            News::Ended { name, how, code } => self.ended(&name, &how, code),
            News::Again { name } => self.again(&name).await,
            News::Store(look) => self.store_looked_at(&look),
        }
    }

    fn ended(&mut self, name: &str, how: &str, code: Option<i32>) -> Result<()> {
        self.run.take(name);
        self.keep();
        let kind = Kind::of(name);
        if kind == Kind::Agent && code == Some(i32::from(Exit::Ok.code())) {
            say(format!("{name} has left"));
            return Ok(());
        }
        if kind == Kind::Agent && code == Some(i32::from(Exit::Usage.code())) {
            // As it is configured it will never start.
            let said = last_words(&self.state, name);
            say(format!("{name} cannot be started:\n{said}"));
            tracing::error!(name, said, "an agent cannot be started");
            return self.put_given_up(name, how);
        }
        let now = Instant::now();
        let crashes = self.crashes.entry(name.to_owned()).or_default();
        crashes.retain(|at| now.duration_since(*at) < CRASH_WINDOW);
        crashes.push(now);
        let count = crashes.len();
        if count > CRASHES_MAX {
            return self.give_up(name, how);
        }
        let doublings = u32::try_from(count - 1).unwrap_or(0);
        let pause = PAUSE_MIN * 2_u32.saturating_pow(doublings);
        say(format!("{name} ended ({how}); starting it again"));
        tracing::info!(name, how, pause_ms = pause.as_millis(), "a process ended");
        let name = name.to_owned();
        self.news.spawn(async move {
            tokio::time::sleep(pause).await;
            News::Again { name }
        });
        Ok(())
    }

    fn give_up(&mut self, name: &str, how: &str) -> Result<()> {
        let said = last_words(&self.state, name);
        let log = self.state.log_of(name);
        let what = format!("keep {name} running: it ended {CRASHES_MAX} times in a minute");
        if Kind::of(name).is_essential() {
            return Err(Error::failed(what)
                .because(format!("{how}\n{said}"))
                .hint(format!("the whole log is {}", log.display())));
        }
        say(format!("gave up {name}: it ended again and again ({how}); see {}", log.display()));
        tracing::error!(name, how, said, "gave up a process that ends again and again");
        self.put_given_up(name, how)
    }

    /// Keeps for `status` what is not started again.
    fn put_given_up(&mut self, name: &str, how: &str) -> Result<()> {
        self.run.given_up.insert(name.to_owned(), GivenUp { how: how.to_owned(), at: now() });
        self.keep();
        Ok(())
    }

    /// Writes what runs. A disk without room must not end what still works on it.
    fn keep(&self) {
        if let Err(error) = self.run.write(&self.state) {
            tracing::warn!(error = error.lines().join(" "), "what runs is not kept");
        }
    }

    async fn again(&mut self, name: &str) -> Result<()> {
        if name == BUS {
            if !self.has_room()? {
                return Ok(());
            }
            return match self.launch_bus().await {
                Ok(()) => Ok(()),
                Err(error) => self.ended(name, &error.lines().join(" "), None),
            };
        }
        let Some(spec) = self.specs.get(name).cloned() else { return Ok(()) };
        match self.launch(spec) {
            Ok(_) => Ok(()),
            Err(error) => self.ended(name, &error.lines().join(" "), None),
        }
    }

    /// Ends all in order. A second signal ends it the hard way.
    pub(super) async fn stop(&mut self, signals: &mut Signals) {
        let mut run = self.run.clone();
        run.take(crate::state_dir::SUPERVISOR);
        tokio::select! {
            () = end::end_all(&run) => {}
            () = signals.end() => {
                say("ending the hard way");
                end::kill_all(&run).await;
            }
        }
        RunFile::remove(&self.state);
    }
}
