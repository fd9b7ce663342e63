//! What is guarded and what is not.

use super::guarded;

fn check(path: &str, commands: &[&str]) -> bool {
    let commands: Vec<String> = commands.iter().map(ToString::to_string).collect();
    !guarded(&[path.to_owned()], &commands).is_empty()
}

#[test]
fn what_says_how_work_is_proven_is_guarded() {
    for path in [
        "devmesh.toml",
        "sub/devmesh.toml",
        ".github/workflows/ci.yml",
        ".gitlab-ci.yml",
        ".husky/pre-commit",
        "pkg/.githooks/x",
        ".claude/settings.json",
        ".gitattributes",
    ] {
        assert!(check(path, &[]), "{path}");
    }
}

#[test]
fn what_a_verify_command_runs_is_guarded() {
    assert!(check("scripts/check.sh", &["bash scripts/check.sh"]));
    assert!(check("scripts/check.sh", &["cd . && ./scripts/check.sh --fast"]));
    assert!(check("check.sh", &["X=1 sh \"check.sh\""]));
    assert!(check("check.sh", &["bash -eu check.sh a b"]));
    assert!(check("tools/t.py", &["cargo test && python3 tools/t.py"]));
    for looked_at in ["test -f check.sh", "grep -q x check.sh", "cat ./check.sh | sh -s"] {
        assert!(!check("check.sh", &[looked_at]), "{looked_at}");
    }
    assert!(!check("scripts/check.sh.bak", &["bash scripts/check.sh"]));
}

#[test]
fn the_work_itself_is_not() {
    for path in ["src/main.rs", "github/x", "docs/devmesh.toml.md", ".githubx/y", "Jenkinsfile.md"]
    {
        assert!(!check(path, &["cargo test", "npm test"]), "{path}");
    }
}
