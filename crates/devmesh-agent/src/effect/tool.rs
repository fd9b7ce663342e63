//! Runs the coding CLI, tells its facts, stores its output.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use devmesh_bus::media::output;
use devmesh_protocol::At;
use devmesh_protocol::report::{OutputFrom, OutputLine};
use tokio::sync::mpsc;
use uuid::Uuid;

use super::World;
use super::desk::Desk;
use crate::dialect::{self, Fact, Parser};
use crate::error::{Error, Result};
use crate::input::{Input, ToolEnd};
use crate::process::{self, EndCause, Line, Run, RunEnd, RunEvent, RunSpec, Stream};
use crate::profile::{self, Invocation, Wanted};
use crate::view::Key;

/// How much of stderr says why a run failed.
const TAIL_CHARS_MAX: usize = 3_000;
/// A longer line is stored cut.
const LINE_CHARS_MAX: usize = 16_000;
/// Lines that wait to be stored; more are dropped, for a slow store must not slow the tool.
const LINES_WAITING_MAX: usize = 4_096;
/// How long lines are gathered into one message.
const GATHER: Duration = Duration::from_millis(300);

pub(super) async fn run(world: World, desk: Arc<Desk>, prompt: String, session: Option<String>) {
    let key = desk.key;
    let end = match watch(&world, &desk, &prompt, session.as_deref()).await {
        Ok(end) => end,
        Err(error) => ToolEnd {
            cause: EndCause::Exited,
            exit: None,
            marks_end: true,
            tail: format!("{error}"),
            rate_limited: false,
            sign_in: false,
            lost_session: false,
            reset_at_ms: None,
        },
    };
    world.put(Input::ToolEnded { key, end }).await;
}

/// A run that is ready to start.
struct Ready {
    spec: RunSpec,
    /// The session's id, where the tool was told it.
    session: Option<String>,
    /// Where the tool writes what it used.
    usage_file: Option<String>,
    /// It continues a session.
    resumes: bool,
}

/// The command line and environment of this run, with what it finds in its folder.
async fn prepared(
    world: &World,
    desk: &Desk,
    prompt: &str,
    session: Option<&str>,
) -> Result<Ready> {
    let config = &world.config;
    let bench = desk.bench.lock().await;
    let Some(bench) = bench.as_ref() else {
        return Err(Error::Config { reason: "there is no slot to run in".into() });
    };
    let worktree = bench.slot.path.to_string_lossy().into_owned();
    let folder = folder_of(world, desk.key);
    let invocation = config.profile.invocation(&Wanted {
        worktree: &worktree,
        prompt,
        session,
        model: config.model.as_deref(),
        permission: config.permission,
        folder: &folder,
        new_session: Uuid::now_v7(),
    })?;
    if let Some(folders) = folder.parent() {
        profile::prune(folders);
    }
    config.profile.lay_out(&invocation, &folder, &config.env)?;
    let mut env = config.env.clone();
    env.extend(bench.slot.env());
    let own = [
        ("DEVMESH_TASK", desk.key.task.to_string()),
        ("DEVMESH_ATTEMPT", desk.key.attempt.to_string()),
    ];
    env.extend(own.map(|(name, value)| (OsString::from(name), OsString::from(value))));
    env.extend(profile::unattended());
    env.extend(invocation.env.iter().map(|(name, value)| (name.into(), value.into())));
    let mut limits = config.limits;
    limits.wall = desk.left(&bench.job);
    let spec = RunSpec {
        program: config.program.to_string_lossy().into_owned(),
        args: invocation.args,
        cwd: bench.slot.path.clone(),
        env,
        stdin: invocation.stdin.into_bytes(),
        limits,
        runs: config.state.join("runs"),
        label: desk.key.to_string(),
    };
    let Invocation { session, usage_file, resumes, .. } = invocation;
    Ok(Ready { spec, session, usage_file, resumes })
}

/// What is made for the runs of an attempt lies here: a session may be in it.
fn folder_of(world: &World, key: Key) -> PathBuf {
    world.config.state.join("tool").join(format!("{}-{}", key.task, key.attempt))
}

/// Takes away what was made for the runs of an attempt that is over.
pub(super) fn forget(world: &World, key: Key) {
    // Most tools have nothing there.
    let _ = std::fs::remove_dir_all(folder_of(world, key));
}

async fn watch(
    world: &World,
    desk: &Arc<Desk>,
    prompt: &str,
    session: Option<&str>,
) -> Result<ToolEnd> {
    let ready = prepared(world, desk, prompt, session).await?;
    let running = desk.running.clone().lock_owned().await;
    // From here to the spawn nothing waits: the reader outlives this future when the attempt is
    // let go, and whoever waits for `running` waits for the tool's very end.
    let (run, events) = process::start(ready.spec)?;
    let (lines, stored) = mpsc::channel(LINES_WAITING_MAX);
    tokio::spawn(store(world.clone(), desk.key, stored));
    let (world, desk) = (world.clone(), desk.clone());
    let reader = Reader {
        parser: Parser::new(world.config.profile.dialect),
        tail: String::new(),
        session: ready.session.filter(|_| !ready.resumes),
        usage_file: ready.usage_file,
        resumes: ready.resumes,
        world,
        desk,
    };
    let reading = tokio::spawn(async move {
        let _running = running;
        register(&reader.desk, run).await;
        reader.read(events, lines).await
    });
    match reading.await {
        Ok(Some(end)) => Ok(end),
        Ok(None) | Err(_) => Err(Error::Config { reason: "the run ended without a word".into() }),
    }
}

