//! Saves of a dirty slot and their way back.

use super::*;
use crate::fixture::{TestRepo, git_in, write_in};
use crate::git::Trust;

/// A worktree beside the repository, detached at `main`.
fn worktree(repo: &TestRepo, name: &str) -> PathBuf {
    let path = repo.slots().join(name);
    let text = path.to_string_lossy().into_owned();
    repo.git(&["worktree", "add", "--quiet", "--detach", &text, "main"]);
    path
}

fn spec(repo: &TestRepo, worktree: &Path) -> SaveSpec {
    SaveSpec {
        worktree: worktree.to_owned(),
        task: "t-1".into(),
        attempt: 1,
        base: repo.head("main"),
        copied: vec!["copied.cfg".into()],
        conflicts: None,
        trust: None,
    }
}

#[tokio::test]
async fn a_save_holds_untracked_files_but_no_ignored_and_no_copied_ones() {
    let repo = TestRepo::new();
    let place = worktree(&repo, "w");
    write_in(&place, "new/file.txt", "new");
    write_in(&place, "a.txt", "changed");
    write_in(&place, "copied.cfg", "secret");
    write_in(&place, ".env", "secret");
    git_in(&place, &["rm", "--quiet", "--cached", ".gitignore"]);
    let before = git_in(&place, &["status", "--porcelain"]);
    let saved = save(&spec(&repo, &place)).await.unwrap().unwrap();
    assert_eq!(git_in(&place, &["status", "--porcelain"]), before, "the index is untouched");
    let names = repo.git(&["ls-tree", "-r", "--name-only", "refs/devmesh/work/t-1/1"]);
    assert_eq!(names, ".gitignore\na.txt\nnew/file.txt");
    assert_eq!(repo.head("refs/devmesh/work/t-1/1"), saved.commit);
    assert_eq!(repo.head(&format!("{}^", saved.commit)), saved.base);
}

#[tokio::test]
async fn nothing_changed_is_nothing_saved() {
    let repo = TestRepo::new();
    let place = worktree(&repo, "w");
    let spec = spec(&repo, &place);
    assert_eq!(save(&spec).await.unwrap(), None);
    write_in(&place, "x", "1");
    assert!(save(&spec).await.unwrap().is_some());
    assert_eq!(save(&spec).await.unwrap(), None, "nothing since the last save");
    std::fs::remove_file(place.join("x")).unwrap();
    let saved = save(&spec).await.unwrap().unwrap();
    assert_eq!(saved.tree, repo.head("main^{tree}"), "undone work is a change too");
}

#[tokio::test]
async fn a_save_runs_while_the_index_is_locked_and_a_merge_is_half_done() {
    let repo = TestRepo::new();
    let place = worktree(&repo, "w");
    write_in(&place, "x", "1");
    let index = git_in(&place, &["rev-parse", "--git-path", "index.lock"]);
    std::fs::write(&index, "").unwrap();
    assert!(save(&spec(&repo, &place)).await.unwrap().is_some());
}

#[tokio::test]
async fn commits_of_the_tool_itself_are_part_of_the_work() {
    let repo = TestRepo::new();
    let place = worktree(&repo, "w");
    write_in(&place, "x", "1");
    git_in(&place, &["add", "x"]);
    git_in(&place, &["-c", "user.name=t", "-c", "user.email=t@x", "commit", "-qm", "tool"]);
    let saved = save(&spec(&repo, &place)).await.unwrap().unwrap();
    assert_eq!(repo.git(&["show", &format!("{}:x", saved.commit)]), "1");
    assert_eq!(saved.base, repo.head("main"));
}

#[tokio::test]
async fn the_next_attempt_starts_from_the_last_save() {
    let repo = TestRepo::new();
    let place = worktree(&repo, "w");
    let mut spec = spec(&repo, &place);
    for attempt in [2, 10] {
        spec.attempt = attempt;
        write_in(&place, "x", &attempt.to_string());
        save(&spec).await.unwrap();
    }
    let next = worktree(&repo, "next");
    let restored = restore(&Git::at(&next), "t-1", &repo.head("main")).await.unwrap();
    assert_eq!(restored, Restored::Onto { conflicts: Vec::new(), base: repo.head("main") });
    assert_eq!(std::fs::read_to_string(next.join("x")).unwrap(), "10", "ten comes after two");
    assert_eq!(git_in(&next, &["status", "--porcelain"]), "?? x", "as if just typed");
}

