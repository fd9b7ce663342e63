//! `devmesh doctor`: looks at everything a mesh needs, and says what to do about what is amiss.

use std::path::Path;
use std::process::Stdio;

use devmesh_bus::server::{self, VERSION_MIN};
use devmesh_protocol::view::MeshView;
use serde::Serialize;
use serde_json::json;

use crate::config::{Config, User};
use crate::context::Context;
use crate::error::{Result, chain};
use crate::exit::Exit;
use crate::git::Repo;
use crate::host::now;
use crate::output::clean;
use crate::state_dir::{RunFile, StateDir};

/// Below this a long night of worktrees will not fit.
const DISK_WARN_BYTES: u64 = 2 << 30;
/// Clocks of host and leader may differ by so much.
const CLOCK_MS_MAX: u64 = 5_000;

/// Look at everything a mesh needs; exits 6 where something fails
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Verdict {
    Ok,
    Warn,
    Fail,
}

/// One thing that was looked at.
#[derive(Debug, Serialize)]
struct Finding {
    about: &'static str,
    verdict: Verdict,
    found: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    fix: Option<String>,
}

impl Finding {
    fn ok(about: &'static str, found: impl Into<String>) -> Finding {
        Finding { about, verdict: Verdict::Ok, found: found.into(), fix: None }
    }

    fn warn(about: &'static str, found: impl Into<String>, fix: impl Into<String>) -> Finding {
        let (found, fix) = (found.into(), Some(fix.into()));
        Finding { about, verdict: Verdict::Warn, found, fix }
    }

    fn fail(about: &'static str, found: impl Into<String>, fix: impl Into<String>) -> Finding {
        Finding { verdict: Verdict::Fail, ..Finding::warn(about, found, fix) }
    }
}

impl Args {
    pub(super) async fn run(self, context: &Context) -> Result<Exit> {
        let state = context.state()?;
        let repo = context.repo().unwrap_or_default();
        let mut all = vec![nats_server().await, git()];
        all.push(disk(&state));
        all.extend(repository(&state, repo.as_ref()));
        all.push(config(repo.as_ref()));
        all.push(tools().await);
        all.extend(mesh(context, &state).await);
        let exit = match all.iter().any(|one| one.verdict == Verdict::Fail) {
            true => Exit::Failed,
            false => Exit::Ok,
        };
        if context.out.json {
            context.out.json(&all);
            return Ok(exit);
        }
        for one in &all {
            let mark = match one.verdict {
                Verdict::Ok => "ok  ",
                Verdict::Warn => "warn",
                Verdict::Fail => "FAIL",
            };
            context.out.line(format!("{mark}  {:<12} {}", one.about, clean(&one.found)));
            if let Some(fix) = &one.fix {
                context.out.line(format!("      {:<12} → {fix}", ""));
            }
        }
        Ok(exit)
    }
}

async fn nats_server() -> Finding {
    match server::find(None).await {
        Ok(found) => {
            let mut text =
                format!("{} at {} (from {})", found.version, found.path.display(), found.source);
            for passed in &found.rejected {
                text += &format!("; passed over {passed}");
            }
            Finding::ok("nats-server", text)
        }
        Err(error) => Finding::fail(
            "nats-server",
            chain(&error),
            format!("`devmesh up --yes` fetches one; or install {VERSION_MIN} or newer"),
        ),
    }
}

fn git() -> Finding {
    let output =
        std::process::Command::new("git").arg("--version").stdin(Stdio::null()).output().ok();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    let Some(text) = text.filter(|text| !text.is_empty()) else {
        return Finding::fail("git", "not found", "install git 2.30 or newer");
    };
    let number =
        text.split_whitespace().find(|word| word.starts_with(|c: char| c.is_ascii_digit()));
    let mut parts = number.unwrap_or_default().split('.').map(|n| n.parse::<u32>().unwrap_or(0));
    let version = (parts.next().unwrap_or(0), parts.next().unwrap_or(0));
    if version < (2, 30) {
        return Finding::fail("git", text, "install git 2.30 or newer");
    }
    Finding::ok("git", text)
}

fn disk(state: &StateDir) -> Finding {
    let there = state.path.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/"));
    match nix::sys::statvfs::statvfs(there) {
        Err(error) => Finding::warn("disk", error.to_string(), "look at the state folder's disk"),
        Ok(stat) => {
            let unit = stat.fragment_size();
            let free = stat.blocks_available().saturating_mul(unit);
            let text = format!("{} MiB free at {}", free >> 20, there.display());
            if free < DISK_WARN_BYTES {
                Finding::warn("disk", text, "free some space, or move it with DEVMESH_STATE_DIR")
            } else {
                Finding::ok("disk", text)
            }
        }
    }
}

