//! A repository that lies on another host, by letters and bundles: it follows, work comes to it
//! once, and nobody moves what is not theirs.

mod landing;

use std::path::PathBuf;
use std::time::Duration;

use devmesh_bus::media::mail;
use devmesh_protocol::command::task::Usage;
use devmesh_protocol::{HostId, RepoId};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::words::{Ask, Letter, Step};
use super::*;
use crate::clock::wall_ms;
use crate::fixture::TestRepo;
use crate::git::Git;
use crate::origin::{Move, Origin, Pushed};
use crate::tests::mesh::{Mesh, TASK};

const LANDED: &str = "refs/heads/devmesh/landed/main";
const TURN: &str = "refs/devmesh/turn/devmesh/landed/main";
const SAVE: &str = "refs/devmesh/work/t-1/1";

/// A host that has the repository, and one that works on it.
struct Hosts {
    mesh: Mesh,
    there: TestRepo,
    near: tempfile::TempDir,
    keeping: Option<CancellationToken>,
    post: Post,
}

fn far() -> HostId {
    HostId::new("far").unwrap()
}

fn attempt(actor: &str, turn: Option<u64>) -> Value {
    json!({
        "attempt": 1, "token": 5, "actor": actor, "session": "s", "host": "near",
        "awarded_at": "2026-01-01T00:00:00Z", "started_at": null, "base_commit": null,
        "receipt": null, "approved": false, "turn": turn, "usage": Usage::default(),
    })
}

impl Hosts {
    async fn new() -> Self {
        let there = TestRepo::new();
        let mesh = Mesh::start(&there, &[]).await;
        mesh.open_streams().await;
        mesh.show_repo("host", json!("far"));
        mesh.show_task("attempt", attempt("codex-1", Some(7)));
        let post = Post::new(&mesh.client("codex-1").await);
        let mut hosts =
            Self { mesh, there, near: tempfile::tempdir().unwrap(), keeping: None, post };
        hosts.keep().await;
        hosts
    }

    async fn keep(&mut self) {
        let shutdown = CancellationToken::new();
        let client = self.mesh.client("far-keeper").await;
        tokio::spawn(run(client, far(), shutdown.clone()));
        self.keeping = Some(shutdown);
    }

    fn origin(&self) -> Origin {
        Origin::Kept(Box::new(self.post.line(&far(), &RepoId::new("app").unwrap())))
    }

    async fn mirror(&self) -> Git {
        let mirrors: PathBuf = self.near.path().join("mirrors");
        Git::at(self.origin().mirror(&mirrors, &RepoId::new("app").unwrap()).await.unwrap())
    }

    fn refs(&self) -> String {
        self.there.git(&["for-each-ref", "--format=%(objectname) %(refname)"])
    }
}

async fn commit(git: &Git, parent: &str, text: &str) -> String {
    let file = git.run_with(&["hash-object", "-w", "--stdin"], text.as_bytes()).await.unwrap();
    let tree = git.run_with(&["mktree"], format!("100644 blob {file}\ta.txt\n").as_bytes()).await;
    let names =
        ["GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL"];
    let git = names.into_iter().fold(git.clone(), |git, name| git.with_env(name, "a@a"));
    git.run(&["commit-tree", &tree.unwrap(), "-p", parent, "-m", text]).await.unwrap()
}

