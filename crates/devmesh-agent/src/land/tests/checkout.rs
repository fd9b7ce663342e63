//! Targets that a person has checked out.

use super::*;
use crate::fixture::git_in;

/// A turn that lands on `main`, which the repository has checked out.
fn onto_main(repo: &TestRepo, token: u64, work: (String, String)) -> Turn {
    Turn { target: "main".into(), ..turn(repo, "t-1", token, work) }
}

#[tokio::test]
async fn the_files_of_the_checkout_move_with_the_branch() {
    let repo = TestRepo::new();
    repo.write("untracked.txt", "mine");
    let turn = onto_main(&repo, 1, work(&repo, "b.txt", "b"));
    let commit = land(&turn).await;
    assert_eq!(repo.head("HEAD"), commit);
    assert_eq!(std::fs::read_to_string(repo.path().join("b.txt")).unwrap(), "b");
    assert_eq!(repo.git(&["status", "--porcelain"]), "?? untracked.txt");
    assert_eq!(repo.git(&["symbolic-ref", "HEAD"]), "refs/heads/main");
}

#[tokio::test]
async fn changes_in_the_way_block_and_are_named() {
    let repo = TestRepo::new();
    let base = repo.head("main");
    let turn = onto_main(&repo, 1, work(&repo, "a.txt", "theirs"));
    repo.write("a.txt", "the user's edit");
    let prepared = ready(&turn).await;
    let Published::Blocked { files, reason } = publish(&turn, &prepared).await.unwrap() else {
        panic!()
    };
    assert_eq!(files, ["a.txt"]);
    assert!(reason.contains("commit or stash"), "{reason}");
    assert_eq!(repo.head("main"), base);
    assert_eq!(std::fs::read_to_string(repo.path().join("a.txt")).unwrap(), "the user's edit");
    let turn = onto_main(&repo, 2, work(&repo, "new.txt", "theirs"));
    repo.write("new.txt", "untracked, in the way");
    let prepared = ready(&turn).await;
    let blocked = publish(&turn, &prepared).await.unwrap();
    assert!(matches!(&blocked, Published::Blocked { files, .. } if files == &["new.txt"]));
}

#[tokio::test]
async fn a_branch_under_rebase_is_left_alone() {
    let repo = TestRepo::new();
    let base = repo.head("main");
    repo.git(&["checkout", "--quiet", "-b", "other"]);
    repo.write("a.txt", "other");
    repo.commit("other");
    repo.git(&["checkout", "--quiet", "main"]);
    repo.write("a.txt", "mine");
    let mine = repo.commit("mine");
    let work = work(&repo, "b.txt", "b");
    let rebase = std::process::Command::new("git")
        .args(["rebase", "other"])
        .current_dir(repo.path())
        .output()
        .unwrap();
    assert!(!rebase.status.success());
    let turn = onto_main(&repo, 1, work);
    let prepared = ready(&turn).await;
    let blocked = publish(&turn, &prepared).await.unwrap();
    assert!(matches!(&blocked, Published::Blocked { reason, .. } if reason.contains("rebased")));
    assert_eq!(repo.head("refs/heads/main"), mine);
    repo.git(&["rebase", "--abort"]);
    assert_ne!(base, mine);
}

#[tokio::test]
async fn a_target_in_another_worktree_moves_there() {
    let repo = TestRepo::new();
    repo.git(&["branch", TARGET]);
    let place = repo.slots().join("look");
    repo.git(&["worktree", "add", "--quiet", &place.to_string_lossy(), TARGET]);
    let commit = land(&turn(&repo, "t-1", 1, work(&repo, "b.txt", "b"))).await;
    assert_eq!(git_in(&place, &["rev-parse", "HEAD"]), commit);
    assert!(place.join("b.txt").exists());
    assert!(!repo.path().join("b.txt").exists());
}

#[tokio::test]
async fn the_turn_is_held_to_the_last_moment_in_a_checkout_too() {
    let repo = TestRepo::new();
    let late = onto_main(&repo, 1, work(&repo, "b.txt", "b"));
    let prepared = ready(&late).await;
    ready(&onto_main(&repo, 2, work(&repo, "c.txt", "c"))).await;
    assert_eq!(publish(&late, &prepared).await.unwrap(), Published::TurnLost);
}
