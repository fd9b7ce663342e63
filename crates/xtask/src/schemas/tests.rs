//! The folder is compared, mended, and left alone once it is right.

use serde_json::json;
use tempfile::TempDir;

use super::*;

fn files() -> Files {
    let reply = ("reply".to_owned(), json!({"type": "object"}));
    wanted(vec![reply, ("record".to_owned(), json!(true))]).unwrap()
}

fn names(folder: &TempDir) -> Vec<(String, &'static str)> {
    let stale = stale(folder.path(), &files()).unwrap();
    stale.into_iter().map(|d| (d.file, d.what.says())).collect()
}

#[test]
fn an_empty_folder_misses_every_schema() {
    let folder = TempDir::new().unwrap();
    let expected =
        vec![("record.json".to_owned(), "missing"), ("reply.json".to_owned(), "missing")];
    assert_eq!(names(&folder), expected);
}

#[test]
fn a_folder_that_is_not_there_misses_every_schema() {
    let folder = TempDir::new().unwrap();
    assert_eq!(stale(&folder.path().join("absent"), &files()).unwrap().len(), 2);
}

#[test]
fn a_changed_file_and_one_without_a_type_are_named_and_mended() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("record.json"), "false\n").unwrap();
    fs::write(folder.path().join("old.json"), "true\n").unwrap();
    fs::write(folder.path().join("README.md"), "kept").unwrap();
    let stale_before = stale(folder.path(), &files()).unwrap();
    assert_eq!(
        stale_before.iter().map(|d| (d.file.as_str(), d.what.says())).collect::<Vec<_>>(),
        [
            ("old.json", "no type of devmesh-protocol"),
            ("record.json", "not as devmesh-protocol has it"),
            ("reply.json", "missing"),
        ]
    );
    for difference in &stale_before {
        mend(folder.path(), difference).unwrap();
    }
    assert_eq!(names(&folder), []);
    assert!(folder.path().join("README.md").exists());
    assert_eq!(fs::read_to_string(folder.path().join("record.json")).unwrap(), "true\n");
}
