//! What a repository's files speak for.

use std::path::Path;

use super::{Config, Repo, detect, repo_add};

#[test]
fn each_kind_of_project_is_known_by_its_files() {
    let cases: [(&str, &str, &[&str]); 7] = [
        ("Cargo.toml", "[package]", &["cargo test"]),
        ("package.json", "{\"scripts\":{\"test\":\"x\"}}", &["npm test"]),
        ("package.json", "{\"scripts\":{}}", &[]),
        ("pyproject.toml", "[tool.pytest.ini_options]", &["python3 -m pytest -q"]),
        ("go.mod", "module x", &["go test ./..."]),
        ("Makefile", "all:\n\ntest: all\n", &["make test"]),
        ("README.md", "cargo test", &[]),
    ];
    for (name, text, expected) in cases {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(name), text).unwrap();
        assert_eq!(detect(dir.path()), expected, "{name}: {text}");
    }
}

#[test]
fn hot_files_are_the_repositorys_own() {
    let dir = tempfile::tempdir().unwrap();
    let line = "git init -q -b main; git config user.name a; git config user.email a@b.invalid; \
                git commit -q --allow-empty -m start";
    let mut sh = std::process::Command::new("sh");
    assert!(sh.args(["-ec", line]).current_dir(dir.path()).status().unwrap().success());
    let repo = Repo::around(dir.path()).unwrap().unwrap();
    let hot = |text: &str| {
        let config = Config::read(Path::new("devmesh.toml"), text, |_| None);
        repo_add(&repo, &config.unwrap(), Vec::new()).unwrap().hot
    };
    assert_eq!(hot(""), None, "the shipped list");
    assert_eq!(hot("[hot]\npaths = [\"*.snap\"]\n"), Some(vec!["*.snap".to_owned()]));
    assert_eq!(hot("[hot]\npaths = []\n"), Some(Vec::new()), "none is hot");
}
