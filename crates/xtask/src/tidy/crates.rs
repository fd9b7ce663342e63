//! The crates, their levels and what each may depend on; what a crate may never depend on.

use super::Breach;
use super::tree::{Dependency, Package};

/// How high a crate stands; dependencies go to a lower level only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    /// L0: nouns.
    Nouns,
    /// L1: verbs, and the wire; neither knows the other.
    Core,
    /// L2: a process.
    Process,
    /// L3: the binary.
    Binary,
    /// Tests and chores; nothing that ships depends on it.
    Dev,
}

/// A row of the table.
pub(crate) struct Crate {
    pub(crate) name: &'static str,
    pub(crate) folder: &'static str,
    pub(crate) level: Level,
    /// The crates of this workspace it may depend on.
    pub(crate) uses: &'static [&'static str],
}

const PROTOCOL: &str = "devmesh-protocol";
const DOMAIN: &str = "devmesh-domain";
const BUS: &str = "devmesh-bus";
const TESTKIT: &str = "devmesh-testkit";
const TESTS: &str = "devmesh-tests";

const CORE: &[&str] = &[PROTOCOL, DOMAIN, BUS];
const WIRED: &[&str] = &[PROTOCOL, BUS];
/// What a simulation steps by itself.
const SIMULATED: &[&str] = &[PROTOCOL, DOMAIN, BUS, "devmesh-coordinator", "devmesh-agent"];
const ALL_BUT_BINARY: &[&str] = &[
    PROTOCOL,
    DOMAIN,
    BUS,
    "devmesh-coordinator",
    "devmesh-agent",
    "devmesh-probe",
    "devmesh-dashboard",
    "devmesh-replay",
    "devmesh-mcp",
    TESTKIT,
];
const SHIPPED: &[&str] = match ALL_BUT_BINARY {
    [shipped @ .., _testkit] => shipped,
    [] => &[],
};

/// The table. A new process is a new row at [`Level::Process`].
pub(crate) const TABLE: &[Crate] = &[
    row(PROTOCOL, "crates/devmesh-protocol", Level::Nouns, &[]),
    row(DOMAIN, "crates/devmesh-domain", Level::Core, &[PROTOCOL]),
    row(BUS, "crates/devmesh-bus", Level::Core, &[PROTOCOL]),
    row("devmesh-coordinator", "crates/devmesh-coordinator", Level::Process, CORE),
    row("devmesh-agent", "crates/devmesh-agent", Level::Process, WIRED),
    row("devmesh-probe", "crates/devmesh-probe", Level::Process, WIRED),
    row("devmesh-dashboard", "crates/devmesh-dashboard", Level::Process, CORE),
    row("devmesh-replay", "crates/devmesh-replay", Level::Process, CORE),
    row("devmesh-mcp", "crates/devmesh-mcp", Level::Process, WIRED),
    row("devmesh", "crates/devmesh", Level::Binary, SHIPPED),
    row(TESTKIT, "crates/devmesh-testkit", Level::Dev, CORE),
    row("xtask", "crates/xtask", Level::Dev, ALL_BUT_BINARY),
    row(TESTS, "tests", Level::Dev, ALL_BUT_BINARY),
    row("devmesh-model", "tests/model", Level::Dev, &[PROTOCOL, DOMAIN]),
    row("devmesh-sim", "tests/sim", Level::Dev, SIMULATED),
];

const fn row(
    name: &'static str,
    folder: &'static str,
    level: Level,
    uses: &'static [&'static str],
) -> Crate {
    Crate { name, folder, level, uses }
}

/// What the two pure crates never depend on, not even in tests.
const IMPURE: &[&str] = &[
    "async-nats",
    "axum",
    "fastrand",
    "futures",
    "getrandom",
    "nix",
    "rand",
    "rusqlite",
    "sysinfo",
    "tempfile",
    "tokio",
    "tokio-util",
    "tracing",
    "tracing-subscriber",
];

/// The feature of deliberate bugs: whoever turns it on for a build that ships, ships them.
const PLANTED: &str = "planted";

/// Dependencies that have one home.
const HOMES: &[(&str, &[&str])] = &[
    ("async-nats", &[BUS, TESTKIT, TESTS]),
    ("axum", &["devmesh-dashboard", TESTKIT]),
    ("chrono", &[PROTOCOL, "devmesh-agent", "devmesh", "devmesh-replay", TESTKIT, TESTS]),
    ("nkeys", &[BUS, TESTKIT, TESTS]),
    ("rusqlite", &["devmesh-replay"]),
];

/// Checks every package of the workspace against the table.
pub(crate) fn check(packages: &[Package]) -> Vec<Breach> {
    let mut found = Vec::new();
    for package in packages {
        match TABLE.iter().find(|row| row.name == package.name) {
            Some(row) => check_package(row, package, &mut found),
            None => found.push(Breach::new(
                &package.manifest_path,
                0,
                format!("{} is not in the table of crates (tidy/crates.rs)", package.name),
            )),
        }
    }
    found
}

fn check_package(row: &Crate, package: &Package, found: &mut Vec<Breach>) {
    let breach = |what| Breach::new(&package.manifest_path, 0, what);
    if package.manifest_path != format!("{}/Cargo.toml", row.folder) {
        found.push(breach(format!("{} belongs in {}", row.name, row.folder)));
    }
    let turned_on = package.features.values().flatten();
    if turned_on.into_iter().any(|on| on.rsplit('/').next() == Some(PLANTED)) {
        found.push(breach(format!("no feature turns deliberate bugs (`{PLANTED}`) on")));
    }
    for dependency in &package.dependencies {
        let name = dependency.name.as_str();
        let plants = dependency.features.iter().any(|feature| feature == PLANTED);
        let for_tests =
            row.folder.starts_with("tests/") && dependency.kind.as_deref() == Some("dev");
        if plants && !for_tests {
            found.push(breach(format!(
                "deliberate bugs (`{PLANTED}` of {name}) are for tests of packages under tests/"
            )));
        }
        if dependency.path.is_some() && !may_use(row, dependency) {
            found.push(breach(format!(
                "{} may not depend on {name}: {}",
                row.name,
                why(row, name)
            )));
        }
        let is_pure = matches!(row.name, PROTOCOL | DOMAIN);
        let home = HOMES.iter().find(|(homed, _)| *homed == name);
        if is_pure && IMPURE.contains(&name) {
            found.push(breach(format!("{} is pure and may not depend on {name}", row.name)));
        } else if let Some((_, homes)) = home
            && !homes.contains(&row.name)
        {
            found.push(breach(format!("{name} belongs in {} only", homes.join(", "))));
        }
    }
}

fn may_use(row: &Crate, dependency: &Dependency) -> bool {
    let name = dependency.name.as_str();
    let takes_testkit = matches!(row.level, Level::Process | Level::Binary);
    row.uses.contains(&name)
        || (takes_testkit && name == TESTKIT && dependency.kind.as_deref() == Some("dev"))
}

fn why(row: &Crate, name: &str) -> &'static str {
    let Some(other) = TABLE.iter().find(|other| other.name == name) else {
        return "it is not in the table of crates";
    };
    match row.level {
        Level::Process if other.level == Level::Process => "no process depends on another",
        Level::Core if other.level == Level::Core => "domain and bus do not know each other",
        level if other.level >= level => "dependencies point down only",
        _ => "its row in the table of crates does not name it",
    }
}
