//! Mirrors of a repository that lies elsewhere: they follow, and what they push moves as a whole.

use super::*;
use crate::fixture::TestRepo;

/// The repository as another host reaches it, and that host's mirror.
async fn mirrored(repo: &TestRepo, mirrors: &Path) -> (Origin, Git) {
    let origin = Origin::Git(format!("file://{}", repo.path().display()));
    let mirror = origin.mirror(mirrors, &RepoId::new("repo").unwrap()).await.unwrap();
    (origin, Git::at(mirror))
}

async fn commit(git: &Git, parent: &str, at: &str) -> String {
    let tree = git.run(&["rev-parse", "main^{tree}"]).await.unwrap();
    let named =
        ["GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL"];
    let git = named.into_iter().fold(git.clone(), |git, name| git.with_env(name, "a@a"));
    let git = git.with_env("GIT_COMMITTER_DATE", format!("{at} +0000"));
    git.run(&["commit-tree", &tree, "-p", parent, "-m", at]).await.unwrap()
}

#[tokio::test]
async fn a_mirror_follows_and_a_push_is_all_or_nothing() {
    let (repo, dir) = (TestRepo::new(), tempfile::tempdir().unwrap());
    let (origin, mirror) = mirrored(&repo, dir.path()).await;
    let head = repo.git(&["rev-parse", "main"]);
    assert_eq!(mirror.run(&["rev-parse", "main"]).await.unwrap(), head);

    let new = commit(&mirror, &head, "1700000000").await;
    let landed = "refs/heads/devmesh/landed/main";
    let turn = "refs/devmesh/turn/x";
    let branch = Move { name: landed, old: None, new: &new };
    let both = |old| [branch, Move { name: turn, old, new: &head }];
    let push = async |moves: &[Move<'_>]| origin.push(&mirror, "t-1", moves).await.unwrap();
    // The turn ref is not what it must be: the branch must not move either.
    let refused = push(&both(Some(&new))).await;
    assert!(matches!(refused, Pushed::Refused { .. }), "{refused:?}");
    assert_eq!(repo.git(&["for-each-ref", "refs/heads/devmesh", "refs/devmesh"]), "");
    assert_eq!(push(&both(None)).await, Pushed::Done);
    assert_eq!(repo.git(&["rev-parse", landed]), new);
    assert_eq!(mirror.run(&["rev-parse", landed]).await.unwrap(), new);
    // It is there now: who still takes it for absent moves nothing.
    let other = [Move { name: landed, old: None, new: &head }];
    assert!(matches!(push(&other).await, Pushed::Refused { .. }));
}

#[tokio::test]
async fn saves_are_sent_and_forgotten_there() {
    let (repo, dir) = (TestRepo::new(), tempfile::tempdir().unwrap());
    let (origin, mirror) = mirrored(&repo, dir.path()).await;
    let main = repo.head("main");
    for task in ["t-7", "t-8"] {
        let name = format!("refs/devmesh/work/{task}/1");
        origin.send(&mirror, task, &name, &main).await.unwrap();
    }
    origin.forget(&mirror, "t-7").await.unwrap();
    let left = repo.git(&["for-each-ref", "--format=%(refname)", "refs/devmesh"]);
    assert_eq!(left, "refs/devmesh/work/t-8/1");
}

/// Another agent of the host fetches while a save is on its way, or while the gate is shut.
#[tokio::test]
async fn a_save_that_is_only_here_outlives_a_fetch() {
    let (repo, dir) = (TestRepo::new(), tempfile::tempdir().unwrap());
    let (origin, mirror) = mirrored(&repo, dir.path()).await;
    let main = repo.head("main");
    let (name, other) = ("refs/devmesh/work/t-7/1", "refs/devmesh/work/t-8/1");
    let first = commit(&mirror, &main, "1700000000").await;
    let second = commit(&mirror, &main, "1700000015").await;
    let third = commit(&mirror, &main, "1700000030").await;
    let stands = async |name: &str| crate::git::resolve(&mirror, name).await.unwrap();
    origin.send(&mirror, "t-7", name, &first).await.unwrap();
    for commit in [&first, &second] {
        mirror.run(&["update-ref", name, commit]).await.unwrap();
        origin.fetch(&mirror).await.unwrap();
        assert_eq!(stands(name).await.as_ref(), Some(commit));
    }
    // A newer one of another host's comes, and goes when its task has landed.
    origin.send(&mirror, "t-7", name, &third).await.unwrap();
    mirror.run(&["update-ref", other, &first]).await.unwrap();
    origin.fetch(&mirror).await.unwrap();
    assert_eq!(stands(name).await, Some(third));
    origin.forget(&mirror, "t-7").await.unwrap();
    origin.fetch(&mirror).await.unwrap();
    assert_eq!(stands(name).await, None);
    assert_eq!(stands(other).await, Some(first));
}

#[tokio::test]
async fn another_host_that_is_not_there_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let gone = through(&[&dir.path().join("no such")]);
    assert!(gone.starts_with("ext::") && gone.contains("no% such") && gone.ends_with("{repo}"));
    let origin = Origin::Git(gone.replace("{repo}", "repo"));
    assert!(origin.mirror(dir.path(), &RepoId::new("repo").unwrap()).await.is_err());
}
