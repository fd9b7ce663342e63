//! Which variables are told, and how.

use std::ffi::{OsStr, OsString};

use clap::{Arg, Command};

use super::problems;

/// A command of one process with two variables of this test's own: the parser reads the real
/// environment, so they name what every test process has.
fn command() -> Command {
    let number = |name: &'static str, env: &'static str| {
        Arg::new(name)
            .long(name)
            .env(env)
            .help("a number of things")
            .value_parser(clap::value_parser!(u64))
    };
    let probe = Command::new("probe").arg(number("one", "PATH")).arg(number("two", "CARGO"));
    Command::new("devmesh").subcommand(probe)
}

#[test]
fn each_variable_that_cannot_be_read_is_told_with_what_it_is() {
    let told = problems(command(), |name| std::env::var_os(name));
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[1].starts_with("PATH="), "{told:?}");
    assert!(told[1].ends_with("invalid digit found in string (a number of things)"), "{told:?}");
    assert!(told[0].starts_with("CARGO="), "{told:?}");
}

#[test]
fn what_is_not_from_the_environment_is_not_told_as_such() {
    let other = |_: &OsStr| Some(OsString::from("7"));
    assert_eq!(problems(command(), other), Vec::<String>::new());
}