fn repository(state: &StateDir, repo: Option<&Repo>) -> Vec<Finding> {
    let Some(repo) = repo else {
        return vec![Finding::warn("repository", "none here", "go into one: tasks need it")];
    };
    let mut all = Vec::new();
    let has_commit = repo.succeeds(["rev-parse", "--quiet", "--verify", "HEAD"]).unwrap_or(false);
    all.push(if has_commit {
        Finding::ok("repository", repo.root.display().to_string())
    } else {
        Finding::fail("repository", "it has no commit", "git add -A && git commit -m start")
    });
    let link = std::fs::read_link(repo.root.join(crate::state_dir::LINK)).ok();
    all.push(match link {
        Some(to) if to == state.path => Finding::ok("link", to.display().to_string()),
        Some(to) => Finding::warn(
            "link",
            format!(".devmesh leads to {}", to.display()),
            "`devmesh up` repairs it",
        ),
        None => Finding::ok("link", "none yet; `devmesh up` makes it"),
    });
    let hooks_path = repo.read(["config", "--get", "core.hooksPath"]).unwrap_or_default();
    let hooks = repo.common.join("hooks");
    let ours = std::fs::read_dir(&hooks).into_iter().flatten().flatten().any(|entry| {
        std::fs::read_to_string(entry.path()).is_ok_and(|text| text.contains("devmesh"))
    });
    all.push(if ours || hooks_path.contains("devmesh") {
        Finding::warn(
            "hooks",
            "something of devmesh stands in your hooks",
            "devmesh puts none there; remove it",
        )
    } else {
        Finding::ok("hooks", "untouched")
    });
    all
}

fn config(repo: Option<&Repo>) -> Finding {
    let loaded = Config::load(repo.map(|repo| repo.root.as_path())).and_then(|_| User::load());
    match loaded {
        Ok(user) => Finding::ok("config", format!("valid; {} agents named", user.agents.len())),
        Err(error) => Finding::fail("config", error.lines().join(" "), "correct the file"),
    }
}

async fn tools() -> Finding {
    let user = User::load().unwrap_or_default();
    let tools = crate::agents::tools(&user).await.unwrap_or_default();
    let found = crate::agents::offered(&tools);
    if found.is_empty() {
        let fix = "install one; `devmesh tools` lists those that can be driven";
        return Finding::warn("tools", "no coding CLI found", fix);
    }
    let names: Vec<String> = found
        .iter()
        .map(|tool| format!("{} {}", tool.tool, tool.version.as_deref().unwrap_or("?")))
        .collect();
    Finding::ok("tools", names.join(", "))
}

async fn mesh(context: &Context, state: &StateDir) -> Vec<Finding> {
    let run = match RunFile::read(state) {
        Err(error) => return vec![Finding::fail("mesh", error.lines().join(" "), "see above")],
        Ok(None) => return vec![Finding::ok("mesh", format!("{} does not run", state.mesh))],
        Ok(Some(run)) => run,
    };
    let mut all = Vec::new();
    let living = run.all_living();
    let dead: Vec<&String> =
        run.pids.keys().filter(|name| !living.iter().any(|(alive, _)| alive == *name)).collect();
    all.push(if dead.is_empty() {
        Finding::ok("processes", format!("{} run", living.len()))
    } else {
        let names: Vec<&str> = dead.iter().map(|name| name.as_str()).collect();
        Finding::fail(
            "processes",
            format!("gone: {}", names.join(", ")),
            "devmesh down; devmesh up",
        )
    });
    all.push(sync_interval(state));
    all.push(match leader(context).await {
        Ok(mesh) => leads(&mesh),
        Err(error) => Finding::fail(
            "leader",
            error.lines().join(" "),
            format!("look at {}", state.log_of("coordinator").display()),
        ),
    });
    all
}

async fn leader(context: &Context) -> Result<MeshView> {
    context.connect().await?.get("state", json!({})).await
}

/// What the running server was started with, read back.
fn sync_interval(state: &StateDir) -> Finding {
    let path = state.path.join("nats").join("server.conf");
    let text = std::fs::read_to_string(&path).unwrap_or_default();
    let line = text.lines().map(str::trim).find(|line| line.starts_with("sync_interval"));
    match line.and_then(|line| line.split_once(':')).map(|(_, value)| value.trim()) {
        Some("always") => Finding::ok("durability", "each decision is on disk before it is told"),
        Some(other) => Finding::warn(
            "durability",
            format!("sync_interval is {other}"),
            "a power cut can take acknowledged decisions with it",
        ),
        None => Finding::warn("durability", "unknown", format!("look at {}", path.display())),
    }
}

fn leads(mesh: &MeshView) -> Finding {
    if let Some(why) = &mesh.stale {
        let fix = "give it room or make it writable; `devmesh explain STORE_REFUSES`";
        return Finding::fail("store", why.clone(), fix);
    }
    let ahead = mesh.at.0.saturating_sub(now());
    let text = format!("{} leads term {}, record {}", mesh.leader, mesh.epoch, mesh.seq);
    if ahead > CLOCK_MS_MAX {
        let found = format!("{text}; its clock is {ahead} ms ahead of this one");
        return Finding::warn("leader", found, "set the clock of one of the two");
    }
    Finding::ok("leader", text)
}
