//! The folder of a run.

use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt;

use serde_json::Value;

use super::*;

fn env(home: &Path) -> Vec<(OsString, OsString)> {
    vec![("HOME".into(), home.into())]
}

#[test]
fn a_file_is_laid_over_the_one_of_the_machine() {
    let dir = tempfile::tempdir().unwrap();
    let theirs = dir.path().join("theirs.json");
    let text = r#"{"general":{"maxAttempts":9,"vimMode":true},"tools":{"exclude":["x"]}}"#;
    std::fs::write(&theirs, text).unwrap();
    let gemini = built_in("gemini");
    let run = gemini.invocation(&with(Permission::Edit)).unwrap();
    let folder = dir.path().join("run");
    let mut env = env(dir.path());
    env.push(("GEMINI_CLI_SYSTEM_SETTINGS_PATH".into(), theirs.clone().into()));
    gemini.lay_out(&run, &folder, &env).unwrap();
    let text = std::fs::read_to_string(folder.join("settings.json")).unwrap();
    let settings: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(settings["general"]["maxAttempts"], 3, "ours is above");
    assert_eq!(settings["general"]["vimMode"], true);
    assert_eq!(settings["tools"]["exclude"][0], "x", "what was said stays said");
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&folder), mode(&folder.join("settings.json"))), (0o700, 0o600));
    std::fs::write(&theirs, "// no JSON").unwrap();
    let error = gemini.lay_out(&run, &folder, &env).unwrap_err().to_string();
    assert!(error.contains("theirs.json"), "{error}");
}

#[test]
fn a_home_of_its_own_has_the_persons_configuration_and_sign_in() {
    let dir = tempfile::tempdir().unwrap();
    let theirs = dir.path().join(".continue");
    std::fs::create_dir_all(theirs.join("sessions")).unwrap();
    std::fs::write(theirs.join("config.yaml"), "models: []").unwrap();
    std::fs::write(theirs.join("auth.json"), "{}").unwrap();
    let profile = built_in("continue");
    let folder = &dir.path().join("run");
    let run = profile.invocation(&Wanted { folder, ..with(Permission::Edit) }).unwrap();
    let home = run.home.clone().unwrap();
    for _ in 0..2 {
        profile.lay_out(&run, folder, &env(dir.path())).unwrap();
        assert_eq!(std::fs::read_to_string(home.join("config.yaml")).unwrap(), "models: []");
        assert!(home.join("auth.json").exists() && !home.join("permissions.yaml").exists());
        assert!(!home.join("sessions").exists(), "sessions are its own");
    }
    std::fs::remove_dir_all(folder).unwrap();
    assert!(theirs.join("auth.json").exists(), "only links were taken away");
}

#[test]
fn what_an_earlier_run_used_is_not_counted_again() {
    let dir = tempfile::tempdir().unwrap();
    let folder = &dir.path().join("run");
    std::fs::create_dir_all(folder).unwrap();
    std::fs::write(folder.join("usage.json"), "{}").unwrap();
    let copilot = built_in("copilot");
    let run = copilot.invocation(&Wanted { folder, ..with(Permission::Edit) }).unwrap();
    copilot.lay_out(&run, folder, &env(dir.path())).unwrap();
    assert_eq!(newest(run.usage_file.as_ref().unwrap()), None);
}

#[test]
fn the_newest_of_a_folder_is_the_one_in_use() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str, s: u64| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        let at = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(s);
        std::fs::File::options().write(true).open(&path).unwrap().set_modified(at).unwrap();
    };
    let pattern = format!("{}/*.json", dir.path().display());
    assert_eq!(newest(&pattern), None);
    write("a.json", "old", 1_000);
    write("b.json", "new", 2_000);
    write("sessions.json", "list", 3_000);
    write("c.txt", "other", 4_000);
    assert_eq!(newest(&pattern).as_deref(), Some("new"));
}

#[test]
fn old_folders_of_attempts_are_taken_away() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["old", "new"] {
        std::fs::create_dir(dir.path().join(name)).unwrap();
    }
    let long_ago = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000);
    std::fs::File::open(dir.path().join("old")).unwrap().set_modified(long_ago).unwrap();
    prune(dir.path());
    assert!(!dir.path().join("old").exists() && dir.path().join("new").exists());
}

#[test]
fn a_path_put_into_json_is_escaped() {
    let text = mine("[files]\n'x.json' = '{\"at\":\"{worktree}\"}'\n'x.txt' = '{worktree}'");
    let profile = parse("x", &text).unwrap();
    let run = profile.invocation(&Wanted { worktree: "/a \"b\"", ..wanted(None, None) }).unwrap();
    let json: Value = serde_json::from_str(&run.files["x.json"]).unwrap();
    assert_eq!(json["at"], "/a \"b\"");
    assert_eq!(run.files["x.txt"], "/a \"b\"");
}
