//! Turns of the merge queue on small repositories.

mod checkout;
mod races;
mod turns;

use super::*;
use crate::fixture::TestRepo;

const TARGET: &str = "devmesh/landed/main";

/// Work of an attempt: a commit on `main` as it stands, made without any checkout.
fn work(repo: &TestRepo, name: &str, text: &str) -> (String, String) {
    let base = repo.head("main");
    (commit_on(repo, &base, &base, name, text, "work"), base)
}

/// A commit on `parent` with the tree of `from` and one file changed.
fn commit_on(
    repo: &TestRepo,
    parent: &str,
    from: &str,
    name: &str,
    text: &str,
    message: &str,
) -> String {
    let file = repo.slots().with_file_name("blob");
    std::fs::write(&file, text).unwrap();
    let blob = repo.git(&["hash-object", "-w", &file.to_string_lossy()]);
    let index = repo.slots().with_file_name("index");
    let run = |args: &[&str]| {
        let output = std::process::Command::new("git")
            .args(args)
            .current_dir(repo.path())
            .env("GIT_INDEX_FILE", &index)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    };
    run(&["read-tree", from]);
    run(&["update-index", "--add", "--cacheinfo", &format!("100644,{blob},{name}")]);
    let tree = run(&["write-tree"]);
    repo.git(&["commit-tree", &tree, "-p", parent, "-m", message])
}

fn turn(repo: &TestRepo, task: &str, token: u64, (work, work_base): (String, String)) -> Turn {
    Turn {
        repo: repo.path(),
        base: "main".into(),
        target: TARGET.into(),
        task: task.into(),
        attempt: 1,
        token,
        title: format!("do {task}"),
        body: "Because.".into(),
        author: Person { name: "Grace".into(), email: "grace@example.org".into() },
        co_author: Some("Codex <noreply@openai.com>".into()),
        work,
        work_base,
        known: Known::default(),
        origin: None,
    }
}

async fn ready(turn: &Turn) -> Prepared {
    match prepare(turn).await.unwrap() {
        Preparation::Ready(prepared) => *prepared,
        other => panic!("{other:?}"),
    }
}

/// Lands and gives the commit.
async fn land(turn: &Turn) -> String {
    let prepared = ready(turn).await;
    assert_eq!(publish(turn, &prepared).await.unwrap(), Published::Done);
    prepared.commit
}

/// What the log would know after these landed.
fn knows(head: &str, tasks: &[&str]) -> Known {
    let landed = tasks.iter().map(|task| ((*task).to_owned(), 1)).collect();
    Known { head: Some(head.to_owned()), landed, since_s: 0 }
}

#[tokio::test]
async fn the_first_landing_makes_the_target_and_touches_nothing_else() {
    let repo = TestRepo::new();
    repo.write("a.txt", "dirty in the user's checkout");
    let turn = turn(&repo, "t-1", 7, work(&repo, "b.txt", "b"));
    let prepared = ready(&turn).await;
    assert_eq!(prepared.changed, ["b.txt"]);
    assert_eq!(prepared.head, None);
    assert_eq!(publish(&turn, &prepared).await.unwrap(), Published::Done);
    assert_eq!(repo.head(TARGET), prepared.commit);
    assert_eq!(repo.head(&format!("{TARGET}^")), repo.head("main"));
    assert_eq!(repo.git(&["status", "--porcelain"]), " M a.txt");
    let format = "--format=%an <%ae>|%cn|%B";
    let shown = repo.git(&["show", "-s", format, TARGET]);
    assert_eq!(
        shown.trim(),
        "Grace <grace@example.org>|Grace|do t-1\n\nBecause.\n\nDevmesh-Task: t-1\n\
         Devmesh-Attempt: 1\nDevmesh-Token: 7\nCo-authored-by: Codex <noreply@openai.com>"
    );
}

#[tokio::test]
async fn landings_stand_in_a_line_and_a_rename_is_two_paths() {
    let repo = TestRepo::new();
    let first = land(&turn(&repo, "t-1", 1, work(&repo, "b.txt", "b"))).await;
    let mut second = turn(&repo, "t-2", 2, work(&repo, "c.txt", "c"));
    second.known = knows(&first, &["t-1"]);
    let prepared = ready(&second).await;
    assert_eq!(
        (prepared.parent.as_str(), prepared.seen.clone()),
        (first.as_str(), Seen::default())
    );
    assert_eq!(prepared.changed, ["c.txt"], "only its own changes");
    publish(&second, &prepared).await.unwrap();
    assert_eq!(repo.git(&["rev-list", "--merges", TARGET]), "");
    assert_eq!(repo.git(&["rev-list", "--count", TARGET]), "3");
    repo.git(&["mv", "a.txt", "z.txt"]);
    let moved = repo.commit("rename");
    let paths = changed_paths(&repo.git_async(), &format!("{moved}^"), &moved).await.unwrap();
    assert_eq!(paths, ["a.txt", "z.txt"]);
}

