//! Tools from PyPI: a requirements file with hashes, and an environment of Python with nothing
//! but these in it.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use super::{Tool, run};

/// The folder of the environment, beside the `bin` with the one command: whoever puts that on the
/// path gets no other `python3` by it.
const ENVIRONMENT: &str = "venv";

/// The version that the requirements hold of a package.
pub(super) fn version(package: &str, requirements: &str) -> String {
    let pinned = requirements
        .lines()
        .find_map(|line| line.strip_prefix(package)?.strip_prefix("==")?.split_whitespace().next());
    pinned.expect("the requirements hold the tool itself").to_owned()
}

/// Makes the environment and the command in an empty folder.
pub(super) fn install(place: &Path, tool: Tool, requirements: &str) -> io::Result<()> {
    let file = place.join("requirements.txt");
    std::fs::write(&file, requirements)?;
    let environment = place.join(ENVIRONMENT);
    run(Command::new("python3").args(["-m", "venv"]).arg(&environment), tool)?;
    let mut pip = Command::new(environment.join("bin/python"));
    pip.args(["-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check"]);
    // A source package would run a build whose own needs have no hash.
    pip.args(["--require-hashes", "--only-binary=:all:", "--requirement"]).arg(&file);
    run(&mut pip, tool)?;
    let bin = place.join("bin");
    std::fs::create_dir(&bin)?;
    let command = bin.join(tool.name());
    std::fs::write(&command, launcher(tool.name()))?;
    std::fs::set_permissions(&command, std::fs::Permissions::from_mode(0o755))
}

/// A command that finds its environment wherever the folder is moved, which pip's own cannot;
/// isolated, so that no file of the folder it runs in is taken for a module.
fn launcher(module: &str) -> String {
    format!(
        "#!/bin/sh\nplace=$(dirname \"$(readlink -f \"$0\")\")/..\n\
         exec \"$place/{ENVIRONMENT}/bin/python\" -I -m {module} \"$@\"\n"
    )
}
