//! Registers with folders that were left half made, and several who write there at once.

use std::time::Duration;

use super::*;
use crate::fixture::{TestRepo, git_in};

/// A worktree whose folder above says that it is devmesh's own.
async fn own(repo: &TestRepo, number: u32) -> (PathBuf, PathBuf) {
    let above = repo.slots().join(number.to_string());
    std::fs::create_dir_all(&above).unwrap();
    std::fs::write(above.join(OWN_MARK), "").unwrap();
    let path = above.join("repo");
    add_worktree(&repo.git_async(), &path, "main").await.unwrap();
    let entry = git_in(&path, &["rev-parse", "--absolute-git-dir"]);
    (path, entry.into())
}

/// As a git leaves it that is killed before it has written where the repository is.
fn half_make(entry: &Path) {
    std::fs::write(entry.join("locked"), "initializing").unwrap();
    std::fs::write(entry.join("commondir"), "").unwrap();
    std::fs::remove_file(entry.join("HEAD")).unwrap();
}

fn wedged(repo: &TestRepo) -> bool {
    let mut git = std::process::Command::new("git");
    let listed = git.args(["worktree", "list"]).current_dir(repo.path()).output().unwrap();
    !listed.status.success()
}

#[tokio::test]
async fn a_half_made_worktree_of_devmesh_is_nobody_s_trouble() {
    let repo = TestRepo::new();
    let (path, entry) = own(&repo, 1).await;
    half_make(&entry);
    assert!(wedged(&repo), "git itself fails at it");
    repo.git_async().run(&["worktree", "list"]).await.unwrap();
    assert!(!entry.exists() && !wedged(&repo));
    half_make(&own(&repo, 2).await.1);
    std::fs::remove_dir_all(&path).unwrap();
    let (_, entry) = own(&repo, 1).await;
    half_make(&entry);
    std::fs::remove_dir_all(&path).unwrap();
    own(&repo, 1).await;
    assert!(path.join(".git").exists() && !wedged(&repo), "the next one is made");
}

#[tokio::test]
async fn a_worktree_that_lost_its_way_home_gets_it_back_with_what_stands_in_it() {
    let repo = TestRepo::new();
    let (path, entry) = own(&repo, 1).await;
    std::fs::write(path.join("work"), "x").unwrap();
    std::fs::write(entry.join("commondir"), "").unwrap();
    assert!(wedged(&repo));
    let status = Git::at(&path).run(&["status", "--porcelain", "work"]).await.unwrap();
    assert_eq!(status, "?? work", "asked from inside of it");
    assert_eq!(std::fs::read_to_string(entry.join("commondir")).unwrap(), WAY_HOME);
}

#[tokio::test]
async fn a_half_made_worktree_of_a_person_is_named_and_left_alone() {
    let repo = TestRepo::new();
    let (_, entry) = own(&repo, 1).await;
    std::fs::remove_file(repo.slots().join("1").join(OWN_MARK)).unwrap();
    half_make(&entry);
    let error = repo.git_async().run(&["worktree", "list"]).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "use the repository, in which a killed git has left a worktree half made; mend it \
             by: echo ../.. > '{}/commondir'",
            entry.display()
        )
    );
    assert!(entry.join("locked").exists() && wedged(&repo));
    let echo = format!("echo ../.. > '{}/commondir'", entry.display());
    assert!(std::process::Command::new("sh").args(["-c", &echo]).status().unwrap().success());
    assert!(!wedged(&repo), "what it says mends it");
    repo.git_async().run(&["worktree", "list"]).await.unwrap();
}

#[tokio::test]
async fn whoever_only_makes_one_is_waited_for() {
    let repo = TestRepo::new();
    let (_, entry) = own(&repo, 1).await;
    std::fs::remove_file(repo.slots().join("1").join(OWN_MARK)).unwrap();
    std::fs::write(entry.join("commondir"), "").unwrap();
    let making = tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(200)).await;
        std::fs::write(entry.join("commondir"), WAY_HOME).unwrap();
    });
    repo.git_async().run(&["worktree", "list"]).await.unwrap();
    making.await.unwrap();
}

/// Where another process of a test makes worktrees, and their first number.
const PLACE: &str = "DEVMESH_TEST_REGISTER";
/// How many each of them makes.
const MANY: u32 = 40;

async fn add_many(repo: &Path, slots: &Path, first: u32) {
    let git = Git::at(repo);
    for number in first..first + MANY {
        let above = slots.join(number.to_string());
        std::fs::create_dir_all(&above).unwrap();
        std::fs::write(above.join(OWN_MARK), "").unwrap();
        add_worktree(&git, &above.join("repo"), "main").await.unwrap();
    }
}

#[tokio::test]
async fn several_processes_add_at_once() {
    if let Ok(place) = std::env::var(PLACE) {
        // One of the others.
        let [repo, slots, first] = place.split(':').collect::<Vec<_>>()[..] else { panic!() };
        return add_many(Path::new(repo), Path::new(slots), first.parse().unwrap()).await;
    }
    let repo = TestRepo::new();
    let (path, slots) = (repo.path(), repo.slots());
    let others: Vec<_> = [1_000, 2_000]
        .map(|first| {
            let piped = std::process::Stdio::piped;
            let place = format!("{}:{}:{first}", path.display(), slots.display());
            std::process::Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "git::register::tests::several_processes_add_at_once"])
                .env(PLACE, place)
                .stdout(piped())
                .stderr(piped())
                .spawn()
                .unwrap()
        })
        .into();
    add_many(&path, &slots, 1).await;
    for other in others {
        let output = other.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success() && said.contains("1 passed"), "{said}");
    }
    let listed = repo.git(&["worktree", "list", "--porcelain"]);
    let made = listed.lines().filter(|line| line.starts_with("worktree ")).count();
    assert_eq!(made, 3 * MANY as usize + 1);
}

#[tokio::test]
async fn one_that_is_broken_off_leaves_nothing_behind() {
    let repo = TestRepo::new();
    let git = repo.git_async();
    for number in 0..60 {
        let above = repo.slots().join(number.to_string());
        std::fs::create_dir_all(&above).unwrap();
        let path = above.join("repo");
        let adding = add_worktree(&git, &path, "main");
        // No mark: what is left half made would be a person's, and stay.
        let _ = tokio::time::timeout(Duration::from_micros(150 * number), adding).await;
        // The next one waits until the git that was broken off has ended.
        let register = Register::hold(repo.path().join(".git")).await.unwrap();
        assert_eq!(register.mend_own().unwrap(), None);
        assert!(!wedged(&repo));
        for entry in std::fs::read_dir(repo.path().join(".git/worktrees")).into_iter().flatten() {
            let entry = entry.unwrap().path();
            assert!(!entry.join("locked").exists(), "{} at {number}", entry.display());
        }
    }
}
