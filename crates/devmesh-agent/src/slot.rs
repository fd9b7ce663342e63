//! Worktree slots: numbered places outside every repository that are used again and again.
//!
//! A slot stands detached at the base of the task it serves. Ignored folders (builds, installed
//! packages) survive from task to task, so that only the first one pays for them.

mod copy;
mod number;
mod setup;

#[cfg(test)]
mod tests;

pub use number::Claim;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::builds::Builds;
use crate::error::{Doing, Error, Result};
use crate::git::{Git, Trust, add_worktree, refused, resolve};
use crate::save::{self, SaveSpec};

/// First port of the first slot.
const PORT_FIRST: u32 = 20_000;
/// Ports that each slot has for itself.
const PORTS_PER_SLOT: u32 = 20;
/// Slots on one host.
pub const SLOTS_MAX: u16 = 512;
/// A checkout of a big repository on a slow disk ends within this.
const CHECKOUT_LIMIT: Duration = Duration::from_secs(600);

/// What a slot is wanted for.
#[derive(Debug, Clone)]
pub struct SlotSpec {
    /// The repository on this host: a checkout or a bare folder. Never written to but for refs.
    pub repo: PathBuf,
    /// Its name in the mesh.
    pub repo_name: String,
    /// The folder that holds all slots of this host.
    pub root: PathBuf,
    /// The commit to stand at.
    pub base: String,
    /// Patterns (gitignore syntax) of untracked files to copy, besides `.worktreeinclude`.
    pub copy: Vec<String>,
    /// The setup command, run by `sh -c`; from configuration only.
    pub setup: Option<String>,
    /// Tracked files that the setup depends on; empty means the usual manifests.
    pub setup_inputs: Vec<String>,
    /// How long the setup may take.
    pub setup_limit: Duration,
    /// Where it gets its place among the builds of this host.
    pub builds: Builds,
    /// The environment that the setup command gets.
    pub env: Vec<(OsString, OsString)>,
    /// Whose work the slot will hold: `(task, attempt)`; none where nothing in it is kept.
    pub occupant: Option<(String, u32)>,
}

/// A worktree that belongs to this process until dropped.
#[derive(Debug)]
pub struct Slot {
    /// The slot's number on this host, from 1.
    pub number: u16,
    /// The worktree.
    pub path: PathBuf,
    /// The commit it stands at.
    pub base: String,
    /// Files copied in, relative; no save and no commit holds them.
    pub copied: Vec<String>,
    /// What git may run, as it was before the tool was started.
    pub trust: Trust,
    /// The repository it belongs to.
    pub repo: PathBuf,
    claim: Claim,
    note: PathBuf,
}

/// What is remembered about a worktree beside it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
struct Note {
    setup_digest: Option<String>,
    copied: Vec<String>,
    base: Option<String>,
    occupant: Option<(String, u32)>,
    trust: Option<Trust>,
}

/// Takes a free slot and makes its worktree ready at the base.
///
/// Work that a crashed process left in it is saved under its own attempt first.
///
/// # Errors
/// [`Error::RootInsideRepo`], [`Error::NoSlot`], [`Error::Setup`] and what git refuses.
pub async fn prepare(spec: &SlotSpec) -> Result<Slot> {
    let root = checked_root(&spec.root)?;
    let claim = number::claim(&root, &spec.repo_name)?;
    let path = root.join(claim.number.to_string()).join(&spec.repo_name);
    let note_path = path.with_extension("slot.json");
    let mut note = read_note(&note_path).await;
    let repo = Git::at(&spec.repo).within(CHECKOUT_LIMIT);
    let used = ours(&repo, &path).await?;
    if used {
        save_leftover(&spec.repo, &path, &note).await?;
        note.occupant = None;
    } else {
        note = Note::default();
    }
    // What a crash leaves in it from here on is nobody's work.
    write_note(&note_path, &note).await?;
    if !used {
        add(&repo, &path, &spec.base).await?;
    }
    reset(&path, &spec.base).await?;
    note.occupant.clone_from(&spec.occupant);
    note.base = Some(spec.base.clone());
    note.copied = copy::copy_in(spec, &path).await?;
    write_note(&note_path, &note).await?;
    fill(&path).await?;
    let mut slot = Slot {
        number: claim.number,
        path,
        base: spec.base.clone(),
        copied: note.copied.clone(),
        trust: Trust::default(),
        repo: spec.repo.clone(),
        claim,
        note: note_path,
    };
    setup::run_when_changed(spec, &mut slot, &mut note).await?;
    // From here on a tool may write to the repository's configuration.
    slot.trust = Trust::look(&repo).await?;
    note.trust = Some(slot.trust.clone());
    write_note(&slot.note, &note).await?;
    Ok(slot)
}

impl Slot {
    /// The variables that tell tools where they are.
    pub fn env(&self) -> Vec<(OsString, OsString)> {
        vec![
            ("DEVMESH_SLOT".into(), self.number.to_string().into()),
            ("DEVMESH_PORT_BASE".into(), self.port_base().to_string().into()),
        ]
    }

    /// The first of the ports that only this slot uses.
    pub fn port_base(&self) -> u32 {
        PORT_FIRST + u32::from(self.number.saturating_sub(1)) * PORTS_PER_SLOT
    }

    /// Git in the worktree.
    pub fn git(&self) -> Git {
        Git::at(&self.path).within(CHECKOUT_LIMIT)
    }

