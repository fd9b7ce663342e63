//! What a repository's files speak for.

use super::detect;

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
