//! The command line as a whole.

use std::path::PathBuf;

use clap::{Command, CommandFactory};

use super::Cli;

/// The help of a command and of all below it, as on a terminal of a hundred columns.
fn tree(command: &Command, path: &str, text: &mut String) {
    let mut shown = command.clone().term_width(100).mut_args(|arg| arg.hide_env_values(true));
    *text += &format!("==== {path}\n{}\n", shown.render_long_help());
    for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set()) {
        if sub.get_name() != "help" {
            tree(sub, &format!("{path} {}", sub.get_name()), text);
        }
    }
}

#[test]
fn the_command_line_is_well_formed() {
    Cli::command().debug_assert();
}

/// Whoever changes the command line sees it whole. `DEVMESH_UPDATE=1` takes the change.
#[test]
fn the_whole_help_is_as_it_was() {
    let mut command = Cli::command();
    command.build();
    let mut text = String::new();
    tree(&command, "devmesh", &mut text);
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    let text = format!("{}\n", lines.join("\n").trim_end());
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/scripts/help.txt");
    if std::env::var_os("DEVMESH_UPDATE").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let before = std::fs::read_to_string(&path).unwrap_or_default();
    for (number, (was, is)) in (1..).zip(before.lines().zip(text.lines())) {
        assert_eq!(was, is, "line {number} of tests/scripts/help.txt; DEVMESH_UPDATE=1 takes it");
    }
    assert_eq!(before.len(), text.len(), "tests/scripts/help.txt; DEVMESH_UPDATE=1 takes it");
}

#[test]
fn every_command_says_what_it_does() {
    fn check(command: &Command, path: &str) {
        assert!(command.get_about().is_some(), "{path} says what it does");
        for sub in command.get_subcommands() {
            check(sub, &format!("{path} {}", sub.get_name()));
        }
    }
    check(&Cli::command(), "devmesh");
}
