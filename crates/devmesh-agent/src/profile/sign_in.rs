//! Whether a person is signed in with a tool, as far as that can be told without a network.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::Profile;

/// A longer file of a tool's is not looked into.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// How to tell whether one is signed in; the first sign that is there tells.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignInProbe {
    /// The tool needs none.
    #[serde(default)]
    pub needless: bool,
    /// Variables of the run's environment, one of which is enough.
    #[serde(default)]
    pub vars: Vec<String>,
    /// Files, one of which is enough.
    #[serde(default)]
    pub files: Vec<SignInFile>,
    /// Arguments of a command that exits with 0 where one is signed in.
    #[serde(default)]
    pub args: Vec<String>,
    /// Words that such a command prints where one is signed in, where its exit code does not tell.
    #[serde(default)]
    pub words: Vec<String>,
    /// What a person does to sign in.
    #[serde(default)]
    pub how: String,
}

/// A file that tells of a sign-in.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignInFile {
    /// Where it is: `~` and a `$VARIABLE` may begin it.
    pub path: String,
    /// Words that stand in it; none where being there is enough.
    #[serde(default)]
    pub holds: Option<String>,
}

/// Whether a person is signed in with a tool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum SignIn {
    /// There is nothing to sign in to.
    NotNeeded,
    /// As far as is seen from here.
    SignedIn {
        /// What tells it.
        by: String,
    },
    /// The tool says that nobody is.
    SignedOut {
        /// What a person does to sign in.
        how: String,
    },
    /// Only a run would tell.
    Unknown {
        /// What a person does to sign in.
        how: String,
    },
}

impl SignIn {
    /// A run would fail for want of it.
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::SignedOut { .. })
    }
}

impl Profile {
    /// Whether a run with this environment would be signed in.
    pub async fn sign_in(&self, program: &Path, env: &[(OsString, OsString)]) -> SignIn {
        let Some(probe) = &self.sign_in else { return SignIn::Unknown { how: String::new() } };
        if probe.needless {
            return SignIn::NotNeeded;
        }
        if let Some(by) = sign(probe, env) {
            return SignIn::SignedIn { by };
        }
        let how = probe.how.clone();
        if probe.args.is_empty() {
            return SignIn::Unknown { how };
        }
        let Some(output) = self.ask(program, &probe.args, env).await else {
            return SignIn::Unknown { how };
        };
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        let is_in = match probe.words.is_empty() {
            true => output.status.success(),
            false => super::holds_one(&said, &probe.words),
        };
        match is_in {
            true => SignIn::SignedIn { by: probe.args.join(" ") },
            false => SignIn::SignedOut { how },
        }
    }
}

/// The sign that is there, in words.
fn sign(probe: &SignInProbe, env: &[(OsString, OsString)]) -> Option<String> {
    let is_set = |name: &&String| {
        env.iter().any(|(key, value)| key.as_os_str() == name.as_str() && !value.is_empty())
    };
    if let Some(name) = probe.vars.iter().find(is_set) {
        return Some(name.clone());
    }
    probe.files.iter().find(|file| tells(file, env)).map(|file| file.path.clone())
}

fn tells(file: &SignInFile, env: &[(OsString, OsString)]) -> bool {
    let Some(path) = placed(&file.path, env) else { return false };
    let Ok(meta) = path.metadata() else { return false };
    match &file.holds {
        None => meta.is_file() && meta.len() > 0,
        Some(_) if meta.len() > FILE_BYTES_MAX => false,
        Some(words) => std::fs::read_to_string(path).is_ok_and(|text| text.contains(words)),
    }
}

/// The path that a profile names, `~` and a leading `$VARIABLE` filled in; none where the variable
/// is not set.
pub(super) fn placed(path: &str, env: &[(OsString, OsString)]) -> Option<PathBuf> {
    let value = |name: &str| {
        let found = env.iter().find(|(key, value)| key == name && !value.is_empty());
        found.map(|(_, value)| PathBuf::from(value))
    };
    if let Some(rest) = path.strip_prefix("~/") {
        return Some(value("HOME")?.join(rest));
    }
    let Some(rest) = path.strip_prefix('$') else { return Some(PathBuf::from(path)) };
    match rest.split_once('/') {
        Some((name, rest)) => Some(value(name)?.join(rest)),
        None => value(rest),
    }
}
