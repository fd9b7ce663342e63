//! The pins, and what is taken for an installation.

use super::*;

#[test]
fn every_package_is_pinned_by_a_sha512() {
    for tool in Tool::ALL {
        let lock: Value = serde_json::from_str(tool.lock()).unwrap();
        let manifest: Value = serde_json::from_str(tool.manifest()).unwrap();
        assert_eq!(manifest["dependencies"][tool.package()], tool.version());
        let packages = lock["packages"].as_object().unwrap();
        let pinned = packages.iter().filter(|(name, _)| !name.is_empty());
        let mut count = 0;
        for (name, package) in pinned {
            count += 1;
            let integrity = package["integrity"].as_str().unwrap_or_default();
            assert!(integrity.starts_with("sha512-") && integrity.len() == 95, "{name}");
        }
        assert!(count > 6, "each platform's program is a package of its own");
    }
    assert_eq!(Tool::Codex.version(), "0.169.0");
    assert_eq!(Tool::Claude.version(), "2.1.329");
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
    std::fs::write(forged.path().join("package.json"), Tool::Codex.manifest()).unwrap();
    std::fs::write(forged.path().join("package-lock.json"), other).unwrap();
    let error = npm_ci(forged.path(), Tool::Codex).unwrap_err();
    assert!(error.to_string().contains("EINTEGRITY"), "{error}");
}