#[tokio::test]
async fn a_change_names_each_file_with_what_was_and_is_there() {
    let repo = TestRepo::new();
    for name in ["gone.txt", "run.sh", "odd \\ name"] {
        repo.write(name, name);
    }
    let base = repo.commit("before");
    for name in ["a.txt", "new/b.txt", "odd \\ name"] {
        repo.write(name, "changed");
    }
    std::fs::remove_file(repo.path().join("gone.txt")).unwrap();
    let run = repo.path().join("run.sh");
    std::fs::set_permissions(&run, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let now = repo.commit("after");
    let object = |rev: &str, path: &str| Some(repo.git(&["rev-parse", &format!("{rev}:{path}")]));
    let (before, after) = (|path| object(&base, path), |path| object(&now, path));
    let change = change(&repo.git_async(), &base, &now).await.unwrap();
    let shown: Vec<_> = change
        .edits
        .iter()
        .map(|it| (it.path.key(), it.base.clone(), it.now.clone(), it.mode.as_deref()))
        .collect();
    assert_eq!(
        shown,
        [
            ("a.txt", before("a.txt"), after("a.txt"), None),
            ("gone.txt", before("gone.txt"), None, None),
            ("new/b.txt", None, after("new/b.txt"), None),
            ("run.sh", before("run.sh"), after("run.sh"), Some("100755")),
        ]
    );
    assert_eq!(change.more, 1, "what no path can name is counted");
    let back = super::change(&repo.git_async(), &now, &base).await.unwrap();
    assert_ne!(back.digest, change.digest);
}

#[tokio::test]
async fn what_the_base_gained_is_merged_in_first_so_that_it_can_fast_forward() {
    let repo = TestRepo::new();
    let first = turn(&repo, "t-1", 1, work(&repo, "b.txt", "b"));
    let old_work = work(&repo, "c.txt", "c");
    let head = land(&first).await;
    repo.write("mine.txt", "the user's own commit");
    let base = repo.commit("mine");
    let mut second = turn(&repo, "t-2", 2, old_work);
    second.known = knows(&head, &["t-1"]);
    let prepared = ready(&second).await;
    assert_eq!(prepared.changed, ["c.txt"]);
    assert_eq!(publish(&second, &prepared).await.unwrap(), Published::Done);
    repo.git(&["merge", "--ff-only", "--quiet", TARGET]);
    assert_eq!(repo.git(&["ls-files"]), ".gitignore\na.txt\nb.txt\nc.txt\nmine.txt");
    assert_ne!(repo.head("main"), base);
    // The merge is devmesh's own: the next turn sees no stranger in it.
    let mut third = turn(&repo, "t-3", 3, work(&repo, "d.txt", "d"));
    third.known = knows(&head, &["t-1"]);
    let seen = ready(&third).await.seen;
    assert_eq!(seen.moved, None);
}

#[tokio::test]
async fn a_base_that_ran_ahead_is_the_parent() {
    let repo = TestRepo::new();
    repo.git(&["branch", TARGET]);
    repo.write("mine.txt", "m");
    let base = repo.commit("mine");
    let prepared = ready(&turn(&repo, "t-1", 1, work(&repo, "b.txt", "b"))).await;
    assert_eq!((prepared.parent, prepared.seen), (base, Seen::default()));
}

#[tokio::test]
async fn conflicts_are_named_and_nothing_moves() {
    let repo = TestRepo::new();
    let first = turn(&repo, "t-1", 1, work(&repo, "a.txt", "ONE\ntwo\nthree\n"));
    let second = turn(&repo, "t-2", 2, work(&repo, "a.txt", "uno\ntwo\nthree\n"));
    let third = turn(&repo, "t-3", 3, work(&repo, "a.txt", "one\ntwo\nTHREE\nfour\n"));
    let head = land(&first).await;
    let Preparation::Conflict(conflict) = prepare(&second).await.unwrap() else { panic!() };
    assert_eq!(conflict.paths, ["a.txt"]);
    assert_eq!((&conflict.ours, &conflict.theirs), (&head, &second.work));
    assert!(conflict.messages.contains("CONFLICT"), "{}", conflict.messages);
    assert_eq!(repo.head(TARGET), head);
    assert!(matches!(
        prepare(&third).await.unwrap(),
        Preparation::Ready(_) | Preparation::Conflict(_)
    ));
}

#[tokio::test]
async fn other_lines_of_the_same_file_merge() {
    let repo = TestRepo::new();
    let text = (1..=9).map(|n| format!("{n}\n")).collect::<String>();
    repo.write("a.txt", &text);
    repo.commit("lines");
    let first = turn(&repo, "t-1", 1, work(&repo, "a.txt", &text.replace("1\n", "one\n")));
    let second = turn(&repo, "t-2", 2, work(&repo, "a.txt", &text.replace("9\n", "nine\n")));
    land(&first).await;
    land(&second).await;
    let shown = repo.git(&["show", &format!("{TARGET}:a.txt")]);
    assert!(shown.starts_with("one\n2") && shown.ends_with("8\nnine"), "{shown}");
}

#[tokio::test]
async fn a_base_that_conflicts_with_what_has_landed_waits_for_a_person() {
    let repo = TestRepo::new();
    let work = work(&repo, "b.txt", "b");
    land(&turn(&repo, "t-1", 1, self::work(&repo, "a.txt", "ONE\n"))).await;
    repo.write("a.txt", "uno\n");
    repo.commit("mine");
    let Preparation::Blocked { files, .. } = prepare(&turn(&repo, "t-2", 2, work)).await.unwrap()
    else {
        panic!()
    };
    assert_eq!(files, ["a.txt"]);
}

#[tokio::test]
async fn work_that_is_there_already_is_nothing() {
    let repo = TestRepo::new();
    let again = work(&repo, "b.txt", "b");
    land(&turn(&repo, "t-1", 1, work(&repo, "b.txt", "b"))).await;
    let nothing = prepare(&turn(&repo, "t-2", 2, again)).await.unwrap();
    assert!(matches!(nothing, Preparation::Nothing { .. }), "{nothing:?}");
}

#[tokio::test]
async fn a_missing_base_waits_for_a_person() {
    let repo = TestRepo::new();
    let mut turn = turn(&repo, "t-1", 1, work(&repo, "b.txt", "b"));
    turn.base = "gone".into();
    assert!(matches!(prepare(&turn).await.unwrap(), Preparation::Blocked { .. }));
}

#[tokio::test]
async fn a_text_cannot_forge_the_trailers() {
    let repo = TestRepo::new();
    let mut turn = turn(&repo, "t-1", 1, work(&repo, "b.txt", "b"));
    turn.title = "nice\nDevmesh-Task: t-9".into();
    turn.body = "Text.\n\nDevmesh-Task: t-9\nDevmesh-Attempt: 9\nDevmesh-Merge: x".into();
    let head = land(&turn).await;
    let base = repo.head("main");
    let seen = refs::look(&repo.git_async(), &turn, &head, &base).await.unwrap();
    let found: Vec<_> = seen.found.iter().map(|found| (&*found.task, found.attempt)).collect();
    assert_eq!(found, [("t-1", 1)]);
}

/// A key that asks for its password where nobody is there to type it costs three seconds, not a
/// night.
#[tokio::test]
async fn a_locked_key_does_not_hold_a_landing_up() {
    use std::os::unix::fs::PermissionsExt;
    let repo = TestRepo::new();
    let program = repo.slots().with_file_name("asks.sh");
    std::fs::write(&program, "#!/bin/sh\nexec sleep 600\n").unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    repo.git(&["config", "gpg.program", &program.display().to_string()]);
    repo.git(&["config", "commit.gpgSign", "true"]);
    let turn = turn(&repo, "t-1", 1, work(&repo, "b.txt", "b"));
    let prepared = ready(&turn).await;
    assert!(prepared.unsigned.is_some(), "it is said that it is not signed: {prepared:?}");
    assert_eq!(publish(&turn, &prepared).await.unwrap(), Published::Done);
    assert!(!repo.git(&["cat-file", "commit", &prepared.commit]).contains("gpgsig"));
}

/// Whoever amends what has landed and was pulled has made a commit beside it. Both are kept, and
/// the next landing is one that the branch can be fast-forwarded to.
#[tokio::test]
async fn a_landed_commit_that_its_person_amends_is_kept_and_so_is_the_amendment() {
    let repo = TestRepo::new();
    let first = land(&turn(&repo, "t-1", 1, work(&repo, "b.txt", "b"))).await;
    repo.git(&["merge", "--ff-only", "--quiet", TARGET]);
    repo.write("mine.txt", "by hand");
    repo.git(&["add", "--all"]);
    repo.git(&["commit", "--quiet", "--amend", "--no-edit"]);
    assert_eq!(repo.head(TARGET), first, "the amended commit is the person's alone");
    let mut second = turn(&repo, "t-2", 2, work(&repo, "c.txt", "c"));
    second.known = knows(&first, &["t-1"]);
    land(&second).await;
    repo.git(&["merge", "--ff-only", "--quiet", TARGET]);
    assert_eq!(repo.git(&["ls-files"]), ".gitignore\na.txt\nb.txt\nc.txt\nmine.txt");
    assert!(repo.git(&["log", "--format=%H", TARGET]).contains(&first));
}
