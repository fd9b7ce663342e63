//! Runs the coding CLI, tells its facts, stores its output.

use std::ffi::OsString;
use std::sync::Arc;
use std::time::Duration;

use devmesh_bus::media::output;
use devmesh_protocol::At;
use devmesh_protocol::report::{OutputFrom, OutputLine};
use tokio::sync::mpsc;

use super::World;
use super::desk::Desk;
use crate::dialect::{self, Fact, Parser};
use crate::error::{Error, Result};
use crate::input::{Input, ToolEnd};
use crate::process::{self, EndCause, Line, Run, RunEnd, RunEvent, RunSpec, Stream};
use crate::profile::Wanted;
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
            reset_at_ms: None,
        },
    };
    world.put(Input::ToolEnded { key, end }).await;
}

/// The command line and environment of this run.
async fn spec_of(
    world: &World,
    desk: &Desk,
    prompt: &str,
    session: Option<&str>,
) -> Result<RunSpec> {
    let config = &world.config;
    let bench = desk.bench.lock().await;
    let Some(bench) = bench.as_ref() else {
        return Err(Error::Config { reason: "there is no slot to run in".into() });
    };
    let worktree = bench.slot.path.to_string_lossy().into_owned();
    let invocation = config.profile.invocation(&Wanted {
        worktree: &worktree,
        prompt,
        session,
        model: config.model.as_deref(),
        permission: config.permission,
    })?;
    let mut env = config.env.clone();
    env.extend(bench.slot.env());
    let own = [
        ("DEVMESH_TASK", desk.key.task.to_string()),
        ("DEVMESH_ATTEMPT", desk.key.attempt.to_string()),
        ("GIT_TERMINAL_PROMPT", "0".to_owned()),
        ("GIT_EDITOR", "true".to_owned()),
        // A commit of the tool's must not wait for somebody's key.
        ("GIT_CONFIG_COUNT", "1".to_owned()),
        ("GIT_CONFIG_KEY_0", "commit.gpgSign".to_owned()),
        ("GIT_CONFIG_VALUE_0", "false".to_owned()),
    ];
    env.extend(own.map(|(name, value)| (OsString::from(name), OsString::from(value))));
    env.extend(invocation.env.iter().map(|(name, value)| (name.into(), value.into())));
    let mut limits = config.limits;
    limits.wall = desk.left(&bench.job);
    Ok(RunSpec {
        program: config.program.to_string_lossy().into_owned(),
        args: invocation.args,
        cwd: bench.slot.path.clone(),
        env,
        stdin: invocation.stdin.into_bytes(),
        limits,
        runs: config.state.join("runs"),
        label: desk.key.to_string(),
    })
}

async fn watch(
    world: &World,
    desk: &Arc<Desk>,
    prompt: &str,
    session: Option<&str>,
) -> Result<ToolEnd> {
    let spec = spec_of(world, desk, prompt, session).await?;
    let running = desk.running.clone().lock_owned().await;
    // From here to the spawn nothing waits: the reader outlives this future when the attempt is
    // let go, and whoever waits for `running` waits for the tool's very end.
    let (run, mut events) = process::start(spec)?;
    let (lines, stored) = mpsc::channel(LINES_WAITING_MAX);
    tokio::spawn(store(world.clone(), desk.key, stored));
    let (world, desk) = (world.clone(), desk.clone());
    let reading = tokio::spawn(async move {
        let _running = running;
        register(&desk, run).await;
        let mut parser = Parser::new(world.config.profile.dialect);
        let mut tail = String::new();
        while let Some(event) = events.recv().await {
            match event {
                RunEvent::Line(line) => {
                    let facts = take(&mut parser, &mut tail, &line);
                    let _ = lines.try_send(line);
                    for fact in facts {
                        world.put(Input::Told { key: desk.key, fact }).await;
                    }
                }
                RunEvent::Ended(end) => {
                    desk.spend(end.ms);
                    desk.run.lock().await.take();
                    return Some(ended(&world, &parser, tail, &end));
                }
            }
        }
        None
    });
    match reading.await {
        Ok(Some(end)) => Ok(end),
        Ok(None) | Err(_) => Err(Error::Config { reason: "the run ended without a word".into() }),
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

fn ended(world: &World, parser: &Parser, tail: String, end: &RunEnd) -> ToolEnd {
    let profile = &world.config.profile;
    let tail = world.config.mask.clean(&crate::text::tail(tail.trim_end(), TAIL_CHARS_MAX));
    let said = format!("{}\n{tail}", parser.last_word());
    let failed = end.exit != Some(0) || parser.failed();
    ToolEnd {
        cause: end.cause,
        exit: end.exit,
        marks_end: parser.marks_end(),
        rate_limited: failed && profile.is_rate_limit(&said),
        sign_in: failed && profile.is_sign_in(&said),
        reset_at_ms: dialect::reset_at_ms(&said, world.clock.now().wall_ms),
        tail,
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
