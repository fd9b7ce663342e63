//! Whole turns with their gates, and the way back to the tool.

use std::time::Duration;

use super::*;
use crate::clock::Clock;
use crate::fixture::git_in;
use crate::verify::{Step, VerifySpec};

/// A slot at `main`, and gates that are all open.
pub(super) fn gates(repo: &TestRepo, command: &str) -> Gates {
    let place = repo.slots().join("gate");
    if !place.exists() {
        repo.git(&["worktree", "add", "--quiet", "--detach", &place.to_string_lossy(), "main"]);
    }
    let limit = Duration::from_secs(20);
    let step = Step { name: "test".into(), command: command.into(), limit };
    Gates {
        verified_tree: String::new(),
        leased: ["a.txt", "b.txt", "c.txt"].map(str::to_owned).into(),
        verify: VerifySpec {
            left: None,
            builds: crate::fixture::builds(&repo.slots()),
            steps: vec![step],
            worktree: place,
            tree: String::new(),
            env: vec![("PATH".into(), std::env::var_os("PATH").unwrap())],
            host: "h".into(),
            changed: Vec::new(),
            paths: Vec::new(),
        },
        copied: vec!["copied [1].cfg".into()],
        until_ms: 600_000,
        clock: Clock::start(),
    }
}

async fn outcome(turn: &Turn, gates: &Gates) -> Landing {
    take(turn, gates).await.unwrap().0
}

#[tokio::test]
async fn a_tree_with_a_receipt_is_not_verified_again_and_a_merged_one_is() {
    let repo = TestRepo::new();
    let (first, second) = (
        turn(&repo, "t-1", 1, work(&repo, "b.txt", "b")),
        turn(&repo, "t-2", 2, work(&repo, "c.txt", "c")),
    );
    let mut gates = gates(&repo, "touch ../ran; test -e b.txt -a -e c.txt");
    gates.verified_tree = repo.head(&format!("{}^{{tree}}", first.work));
    let Landing::Landed { receipt, change, .. } = outcome(&first, &gates).await else { panic!() };
    assert_eq!((receipt, change), (None, None));
    assert!(!repo.slots().join("ran").exists());
    gates.verified_tree = repo.head(&format!("{}^{{tree}}", second.work));
    let landed = outcome(&second, &gates).await;
    let Landing::Landed { receipt, change, tree, .. } = landed else { panic!() };
    assert_eq!(receipt.unwrap().tree, tree, "two works together make a third tree");
    let change = change.unwrap();
    let files: Vec<&str> = change.edits.iter().map(|it| it.path.key()).collect();
    assert_eq!(files, ["c.txt"], "and what of it is its own is told anew");
}

#[tokio::test]
async fn what_does_not_pass_once_merged_does_not_land() {
    let repo = TestRepo::new();
    let (first, second) = (
        turn(&repo, "t-1", 1, work(&repo, "b.txt", "b")),
        turn(&repo, "t-2", 2, work(&repo, "c.txt", "c")),
    );
    let head = land(&first).await;
    let gates = gates(&repo, "! test -e b.txt");
    let Landing::Broken { onto, receipt, .. } = outcome(&second, &gates).await else { panic!() };
    assert_eq!((onto, receipt.steps[0].exit), (head.clone(), 1));
    assert_eq!(repo.head(TARGET), head);
    let slot = Git::at(&gates.verify.worktree);
    assert_eq!(rebase(&slot, &second.work, &head, &[]).await.unwrap(), Vec::<String>::new());
    assert_eq!(git_in(slot.dir(), &["status", "--porcelain"]), "?? c.txt");
}

#[tokio::test]
async fn what_is_not_leased_does_not_land() {
    let repo = TestRepo::new();
    let turn = turn(&repo, "t-1", 1, work(&repo, "z.txt", "z"));
    let gates = gates(&repo, "true");
    assert_eq!(outcome(&turn, &gates).await, Landing::NotLeased(vec!["z.txt".into()]));
}

#[tokio::test]
async fn without_belief_in_the_leases_nothing_lands() {
    let repo = TestRepo::new();
    let turn = turn(&repo, "t-1", 1, work(&repo, "b.txt", "b"));
    let mut gates = gates(&repo, "true");
    gates.until_ms = 0;
    assert_eq!(outcome(&turn, &gates).await, Landing::InDoubt);
    gates.until_ms = 600_000;
    assert!(matches!(outcome(&turn, &gates).await, Landing::Landed { .. }));
}

#[tokio::test]
async fn a_conflict_goes_back_with_both_sides() {
    let repo = TestRepo::new();
    let (first, second) = (
        turn(&repo, "t-1", 1, work(&repo, "a.txt", "ONE\ntwo\nthree\n")),
        turn(&repo, "t-2", 2, work(&repo, "a.txt", "uno\ntwo\nthree\n")),
    );
    let head = land(&first).await;
    let gates = gates(&repo, "true");
    let Landing::Conflict(conflict) = outcome(&second, &gates).await else { panic!() };
    let slot = Git::at(&gates.verify.worktree);
    let paths = rebase(&slot, &second.work, &conflict.ours, &[]).await.unwrap();
    assert_eq!(paths, ["a.txt"]);
    assert_eq!(git_in(slot.dir(), &["rev-parse", "HEAD"]), head);
    assert_eq!(git_in(slot.dir(), &["status", "--porcelain"]), " M a.txt", "no merge is open");
    let text = std::fs::read_to_string(slot.dir().join("a.txt")).unwrap();
    assert!(text.contains("ONE") && text.contains("uno"), "{text}");
    assert_eq!(unresolved(&slot, &paths).await.unwrap(), ["a.txt"]);
    std::fs::write(slot.dir().join("a.txt"), "ONE uno\n").unwrap();
    assert_eq!(unresolved(&slot, &paths).await.unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn what_a_build_leaves_is_no_work_and_what_was_copied_stays() {
    let repo = TestRepo::new();
    let gates = gates(&repo, "true");
    let slot = Git::at(&gates.verify.worktree);
    for name in ["copied [1].cfg", "work.txt", ".env"] {
        std::fs::write(slot.dir().join(name), "x").unwrap();
    }
    let tree = crate::save::write_tree(&slot, "main", &gates.copied).await.unwrap();
    std::fs::write(slot.dir().join("report.xml"), "x").unwrap();
    std::fs::write(slot.dir().join("a.txt"), "formatted").unwrap();
    settle(&slot, &tree, "main", &gates.copied).await.unwrap();
    let status = git_in(slot.dir(), &["status", "--porcelain"]);
    assert_eq!(status, "?? \"copied [1].cfg\"\n?? work.txt");
    assert!(slot.dir().join(".env").exists());
}
