//! Verification: commands of the configuration run over a worktree, and a receipt bound to its
//! tree. "Done" means that this passed, whatever the tool said.

#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use devmesh_protocol::Digest;
use devmesh_protocol::command::task;
use serde::{Deserialize, Serialize};

use crate::builds::Builds;
use crate::classify::{Class, Classified, classify};
use crate::error::Result;
use crate::shell::{self, ShellRun, ShellSpec};

/// How much of a failed step's output is kept.
pub const TAIL_CHARS_MAX: usize = 3_000;

/// One command of a verification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Its name: `build`, `test`, `lint` …
    pub name: String,
    /// The command line; `{changed}` and `{paths}` stand for quoted paths.
    pub command: String,
    /// How long it may take.
    pub limit: Duration,
}

/// What to verify.
#[derive(Debug, Clone)]
pub struct VerifySpec {
    /// The steps in order; the first that fails is the last that runs.
    pub steps: Vec<Step>,
    /// The worktree, standing at `tree`.
    pub worktree: PathBuf,
    /// The tree that the receipt is for.
    pub tree: String,
    /// The whole environment of the commands.
    pub env: Vec<(OsString, OsString)>,
    /// This host's name.
    pub host: String,
    /// Paths that the attempt changed.
    pub changed: Vec<String>,
    /// Paths that the task declared.
    pub paths: Vec<String>,
    /// What is left of the time that the task may take; no step lasts longer.
    pub left: Option<Duration>,
    /// Where each command gets its place among the builds of this host.
    pub builds: Builds,
}

/// The last word of a step that the task's own limit has ended, for people and the model.
const OUT_OF_TIME: &str = "ended: the time that the task may take (max_wall_s) is used up";

/// The proof that a tree passed, or how far it came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// The tree.
    pub tree: String,
    /// What ran, in order. Empty: nothing was configured, the tree is unverified.
    pub steps: Vec<StepReceipt>,
    /// Where it ran.
    pub host: String,
}

impl Receipt {
    /// The receipt in the protocol's words.
    pub fn told(&self, failed: bool) -> task::Receipt {
        let verdict = match self.steps.as_slice() {
            _ if failed => task::Verdict::Failed,
            [] => task::Verdict::Unverified,
            steps if steps.iter().any(|step| step.flaky) => task::Verdict::Flaky,
            _ => task::Verdict::Passed,
        };
        let steps = self.steps.iter().map(|step| task::Step {
            name: step.name.clone(),
            command: step.command.clone(),
            exit: (step.exit >= 0).then_some(step.exit),
            ms: step.ms,
            output: step.digest,
        });
        let (tree, host) = (self.tree.clone(), self.host.clone());
        task::Receipt {
            tree,
            verdict,
            steps: steps.collect(),
            host,
            guarded: Vec::new(),
            merged: Vec::new(),
        }
    }
}

/// One command that ran.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepReceipt {
    /// The step's name.
    pub name: String,
    /// The command as it ran.
    pub command: String,
    /// Its exit code; -1 when a signal or the time limit ended it.
    pub exit: i32,
    /// How long it took.
    pub ms: u64,
    /// BLAKE3 of its whole output.
    pub digest: Digest,
    /// It failed once and passed when run again.
    pub flaky: bool,
}

/// How a verification ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Every step passed.
    Passed(Receipt),
    /// A step failed.
    Failed {
        /// What ran, the failed step last.
        receipt: Receipt,
        /// The failed step's name.
        step: String,
        /// What kind of failure it is.
        classified: Classified,
        /// The end of its output.
        tail: String,
    },
}

/// Runs the steps until one fails. A failed test is run once more: what passes then is flaky,
/// which is recorded and not held against the work.
///
/// # Errors
/// When a command cannot be started at all.
pub async fn verify(spec: &VerifySpec) -> Result<Verdict> {
    let (tree, host) = (spec.tree.clone(), spec.host.clone());
    let mut receipt = Receipt { tree, steps: Vec::new(), host };
    let started = (Instant::now(), spec.builds.waited());
    for step in &spec.steps {
        let command = filled(&step.command, spec);
        let mut run = run_step(spec, step, &command, started).await?;
        let mut flaky = false;
        let mut classified = classified(&run);
        if run.exit != 0 && classified.class == Class::Test {
            let again = run_step(spec, step, &command, started).await?;
            flaky = again.exit == 0;
            classified = self::classified(&again);
            run = again;
        }
        receipt.steps.push(StepReceipt {
            name: step.name.clone(),
            command,
            exit: run.exit,
            ms: run.ms,
            digest: run.digest,
            flaky,
        });
        if run.exit != 0 {
            let step = step.name.clone();
            return Ok(Verdict::Failed { receipt, step, classified, tail: run.tail });
        }
    }
    Ok(Verdict::Passed(receipt))
}

/// A step ends at its own limit or when the task's time is used up, whichever is sooner.
async fn run_step(
    spec: &VerifySpec,
    step: &Step,
    command: &str,
    (started, waited): (Instant, Duration),
) -> Result<ShellRun> {
    let spent = started.elapsed().saturating_sub(spec.builds.waited().saturating_sub(waited));
    let left = spec.left.map(|left| left.saturating_sub(spent));
    let mut run = shell::run(&ShellSpec {
        command: command.to_owned(),
        cwd: spec.worktree.clone(),
        env: spec.env.clone(),
        limit: left.map_or(step.limit, |left| left.min(step.limit)),
        builds: spec.builds.clone(),
        tail_chars: TAIL_CHARS_MAX,
    })
    .await?;
    if run.timed_out && left.is_some_and(|left| left < step.limit) {
        run.tail = format!("{}\n{OUT_OF_TIME}", run.tail).trim_start().to_owned();
    }
    Ok(run)
}

fn classified(run: &ShellRun) -> Classified {
    if run.timed_out { Classified::of(Class::Timeout, &run.tail) } else { classify(&run.tail) }
}

fn filled(command: &str, spec: &VerifySpec) -> String {
    let quoted = |paths: &[String]| paths.iter().map(|path| quote(path)).collect::<Vec<_>>();
    command
        .replace("{paths}", &quoted(&spec.paths).join(" "))
        .replace("{changed}", &quoted(&spec.changed).join(" "))
}

/// A path as one word of the shell, whatever it holds; an agent chooses the names of its files.
fn quote(path: &str) -> String {
    format!("'{}'", path.replace('\'', r"'\''"))
}