#[tokio::test]
async fn a_save_moves_to_a_newer_base_where_it_fits_and_stays_where_not() {
    let repo = TestRepo::new();
    let place = worktree(&repo, "w");
    let old = repo.head("main");
    write_in(&place, "a.txt", "ONE\ntwo\nthree\n");
    save(&spec(&repo, &place)).await.unwrap();
    repo.write("b.txt", "new at the base");
    let fits = repo.commit("second");
    let next = worktree(&repo, "next");
    let restored = restore(&Git::at(&next), "t-1", &fits).await.unwrap();
    assert_eq!(restored, Restored::Onto { conflicts: Vec::new(), base: fits });
    assert!(next.join("b.txt").exists());
    assert!(std::fs::read_to_string(next.join("a.txt")).unwrap().starts_with("ONE"));
    repo.write("a.txt", "uno\ntwo\nthree\n");
    let conflicts = repo.commit("third");
    let last = worktree(&repo, "last");
    let restored = restore(&Git::at(&last), "t-1", &conflicts).await.unwrap();
    assert_eq!(restored, Restored::Onto { conflicts: Vec::new(), base: old });
    assert!(!last.join("b.txt").exists());
    assert!(std::fs::read_to_string(last.join("a.txt")).unwrap().starts_with("ONE"));
}

#[tokio::test]
async fn saves_are_forgotten_per_task() {
    let repo = TestRepo::new();
    let place = worktree(&repo, "w");
    let mut spec = spec(&repo, &place);
    write_in(&place, "x", "1");
    save(&spec).await.unwrap();
    spec.task = "t-10".into();
    save(&spec).await.unwrap();
    forget(&repo.git_async(), "t-1").await.unwrap();
    assert_eq!(last_of(&repo.git_async(), "t-1").await.unwrap(), None);
    assert!(last_of(&repo.git_async(), "t-10").await.unwrap().is_some());
    let restored = restore(&Git::at(&place), "t-1", &repo.head("main")).await.unwrap();
    assert_eq!(restored, Restored::Nothing);
}

#[tokio::test]
async fn the_files_of_a_repository_within_the_worktree_are_saved_as_files() {
    let repo = TestRepo::new();
    let place = worktree(&repo, "w");
    let commit = |dir: &Path| {
        git_in(dir, &["add", "--all"]);
        git_in(dir, &["-c", "user.name=t", "-c", "user.email=t@x", "commit", "-qm", "inner"]);
    };
    for name in ["cloned", "begun", "staged", "cloned/deep"] {
        write_in(&place, &format!("{name}/kept.txt"), name);
        git_in(&place.join(name), &["init", "--quiet"]);
    }
    write_in(&place, "cloned/.gitignore", "junk");
    write_in(&place, "cloned/junk", "junk");
    commit(&place.join("staged"));
    commit(&place.join("cloned/deep"));
    commit(&place.join("cloned"));
    // The tool itself has made a pointer of one.
    git_in(&place, &["-c", "advice.addEmbeddedRepo=false", "add", "staged"]);
    commit_of_tool(&place);
    write_in(&place, "cloned/late.txt", "not committed there");
    write_in(&place, "beside.txt", "an ordinary file");
    let spec = spec(&repo, &place);
    let saved = save(&spec).await.unwrap().unwrap();
    let names = repo.git(&["ls-tree", "-r", "--format=%(objecttype) %(path)", &saved.commit]);
    let names: Vec<&str> = names.lines().collect();
    let wanted = [
        "blob .gitignore",
        "blob a.txt",
        "blob begun/kept.txt",
        "blob beside.txt",
        "blob cloned/.gitignore",
        "blob cloned/deep/kept.txt",
        "blob cloned/kept.txt",
        "blob cloned/late.txt",
        "blob staged/kept.txt",
    ];
    assert_eq!(names, wanted);
    let nested = nested(&Git::at(&place), &spec.base).await.unwrap();
    assert_eq!(nested, ["begun", "cloned", "staged"]);
    // What the model is told to do about it is enough, whatever stands in its index.
    for name in ["begun", "cloned", "cloned/deep", "staged"] {
        std::fs::remove_dir_all(place.join(name).join(".git")).unwrap();
    }
    assert_eq!(save(&spec).await.unwrap(), None, "the same files");
    assert!(super::nested(&Git::at(&place), &spec.base).await.unwrap().is_empty());
}

fn commit_of_tool(place: &Path) {
    git_in(place, &["-c", "user.name=t", "-c", "user.email=t@x", "commit", "-qm", "tool"]);
}

