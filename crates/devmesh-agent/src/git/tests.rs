//! Git run as a subprocess on a small repository.

use super::*;
use crate::fixture::{TestRepo, git_in};

#[tokio::test]
async fn a_refusal_names_the_command_and_shows_why() {
    let repo = TestRepo::new();
    let error = repo.git_async().run(&["checkout", "nowhere"]).await.unwrap_err();
    let Error::Git { command, code, tail } = error else { panic!("{error}") };
    assert_eq!((command.as_str(), code), ("checkout nowhere", 1));
    assert!(tail.contains("nowhere"), "{tail}");
}

#[tokio::test]
async fn a_command_over_its_time_is_killed() {
    let repo = TestRepo::new();
    let git = repo.git_async().within(Duration::from_millis(200));
    let started = std::time::Instant::now();
    let error = git.run(&["-c", "alias.wait=!sleep 60", "wait"]).await.unwrap_err();
    assert!(matches!(error, Error::GitTime { limit_ms: 200, .. }), "{error}");
    assert!(started.elapsed() < Duration::from_secs(20));
}

#[tokio::test]
async fn no_hook_of_the_repository_runs() {
    let repo = TestRepo::new();
    let hook = repo.path().join(".git/hooks/reference-transaction");
    std::fs::create_dir_all(hook.parent().unwrap()).unwrap();
    std::fs::write(&hook, "#!/bin/sh\nexit 1\n").unwrap();
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(&hook, std::fs::Permissions::from_mode(0o755)).unwrap();
    repo.git_async().run(&["update-ref", "refs/devmesh/x", "HEAD"]).await.unwrap();
}

#[tokio::test]
async fn big_input_and_output_do_not_wedge() {
    let repo = TestRepo::new();
    let big = vec![b'x'; 4 << 20];
    let id = repo.git_async().run_with(&["hash-object", "-w", "--stdin"], &big).await.unwrap();
    let output = repo.git_async().try_run(&["cat-file", "blob", &id], &[]).await.unwrap();
    assert_eq!(output.stdout.len(), big.len());
}

#[tokio::test]
async fn a_branch_under_rebase_or_bisect_counts_as_held() {
    let repo = TestRepo::new();
    repo.git(&["branch", "side"]);
    repo.write("a.txt", "main\n");
    repo.commit("main");
    let place = repo.slots().join("w");
    let place_text = place.to_string_lossy().into_owned();
    repo.git(&["worktree", "add", "--quiet", &place_text, "side"]);
    std::fs::write(place.join("a.txt"), "side\n").unwrap();
    git_in(&place, &["commit", "--quiet", "-am", "side"]);
    let rebase = std::process::Command::new("git")
        .args(["rebase", "main"])
        .current_dir(&place)
        .output()
        .unwrap();
    assert!(!rebase.status.success(), "the rebase stops at a conflict");
    let found = worktrees(&repo.git_async()).await.unwrap();
    let held = found.iter().find(|checkout| checkout.path == place.canonicalize().unwrap());
    let held = held.unwrap();
    assert_eq!(held.branch.as_deref(), Some("refs/heads/side"));
    assert!(held.in_progress);
    repo.git(&["bisect", "start"]);
    repo.git(&["bisect", "bad"]);
    repo.git(&["checkout", "--quiet", "--detach"]);
    let found = worktrees(&repo.git_async()).await.unwrap();
    let main = found.iter().find(|checkout| checkout.path.ends_with("repo")).unwrap();
    assert_eq!(main.branch.as_deref(), Some("refs/heads/main"));
}

#[tokio::test]
async fn questions_are_answered_with_none_where_there_is_nothing() {
    let repo = TestRepo::new();
    let git = repo.git_async();
    assert_eq!(resolve(&git, "refs/heads/none").await.unwrap(), None);
    assert_eq!(resolve(&git, "--help").await.unwrap(), None);
    let head = repo.head("HEAD");
    assert_eq!(resolve(&git, "main").await.unwrap(), Some(head.clone()));
    assert!(is_ancestor(&git, &head, "main").await.unwrap());
    assert_eq!(merge_base(&git, &head, "main").await.unwrap(), Some(head));
}
