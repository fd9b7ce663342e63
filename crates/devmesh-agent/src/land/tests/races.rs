//! Turns that meet: late wakers, strangers, and attempts that died before they could tell.

use super::*;

#[tokio::test]
async fn who_wakes_after_the_next_turn_began_lands_nothing() {
    let repo = TestRepo::new();
    let late = turn(&repo, "t-1", 1, work(&repo, "b.txt", "b"));
    let prepared = ready(&late).await;
    let next = turn(&repo, "t-2", 2, work(&repo, "c.txt", "c"));
    let next_prepared = ready(&next).await;
    assert_eq!(publish(&late, &prepared).await.unwrap(), Published::TurnLost);
    assert_eq!(prepare(&late).await.unwrap(), Preparation::Stale { token: 2 });
    assert_eq!(publish(&next, &next_prepared).await.unwrap(), Published::Done);
    assert_eq!(repo.git(&["rev-list", "--count", TARGET]), "2");
}

#[tokio::test]
async fn a_branch_that_moved_in_between_is_prepared_again() {
    let repo = TestRepo::new();
    let turn = turn(&repo, "t-1", 1, work(&repo, "b.txt", "b"));
    let prepared = ready(&turn).await;
    repo.git(&["branch", TARGET, "main"]);
    assert_eq!(publish(&turn, &prepared).await.unwrap(), Published::Moved);
    land(&turn).await;
}

#[tokio::test]
async fn an_attempt_that_died_after_its_landing_is_found_once() {
    let repo = TestRepo::new();
    let dead = turn(&repo, "t-1", 1, work(&repo, "b.txt", "b"));
    let landed = land(&dead).await;
    let next = turn(&repo, "t-2", 2, work(&repo, "c.txt", "c"));
    let prepared = ready(&next).await;
    let [found] = prepared.seen.found.as_slice() else { panic!("{:?}", prepared.seen) };
    assert_eq!((&found.commit, &*found.task, found.token), (&landed, "t-1", Some(1)));
    assert_eq!(prepared.seen.moved, None);
    let mut young = next.clone();
    young.known.since_s = found.at_s + 1;
    assert_eq!(ready(&young).await.seen, Seen::default(), "a commit of an older mesh");
    let mut again = dead.clone();
    again.token = 3;
    let Preparation::Landed { commit, .. } = prepare(&again).await.unwrap() else { panic!() };
    assert_eq!(commit, landed);
    let mut told = turn(&repo, "t-3", 4, work(&repo, "d.txt", "d"));
    told.known = Known { landed: [("t-1".to_owned(), 1)].into(), ..Known::default() };
    assert_eq!(ready(&told).await.seen, Seen::default());
}

#[tokio::test]
async fn a_stranger_on_the_branch_is_told() {
    let repo = TestRepo::new();
    let head = land(&turn(&repo, "t-1", 1, work(&repo, "b.txt", "b"))).await;
    let strange = commit_on(&repo, &head, &head, "x.txt", "x", "by hand");
    repo.git(&["update-ref", &format!("refs/heads/{TARGET}"), &strange]);
    let mut next = turn(&repo, "t-2", 2, work(&repo, "c.txt", "c"));
    next.known = knows(&head, &["t-1"]);
    let seen = ready(&next).await.seen;
    assert_eq!(seen, Seen { found: Vec::new(), moved: Some((head.clone(), strange.clone())) });
    // Rewound: what was known is gone from the branch.
    repo.git(&["update-ref", &format!("refs/heads/{TARGET}"), &repo.head("main")]);
    next.known = knows(&strange, &["t-1"]);
    next.token = 3;
    let seen = ready(&next).await.seen;
    assert_eq!(seen.moved, Some((strange, repo.head("main"))));
}

#[tokio::test]
async fn many_at_once_all_land_in_a_line() {
    let repo = TestRepo::new();
    let mut turns = Vec::new();
    for n in 1..=4_u64 {
        let work = work(&repo, &format!("f{n}.txt"), "x");
        turns.push(turn(&repo, &format!("t-{n}"), n, work));
    }
    // Without a queue: whoever loses the race takes a later token and tries again.
    let tokens = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(100));
    let mut tasks = tokio::task::JoinSet::new();
    for mut turn in turns {
        let tokens = tokens.clone();
        tasks.spawn(async move {
            for round in 1..200 {
                turn.token = tokens.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                if let Preparation::Ready(prepared) = prepare(&turn).await.unwrap()
                    && publish(&turn, &prepared).await.unwrap() == Published::Done
                {
                    return;
                }
                // The loser steps back, by a different time each, as a queue would make it.
                let step: u64 = turn.task.trim_start_matches("t-").parse().unwrap();
                tokio::time::sleep(Duration::from_millis(40 * step * round)).await;
            }
            panic!("{} never landed", turn.task);
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended.unwrap();
    }
    assert_eq!(repo.git(&["rev-list", "--count", TARGET]), "5");
    assert_eq!(repo.git(&["rev-list", "--merges", TARGET]), "");
    assert_eq!(repo.git(&["ls-tree", "--name-only", TARGET]).lines().count(), 6);
}

/// What a turn says that cannot land.
async fn blocked(repo: &TestRepo, turn: &Turn) -> String {
    let gates = turns::gates(repo, "true");
    let (landing, _) = take(turn, &gates).await.unwrap();
    let Landing::Blocked { reason, .. } = landing else { panic!("{landing:?}") };
    reason
}

#[tokio::test]
async fn a_branch_in_the_way_is_named_with_what_to_do() {
    let repo = TestRepo::new();
    let turn = turn(&repo, "t-1", 1, work(&repo, "b.txt", "b"));
    for (there, named) in
        [("devmesh", "devmesh"), ("devmesh/landed/main/x", "devmesh/landed/main/x")]
    {
        repo.git(&["branch", there, "main"]);
        let reason = blocked(&repo, &turn).await;
        assert!(reason.contains(&format!("there is a branch {named};")), "{reason}");
        assert!(reason.contains(&format!("git branch -m {named} ")), "{reason}");
        let task = make_branch(&turn, &repo.head(&format!("{}^{{tree}}", turn.work))).await;
        assert_eq!(task.is_err(), there == "devmesh", "{task:?}");
        repo.git(&["branch", "-m", there, "mine"]);
        repo.git(&["branch", "-D", "mine"]);
    }
    land(&turn).await;
}

#[tokio::test]
async fn a_lock_left_by_a_killed_git_is_named() {
    let repo = TestRepo::new();
    let turn = turn(&repo, "t-1", 1, work(&repo, "b.txt", "b"));
    for name in
        ["refs/heads/devmesh/landed/main.lock", "refs/devmesh/turn/devmesh/landed/main.lock"]
    {
        let lock = repo.path().join(".git").join(name);
        std::fs::create_dir_all(lock.parent().unwrap()).unwrap();
        let file = std::fs::File::create(&lock).unwrap();
        let long_ago = std::time::SystemTime::now() - Duration::from_secs(60);
        file.set_modified(long_ago).unwrap();
        let reason = blocked(&repo, &turn).await;
        assert!(reason.contains(&*lock.to_string_lossy()) && reason.contains("remove"), "{reason}");
        std::fs::remove_file(&lock).unwrap();
    }
    land(&turn).await;
}
