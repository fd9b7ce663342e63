//! Slots beside a small repository.

use super::*;
use crate::fixture::{TestRepo, git_in, write_in};

fn spec(repo: &TestRepo) -> SlotSpec {
    SlotSpec {
        repo: repo.path(),
        repo_name: "repo".into(),
        root: repo.slots(),
        base: repo.head("main"),
        copy: Vec::new(),
        setup: None,
        setup_inputs: Vec::new(),
        setup_limit: Duration::from_secs(20),
        builds: crate::fixture::builds(&repo.slots()),
        env: vec![("PATH".into(), std::env::var_os("PATH").unwrap())],
        occupant: Some(("t-1".into(), 1)),
    }
}

#[tokio::test]
async fn a_slot_is_used_again_with_its_ignored_files_and_nothing_else() {
    let repo = TestRepo::new();
    let slot = prepare(&spec(&repo)).await.unwrap();
    let path = slot.path.clone();
    assert_eq!(slot.env()[0], ("DEVMESH_SLOT".into(), "1".into()));
    assert_eq!(slot.port_base(), 20_000);
    write_in(&path, "target/built", "x");
    write_in(&path, "stray.txt", "x");
    write_in(&path, "a.txt", "changed");
    slot.release().await.unwrap();
    repo.write("b.txt", "new");
    repo.commit("second");
    let again = prepare(&spec(&repo)).await.unwrap();
    assert_eq!(again.path, path);
    assert!(path.join("target/built").exists() && path.join("b.txt").exists());
    assert!(!path.join("stray.txt").exists());
    assert_eq!(std::fs::read_to_string(path.join("a.txt")).unwrap(), "one\ntwo\nthree\n");
    assert_eq!(repo.git(&["status", "--porcelain"]), "", "the user's checkout is untouched");
    assert_eq!(repo.git(&["branch", "--list"]), "* main", "no branch was made");
}

#[tokio::test]
async fn two_at_once_have_two_slots() {
    let repo = TestRepo::new();
    let first = prepare(&spec(&repo)).await.unwrap();
    let second = prepare(&spec(&repo)).await.unwrap();
    assert_eq!((first.number, second.number), (1, 2));
    assert_ne!(first.port_base(), second.port_base());
    drop(first);
    assert_eq!(prepare(&spec(&repo)).await.unwrap().number, 1, "a crash frees the number");
}

#[tokio::test]
async fn work_that_a_crash_left_behind_is_saved_before_the_reset() {
    let repo = TestRepo::new();
    let slot = prepare(&spec(&repo)).await.unwrap();
    write_in(&slot.path, "half.txt", "done");
    drop(slot);
    let mut next = spec(&repo);
    next.occupant = Some(("t-2".into(), 1));
    let slot = prepare(&next).await.unwrap();
    assert!(!slot.path.join("half.txt").exists());
    assert_eq!(repo.git(&["show", "refs/devmesh/work/t-1/1:half.txt"]), "done");
}

#[tokio::test]
async fn a_root_inside_a_repository_is_refused() {
    let repo = TestRepo::new();
    let mut spec = spec(&repo);
    spec.root = repo.path().join("deep/slots");
    let error = prepare(&spec).await.unwrap_err();
    assert!(matches!(error, Error::RootInsideRepo { .. }), "{error}");
}

#[tokio::test]
async fn named_files_are_copied_and_tracked_ones_are_not() {
    let repo = TestRepo::new();
    repo.write(".worktreeinclude", ".env\n");
    repo.write("tracked.cfg", "old");
    repo.commit("include");
    repo.write(".env", "SECRET=1");
    repo.write("sub/.env", "SECRET=2");
    repo.write("local.cfg", "mine");
    repo.write("tracked.cfg", "edited by the user");
    repo.write(".worktreeinclude", ".env\nother\n");
    repo.write("other", "not at the base");
    let mut spec = spec(&repo);
    spec.copy = vec!["*.cfg".into()];
    let slot = prepare(&spec).await.unwrap();
    let mut copied = slot.copied.clone();
    copied.sort();
    assert_eq!(copied, [".env", "local.cfg", "sub/.env"]);
    assert_eq!(std::fs::read_to_string(slot.path.join("sub/.env")).unwrap(), "SECRET=2");
    assert_eq!(std::fs::read_to_string(slot.path.join("tracked.cfg")).unwrap(), "old");
}

