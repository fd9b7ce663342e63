//! Names of repositories and where a command stands.

use std::path::Path;
use std::process::Command;

use super::Repo;

fn run(at: &Path, args: &[&str]) {
    let status = Command::new("git").args(args).current_dir(at).output().unwrap().status;
    assert!(status.success(), "git {args:?}");
}

#[test]
fn a_checkout_knows_where_a_command_stands() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().canonicalize().unwrap().join("Some Repo");
    std::fs::create_dir_all(root.join("src/deep")).unwrap();
    run(&root, &["init", "-q", "-b", "main"]);
    let repo = Repo::around(&root.join("src/deep")).unwrap().unwrap();
    assert_eq!(repo.root, root);
    assert_eq!(repo.prefix, "src/deep/");
    assert_eq!(repo.default_name().as_str(), "some-repo");
    assert_eq!(repo.branch().unwrap().as_deref(), Some("main"));
    assert!(Repo::around(dir.path()).unwrap().is_none());
}
