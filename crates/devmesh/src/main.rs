//! The `devmesh` binary: command line, configuration, logging and exit codes.

fn main() {}
