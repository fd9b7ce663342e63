//! Whether a tool is on this host, and which version of it.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use super::Profile;

/// A tool that does not tell its version, or whether it is signed in, within this does not tell.
const PROBE_LIMIT: Duration = Duration::from_secs(20);

/// A tool found on this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Detected {
    /// The program.
    pub program: PathBuf,
    /// The version it printed.
    pub version: Option<String>,
}

impl Profile {
    /// Looks for the program in the PATH of `env` and asks its version.
    pub async fn detect(&self, env: &[(OsString, OsString)]) -> Option<Detected> {
        let program = self.find(env)?;
        let version = self.version_of(&program, env).await;
        Some(Detected { program, version })
    }

    /// The program, as a shell would find it; of a name that others use too, the one that leads
    /// to this tool.
    pub fn find(&self, env: &[(OsString, OsString)]) -> Option<PathBuf> {
        let path = env.iter().find(|(name, _)| name == "PATH").map(|(_, value)| value.as_os_str());
        let path = path.unwrap_or_default();
        self.programs.iter().flat_map(|name| candidates(name, path)).find(|it| self.is_one(it))
    }

    fn is_one(&self, program: &Path) -> bool {
        if self.resolves_to.is_empty() {
            return true;
        }
        let real = program.canonicalize().unwrap_or_else(|_| program.to_owned());
        let real = real.to_string_lossy();
        self.resolves_to.iter().any(|word| real.contains(word.as_str()))
    }

    async fn version_of(&self, program: &Path, env: &[(OsString, OsString)]) -> Option<String> {
        if self.version_args.is_empty() {
            return None;
        }
        let output = self.ask(program, &self.version_args, env).await?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let word = text.split_whitespace().find(|word| is_version(word))?;
        Some(word.trim_start_matches('v').trim_end_matches(['.', ',']).to_owned())
    }

    /// Runs the program for a word, outside of every repository, with the environment of a run.
    pub(super) async fn ask(
        &self,
        program: &Path,
        args: &[String],
        env: &[(OsString, OsString)],
    ) -> Option<Output> {
        let plain = |(_, value): &(&String, &String)| !value.contains('{');
        let own: BTreeMap<&String, &String> = self.env.iter().filter(plain).collect();
        let mut command = tokio::process::Command::new(program);
        command.args(args).env_clear().envs(env.iter().map(|(key, value)| (key, value))).envs(own);
        command.current_dir(std::env::temp_dir()).stdin(Stdio::null()).kill_on_drop(true);
        // What it starts ends with it, and no question of its reaches a terminal.
        crate::process::in_new_session(&mut command);
        tokio::time::timeout(PROBE_LIMIT, command.output()).await.ok()?.ok()
    }
}

fn is_version(word: &str) -> bool {
    let word = word.trim_start_matches('v');
    word.starts_with(|c: char| c.is_ascii_digit()) && word.contains('.')
}

/// The executable files that a name may mean.
fn candidates(name: &str, path: &OsStr) -> Vec<PathBuf> {
    use std::os::unix::fs::PermissionsExt;
    let runs = |file: &PathBuf| {
        std::fs::metadata(file)
            .is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
    };
    if name.contains('/') {
        return Some(PathBuf::from(name)).filter(runs).into_iter().collect();
    }
    std::env::split_paths(path).map(|dir| dir.join(name)).filter(runs).collect()
}