    /// Gives the slot back: its work is saved or landed, nothing in it is owed to anybody.
    ///
    /// # Errors
    /// When the note beside the worktree cannot be written.
    pub async fn release(self) -> Result<()> {
        let mut note = read_note(&self.note).await;
        note.occupant = None;
        write_note(&self.note, &note).await?;
        drop(self.claim);
        Ok(())
    }
}

/// The root with its links resolved, made if absent, refused inside a repository: there tools
/// would find the user's packages and workspace files by walking up.
pub(crate) fn checked_root(root: &Path) -> Result<PathBuf> {
    std::fs::create_dir_all(root).doing(|| format!("create {}", root.display()))?;
    let root = root.canonicalize().doing(|| format!("resolve {}", root.display()))?;
    match root.ancestors().find(|dir| dir.join(".git").exists()) {
        Some(repo) => Err(Error::RootInsideRepo { root: root.clone(), repo: repo.into() }),
        None => Ok(root),
    }
}

/// Whether `path` is a working worktree of this very repository.
///
/// # Errors
/// When git cannot tell: what is not known to be nobody's must not be removed.
async fn ours(repo: &Git, path: &Path) -> Result<bool> {
    let common = ["rev-parse", "--path-format=absolute", "--git-common-dir"];
    if !path.join(".git").exists() {
        return Ok(false);
    }
    let mine = repo.run(&common).await?;
    let theirs = Git::at(path).try_run(&common, &[]).await?;
    match theirs.code {
        0 => Ok(theirs.text() == mine),
        _ if theirs.stderr.contains("not a git repository") => Ok(false),
        _ => Err(refused(&common, &theirs)),
    }
}

async fn add(repo: &Git, path: &Path, base: &str) -> Result<()> {
    if path.exists() {
        // The folder of another repository of that name, or the half of a worktree.
        tokio::fs::remove_dir_all(path).await.doing(|| format!("remove {}", path.display()))?;
    }
    add_worktree(repo, path, base).await
}

/// Brings a worktree to the base. Ignored files stay; that is the point of a slot.
async fn reset(path: &Path, base: &str) -> Result<()> {
    let git = Git::at(path).within(CHECKOUT_LIMIT);
    let dir = git.run(&["rev-parse", "--absolute-git-dir"]).await?;
    // Only this process works here, so a lock is what a killed git left behind.
    for lock in ["index.lock", "HEAD.lock", "ORIG_HEAD.lock"] {
        let _ = tokio::fs::remove_file(Path::new(&dir).join(lock)).await;
    }
    for state in ["rebase-merge", "rebase-apply", "sequencer"] {
        let _ = tokio::fs::remove_dir_all(Path::new(&dir).join(state)).await;
    }
    for state in ["MERGE_HEAD", "CHERRY_PICK_HEAD", "REVERT_HEAD", "BISECT_START", "BISECT_LOG"] {
        let _ = tokio::fs::remove_file(Path::new(&dir).join(state)).await;
    }
    git.run(&["checkout", "--quiet", "--force", "--detach", base]).await?;
    git.run(&["reset", "--quiet", "--hard", base]).await?;
    git.run(&["clean", "--quiet", "-ffd"]).await?;
    Ok(())
}

/// Submodules and large files, where the repository has them.
async fn fill(path: &Path) -> Result<()> {
    let git = Git::at(path).within(CHECKOUT_LIMIT);
    if path.join(".gitmodules").exists() {
        // An attempt before this one may have changed them, and neither checkout nor reset of the
        // repository around them looks into them.
        let each = ["submodule", "--quiet", "foreach", "--recursive"];
        git.run(&["submodule", "--quiet", "update", "--init", "--recursive", "--force"]).await?;
        git.run(&[&each[..], &["git", "clean", "--quiet", "-ffd"]].concat()).await?;
    }
    let attributes = tokio::fs::read_to_string(path.join(".gitattributes")).await;
    if attributes.is_ok_and(|text| text.contains("filter=lfs")) {
        // Without git-lfs the pointers stand there, as in the user's own checkout.
        let pulled = git.try_run(&["lfs", "pull"], &[]).await?;
        if pulled.code != 0 {
            tracing::warn!(path = %path.display(), "large files are pointers: git lfs pull failed");
        }
    }
    Ok(())
}

async fn save_leftover(repo: &Path, path: &Path, note: &Note) -> Result<()> {
    let (Some((task, attempt)), Some(base)) = (&note.occupant, &note.base) else { return Ok(()) };
    let spec = SaveSpec {
        worktree: path.to_owned(),
        task: task.clone(),
        attempt: *attempt,
        base: base.clone(),
        copied: note.copied.clone(),
        conflicts: None,
        trust: note.trust.clone(),
    };
    if resolve(&Git::at(repo), base).await?.is_none() {
        return Ok(());
    }
    if let Some(saved) = save::save(&spec).await? {
        tracing::info!(task, attempt, commit = saved.commit, "saved work found in a slot");
    }
    Ok(())
}

async fn read_note(path: &Path) -> Note {
    // An unreadable note costs a setup run, nothing else.
    match tokio::fs::read(path).await {
        Ok(bytes) => serde_json::from_slice(&bytes).unwrap_or_default(),
        Err(_) => Note::default(),
    }
}

async fn write_note(path: &Path, note: &Note) -> Result<()> {
    let bytes = serde_json::to_vec(note).unwrap_or_default();
    crate::file::replace(path, &bytes).await
}