/// Reads a run's output to its end.
struct Reader {
    world: World,
    desk: Arc<Desk>,
    parser: Parser,
    tail: String,
    /// The id that a begun session was told to take: it is there when the tool speaks.
    session: Option<String>,
    usage_file: Option<String>,
    resumes: bool,
}

impl Reader {
    async fn read(
        mut self,
        mut events: mpsc::Receiver<RunEvent>,
        lines: mpsc::Sender<Line>,
    ) -> Option<ToolEnd> {
        while let Some(event) = events.recv().await {
            match event {
                RunEvent::Line(line) => {
                    let mut facts = Vec::new();
                    if line.stream == Stream::Stdout {
                        facts.extend(self.session.take().map(Fact::Session));
                    }
                    facts.extend(take(&mut self.parser, &mut self.tail, &line));
                    let _ = lines.try_send(line);
                    self.tell(facts).await;
                }
                RunEvent::Ended(end) => {
                    self.desk.spend(end.ms);
                    self.desk.run.lock().await.take();
                    self.tell_last(&end).await;
                    return Some(self.ended(&end));
                }
            }
        }
        None
    }

    async fn tell(&self, facts: Vec<Fact>) {
        for fact in facts {
            self.world.put(Input::Told { key: self.desk.key, fact }).await;
        }
    }

    /// What the end of the output, its words and the file beside it tell.
    async fn tell_last(&mut self, end: &RunEnd) {
        let profile = &self.world.config.profile;
        let mut facts = self.parser.end();
        let ending = self.parser.ending();
        let failure = profile.failure_in(&ending).filter(|_| end.exit == Some(0));
        if let Some(line) = failure.filter(|_| self.parser.done().is_none()) {
            facts.push(self.parser.fail(line));
        }
        let used = self.usage_file.as_deref().and_then(profile::newest);
        facts.extend(used.and_then(|text| profile.dialect.usage_in(&text)).map(Fact::Usage));
        self.tell(facts).await;
    }

    fn ended(&self, end: &RunEnd) -> ToolEnd {
        let profile = &self.world.config.profile;
        let said = self.parser.ending();
        let tail = format!("{}\n{said}", self.tail.trim_end());
        let tail = crate::text::tail(tail.trim(), TAIL_CHARS_MAX);
        let tail = self.world.config.mask.clean(&tail);
        let said = format!("{}\n{tail}", self.parser.last_word());
        let failed = end.exit != Some(0) || self.parser.failed();
        ToolEnd {
            cause: end.cause,
            exit: end.exit,
            marks_end: self.parser.marks_end(),
            rate_limited: failed && profile.is_rate_limit(&said),
            sign_in: failed && profile.is_sign_in(&said),
            lost_session: failed && self.resumes && profile.is_lost_session(&said),
            reset_at_ms: dialect::reset_at_ms(&said, self.world.clock.now().wall_ms),
            tail,
        }
    }
}

/// Makes the run known to whoever stops or freezes it; what was asked before holds for it too.
async fn register(desk: &Desk, run: Run) {
    if *desk.frozen.lock().await {
        run.freeze().await;
    }
    let mut place = desk.run.lock().await;
    if desk.cancel.is_cancelled() {
        run.stop().await;
    } else {
        *place = Some(run);
    }
}

fn take(parser: &mut Parser, tail: &mut String, line: &Line) -> Vec<Fact> {
    match line.stream {
        Stream::Stdout if line.cut => Vec::new(),
        Stream::Stdout => parser.read(&line.text),
        Stream::Stderr => {
            tail.push_str(&line.text);
            tail.push('\n');
            if tail.len() > 8 * TAIL_CHARS_MAX {
                *tail = crate::text::tail(tail, TAIL_CHARS_MAX);
            }
            Vec::new()
        }
    }
}

/// Stores lines in messages of several, until the run's end.
async fn store(world: World, key: Key, mut lines: mpsc::Receiver<Line>) {
    let mut gathered = Vec::new();
    while lines.recv_many(&mut gathered, 256).await > 0 {
        let at = At(world.clock.now().wall_ms);
        let shown = gathered.drain(..).map(|line| OutputLine {
            at,
            from: match line.stream {
                Stream::Stdout => OutputFrom::Stdout,
                Stream::Stderr => OutputFrom::Stderr,
            },
            text: world.config.mask.clean(&crate::text::head(&line.text, LINE_CHARS_MAX)),
        });
        let shown: Vec<OutputLine> = shown.collect();
        if let Err(error) = output::append(&world.client, key.task, key.attempt, &shown).await {
            tracing::debug!(%key, %error, "output lines were not stored");
        }
        tokio::time::sleep(GATHER).await;
    }
}

pub(super) async fn freeze(desk: Arc<Desk>, still: bool) {
    *desk.frozen.lock().await = still;
    if let Some(run) = desk.run.lock().await.as_ref() {
        if still {
            run.freeze().await;
        } else {
            run.thaw().await;
        }
    }
}

/// Ends the tool and returns when nothing of it is left.
pub(super) async fn stop(desk: Arc<Desk>) {
    // The lock is let go at once: the reader of the run's end takes it too.
    let run = desk.run.lock().await.take();
    if let Some(run) = run {
        run.stop().await;
    }
    let _over = desk.running.lock().await;
}