async fn turn(git: &Git, token: &str) -> String {
    git.run_with(&["hash-object", "-w", "--stdin"], token.as_bytes()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mirror_follows_by_bundles() {
    let hosts = Hosts::new().await;
    let mirror = hosts.mirror().await;
    let now = async |rev: &str| crate::git::resolve(&mirror, rev).await.unwrap();
    assert_eq!(now("main").await, Some(hosts.there.head("main")));
    hosts.there.write("b.txt", "more\n");
    let second = hosts.there.commit("second");
    hosts.there.git(&["branch", "other"]);
    hosts.there.git(&["update-ref", SAVE, "main"]);
    hosts.origin().fetch(&mirror).await.unwrap();
    assert_eq!(now("main").await, Some(second.clone()));
    assert_eq!(now("other").await, Some(second.clone()));
    assert_eq!(now(SAVE).await, Some(second));
    // What goes there goes here; what is only here stays.
    let own = commit(&mirror, &hosts.there.head("main"), "mine").await;
    mirror.run(&["update-ref", "refs/devmesh/work/t-2/1", &own]).await.unwrap();
    hosts.there.git(&["branch", "-D", "other"]);
    hosts.there.git(&["update-ref", "-d", SAVE]);
    hosts.origin().fetch(&mirror).await.unwrap();
    assert_eq!((now("other").await, now(SAVE).await), (None, None));
    assert_eq!(now("refs/devmesh/work/t-2/1").await, Some(own));
}

/// Behind a bid, for the work that it won, and by other agents of the host.
#[tokio::test(flavor = "multi_thread")]
async fn fetches_of_one_mirror_meet() {
    let hosts = Hosts::new().await;
    let mirror = hosts.mirror().await;
    for round in 0..3 {
        hosts.there.write("b.txt", &format!("{round}\n"));
        let head = hosts.there.commit("next");
        let mut fetches = tokio::task::JoinSet::new();
        for _ in 0..6 {
            let (origin, mirror) = (hosts.origin(), mirror.clone());
            fetches.spawn(async move { origin.fetch(&mirror).await });
        }
        while let Some(fetched) = fetches.join_next().await {
            fetched.unwrap().unwrap();
        }
        assert_eq!(mirror.run(&["rev-parse", "main"]).await.unwrap(), head);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_the_turn_lands_and_nobody_else() {
    let hosts = Hosts::new().await;
    let (mirror, origin) = (hosts.mirror().await, hosts.origin());
    let main = hosts.there.head("main");
    let new = commit(&mirror, &main, "work").await;
    let (seven, spent) = (turn(&mirror, "7\n").await, turn(&mirror, "7\n\n").await);
    let take = [Move { name: TURN, old: None, new: &seven }];
    let land = |old, turn_old| {
        [Move { name: LANDED, old, new: &new }, Move { name: TURN, old: turn_old, new: &spent }]
    };
    let before = hosts.refs();
    let refused = async |moves: &[Move<'_>], words: &str| {
        let pushed = origin.push(&mirror, "t-1", moves).await.unwrap();
        let Pushed::Refused { said } = pushed else { panic!("{words}: {moves:?}") };
        assert!(said.contains(words), "{words}: {said}");
    };
    hosts.mesh.show_task("attempt", attempt("codex-1", None));
    refused(&take, "has no turn").await;
    hosts.mesh.show_task("attempt", attempt("claude-1", Some(7)));
    refused(&take, "has no turn").await;
    hosts.mesh.show_task("attempt", attempt("codex-1", Some(8)));
    refused(&take, "the turn 8").await;
    hosts.mesh.show_task("attempt", attempt("codex-1", Some(7)));
    refused(&[Move { name: "refs/heads/main", ..land(None, None)[0] }, take[0]], "nothing else")
        .await;
    refused(&land(None, None)[..1], "nothing else").await;
    // What is written into git's script is one word of it.
    let lines = format!("{}\nupdate refs/heads/theft {main}", "0".repeat(40));
    refused(&[Move { old: Some(&lines), ..take[0] }], "full name").await;
    assert_eq!(hosts.refs(), before);

    assert_eq!(origin.push(&mirror, "t-1", &take).await.unwrap(), Pushed::Done);
    // The turn is not the one that is believed: the branch must not move either.
    refused(&land(None, None), "").await;
    assert_eq!(hosts.there.head(TURN), seven);
    refused(&land(Some(&main), Some(&seven)), "").await;
    assert!(!hosts.refs().contains(LANDED), "{}", hosts.refs());
    let landing = land(None, Some(&seven));
    assert_eq!(origin.push(&mirror, "t-1", &landing).await.unwrap(), Pushed::Done);
    assert_eq!(hosts.there.head(LANDED), new);
    assert_eq!(hosts.there.git(&["show", "devmesh/landed/main:a.txt"]), "work");
    // A branch only moves forward.
    let other = commit(&mirror, &main, "other").await;
    let back = [
        Move { name: LANDED, old: Some(&new), new: &other },
        Move { name: TURN, old: Some(&spent), new: &seven },
    ];
    refused(&back, "forward").await;
    hosts.there.git(&["checkout", "--quiet", "devmesh/landed/main"]);
    let next = commit(&mirror, &new, "next").await;
    refused(&[Move { new: &next, ..back[0] }, back[1]], "checked out").await;
    assert_eq!(hosts.there.head(LANDED), new);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_waits_for_its_keeper_and_is_carried_out_once() {
    let mut hosts = Hosts::new().await;
    let mirror = hosts.mirror().await;
    hosts.keeping.take().unwrap().cancel();
    let new = commit(&mirror, &hosts.there.head("main"), "saved").await;
    let (origin, git, saved) = (hosts.origin(), mirror.clone(), new.clone());
    let sending =
        tokio::spawn(async move { origin.send(&git, "t-1", SAVE, &saved).await.unwrap() });
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!sending.is_finished() && !hosts.refs().contains(SAVE));
    hosts.keep().await;
    sending.await.unwrap();
    assert_eq!(hosts.there.head(SAVE), new);

    // A turn's letter that comes twice, as after the death of a keeper that had not settled it.
    let seven = turn(&mirror, "7\n").await;
    let take = [Move { name: TURN, old: None, new: &seven }];
    assert_eq!(hosts.origin().push(&mirror, "t-1", &take).await.unwrap(), Pushed::Done);
    assert_eq!(hosts.origin().push(&mirror, "t-1", &take).await.unwrap(), Pushed::Done);
    hosts.there.git(&["update-ref", TURN, "main"]);
    let late = [Move { name: TURN, old: None, new: &seven }];
    let pushed = hosts.origin().push(&mirror, "t-1", &late).await.unwrap();
    assert!(matches!(pushed, Pushed::Refused { .. }), "{pushed:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn saves_are_kept_for_their_own_attempt() {
    let hosts = Hosts::new().await;
    let (mirror, origin) = (hosts.mirror().await, hosts.origin());
    let main = hosts.there.head("main");
    let dated = |at: &str| mirror.clone().with_env("GIT_COMMITTER_DATE", format!("{at} +0000"));
    let old = commit(&dated("1700000000"), &main, "old").await;
    let new = commit(&dated("1700000060"), &main, "new").await;
    origin.send(&mirror, "t-1", SAVE, &new).await.unwrap();
    // One that was on its way for longer.
    origin.send(&mirror, "t-1", SAVE, &old).await.unwrap();
    assert_eq!(hosts.there.head(SAVE), new);
    let names = [
        "refs/devmesh/work/t-1/2",
        "refs/devmesh/work/t-2/1",
        "refs/heads/main",
        "refs/heads/devmesh/task/t-2",
        LANDED,
        TURN,
    ];
    for name in names {
        let error = origin.send(&mirror, "t-1", name, &old).await.unwrap_err();
        assert!(error.to_string().contains("keeps nothing under"), "{name}: {error}");
    }
    origin.send(&mirror, "t-1", "refs/heads/devmesh/task/t-1", &old).await.unwrap();
    assert_eq!(hosts.there.head("devmesh/task/t-1"), old);
    assert!(origin.forget(&mirror, "t-1").await.is_err(), "it has not landed");
    hosts.mesh.show_task("state", json!("completed"));
    origin.forget(&mirror, "t-1").await.unwrap();
    assert!(!hosts.refs().contains("refs/devmesh/work"), "{}", hosts.refs());
    hosts.mesh.show_repo("host", json!("elsewhere"));
    let error = origin.fetch(&mirror).await.unwrap_err();
    assert!(error.to_string().contains("does not lie on far"), "{error}");
}

/// The one who sent it may be gone for ever.
#[tokio::test(flavor = "multi_thread")]
async fn a_save_that_cannot_be_taken_in_comes_again() {
    let hosts = Hosts::new().await;
    let (asker, keeper) =
        (hosts.mesh.client("codex-1").await, hosts.mesh.client("far2-keeper").await);
    let (name, commit) = (SAVE.to_owned(), hosts.there.head("main"));
    let ask = Ask::Put { task: TASK, name, commit: commit.clone(), bundle: None };
    let letter =
        Letter { id: "x".into(), asked_at: wall_ms(), repo: RepoId::new("app").unwrap(), ask };
    let body = serde_json::to_vec(&letter).unwrap();
    mail::send(&asker, keeper.actor(), "x", body.into()).await.unwrap();
    let letter = mail::Inbox::of(&keeper).next().await.unwrap();
    hosts.mesh.show_task("target", json!(7));
    assert!(!serve::answer(&keeper, &far(), &letter).await, "the mesh is not understood");
    hosts.mesh.show_task("target", json!("devmesh/landed/main"));
    assert!(serve::answer(&keeper, &far(), &letter).await);
    assert_eq!(hosts.there.head(SAVE), commit);
    // A refusal is for good.
    hosts.mesh.show_task("attempt", attempt("claude-1", None));
    assert!(serve::answer(&keeper, &far(), &letter).await);
}

/// Whoever guesses what is asked cannot have it done: a letter says who sent it.
#[tokio::test(flavor = "multi_thread")]
async fn a_letter_of_another_moves_nothing() {
    let hosts = Hosts::new().await;
    let (mirror, before) = (hosts.mirror().await, hosts.refs());
    let thief = hosts.mesh.client("claude-1").await;
    let seven = turn(&hosts.there.git_async(), "7\n").await;
    let step = Step { name: TURN.into(), old: None, new: seven };
    let ask = Ask::Move { task: TASK, moves: vec![step], bundle: None };
    let letter =
        Letter { id: "x".into(), asked_at: wall_ms(), repo: RepoId::new("app").unwrap(), ask };
    let body = serde_json::to_vec(&letter).unwrap();
    let keeper = name_of(&far()).unwrap();
    mail::send(&thief, &keeper, "x", body.into()).await.unwrap();
    // Letters are taken up in their order.
    let mut inbox = mail::Inbox::of(&thief);
    for words in ["begun", "refused"] {
        let answer = inbox.next().await.unwrap();
        assert!(String::from_utf8_lossy(&answer.body).contains(words), "{answer:?}");
        inbox.settle(&answer).await.unwrap();
    }
    hosts.origin().fetch(&mirror).await.unwrap();
    assert_eq!(hosts.refs(), before);
}

#[test]
fn names_of_refs() {
    for good in ["refs/heads/main", "refs/devmesh/turn/devmesh/landed/main", "refs/tags/v1.2"] {
        assert!(words::is_name(good), "{good}");
    }
    for bad in [
        "main",
        "refs/heads/",
        "refs/heads/a b",
        "refs/heads/a\nb",
        "refs/heads/../x",
        "refs//x",
        "refs/heads/.x",
        "refs/heads/x.lock",
        "refs/heads/x@{1}",
        "refs/heads/x*",
        "refs/heads/x.",
    ] {
        assert!(!words::is_name(bad), "{bad}");
    }
    let id = "0123456789012345678901234567890123456789";
    let text = format!("{id} refs/heads/a\n-x refs/heads/b\n{id} b\n{id}  refs/heads/c\n");
    assert_eq!(words::refs_in(&text), [(id.to_owned(), "refs/heads/a".to_owned())]);
}
