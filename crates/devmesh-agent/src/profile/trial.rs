//! Proves a tool: one small task in a repository made for it, judged by git.

use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use serde::Serialize;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{Permission, Profile, Wanted, newest, unattended};
use crate::dialect::{Fact, Ledger, Parser, Usage};
use crate::error::{Doing, Result};
use crate::git::Git;
use crate::mask::Mask;
use crate::process::{self, EndCause, RunEnd, RunEvent, RunLimits, RunSpec, Stream};

/// The file that the tool is asked to make, and what is to stand in it.
const FILE: &str = "devmesh-trial.txt";
const LINE: &str = "devmesh was here";
/// How much of what the tool printed explains a failure.
const TAIL_CHARS_MAX: usize = 1_500;
/// The rate limits and sign-ins of a tool show in its last words.
const STDERR_CHARS_MAX: usize = 8_000;

/// A tool to prove.
#[derive(Debug)]
pub struct Trial<'a> {
    /// The tool.
    pub profile: &'a Profile,
    /// Its program.
    pub program: &'a Path,
    /// The model, where one is asked for.
    pub model: Option<&'a str>,
    /// What it may do.
    pub permission: Permission,
    /// The environment of an agent's run.
    pub env: &'a [(OsString, OsString)],
    /// It is ended after this long.
    pub limit: Duration,
    /// An empty folder, outside of every repository.
    pub folder: &'a Path,
    /// What is asked beyond the task, for a model that is told what to answer.
    pub beside: Option<&'a str>,
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The file is there, with what was asked for and nothing else changed.
    Proven,
    /// The file is there, and something else was changed too, or the tool calls it a failure.
    Doubtful,
    /// Nothing was changed.
    NoChange,
    /// Something else was changed than asked for.
    WrongChange,
    /// The provider limits the rate.
    RateLimited,
    /// A person must sign in.
    NotSignedIn,
    /// It took too long.
    TimedOut,
    /// It was ended by a person.
    Stopped,
    /// It failed.
    Failed,
}

/// What was found out.
#[derive(Debug, Clone, Serialize)]
pub struct Proof {
    /// What came of it.
    pub verdict: Verdict,
    /// Why it is not proven; nothing where it is.
    pub why: Option<String>,
    /// How long the tool ran.
    pub ms: u64,
    /// Its exit code; none when a signal ended it.
    pub exit: Option<i32>,
    /// Its session, by which it can be resumed.
    pub session: Option<String>,
    /// Tokens read, as it tells; none where it does not.
    pub input_tokens: Option<u64>,
    /// Tokens written, as it tells.
    pub output_tokens: Option<u64>,
    /// The price in micro-dollars, as it tells.
    pub cost_micro_usd: Option<u64>,
    /// Its last word.
    pub message: String,
    /// The end of what it printed, where it is not proven.
    pub tail: String,
}

/// What a run told.
#[derive(Default)]
struct Heard {
    session: Option<String>,
    used: Usage,
    ledger: Ledger,
    stderr: String,
}

