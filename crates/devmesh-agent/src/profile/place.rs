//! What a run finds beside its worktree: files made for it, a home of its own with links into the
//! person's. It lies outside of every repository and nobody else may read it.

use std::ffi::OsString;
use std::fs::Permissions;
use std::io::ErrorKind;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde_json::Value;

use super::sign_in::placed;
use super::{Invocation, Profile};
use crate::error::{Doing, Error, Result};

/// What an attempt that was cut off has left is kept for so long.
const KEPT: Duration = Duration::from_secs(14 * 24 * 3_600);

/// Variables of every run that nobody watches: git asks nothing and waits for no key.
pub fn unattended() -> [(OsString, OsString); 5] {
    let all = [
        ("GIT_TERMINAL_PROMPT", "0"),
        ("GIT_EDITOR", "true"),
        ("GIT_CONFIG_COUNT", "1"),
        ("GIT_CONFIG_KEY_0", "commit.gpgSign"),
        ("GIT_CONFIG_VALUE_0", "false"),
    ];
    all.map(|(name, value)| (name.into(), value.into()))
}

impl Profile {
    /// Makes what the invocation needs in its folder; what a resumed session left there stays.
    ///
    /// # Errors
    /// When a file cannot be written, or one that it is to be laid over is no JSON.
    pub fn lay_out(
        &self,
        invocation: &Invocation,
        folder: &Path,
        env: &[(OsString, OsString)],
    ) -> Result<()> {
        std::fs::create_dir_all(folder).doing(|| format!("make {}", folder.display()))?;
        let private = Permissions::from_mode(0o700);
        std::fs::set_permissions(folder, private)
            .doing(|| format!("close {}", folder.display()))?;
        for (name, text) in &invocation.files {
            let over = self.over.get(name).into_iter().flatten();
            let mut bases = over.filter_map(|path| placed(path, env)).filter(|it| it.is_file());
            let text = match bases.next() {
                Some(base) => self.laid_over(&base, text)?,
                None => text.clone(),
            };
            write(&folder.join(name), &text)?;
        }
        // What an earlier run used is not what this one will have used.
        if let Some(path) = invocation.usage_file.as_ref().filter(|path| !path.ends_with("*.json"))
        {
            let _ = std::fs::remove_file(path);
        }
        if let (Some(home), Some(at)) = (&self.home, &invocation.home) {
            let from = home.from.iter().filter_map(|path| placed(path, env)).find(|it| it.is_dir());
            furnish(at, from.as_deref(), &home.links)?;
        }
        Ok(())
    }

    /// The JSON of `base` with ours over it: what else an administrator said there stays.
    fn laid_over(&self, base: &Path, ours: &str) -> Result<String> {
        let refused = |path: &Path, error: serde_json::Error| {
            let reason = format!("{} is no JSON: {error}", path.display());
            Error::Profile { profile: self.name.clone(), reason }
        };
        let text = std::fs::read_to_string(base);
        let text = text.doing(|| format!("read {}", base.display()))?;
        let mut whole: Value = serde_json::from_str(&text).map_err(|it| refused(base, it))?;
        let ours: Value =
            serde_json::from_str(ours).map_err(|it| refused(Path::new("its own file"), it))?;
        lay(&mut whole, ours);
        Ok(whole.to_string())
    }
}

fn lay(under: &mut Value, over: Value) {
    match (under, over) {
        (Value::Object(under), Value::Object(over)) => {
            for (name, value) in over {
                lay(under.entry(name).or_insert(Value::Null), value);
            }
        }
        (under, over) => *under = over,
    }
}

/// Written beside and moved into its place: a tool that still reads the old one is not disturbed.
fn write(path: &Path, text: &str) -> Result<()> {
    let doing = || format!("write {}", path.display());
    if let Some(dir) = path.parent() {
        std::fs::create_dir_all(dir).doing(doing)?;
    }
    let beside = path.with_extension("new");
    std::fs::write(&beside, text).doing(doing)?;
    std::fs::set_permissions(&beside, Permissions::from_mode(0o600)).doing(doing)?;
    std::fs::rename(&beside, path).doing(doing)
}

/// The home with links to what the person has of these names.
fn furnish(at: &Path, from: Option<&Path>, links: &[String]) -> Result<()> {
    std::fs::create_dir_all(at).doing(|| format!("make {}", at.display()))?;
    let Some(from) = from else { return Ok(()) };
    for name in links {
        let (there, here) = (from.join(name), at.join(name));
        if !there.exists() {
            continue;
        }
        match symlink(&there, &here) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => {
                return Err(error).doing(|| format!("link {}", here.display()));
            }
            Ok(()) | Err(_) => {}
        }
    }
    Ok(())
}

/// Takes away what attempts have left that nobody goes on with any more.
pub(crate) fn prune(folders: &Path) {
    let old = |path: &PathBuf| {
        let changed = path.metadata().and_then(|meta| meta.modified());
        changed.is_ok_and(|at| SystemTime::now().duration_since(at).is_ok_and(|it| it > KEPT))
    };
    let entries = std::fs::read_dir(folders).into_iter().flatten().flatten();
    for path in entries.map(|entry| entry.path()).filter(old) {
        if let Err(error) = std::fs::remove_dir_all(&path) {
            tracing::debug!(path = %path.display(), %error, "an old folder stays");
        }
    }
}

/// The text of the file that a pattern means: the newest of a folder where it ends in `*.json`.
pub fn newest(pattern: &str) -> Option<String> {
    let Some(folder) = pattern.strip_suffix("/*.json") else {
        return std::fs::read_to_string(pattern).ok();
    };
    let files = std::fs::read_dir(folder).ok()?.flatten();
    let files = files.filter(|file| {
        let name = file.file_name();
        let name = name.to_string_lossy();
        // The list of all sessions lies beside them.
        name.ends_with(".json") && name != "sessions.json"
    });
    let changed = |file: &std::fs::DirEntry| file.metadata().and_then(|meta| meta.modified()).ok();
    let newest = files.max_by_key(changed)?;
    std::fs::read_to_string(newest.path()).ok()
}
