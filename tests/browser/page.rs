//! Runs `page.mjs` in Chromium and does what it asks for on the other side.

use std::io::Write;
use std::process::Stdio;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use devmesh_dashboard::Secret;
use devmesh_protocol::Reply;
use devmesh_testkit::browser;
use devmesh_testkit::desk::Desk;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::Command;

use super::scene::{Dashboard, play, say};

const LIMIT: Duration = Duration::from_secs(120);
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/browser/page.mjs");
/// What an agent or a stranger may put into a title.
pub(super) const EVIL: &str =
    "<img src=x onerror=\"window.evil=1\"><script>window.evil=2</script> \u{202e}txt\u{2069}";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_works_with_the_page() {
    let browser = match browser::locate() {
        Ok(browser) => browser,
        Err(missing) => {
            // Past the capture of the test runner: a skipped test shall be seen.
            let _ = writeln!(std::io::stderr(), "SKIP: the dashboard in a browser: {missing}");
            return;
        }
    };
    let desk = Desk::new();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
    desk.wait(u64::try_from(now).unwrap() - desk.state().at.0);
    play(&desk);
    let secret = Secret::random().unwrap();
    let anywhere = "127.0.0.1:0".parse().unwrap();
    let mut dashboard = Some(Dashboard::start(&desk, anywhere, &secret).await);
    let here = dashboard.as_ref().unwrap();
    let (link, address) = (here.bound.sign_in.clone(), here.address);
    let home = tempfile::tempdir().unwrap();
    let mut node = Command::new("node")
        .arg(SCRIPT)
        .args([&browser.playwright, &browser.chromium])
        .args([&link, EVIL])
        .env("HOME", home.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut asked = BufReader::new(node.stdout.take().unwrap()).lines();
    let mut told = node.stdin.take().unwrap();
    let work = async {
        while let Some(line) = asked.next_line().await.unwrap() {
            match line.as_str() {
                "appear" => {
                    say(&desk, "alice", "task.add", json!({ "title": "It appears by itself" }));
                }
                "evil" => {
                    say(&desk, "alice", "task.add", json!({ "title": EVIL }));
                }
                "away" => dashboard = None,
                "back" => {
                    say(&desk, "alice", "task.add", json!({ "title": "Added while away" }));
                    dashboard = Some(Dashboard::start(&desk, address, &secret).await);
                }
                other => panic!("the page asks for {other:?}"),
            }
            told.write_all(b"done\n").await.unwrap();
        }
        node.wait().await.unwrap()
    };
    let status = tokio::time::timeout(LIMIT, work).await.expect("the browser is done in time");
    assert!(status.success(), "page.mjs: {status}");
    check(&desk);
}

/// What the clicks led to.
fn check(desk: &Desk) {
    let Reply::Ok { result, .. } = desk.ask("alice", "tasks", &json!({})) else { panic!() };
    let tasks = result["tasks"].as_array().unwrap();
    let find = |title: &str| tasks.iter().find(|task| task["title"] == title).unwrap();
    let added = find("Added in the browser");
    let expected = json!({
        "paths": ["src/a.rs", "src/b/"], "priority": 0, "review": "agent",
        "verify": ["cargo test -p a"], "by": "alice",
    });
    for (field, value) in expected.as_object().unwrap() {
        assert_eq!(added[field], *value, "{field}");
    }
    assert_eq!(find("It appears by itself")["state"], "cancelled");
    assert_eq!(find("Recover from a missing brace")["question"], Value::Null);
    assert_eq!(find("Accept tabs between tokens")["parked"]["approved"], true);
}
