//! A second host: a network namespace of its own, without a sight of the first one's files.

mod loss;

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::Value;

use crate::scripts::rig::Rig;

const FIRST: &str = "10.77.0.1";
const SECOND: &str = "10.77.0.2";

/// Two namespaces that a wire joins; gone with it.
struct Wire {
    first: String,
    second: String,
}

fn ip(args: &str) -> Result<(), String> {
    let mut command = Command::new("ip");
    command.args(args.split(' ')).stdin(Stdio::null());
    let output = command.output().map_err(|error| format!("ip does not run: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    if output.status.success() { Ok(()) } else { Err(format!("ip {args}: {said}")) }
}

impl Wire {
    /// Why there can be none here is said, once, where a skipped test is seen.
    fn lay() -> Option<Self> {
        let skip = |why: &str| {
            let _ = writeln!(std::io::stderr(), "SKIP: two network namespaces: {why}");
            None
        };
        if !nix::unistd::geteuid().is_root() {
            return skip("only root can make them");
        }
        static WIRES: AtomicU32 = AtomicU32::new(0);
        let name = format!("dm{}n{}", std::process::id(), WIRES.fetch_add(1, Ordering::Relaxed));
        let wire = Self { first: format!("{name}a"), second: format!("{name}b") };
        let (a, b) = (&wire.first, &wire.second);
        // The first step fails where namespaces, or iproute2, are not to be had.
        if let Err(why) = ip(&format!("netns add {a}")) {
            return skip(&format!("{why} (cargo xtask setup installs iproute2)"));
        }
        for step in [
            format!("netns add {b}"),
            format!("link add {a} netns {a} type veth peer name {b} netns {b}"),
            format!("-n {a} addr add {FIRST}/24 dev {a}"),
            format!("-n {b} addr add {SECOND}/24 dev {b}"),
            format!("-n {a} link set {a} up"),
            format!("-n {b} link set {b} up"),
            format!("-n {a} link set lo up"),
            format!("-n {b} link set lo up"),
        ] {
            if let Err(why) = ip(&step) {
                return skip(&why);
            }
        }
        Some(wire)
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        let _ = ip(&format!("netns del {}", self.first));
        let _ = ip(&format!("netns del {}", self.second));
    }
}

/// Two hosts: the rig's own folders are the first one's.
struct Hosts {
    rig: Rig,
    wire: Wire,
}

impl Hosts {
    async fn new() -> Option<Self> {
        let wire = Wire::lay()?;
        let rig = Rig::new().await;
        std::fs::create_dir_all(rig.at("away/home")).unwrap();
        let identity = "[user]\n\tname = Bea\n\temail = bea@example.invalid\n";
        std::fs::write(rig.at("away/home/.gitconfig"), identity).unwrap();
        Some(Self { rig, wire })
    }

    /// A line for the first host.
    fn here(&self, line: &str) -> String {
        format!("ip netns exec {} {line}", self.wire.first)
    }

    /// As [`Hosts::here`], without a sight of the second host's files.
    fn here_alone(&self, line: &str) -> String {
        let hide = format!("mount -t tmpfs none {}", self.rig.at("away").display());
        let inner = format!("{hide} && exec {line}").replace('\'', "'\\''");
        format!("ip netns exec {} unshare --mount sh -c '{inner}'", self.wire.first)
    }

    /// A line for the second host: the first one's repository, state and home are empty there.
    fn there(&self, line: &str) -> String {
        let hidden = ["repo", "state", "home"].map(|name| self.rig.at(name).display().to_string());
        let hide = hidden.map(|path| format!("mount -t tmpfs none {path}")).join(" && ");
        let away = self.rig.at("away").display().to_string();
        let env = format!("HOME={away}/home DEVMESH_STATE_DIR={away}/state DEVMESH_HOST=beta");
        let inner = format!("{hide} && cd {away} && exec env {env} {line}").replace('\'', "'\\''");
        format!("ip netns exec {} unshare --mount sh -c '{inner}'", self.wire.second)
    }

    /// A power cut: all that runs in a namespace is gone at once.
    async fn cut(&self, namespace: &str) {
        let pids = format!("ip netns pids {namespace}");
        self.rig.done(&format!("{pids} | xargs -r kill -KILL")).await;
        while !self.rig.done(&pids).await.is_empty() {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }

    async fn invite(&self) -> String {
        let line = self.rig.done(&self.here("devmesh invite")).await;
        assert_eq!(line.lines().count(), 1, "{line}");
        assert!(line.starts_with(&format!("devmesh join {FIRST}:7711/")), "{line}");
        line
    }

    async fn refused(&self, line: &str, code: i32, words: &str) {
        let (exit, said) = self.rig.fails(&self.there(line)).await;
        assert_eq!(exit, code, "{line}: {said}");
        assert!(said.contains(words), "{line}: {said}");
    }
}

fn is_private(path: &Path) -> bool {
    path.metadata().unwrap().permissions().mode().trailing_zeros() >= 6
}

/// The wire carries TLS alone, and the bus behind it is out of reach.
async fn only_tls(hosts: &Hosts) {
    let run: Value =
        serde_json::from_slice(&std::fs::read(hosts.rig.at("state/run.json")).unwrap()).unwrap();
    let port = run["nats_url"].as_str().unwrap().rsplit(':').next().unwrap().to_owned();
    let say = |port: &str| {
        format!(
            "bash -c \"exec 3<>/dev/tcp/{FIRST}/{port} && printf 'CONNECT {{}}\\r\\nPING\\r\\n' >&3 \
             && timeout 10 cat <&3 | tr -dc A-Z\""
        )
    };
    // The first host hears NATS on its loopback, as ever: the way of asking is a good one.
    let heard = hosts.rig.shell(&hosts.here(&say(&port).replace(FIRST, "127.0.0.1"))).await;
    assert!(heard.contains("INFO"), "{heard}");
    let heard = hosts.rig.shell(&hosts.there(&say("7711"))).await;
    assert!(!heard.contains("INFO") && !heard.contains("PONG"), "{heard}");
    assert!(!heard.contains("refused"), "the gate is there: {heard}");
    let heard = hosts.rig.shell(&hosts.there(&say(&port))).await;
    assert!(heard.contains("refused"), "{heard}");
}

/// What a code must not do.
async fn bad_codes(hosts: &Hosts, used: &str) {
    hosts.refused(used, 3, "used already, by beta").await;
    let late = hosts.invite().await;
    for entry in std::fs::read_dir(hosts.rig.at("state/invites")).unwrap().flatten() {
        let mut text: Value =
            serde_json::from_slice(&std::fs::read(entry.path()).unwrap()).unwrap();
        text["expires_at"] = 1_000.into();
        std::fs::write(entry.path(), text.to_string()).unwrap();
    }
    hosts.refused(&late, 3, "expired").await;
    let code = hosts.invite().await;
    let pin = code.split('/').nth(1).unwrap();
    hosts.refused(&code.replace(pin, &"A".repeat(43)), 3, "its authority is another").await;
    hosts.refused(&code[..code.len() - 3], 2, "not a whole one").await;
    // Nothing of that has cost the last code; a name that is taken does not either.
    hosts.refused(&code, 3, "choose one with --host").await;
}

#[tokio::test]
async fn a_second_host_joins_over_tls_and_lands_work() {
    let Some(hosts) = Hosts::new().await else { return };
    let rig = &hosts.rig;
    let up = hosts.here(&format!("devmesh up -d --no-agents --listen {FIRST}"));
    rig.done(&up).await;
    only_tls(&hosts).await;

    let code = hosts.invite().await;
    let joined = rig.done(&hosts.there(&code)).await;
    assert!(joined.contains("beta, of ada") && joined.contains("repos      repo"), "{joined}");
    for name in ["joined.json", "creds/ca.pem", "creds/ada.creds", "creds/beta.creds"] {
        assert!(is_private(&rig.at("away/state").join(name)), "{name}");
    }
    bad_codes(&hosts, &code).await;

    rig.done(&hosts.there("devmesh up -d --agent w1=scripted")).await;
    let listed = rig.done(&hosts.here("devmesh hosts --json")).await;
    assert!(listed.contains("\"beta\"") && listed.contains("\"here\""), "{listed}");
    let words = "printf 'write two\\n\\n```sh\\necho two > src/two.txt\\n```\\n'";
    let add = hosts.here("devmesh task add --paths src/two.txt --verify true");
    let task = rig.done(&format!("{words} | {add}")).await;
    let waited = hosts.here(&format!("devmesh task wait --timeout 90 {task}"));
    assert!(rig.done(&waited).await.contains("completed"));
    // Nobody else was there to do it.
    let agents = rig.done(&hosts.here("devmesh agents --json")).await;
    assert!(agents.matches("\"agent\":").count() == 1 && agents.contains("beta-w1"), "{agents}");
    rig.done(&hosts.here("devmesh pull")).await;
    assert_eq!(rig.done("cat src/two.txt").await, "two");
    assert_eq!(rig.done("git for-each-ref refs/devmesh/work").await, "", "its saves are forgotten");

    // The second host sees the mesh as the first one does, until it is told to go.
    let status = rig.done(&hosts.there("devmesh status")).await;
    assert!(status.contains("1 completed") || status.contains("completed 1"), "{status}");
    rig.done(&hosts.there("devmesh down")).await;
    rig.done(&hosts.here("devmesh cred revoke beta")).await;
    hosts.refused("devmesh tunnel git-upload-pack repo", 3, "or no longer").await;
    hosts.refused("devmesh status", 4, "refused").await;
    rig.done(&hosts.here("devmesh status")).await;
    rig.done(&hosts.here("devmesh down")).await;
    assert_eq!(rig.left().await, [], "nothing runs after `down`");
}
