//! Mirrors of a repository that lies elsewhere: they follow, and what they push moves as a whole.

use super::*;
use crate::fixture::TestRepo;

fn origin(repo: &TestRepo, dir: &Path) -> (Origin, RepoId) {
    let address = format!("file://{}", repo.path().display());
    (Origin::new(address, dir.join("mirrors")), RepoId::new("repo").unwrap())
}

#[tokio::test]
async fn a_mirror_follows_and_a_push_is_all_or_nothing() {
    let repo = TestRepo::new();
    let dir = tempfile::tempdir().unwrap();
    let (origin, id) = origin(&repo, dir.path());
    let mirror = Git::at(origin.mirror(&id).await.unwrap());
    let head = repo.git(&["rev-parse", "main"]);
    assert_eq!(mirror.run(&["rev-parse", "main"]).await.unwrap(), head);

    let tree = mirror.run(&["rev-parse", "main^{tree}"]).await.unwrap();
    let named =
        ["GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL"];
    let author = named.into_iter().fold(mirror.clone(), |git, name| git.with_env(name, "a@a"));
    let new = author.run(&["commit-tree", &tree, "-p", &head, "-m", "next"]).await.unwrap();
    let landed = "refs/heads/devmesh/landed/main";
    let turn = "refs/devmesh/turn/x";
    let address = origin.address(&id);
    let branch = Move { name: landed, old: None, new: &new };
    let both = |old| [branch, Move { name: turn, old, new: &head }];
    // The turn ref is not what it must be: the branch must not move either.
    let refused = push(&mirror, &address, &both(Some(&new))).await.unwrap();
    assert!(matches!(refused, Pushed::Refused { .. }), "{refused:?}");
    assert_eq!(repo.git(&["for-each-ref", "refs/heads/devmesh", "refs/devmesh"]), "");
    assert_eq!(push(&mirror, &address, &both(None)).await.unwrap(), Pushed::Done);
    assert_eq!(repo.git(&["rev-parse", landed]), new);
    assert_eq!(mirror.run(&["rev-parse", landed]).await.unwrap(), new);
    // It is there now: who still takes it for absent moves nothing.
    let other = [Move { name: landed, old: None, new: &head }];
    assert!(matches!(push(&mirror, &address, &other).await.unwrap(), Pushed::Refused { .. }));
}

#[tokio::test]
async fn saves_are_sent_and_forgotten_there() {
    let repo = TestRepo::new();
    let dir = tempfile::tempdir().unwrap();
    let (origin, id) = origin(&repo, dir.path());
    let mirror = Git::at(origin.mirror(&id).await.unwrap());
    let task: TaskId = "t-7".parse().unwrap();
    for name in ["refs/devmesh/work/t-7/1", "refs/devmesh/work/t-8/1"] {
        mirror.run(&["update-ref", name, "main"]).await.unwrap();
        send(&mirror, &origin.address(&id), name).await.unwrap();
    }
    origin.forget(&mirror, &id, task).await.unwrap();
    let left = repo.git(&["for-each-ref", "--format=%(refname)", "refs/devmesh"]);
    assert_eq!(left, "refs/devmesh/work/t-8/1");
}

#[tokio::test]
async fn another_host_that_is_not_there_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let gone = through(&[&dir.path().join("no such")]);
    assert!(gone.starts_with("ext::") && gone.contains("no% such") && gone.ends_with("{repo}"));
    let origin = Origin::new(gone, dir.path().join("mirrors"));
    assert!(origin.mirror(&RepoId::new("repo").unwrap()).await.is_err());
}
