//! Configuration: flags, then `DEVMESH_*`, then `devmesh.toml` at the repository's root, then the
//! defaults. Every problem of a file is named at once, with its key and what to write instead.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use toml::Value;

use crate::error::{Error, Result};

mod check;
mod keys;
#[cfg(test)]
mod tests;
mod user;

pub(crate) use keys::{KEYS, Key};
pub(crate) use user::{AgentSpec, User, dir as user_dir, path as user_path, words};

/// The file at a repository's root.
pub(crate) const FILE: &str = "devmesh.toml";

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// Nobody said otherwise.
    Default,
    /// A file.
    File(PathBuf),
    /// An environment variable.
    Env(&'static str),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Default => f.write_str("default"),
            Source::File(path) => write!(f, "{}", path.display()),
            Source::Env(name) => write!(f, "env {name}"),
        }
    }
}

/// What a repository says, checked, with its defaults filled in.
#[derive(Clone, Debug, Default)]
pub(crate) struct Config {
    values: BTreeMap<&'static str, (Value, Source)>,
}

impl Config {
    /// Reads the environment and the file of the repository at `root`; none is no problem.
    pub(crate) fn load(root: Option<&Path>) -> Result<Config> {
        let path = root.map(|root| root.join(FILE)).filter(|path| path.exists());
        let text = match &path {
            None => String::new(),
            Some(path) => std::fs::read_to_string(path).map_err(|error| {
                Error::usage(format!("{} cannot be read", path.display())).because(error)
            })?,
        };
        let path = path.unwrap_or_else(|| FILE.into());
        Config::read(&path, &text, |name| std::env::var(name).ok())
    }

    /// As [`Config::load`], of a text and an environment.
    pub(crate) fn read(
        path: &Path,
        text: &str,
        env: impl Fn(&str) -> Option<String>,
    ) -> Result<Config> {
        let mut problems = Vec::new();
        let mut config = Config::default();
        for key in KEYS {
            if let Some(value) = key.default_value() {
                config.values.insert(key.name, (value, Source::Default));
            }
        }
        for (key, value) in check::file(path, text, &mut problems) {
            config.values.insert(key.name, (value, Source::File(path.to_owned())));
        }
        for (key, name, value) in check::environment(&env, &mut problems) {
            config.values.insert(key.name, (value, Source::Env(name)));
        }
        if problems.is_empty() {
            return Ok(config);
        }
        let count = match problems.len() {
            1 => "1 problem in the configuration".to_owned(),
            n => format!("{n} problems in the configuration"),
        };
        Err(Error::usage(format!("{count}\n  {}", problems.join("\n  ")))
            .hint("`devmesh config --keys` lists what can be said"))
    }

    /// Every value with its source, in the order of the keys.
    pub(crate) fn shown(&self) -> Vec<(&'static Key, Option<&Value>, Source)> {
        let one = |key: &'static Key| match self.values.get(key.name) {
            Some((value, source)) => (key, Some(value), source.clone()),
            None => (key, None, Source::Default),
        };
        KEYS.iter().map(one).collect()
    }

    /// A text.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.get(name)?.as_str().filter(|text| !text.is_empty())
    }

    /// A list of texts; empty where nothing is said.
    pub(crate) fn list(&self, name: &str) -> Vec<String> {
        let list = self.get(name).and_then(Value::as_array).into_iter().flatten();
        list.filter_map(Value::as_str).map(str::to_owned).collect()
    }

    /// A number that is not negative.
    pub(crate) fn number(&self, name: &str) -> Option<u64> {
        self.get(name)?.as_integer().and_then(|number| u64::try_from(number).ok())
    }

    /// An amount of money.
    pub(crate) fn usd(&self, name: &str) -> Option<f64> {
        let value = self.get(name)?;
        value.as_float().or_else(|| value.as_integer().map(|whole| whole as f64))
    }

    /// Yes or no.
    pub(crate) fn flag(&self, name: &str) -> bool {
        self.get(name).and_then(Value::as_bool).unwrap_or_default()
    }

    /// Whether somebody said it.
    pub(crate) fn is_said(&self, name: &str) -> bool {
        self.values.get(name).is_some_and(|(_, source)| *source != Source::Default)
    }

    /// All commands that prove a task, the fast ones first.
    pub(crate) fn verify(&self) -> Vec<String> {
        let mut all = self.list("verify.task");
        for command in self.list("verify.land") {
            if !all.contains(&command) {
                all.push(command);
            }
        }
        all
    }

    fn get(&self, name: &str) -> Option<&Value> {
        debug_assert!(KEYS.iter().any(|key| key.name == name), "{name} is a known key");
        self.values.get(name).map(|(value, _)| value)
    }
}
