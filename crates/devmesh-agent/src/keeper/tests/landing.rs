//! A turn whose branch is on another host, and somebody dies in it.

use super::*;
use crate::land::{Known, Person, Preparation, Prepared, Published, Turn, prepare, publish};

async fn turn_at(hosts: &Hosts, mirror: &Git, token: u64) -> Turn {
    let work_base = hosts.there.head("main");
    Turn {
        repo: mirror.dir().to_owned(),
        base: "main".into(),
        target: "devmesh/landed/main".into(),
        task: "t-1".into(),
        attempt: 1,
        token,
        title: "Say hello".into(),
        body: String::new(),
        author: Person { name: "Ada".into(), email: "ada@example.org".into() },
        co_author: None,
        work: commit(mirror, &work_base, "work").await,
        work_base,
        known: Known::default(),
        origin: Some(hosts.origin()),
    }
}

async fn ready(turn: &Turn) -> Prepared {
    match prepare(turn).await.unwrap() {
        Preparation::Ready(prepared) => *prepared,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_landing_of_which_nobody_was_told_counts_once() {
    let hosts = Hosts::new().await;
    let mirror = hosts.mirror().await;
    let first = turn_at(&hosts, &mirror, 7).await;
    let prepared = ready(&first).await;
    assert_eq!(publish(&first, &prepared).await.unwrap(), Published::Done);
    let landed = hosts.there.head(LANDED);
    assert_eq!(landed, prepared.commit);
    // Its agent died before it could tell; the same work has another turn, from another mirror.
    hosts.mesh.show_task("attempt", attempt("codex-1", Some(9)));
    let elsewhere = hosts.near.path().join("other");
    let other = hosts.origin().mirror(&elsewhere, &RepoId::new("app").unwrap()).await.unwrap();
    let again = turn_at(&hosts, &Git::at(other), 9).await;
    match prepare(&again).await.unwrap() {
        Preparation::Landed { commit, .. } => assert_eq!(commit, landed),
        other => panic!("{other:?}"),
    }
    // The first one wakes.
    assert_eq!(publish(&first, &prepared).await.unwrap(), Published::TurnLost);
    assert_eq!(hosts.there.git(&["rev-list", "--count", "devmesh/landed/main"]), "2");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_turn_that_is_over_lands_nothing_when_its_keeper_comes_back() {
    let mut hosts = Hosts::new().await;
    let mirror = hosts.mirror().await;
    let turn = turn_at(&hosts, &mirror, 7).await;
    let prepared = ready(&turn).await;
    hosts.keeping.take().unwrap().cancel();
    let late = tokio::spawn(async move { publish(&turn, &prepared).await });
    tokio::time::sleep(Duration::from_millis(300)).await;
    hosts.mesh.show_task("attempt", attempt("codex-1", None));
    hosts.keep().await;
    let ended = late.await.unwrap().unwrap();
    let Published::Blocked { reason, .. } = ended else { panic!("{ended:?}") };
    assert!(reason.contains("has no turn"), "{reason}");
    assert!(!hosts.refs().contains(LANDED), "{}", hosts.refs());
}
