//! Runs the repository's setup command in a slot, again only when its inputs changed.

use super::{Note, Slot, SlotSpec, write_note};
use crate::error::{Error, Result};
use crate::shell::{self, ShellSpec};

/// Tracked files whose change asks for a new setup, when the configuration names none.
const MANIFESTS: [&str; 22] = [
    ".gitmodules",
    ".node-version",
    ".nvmrc",
    ".python-version",
    ".tool-versions",
    "Cargo.lock",
    "Cargo.toml",
    "Gemfile",
    "Gemfile.lock",
    "composer.lock",
    "go.mod",
    "go.sum",
    "mise.toml",
    "package-lock.json",
    "package.json",
    "pnpm-lock.yaml",
    "poetry.lock",
    "pyproject.toml",
    "requirements.txt",
    "rust-toolchain.toml",
    "uv.lock",
    "yarn.lock",
];

/// How much of a failed setup's output an error shows.
const TAIL_CHARS_MAX: usize = 3_000;

pub(super) async fn run_when_changed(
    spec: &SlotSpec,
    slot: &mut Slot,
    note: &mut Note,
) -> Result<()> {
    let Some(command) = &spec.setup else { return Ok(()) };
    let digest = digest_of_inputs(spec, slot, command).await?;
    if note.setup_digest.as_deref() == Some(&digest) {
        return Ok(());
    }
    // Forgotten first: a setup that fails half way has to run again.
    note.setup_digest = None;
    write_note(&slot.note, note).await?;
    let mut env = spec.env.clone();
    env.extend(slot.env());
    let run = shell::run(&ShellSpec {
        command: command.clone(),
        cwd: slot.path.clone(),
        env,
        limit: spec.setup_limit,
        builds: spec.builds.clone(),
        tail_chars: TAIL_CHARS_MAX,
    })
    .await?;
    if run.exit != 0 {
        return Err(Error::Setup { exit: run.exit, tail: run.tail });
    }
    note.setup_digest = Some(digest);
    write_note(&slot.note, note).await
}

/// BLAKE3 over the command and the object ids of its input files in the base tree.
async fn digest_of_inputs(spec: &SlotSpec, slot: &Slot, command: &str) -> Result<String> {
    let entries = slot.git().fields(&["ls-tree", "-r", "-z", &slot.base]).await?;
    let mut hash = blake3::Hasher::new();
    hash.update(command.as_bytes());
    for entry in entries {
        let Some((meta, path)) = entry.split_once('\t') else { continue };
        let name = path.rsplit('/').next().unwrap_or(path);
        let named = if spec.setup_inputs.is_empty() {
            MANIFESTS.contains(&name)
        } else {
            spec.setup_inputs.iter().any(|input| path == input || under(path, input))
        };
        if named {
            hash.update(b"\0").update(meta.as_bytes()).update(b"\t").update(path.as_bytes());
        }
    }
    Ok(hash.finalize().to_hex().to_string())
}

fn under(path: &str, folder: &str) -> bool {
    let folder = folder.trim_end_matches('/');
    path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
}
