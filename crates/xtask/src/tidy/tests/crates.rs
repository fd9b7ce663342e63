//! The table of crates and what it refuses.

use super::*;
use crate::tidy::crates::{Level, TABLE, check};

fn package(name: &str, folder: &str, dependencies: &[(&str, Option<&str>)]) -> Package {
    let dependency = |(name, kind): &(&str, Option<&str>)| Dependency {
        name: (*name).to_owned(),
        kind: kind.map(str::to_owned),
        path: name.starts_with("devmesh").then(|| format!("/tree/crates/{name}")),
        features: Vec::new(),
    };
    Package {
        name: name.to_owned(),
        manifest_path: format!("{folder}/Cargo.toml"),
        dependencies: dependencies.iter().map(dependency).collect(),
        features: Default::default(),
    }
}

/// What is wrong with a crate that stands in its own folder and depends on these.
fn wrong(name: &str, dependencies: &[(&str, Option<&str>)]) -> Vec<String> {
    let folder = format!("crates/{name}");
    check(&[package(name, &folder, dependencies)]).into_iter().map(|b| b.what).collect()
}

#[track_caller]
fn refuses(name: &str, dependency: &str, kind: Option<&str>, why: &str) {
    let found = wrong(name, &[(dependency, kind)]);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].contains(why), "{found:?} does not say {why}");
}

#[test]
fn the_table_itself_points_down() {
    for row in TABLE {
        for name in row.uses {
            let used = TABLE.iter().find(|other| other.name == *name).expect("a row for each");
            let downwards = used.level < row.level;
            let among_tests = row.level == Level::Dev && used.name == "devmesh-testkit";
            assert!(downwards || among_tests, "{} uses {name}", row.name);
        }
    }
}

#[test]
fn every_folder_of_crates_is_in_the_table() {
    for entry in std::fs::read_dir(crate::cargo::root().join("crates")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let folder = format!("crates/{name}");
        assert!(TABLE.iter().any(|row| row.folder == folder), "{folder}");
    }
}

#[test]
fn deliberate_bugs_are_for_tests_alone() {
    let plants = |name: &str, folder: &str, kind| {
        let mut package = package(name, folder, &[("devmesh-protocol", kind)]);
        package.dependencies[0].features.push("planted".to_owned());
        check(&[package]).len()
    };
    assert_eq!(plants("devmesh-model", "tests/model", Some("dev")), 0);
    assert_eq!(plants("devmesh-model", "tests/model", None), 1);
    assert_eq!(plants("devmesh-domain", "crates/devmesh-domain", Some("dev")), 1);
    let mut package = package("devmesh", "crates/devmesh", &[]);
    let on = vec!["devmesh-protocol/planted".to_owned()];
    package.features.insert("default".to_owned(), on);
    assert_eq!(check(&[package]).len(), 1);
}

#[test]
fn what_the_table_names_is_fine() {
    assert_eq!(
        wrong(
            "devmesh-coordinator",
            &[
                ("devmesh-protocol", None),
                ("devmesh-domain", None),
                ("devmesh-bus", None),
                ("devmesh-testkit", Some("dev")),
                ("tokio", None),
            ]
        ),
        Vec::<String>::new()
    );
}

#[test]
fn no_process_depends_on_another() {
    let why = "no process depends on another";
    refuses("devmesh-agent", "devmesh-coordinator", None, why);
    refuses("devmesh-replay", "devmesh-dashboard", Some("dev"), why);
}

#[test]
fn domain_and_bus_do_not_know_each_other() {
    let why = "do not know each other";
    refuses("devmesh-domain", "devmesh-bus", None, why);
    refuses("devmesh-bus", "devmesh-domain", Some("dev"), why);
}

#[test]
fn nothing_depends_upwards() {
    refuses("devmesh-protocol", "devmesh-domain", None, "down only");
    refuses("devmesh-bus", "devmesh-coordinator", None, "down only");
    refuses("devmesh-mcp", "devmesh", None, "down only");
}

#[test]
fn the_testkit_is_for_tests() {
    refuses("devmesh-agent", "devmesh-testkit", None, "down only");
    refuses("devmesh-domain", "devmesh-testkit", Some("dev"), "down only");
}

#[test]
fn a_crate_may_be_kept_from_a_lower_one() {
    refuses("devmesh-probe", "devmesh-domain", None, "does not name it");
}

#[test]
fn an_unknown_crate_and_a_wrong_folder_are_named() {
    let unknown = package("devmesh-extra", "crates/devmesh-extra", &[]);
    assert!(check(&[unknown])[0].what.contains("not in the table"));
    let moved = package("devmesh-bus", "bus", &[]);
    assert_eq!(check(&[moved])[0].what, "devmesh-bus belongs in crates/devmesh-bus");
}

#[test]
fn the_pure_crates_take_nothing_that_acts() {
    for name in ["tokio", "async-nats", "rusqlite", "axum", "tracing", "rand", "getrandom"] {
        refuses("devmesh-protocol", name, None, "pure");
        refuses("devmesh-domain", name, Some("dev"), "pure");
    }
    refuses("devmesh-domain", "chrono", None, "chrono belongs in");
}

#[test]
fn some_dependencies_have_one_home() {
    refuses("devmesh-coordinator", "async-nats", None, "async-nats belongs in devmesh-bus");
    refuses("devmesh-dashboard", "rusqlite", None, "rusqlite belongs in devmesh-replay");
    refuses("devmesh", "axum", None, "axum belongs in devmesh-dashboard");
    assert_eq!(wrong("devmesh-bus", &[("async-nats", None)]), Vec::<String>::new());
}
