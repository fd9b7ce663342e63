//! What a configuration says, and all that is wrong with one.

use std::path::Path;

use super::{AgentSpec, Config, KEYS, Source, words};

fn read(text: &str) -> Result<Config, String> {
    let lines = |error: crate::error::Error| error.lines().join("\n");
    Config::read(Path::new("devmesh.toml"), text, |_| None).map_err(lines)
}

#[test]
fn every_default_is_of_its_kind() {
    for key in KEYS.iter().filter(|key| !key.default.is_empty()) {
        assert!(key.default_value().is_some(), "{}: {}", key.name, key.default);
    }
}

#[test]
fn defaults_hold_where_nothing_is_said() {
    let config = read("").unwrap();
    assert_eq!(config.number("budget.max_attempts"), Some(3));
    assert_eq!(config.usd("budget.usd_per_task"), Some(5.0));
    assert_eq!(config.text("land.flow"), Some("merge"));
    assert_eq!(config.text("repo.base"), None);
    assert!(!config.is_said("review.by"));
}

#[test]
fn the_file_is_heard_and_both_sets_prove() {
    let config = read(
        "[verify]\ntask = [\"cargo test -q\"]\nland = [\"cargo test -q\", \"cargo clippy\"]\n\
         [budget]\nusd_per_task = 2.5\n[land]\non = \"main\"\n",
    )
    .unwrap();
    assert_eq!(config.verify(), ["cargo test -q", "cargo clippy"]);
    assert_eq!(config.usd("budget.usd_per_task"), Some(2.5));
    assert_eq!(config.text("land.on"), Some("main"));
    assert!(config.is_said("land.on"));
}

#[test]
fn every_problem_is_named_at_once_with_its_fix() {
    let said = read(
        "base = \"main\"\n[verfy]\ntask = []\n[verify]\ntsk = [\"x\"]\ntask = \"cargo test\"\n\
         [budget]\nmax_attempts = 0\nflow = \"pr\"\n[review]\nby = \"nobody\"\n[land]\npush = 1\n",
    )
    .unwrap_err();
    let expected = [
        "8 problems",
        "devmesh.toml: base: belongs under [repo]",
        "[verfy]: no such section; did you mean verify?",
        "verify.task: \"cargo test\" is not a list of shell commands, as in [\"cargo test\"]",
        "verify.tsk: no such key; did you mean task?",
        "budget.max_attempts: 0 is not a whole number from 1 to 100",
        "budget.flow: no such key here; flow stands under [land]",
        "review.by: \"nobody\" is not one of none, agent, person",
        "hint: ",
    ];
    for part in expected {
        assert!(said.contains(part), "{part:?} is missing in\n{said}");
    }
}

#[test]
fn what_is_no_toml_is_told_with_its_line() {
    let said = read("[repo]\nname = \n").unwrap_err();
    assert!(said.contains("devmesh.toml:2: "), "{said}");
}

#[test]
fn the_environment_stands_above_the_file() {
    let text = "[env]\npass = [\"A\"]\n";
    let env = |name: &str| (name == "DEVMESH_ENV_PASS").then(|| "B, C".to_owned());
    let config = Config::read(Path::new("devmesh.toml"), text, env).unwrap();
    assert_eq!(config.list("env.pass"), ["B", "C"]);
    let shown = config.shown();
    let (_, _, source) = shown.iter().find(|(key, ..)| key.name == "env.pass").unwrap();
    assert_eq!(*source, Source::Env("DEVMESH_ENV_PASS"));
}

#[test]
fn an_agent_is_read_from_one_word() {
    let spec = AgentSpec::parse("a-1=custom:./run.sh 'two words' \"q\\\"x\" a\\ b").unwrap();
    assert_eq!(spec.name.as_ref().map(|name| name.as_str()), Some("a-1"));
    assert_eq!(spec.tool, "custom");
    assert_eq!(spec.command, ["./run.sh", "two words", "q\"x", "a b"]);
    assert!(AgentSpec::parse("codex").is_err());
    assert!(AgentSpec::parse("A B=codex").is_err());
    assert!(words("'open").is_err());
    assert_eq!(words("  ").unwrap(), Vec::<String>::new());
    assert_eq!(words("''").unwrap(), [""]);
}
