//! The folder that is meant, and the link to it.

use std::fs;
use std::process::Command;

use devmesh_protocol::MeshId;

use super::{RunFile, StateDir};
use crate::git::Repo;
use crate::process::Known;

fn repo(dir: &std::path::Path) -> Repo {
    let status = Command::new("git").args(["init", "-q"]).arg(dir).status().unwrap();
    assert!(status.success());
    Repo::around(dir).unwrap().unwrap()
}

fn mesh(name: &str) -> MeshId {
    MeshId::new(name).unwrap()
}

#[test]
fn a_folder_belongs_to_one_mesh() {
    let dir = tempfile::tempdir().unwrap();
    let state = StateDir::resolve(Some(dir.path()), Some(&mesh("one")), None).unwrap();
    state.create().unwrap();
    assert_eq!(StateDir::resolve(Some(dir.path()), None, None).unwrap().mesh, mesh("one"));
    let error = StateDir::resolve(Some(dir.path()), Some(&mesh("two")), None).unwrap_err();
    assert!(error.to_string().contains("is the state of mesh one, not of two"), "{error}");
}

#[test]
fn a_repository_is_linked_once_and_its_link_repaired() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().canonicalize().unwrap();
    let repo = repo(&root.join("repo"));
    let state = StateDir { mesh: mesh("m"), path: root.join("state") };
    state.create().unwrap();
    assert!(state.link(&repo).unwrap());
    assert!(!state.link(&repo).unwrap(), "nothing to do the second time");
    assert_eq!(StateDir::resolve(None, None, Some(&repo)).unwrap(), state);
    let exclude = fs::read_to_string(repo.common.join("info/exclude")).unwrap();
    assert_eq!(exclude.matches("/.devmesh").count(), 1);

    fs::remove_file(repo.root.join(".devmesh")).unwrap();
    std::os::unix::fs::symlink("/nowhere", repo.root.join(".devmesh")).unwrap();
    assert!(state.link(&repo).unwrap());
    assert_eq!(fs::read_link(repo.root.join(".devmesh")).unwrap(), state.path);

    fs::remove_file(repo.root.join(".devmesh")).unwrap();
    fs::write(repo.root.join(".devmesh"), "mine").unwrap();
    let error = state.link(&repo).unwrap_err();
    assert!(error.to_string().contains("is in the way"), "{error}");
    assert_eq!(fs::read_to_string(repo.root.join(".devmesh")).unwrap(), "mine");
}

/// `git clean` takes the link, never what it leads to, and nothing of it is in what git lists,
/// packs or archives.
#[test]
fn what_cleans_or_packs_a_repository_leaves_the_state_alone() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().canonicalize().unwrap();
    let repo = repo(&root.join("repo"));
    let state = StateDir { mesh: mesh("m"), path: root.join("state") };
    state.create().unwrap();
    state.link(&repo).unwrap();
    for folder in ["creds", "nats", "worktrees"] {
        fs::create_dir_all(state.path.join(folder)).unwrap();
        fs::write(state.path.join(folder).join("kept"), "kept").unwrap();
    }
    fs::write(repo.root.join("own.txt"), "own").unwrap();
    let git = |args: &[&str]| -> String {
        let done = Command::new("git").args(args).current_dir(&repo.root).output().unwrap();
        assert!(done.status.success(), "{args:?}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).unwrap()
    };
    assert_eq!(git(&["status", "--porcelain", "-uall"]), "?? own.txt\n");
    git(&["add", "--all"]);
    git(&["-c", "user.name=a", "-c", "user.email=a@x", "commit", "-qm", "own"]);
    assert_eq!(git(&["ls-files"]), "own.txt\n");
    for clean in ["-fdq", "-fdxq", "-ffdxq"] {
        git(&["clean", clean]);
        for folder in ["creds", "nats", "worktrees"] {
            let kept = fs::read_to_string(state.path.join(folder).join("kept"));
            assert_eq!(kept.unwrap(), "kept", "git clean {clean}");
        }
        state.link(&repo).unwrap();
        assert_eq!(fs::read_link(repo.root.join(".devmesh")).unwrap(), state.path);
    }
}

#[test]
fn a_number_used_again_is_not_the_process_that_was_started() {
    let dir = tempfile::tempdir().unwrap();
    let state = StateDir { mesh: mesh("m"), path: dir.path().to_owned() };
    let own = Known::own().unwrap();
    let mut run = RunFile::new(&state);
    run.put("own", &own);
    run.put("other", &Known { started: "long ago".into(), ..own.clone() });
    run.write(&state).unwrap();
    let read = RunFile::read(&state).unwrap().unwrap();
    assert_eq!(read, run);
    assert_eq!(read.all_living(), [("own".to_owned(), own)]);
}