#[tokio::test]
async fn setup_runs_again_only_when_its_inputs_changed() {
    let repo = TestRepo::new();
    repo.write("package.json", "{}");
    repo.commit("manifest");
    let count = repo.slots().with_file_name("count");
    let mut wanted = spec(&repo);
    wanted.setup = Some(format!("echo $DEVMESH_SLOT >> {}", count.display()));
    let runs = || std::fs::read_to_string(&count).unwrap_or_default().lines().count();
    prepare(&wanted).await.unwrap().release().await.unwrap();
    repo.write("a.txt", "no input of the setup");
    wanted.base = repo.commit("code");
    prepare(&wanted).await.unwrap().release().await.unwrap();
    assert_eq!(runs(), 1);
    repo.write("package.json", "{\"a\":1}");
    wanted.base = repo.commit("dependency");
    prepare(&wanted).await.unwrap().release().await.unwrap();
    assert_eq!(runs(), 2);
}

#[tokio::test]
async fn a_failed_setup_is_told_and_tried_again() {
    let repo = TestRepo::new();
    let mut wanted = spec(&repo);
    wanted.setup = Some("echo broken; exit 4".into());
    for _ in 0..2 {
        let error = prepare(&wanted).await.unwrap_err();
        let Error::Setup { exit, tail } = error else { panic!("{error}") };
        assert_eq!((exit, tail.as_str()), (4, "broken"));
    }
}

#[tokio::test]
async fn a_slot_whose_folder_was_deleted_comes_back() {
    let repo = TestRepo::new();
    let slot = prepare(&spec(&repo)).await.unwrap();
    let path = slot.path.clone();
    slot.release().await.unwrap();
    std::fs::remove_dir_all(&path).unwrap();
    assert!(prepare(&spec(&repo)).await.unwrap().path.join("a.txt").exists());
}

/// Serves the files of a folder, as git needs them to clone without a program at the other end.
async fn serve_files(folder: PathBuf) -> String {
    use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let mut stream = BufReader::new(stream);
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") {
                if !matches!(stream.read_line(&mut head).await, Ok(1..)) {
                    break;
                }
            }
            let path = head.split(' ').nth(1).unwrap_or("/").split('?').next().unwrap_or("/");
            let (status, bytes) = match std::fs::read(folder.join(path.trim_start_matches('/'))) {
                Ok(bytes) => ("200 OK", bytes),
                Err(_) => ("404 Not Found", Vec::new()),
            };
            let head = format!(
                "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                bytes.len()
            );
            let _ = stream.write_all(head.as_bytes()).await;
            let _ = stream.write_all(&bytes).await;
        }
    });
    url
}

/// `git worktree add` leaves them empty, and a repository that cannot be built without them is
/// not what its base was proven with.
#[tokio::test]
async fn submodules_are_there_in_every_slot() {
    let (repo, other) = (TestRepo::new(), TestRepo::new());
    other.git(&["update-server-info"]);
    let url = format!("{}/.git", serve_files(other.path()).await);
    let (path, from) = (repo.path(), url.clone());
    let add = move || git_in(&path, &["submodule", "--quiet", "add", &from, "sub"]);
    tokio::task::spawn_blocking(add).await.unwrap();
    repo.commit("with a part of its own");
    let slot = prepare(&spec(&repo)).await.unwrap();
    assert!(slot.path.join("sub/a.txt").exists());
    write_in(&slot.path, "sub/a.txt", "changed in it");
    write_in(&slot.path, "sub/stray.txt", "x");
    slot.release().await.unwrap();
    let again = prepare(&spec(&repo)).await.unwrap();
    let text = std::fs::read_to_string(again.path.join("sub/a.txt")).unwrap();
    assert_eq!(text, "one\ntwo\nthree\n", "an attempt before it left nothing there");
    assert!(!again.path.join("sub/stray.txt").exists());
}
