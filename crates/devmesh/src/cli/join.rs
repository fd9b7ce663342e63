//! `devmesh join`: this host becomes one of a mesh that another has. All that can be checked is
//! checked before the code is spent.

use std::path::Path;
use std::process::{Command, Stdio};

use devmesh_bus::gate::{self, Dialed, Trusted, pin_of};
use devmesh_protocol::view::RepoView;
use devmesh_protocol::{ActorId, MeshId};
use serde_json::json;

use crate::context::Context;
use crate::error::{Error, Result};
use crate::host::{Answer, Ask, Code, Hello, Joined, ask, now, odd};
use crate::state_dir::StateDir;

/// Clocks may differ by so much.
const SKEW_MS_MAX: u64 = 10_000;

/// Join the mesh of another host with a code of its `devmesh invite`
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// What `devmesh invite` printed behind `devmesh join`
    #[arg(value_name = "CODE")]
    code: Code,
    /// What this host is called in the mesh; its own name, where nothing is said
    #[arg(long, env = "DEVMESH_HOST", value_name = "NAME", hide_env_values = true)]
    host: Option<ActorId>,
}

impl Args {
    pub(super) async fn run(self, context: &Context) -> Result<()> {
        let host = match self.host {
            Some(host) => host,
            None => ActorId::new(devmesh_probe::measure::own_name().as_str())
                .map_err(|error| Error::usage("say what to call this host").because(error))?,
        };
        git_is_here()?;
        let code = self.code;
        let mut wire = reach(&code).await?;
        let hello = greet(&mut wire, &code, now).await?;
        let state = state_for(context, &hello.mesh)?;
        let secret = code.secret.clone();
        let granted = match ask(&mut wire, &Ask::Join { secret, host: host.clone() }).await? {
            Answer::Joined(granted) => granted,
            other => return Err(odd(&other)),
        };
        if pin_of(&granted.authority).as_ref() != Some(&code.pin) {
            return Err(Error::refused("the gate gave another authority than the code names"));
        }
        let joined = Joined::keep(&state, &code, &host, granted)?;
        let repos = look(context, &state, &joined).await?;
        if context.out.json {
            context.out.json(&json!({
                "mesh": state.mesh, "host": joined.host, "person": joined.person,
                "nats_url": joined.nats_url(), "repos": repos,
            }));
            return Ok(());
        }
        let out = context.out;
        out.line(format!("mesh       {}, through {}", state.mesh, joined.address));
        out.line(format!("host       {host}, of {}", joined.person));
        out.line(format!("repos      {}", repos.join(", ")));
        out.line(format!("state      {}", state.path.display()));
        out.say("next: devmesh up, or devmesh agent --tool codex");
        Ok(())
    }
}

fn git_is_here() -> Result<()> {
    let mut git = Command::new("git");
    git.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    match git.status() {
        Ok(status) if status.success() => Ok(()),
        _ => Err(Error::usage("git does not run on this host").hint("install git, then join")),
    }
}

/// Connects to the gate that the code names, and to no other.
pub(crate) async fn reach(code: &Code) -> Result<Dialed> {
    gate::dial(&code.address, &Trusted::Pin(code.pin.clone())).await.map_err(|error| {
        if error.kind() == devmesh_bus::ErrorKind::Denied {
            return Error::refused(format!(
                "what answers at {} is not the mesh that gave this code: its authority is another",
                code.address
            ))
            .hint("was the code copied whole? else somebody may stand between the two hosts");
        }
        Error::from(error).hint(format!(
            "is the mesh up there (`devmesh up --listen`), and can this host reach {}?",
            code.address
        ))
    })
}

/// Asks who is there; refuses a clock that is wrong and a program that is too different.
pub(crate) async fn greet(wire: &mut Dialed, code: &Code, now: impl Fn() -> u64) -> Result<Hello> {
    let sent = now();
    let hello = match ask(wire, &Ask::Hello { secret: code.secret.clone() }).await? {
        Answer::Hello(hello) => hello,
        other => return Err(odd(&other)),
    };
    let here = sent + now().saturating_sub(sent) / 2;
    let ahead = here > hello.at_ms;
    let skew = here.abs_diff(hello.at_ms);
    if skew > SKEW_MS_MAX {
        let way = if ahead { "ahead of" } else { "behind" };
        return Err(Error::refused(format!(
            "the clock of this host is {} s {way} the mesh's",
            skew / 1_000
        ))
        .hint(
            "set one of them right (timedatectl set-ntp true), then join; the code is not spent",
        ));
    }
    let own = env!("CARGO_PKG_VERSION");
    if line(&hello.version) != line(own) {
        return Err(Error::refused(format!(
            "this host has devmesh {own}, the mesh has {}",
            hello.version
        ))
        .hint("use the same version on both; the code is not spent"));
    }
    Ok(hello)
}

/// What must be the same of two versions.
fn line(version: &str) -> Vec<&str> {
    version.split('.').take(2).collect()
}

/// The state folder for a mesh that is another host's.
fn state_for(context: &Context, mesh: &str) -> Result<StateDir> {
    let mesh =
        MeshId::new(mesh).map_err(|error| Error::failed("understand the gate").because(error))?;
    let globals = &context.globals;
    let state = StateDir::resolve(globals.state_dir.as_deref(), Some(&mesh), None)?;
    if state.has_keys() {
        return Err(Error::usage(format!("{} is a mesh of this host's own", state.path.display()))
            .hint("join with --state-dir DIR, a folder of its own"));
    }
    Ok(state)
}

/// Connects as what was given, and reads each repository once; gives their names.
async fn look(context: &Context, state: &StateDir, joined: &Joined) -> Result<Vec<String>> {
    let mut globals = context.globals.clone();
    globals.state_dir = Some(state.path.clone());
    globals.mesh = Some(state.mesh.clone());
    (globals.nats_url, globals.creds) = (Some(joined.nats_url()), None);
    globals.speaker = Some(joined.person.clone());
    let link = Context::new(globals).connect().await?;
    let repos: Vec<RepoView> = link.list("repos", json!({})).await?;
    let origin = Joined::origin(state)?;
    let mut names = Vec::new();
    for repo in repos {
        let name = repo.repo.to_string();
        let address = origin.replace("{repo}", &name);
        // What lies on another host that joined comes from that host's keeper.
        if repo.host.is_none()
            && let Err(why) = readable(&address, &state.path)
        {
            context.out.say(format!("{name}: git does not reach it from here: {why}"));
        }
        names.push(name);
    }
    Ok(names)
}

fn readable(address: &str, at: &Path) -> std::result::Result<(), String> {
    let mut git = Command::new("git");
    git.args(["ls-remote", "--quiet", "--heads", address]).current_dir(at);
    git.env("GIT_ALLOW_PROTOCOL", "ext").env("GIT_TERMINAL_PROMPT", "0").stdin(Stdio::null());
    let output = git.output().map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(crate::output::clean_lines(said.trim_end()))
}
