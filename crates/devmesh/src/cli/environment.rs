//! What the environment says to the processes of a mesh, looked at before any is started: each
//! reads its own variables, and one that cannot would only say so in its log.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};

use clap::builder::Resettable;
use clap::error::{ContextKind, ContextValue, Error as ClapError};
use clap::{Arg, Command, CommandFactory};

use super::Cli;
use crate::error::{Error, Result};

/// The commands that `up` starts as processes, with what each cannot do without.
const PROCESSES: [&[&str]; 4] =
    [&["coordinator"], &["probe"], &["dashboard"], &["agent", "--tool", "x"]];

/// Checks every variable that a process of the mesh will read; all problems at once.
pub(super) fn check() -> Result<()> {
    let problems = problems(Cli::command(), |arg| std::env::var_os(arg));
    match &problems[..] {
        [] => Ok(()),
        [one] => Err(Error::usage(one.clone()).hint("correct the variable, or unset it")),
        all => {
            let what = format!("{} variables cannot be used\n  {}", all.len(), all.join("\n  "));
            Err(Error::usage(what).hint("correct them, or unset them"))
        }
    }
}

/// The variable that made a whole command line unreadable; none where it was something typed.
pub(super) fn culprit(error: &ClapError) -> Option<String> {
    fn below(command: &Command, error: &ClapError) -> Option<String> {
        let env = |name: &OsStr| std::env::var_os(name);
        let own = told(command, error, &env).map(|(_, problem)| problem);
        own.or_else(|| command.get_subcommands().find_map(|sub| below(sub, error)))
    }
    let mut command = Cli::command();
    command.build();
    below(&command, error)
}

/// One line for each variable that cannot be read.
fn problems(command: Command, env: impl Fn(&OsStr) -> Option<OsString>) -> Vec<String> {
    let mut problems = BTreeMap::new();
    for line in PROCESSES {
        let mut command = command.clone();
        command.build();
        let Some(process) = command.find_subcommand(line[0]).cloned() else { continue };
        // Each variable on its own: the parser stops at the first that it cannot read.
        let ids = process.get_arguments().filter(|arg| arg.get_env().is_some());
        for id in ids.map(|arg| arg.get_id().clone()).collect::<Vec<_>>() {
            let alone = process
                .clone()
                .mut_args(|arg| if *arg.get_id() == id { arg } else { arg.env(Resettable::Reset) });
            if let Err(error) = alone.clone().try_get_matches_from(line)
                && let Some((name, problem)) = told(&alone, &error, &env)
            {
                problems.entry(name).or_insert(problem);
            }
        }
    }
    problems.into_values().collect()
}

/// The variable that a parser's complaint is about, with what it should be.
fn told(
    command: &Command,
    error: &ClapError,
    env: &impl Fn(&OsStr) -> Option<OsString>,
) -> Option<(OsString, String)> {
    let Some(ContextValue::String(shown)) = error.get(ContextKind::InvalidArg) else { return None };
    let arg = command.get_arguments().find(|arg| arg.to_string() == *shown)?;
    let name = arg.get_env()?;
    let said = env(name)?;
    // What was typed is told by the parser itself.
    match error.get(ContextKind::InvalidValue) {
        Some(ContextValue::String(value)) if OsStr::new(value) == said => {}
        _ => return None,
    }
    let why = match error.get(ContextKind::ValidValue) {
        Some(ContextValue::Strings(words)) if !words.is_empty() => {
            format!(": it is one of {}", words.join(", "))
        }
        _ => std::error::Error::source(error).map(|why| format!(": {why}")).unwrap_or_default(),
    };
    let (shown, option) = (name.display(), arg.get_long().unwrap_or_default());
    let problem = format!("{shown}={said:?} cannot be used as --{option}{why}{}", about(arg));
    Some((name.to_owned(), problem))
}

fn about(arg: &Arg) -> String {
    arg.get_help().map(|help| format!(" ({help})")).unwrap_or_default()
}

#[cfg(test)]
mod tests;
