//! What is pinned is what is said to be pinned.

use super::*;

#[test]
fn the_lock_names_the_version_of_the_manifest_and_its_digest() {
    let manifest: serde_json::Value = serde_json::from_str(MANIFEST).unwrap();
    let lock: serde_json::Value = serde_json::from_str(LOCK).unwrap();
    let package = &lock["packages"]["node_modules/playwright-core"];
    assert_eq!(package["version"], manifest["dependencies"]["playwright-core"]);
    assert!(package["integrity"].as_str().unwrap().starts_with("sha512-"));
}

#[test]
fn a_lock_of_another_version_is_no_installation() {
    let place = tempfile::tempdir().unwrap();
    assert!(!is_installed(place.path()));
    std::fs::write(place.path().join(INSTALLED), "{}").unwrap();
    assert!(!is_installed(place.path()));
    std::fs::write(place.path().join(INSTALLED), LOCK).unwrap();
    assert!(is_installed(place.path()));
}

#[test]
fn it_installs() {
    if std::env::var_os("DEVMESH_TEST_DOWNLOADS").is_none() {
        println!("SKIP: it fetches playwright-core from npm; set DEVMESH_TEST_DOWNLOADS=1");
        return;
    }
    let place = install().unwrap();
    assert!(place.join("node_modules/playwright-core/package.json").is_file());
}