impl Trial<'_> {
    /// Runs the tool once. A real model is asked, which may cost money.
    ///
    /// # Errors
    /// When the repository cannot be made, or the tool not be started.
    pub async fn run(&self, stop: &CancellationToken) -> Result<Proof> {
        let worktree = self.folder.join("repo");
        self.begin(&worktree).await?;
        let new_session = Uuid::now_v7();
        let (at, prompt) = (worktree.display().to_string(), self.prompt());
        let run_folder = self.folder.join("run");
        let invocation = self.profile.invocation(&Wanted {
            worktree: &at,
            prompt: &prompt,
            session: None,
            model: self.model,
            permission: self.permission,
            folder: &run_folder,
            new_session,
        })?;
        self.profile.lay_out(&invocation, &run_folder, self.env)?;
        let mut env = self.env.to_vec();
        env.extend(unattended());
        env.extend(invocation.env.iter().map(|(name, value)| (name.into(), value.into())));
        let limits = RunLimits { wall: self.limit, idle: self.limit, ..RunLimits::default() };
        let (run, mut events) = process::start(RunSpec {
            program: self.program.to_string_lossy().into_owned(),
            args: invocation.args,
            cwd: worktree.clone(),
            env,
            stdin: invocation.stdin.into_bytes(),
            limits,
            runs: self.folder.join("runs"),
            label: format!("trial of {}", self.profile.name),
        })?;
        let mut parser = Parser::new(self.profile.dialect);
        let mut heard = Heard { session: invocation.session, ..Heard::default() };
        let mut is_stopped = false;
        let end = loop {
            let event = tokio::select! {
                event = events.recv() => event,
                () = stop.cancelled(), if !is_stopped => {
                    is_stopped = true;
                    run.stop().await;
                    continue;
                }
            };
            match event {
                Some(RunEvent::Line(line)) if line.stream == Stream::Stderr => {
                    heard.stderr.push_str(&line.text);
                    heard.stderr.push('\n');
                    heard.stderr = crate::text::tail(&heard.stderr, STDERR_CHARS_MAX);
                }
                Some(RunEvent::Line(line)) => heard.take(parser.read(&line.text)),
                Some(RunEvent::Ended(end)) => break Some(end),
                None => break None,
            }
        };
        heard.take(parser.end());
        let usage = invocation.usage_file.as_deref().and_then(newest);
        let usage = usage.and_then(|text| self.profile.dialect.usage_in(&text));
        heard.take(usage.map(Fact::Usage).into_iter().collect());
        self.judge(&worktree, parser, heard, end).await
    }

    /// A repository with one commit.
    async fn begin(&self, worktree: &Path) -> Result<()> {
        std::fs::create_dir_all(worktree).doing(|| format!("make {}", worktree.display()))?;
        let git = Git::at(worktree);
        git.run(&["init", "--quiet", "--initial-branch=main"]).await?;
        let readme = worktree.join("README.md");
        std::fs::write(&readme, "# A repository for a trial\n")
            .doing(|| format!("write {}", readme.display()))?;
        git.run(&["add", "--all"]).await?;
        let who = ["-c", "user.name=devmesh", "-c", "user.email=devmesh@localhost"];
        let commit = ["-c", "commit.gpgSign=false", "commit", "--quiet", "--message=start"];
        git.run(&[&who[..], &commit[..]].concat()).await?;
        Ok(())
    }

    fn prompt(&self) -> String {
        let task = format!(
            "Create a file named {FILE} in the current folder. Its content is exactly this one \
             line:\n\n{LINE}\n\nUse your tool for writing files. Change nothing else, run no \
             command, do not commit, ask no question.\n"
        );
        match self.beside {
            Some(beside) => format!("{task}\n{beside}\n"),
            None => task,
        }
    }

    async fn judge(
        &self,
        worktree: &Path,
        mut parser: Parser,
        heard: Heard,
        end: Option<RunEnd>,
    ) -> Result<Proof> {
        let ending = parser.ending();
        if let Some(line) = self.profile.failure_in(&ending).filter(|_| parser.done().is_none()) {
            parser.fail(line);
        }
        let git = Git::at(worktree);
        let status = ["status", "--porcelain", "--untracked-files=all", "-z"];
        let changed: Vec<String> = git.fields(&status).await?;
        let text = std::fs::read_to_string(worktree.join(FILE)).unwrap_or_default();
        let commits = git.run(&["rev-list", "--count", "HEAD"]).await?;
        let seen = Seen {
            is_right: text.trim_end() == LINE,
            others: changed.iter().filter(|line| !line.ends_with(FILE)).count(),
            is_changed: !changed.is_empty(),
            is_committed: commits.trim() != "1",
        };
        let said = format!("{}\n{ending}\n{}", parser.last_word(), heard.stderr);
        let (verdict, why) = self.verdict(&seen, &parser, end.as_ref(), &said);
        let mask = Mask::of_env(self.env);
        let tail = match verdict {
            Verdict::Proven => String::new(),
            _ => mask.clean(&crate::text::tail(said.trim(), TAIL_CHARS_MAX)),
        };
        Ok(Proof {
            verdict,
            why,
            ms: end.as_ref().map_or(0, |end| end.ms),
            exit: end.and_then(|end| end.exit),
            session: heard.session,
            input_tokens: heard.used.input_tokens,
            output_tokens: heard.used.output_tokens,
            cost_micro_usd: heard.used.cost_micros,
            message: mask.clean(&crate::text::line(parser.last_word())),
            tail,
        })
    }

    fn verdict(
        &self,
        seen: &Seen,
        parser: &Parser,
        end: Option<&RunEnd>,
        said: &str,
    ) -> (Verdict, Option<String>) {
        let because = |verdict, why: &str| (verdict, Some(why.to_owned()));
        let Some(end) = end else { return because(Verdict::Failed, "its run ended unseen") };
        match end.cause {
            EndCause::Stopped => return because(Verdict::Stopped, "you ended it"),
            EndCause::Idle | EndCause::Wall => {
                let why = format!("it did not end within {} s", self.limit.as_secs());
                return because(Verdict::TimedOut, &why);
            }
            EndCause::Exited => {}
        }
        let ended_well = match parser.done() {
            Some(done) => done.success,
            None => !parser.marks_end(),
        };
        let is_failed = end.exit != Some(0) || !ended_well;
        if is_failed && !seen.is_right {
            let word = crate::text::line(parser.last_word());
            return if self.profile.is_rate_limit(said) {
                because(Verdict::RateLimited, "its provider limits it")
            } else if self.profile.is_sign_in(said) {
                because(Verdict::NotSignedIn, "it is not signed in")
            } else {
                let exit = end.exit.map_or("by a signal".into(), |exit| format!("with {exit}"));
                because(Verdict::Failed, &format!("it ended {exit}: {word}"))
            };
        }
        match seen {
            Seen { is_right: true, is_committed: true, .. } => {
                because(Verdict::Doubtful, "it committed what it was told to leave uncommitted")
            }
            Seen { is_right: true, others: 1.., .. } => {
                because(Verdict::Doubtful, "it changed other files too")
            }
            Seen { is_right: true, .. } if is_failed => {
                because(Verdict::Doubtful, "it did the task and calls it a failure")
            }
            Seen { is_right: true, .. } => (Verdict::Proven, None),
            Seen { is_changed: true, .. } => {
                because(Verdict::WrongChange, "it wrote something else than asked for")
            }
            Seen { .. } => because(Verdict::NoChange, "it ended well and changed nothing"),
        }
    }
}

/// What git and the file say.
struct Seen {
    is_right: bool,
    is_changed: bool,
    is_committed: bool,
    /// Files changed besides the one asked for.
    others: usize,
}

impl Heard {
    fn take(&mut self, facts: Vec<Fact>) {
        for fact in facts {
            match fact {
                Fact::Session(id) => self.session = Some(id),
                Fact::Usage(usage) => {
                    let new = self.ledger.book(&usage);
                    add(&mut self.used.input_tokens, new.input_tokens);
                    add(&mut self.used.output_tokens, new.output_tokens);
                    add(&mut self.used.cost_micros, new.cost_micros);
                }
                Fact::Message(_)
                | Fact::Edit(_)
                | Fact::Command { .. }
                | Fact::Throttled { .. }
                | Fact::Done(_) => {}
            }
        }
    }
}

/// What is not told stays unknown.
fn add(sum: &mut Option<u64>, new: Option<u64>) {
    if let Some(new) = new {
        *sum = Some(sum.unwrap_or(0).saturating_add(new));
    }
}
