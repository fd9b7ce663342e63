//! The pins, and what is taken for an installation.

use serde_json::Value;

use super::*;

/// The tools from npm: tool, package, manifest, lock.
fn from_npm() -> Vec<(Tool, &'static str, Value, Value)> {
    let read = |text| serde_json::from_str(text).unwrap();
    let all = Tool::ALL.into_iter().filter_map(|tool| match tool.pins() {
        Pins::Npm { package, manifest, lock } => Some((tool, package, read(manifest), read(lock))),
        Pins::Pip { .. } => None,
    });
    all.collect()
}

#[test]
fn every_package_of_npm_is_pinned_by_a_sha512() {
    for (tool, package, manifest, lock) in from_npm() {
        assert_eq!(manifest["dependencies"][package], tool.version());
        let packages = lock["packages"].as_object().unwrap();
        let pinned = packages.iter().filter(|(name, _)| !name.is_empty());
        let mut count = 0;
        for (name, package) in pinned {
            count += 1;
            let integrity = package["integrity"].as_str().unwrap_or_default();
            assert!(integrity.starts_with("sha512-") && integrity.len() == 95, "{name}");
        }
        // Each platform's program is a package of its own.
        assert!(count > 6 || tool == Tool::OpenCode, "{package}: {count}");
    }
    assert_eq!(from_npm().len(), 6);
}

#[test]
fn every_package_of_pip_is_pinned_by_a_sha256() {
    let mut packages = 0;
    for package in Tool::Aider.lock().replace("\\\n", " ").lines() {
        let (pin, hashes) = package.split_once(" --hash=sha256:").unwrap();
        assert!(pin.contains("=="), "{package}");
        for hash in hashes.split("--hash=sha256:").map(str::trim) {
            assert!(hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()), "{pin}");
        }
        packages += 1;
    }
    assert!(packages > 100, "{packages}");
}

#[test]
fn the_versions_are_those_that_were_tried() {
    let versions = Tool::ALL.map(|tool| format!("{} {}", tool.name(), tool.version()));
    let expect = [
        "codex 0.169.0",
        "claude 2.1.329",
        "gemini 0.61.0",
        "opencode 1.18.33",
        "copilot 1.0.102",
        "continue 1.5.47",
        "aider 0.86.2",
    ];
    assert_eq!(versions, expect);
    assert!(Tool::ALL.into_iter().all(|tool| Tool::named(tool.name()) == Some(tool)));
    assert_eq!(Tool::named("cody"), None);
}

#[test]
fn half_an_installation_or_another_version_is_none() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("codex");
    let command = place.join("node_modules/.bin/codex");
    std::fs::create_dir_all(command.parent().unwrap()).unwrap();
    std::fs::write(&command, "").unwrap();
    assert_eq!(locate_in(folder.path(), Tool::Codex), None);
    std::fs::write(place.join(INSTALLED), "{}").unwrap();
    assert_eq!(locate_in(folder.path(), Tool::Codex), None);
    std::fs::write(place.join(INSTALLED), Tool::Codex.lock()).unwrap();
    assert_eq!(locate_in(folder.path(), Tool::Codex), Some(command));
}

#[test]
fn npm_installs_the_pinned_version_and_refuses_another_content() {
    if std::env::var_os("DEVMESH_TEST_DOWNLOADS").is_none() {
        println!("SKIP: it downloads some hundred megabytes; set DEVMESH_TEST_DOWNLOADS=1");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let command = install_in(folder.path(), Tool::Codex).unwrap();
    assert_eq!(install_in(folder.path(), Tool::Codex).unwrap(), command);
    let left = std::fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(left, 1, "nothing half made stays behind");

    let forged = tempfile::tempdir().unwrap();
    let lock: Value = serde_json::from_str(Tool::Codex.lock()).unwrap();
    let name = format!("/packages/node_modules~1{}/integrity", "@openai~1codex");
    let real = lock.pointer(&name).unwrap().as_str().unwrap();
    let other = Tool::Codex.lock().replace(real, &format!("sha512-{}==", "A".repeat(86)));
    let Pins::Npm { manifest, .. } = Tool::Codex.pins() else { panic!("codex comes from npm") };
    let error = npm::install(forged.path(), Tool::Codex, manifest, &other).unwrap_err();
    assert!(error.to_string().contains("EINTEGRITY"), "{error}");
}

#[test]
fn pip_refuses_another_content() {
    if std::env::var_os("DEVMESH_TEST_DOWNLOADS").is_none() {
        println!("SKIP: it asks a package registry; set DEVMESH_TEST_DOWNLOADS=1");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let forged = format!("colorama==0.4.6 --hash=sha256:{}\n", "0".repeat(64));
    let error = pip::install(folder.path(), Tool::Aider, &forged).unwrap_err().to_string();
    assert!(error.contains("DO NOT MATCH THE HASHES"), "{error}");
    assert!(!folder.path().join(Tool::Aider.command()).exists());
}