#[tokio::test]
async fn a_submodule_is_no_repository_within_and_stays_a_pointer() {
    let (repo, other) = (TestRepo::new(), TestRepo::new());
    let place = worktree(&repo, "w");
    let from = other.path().display().to_string();
    git_in(
        &place,
        &["-c", "protocol.file.allow=always", "submodule", "--quiet", "add", &from, "sub"],
    );
    let spec = spec(&repo, &place);
    let saved = save(&spec).await.unwrap().unwrap();
    assert!(repo.git(&["ls-tree", &saved.commit, "sub"]).starts_with("160000 commit"));
    assert!(nested(&Git::at(&place), &spec.base).await.unwrap().is_empty());
    // A pointer that others can follow is work; what stands in it beside that is not.
    let within = async || changed_within(&Git::at(&place)).await.unwrap();
    write_in(&place, "sub/built.o", "of a build");
    assert!(within().await.is_empty());
    write_in(&place, "sub/a.txt", "changed in it");
    assert_eq!(within().await, ["sub"]);
    let sub = place.join("sub");
    git_in(&sub, &["checkout", "--quiet", "a.txt"]);
    assert!(within().await.is_empty());
    git_in(&place, &["commit", "--quiet", "-m", "with it"]);
    other.write("b.txt", "upstream");
    other.commit("second");
    git_in(&sub, &["-c", "protocol.file.allow=always", "pull", "--quiet", "--ff-only"]);
    assert!(within().await.is_empty(), "a newer commit that others have");
    write_in(&sub, "a.txt", "mine");
    git_in(&sub, &["add", "a.txt"]);
    commit_of_tool(&sub);
    assert_eq!(within().await, ["sub"], "a commit that nobody else has");
}

#[tokio::test]
async fn names_that_nothing_else_can_hold_disturb_no_save() {
    use std::os::unix::ffi::OsStrExt;
    let repo = TestRepo::new();
    let place = worktree(&repo, "w");
    let name = std::ffi::OsStr::from_bytes(b"caf\xe9.txt");
    std::fs::write(place.join(name), "1").unwrap();
    std::fs::write(place.join("a\nb"), "2").unwrap();
    write_in(&place, "good.txt", "3");
    let saved = save(&spec(&repo, &place)).await.unwrap().unwrap();
    let changed = crate::land::changed_paths(&repo.git_async(), "main", &saved.commit).await;
    assert_eq!(changed.unwrap(), ["a\nb", r#""caf\351.txt""#, "good.txt"]);
}

#[tokio::test]
async fn a_save_knows_where_conflict_markers_were_put_until_they_are_resolved() {
    let repo = TestRepo::new();
    let place = worktree(&repo, "w");
    let saved = async |text: &str, conflicts: Option<Vec<String>>| {
        write_in(&place, "a.txt", text);
        let spec = SaveSpec { conflicts, ..spec(&repo, &place) };
        save(&spec).await.unwrap().unwrap();
        last_of(&repo.git_async(), "t-1").await.unwrap().unwrap().conflicts
    };
    let marked = vec!["a.txt".to_owned()];
    assert_eq!(saved("<<<<<<< one", Some(marked.clone())).await, marked);
    assert_eq!(saved("<<<<<<< two", None).await, marked, "found in a slot after a crash");
    assert!(saved("both", Some(Vec::new())).await.is_empty());
}

#[tokio::test]
async fn what_a_tool_has_put_into_the_configuration_is_told_and_not_run() {
    let repo = TestRepo::new();
    let place = worktree(&repo, "w");
    repo.git(&["config", "filter.old.clean", "cat"]);
    let before = Trust::look(&Git::at(&place)).await.unwrap();
    let ran = repo.slots().join("ran");
    let command = format!("touch '{}'; cat", ran.display());
    for key in ["filter.evil.clean", "filter.evil.smudge", "filter.old.clean"] {
        git_in(&place, &["config", key, &command]);
    }
    git_in(&place, &["config", "filter.evil.required", "true"]);
    git_in(&place, &["config", "branch.main.remote", "origin"]);
    write_in(&place, ".gitattributes", "* filter=evil\na.txt filter=old\n");
    write_in(&place, "a.txt", "changed");
    write_in(&place, "new.txt", "new");
    write_in(&repo.path(), ".git/hooks/pre-commit", "#!/bin/sh\n");
    let spec = SaveSpec { trust: Some(before.clone()), ..spec(&repo, &place) };
    let saved = save(&spec).await.unwrap().unwrap();
    assert!(!ran.exists(), "our git ran what the tool has put there");
    assert_eq!(repo.git(&["cat-file", "blob", &format!("{}:new.txt", saved.commit)]), "new");
    let change = before.change(&Trust::look(&Git::at(&place)).await.unwrap());
    let commands =
        ["filter.evil.clean", "filter.evil.required", "filter.evil.smudge", "filter.old.clean"];
    assert_eq!(change.commands, commands);
    assert_eq!(change.files, ["config", "hooks/pre-commit"]);
    save(&SaveSpec { trust: None, attempt: 2, ..spec }).await.unwrap();
    assert!(ran.exists(), "it would have been run");
}
