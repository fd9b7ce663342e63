//! Where the workspace is, and running cargo and git in it.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::error::{Error, Result};

/// The folder of the workspace.
///
/// Cargo says where this crate is when it runs it; a binary run by hand trusts the place it was
/// built in.
pub(crate) fn root() -> PathBuf {
    let here = env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    here.ancestors().nth(2).map_or(here.clone(), Path::to_path_buf)
}

/// A cargo command in the workspace, with the cargo that runs us.
pub(crate) fn cargo(args: &[&str]) -> Command {
    let program = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command.args(args).current_dir(root());
    // Cargo describes this crate to us by environment; the next cargo must not take it for its own.
    for (key, _) in env::vars_os() {
        let name = key.to_string_lossy();
        if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&key);
        }
    }
    command
}

/// Runs a command to its end with our own output; an unhappy end is an error.
pub(crate) fn run(mut command: Command) -> Result<()> {
    let line = line_of(&command);
    eprintln!("$ {line}");
    let status =
        command.status().map_err(|source| Error::Start { command: line.clone(), source })?;
    if status.success() { Ok(()) } else { Err(Error::Ended { command: line, status }) }
}

/// Runs a command to its end and keeps what it wrote to stdout.
pub(crate) fn stdout_of(mut command: Command) -> Result<Vec<u8>> {
    let line = line_of(&command);
    let Output { status, stdout, .. } = command
        .stderr(Stdio::inherit())
        .output()
        .map_err(|source| Error::Start { command: line.clone(), source })?;
    if status.success() { Ok(stdout) } else { Err(Error::Ended { command: line, status }) }
}

/// Whether `cargo NAME` is installed.
pub(crate) fn has_subcommand(name: &str) -> bool {
    cargo(&[name, "--version"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// The command as a person would type it.
pub(crate) fn line_of(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let name = program.file_name().unwrap_or(program.as_os_str()).to_string_lossy();
    let mut line = name.into_owned();
    for arg in command.get_args() {
        line.push(' ');
        line.push_str(&arg.to_string_lossy());
    }
    line
}
