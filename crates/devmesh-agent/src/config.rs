//! What the process is started with, checked and with its defaults filled in.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args as ClapArgs;
use devmesh_bus::client::Client;
use devmesh_protocol::command::agent::{Join, Needs};
use devmesh_protocol::id::plain;
use devmesh_protocol::{ActorId, HostId, RepoId, limits};

use crate::builds;
use crate::dialect::Dialect;
use crate::error::{Error, Result};
use crate::mask::Mask;
use crate::process::{self, RunLimits};
use crate::profile::{self, Permission, Profile};
use crate::slot;
use crate::view::Me;

/// A lease that lives shorter than it takes to beat for it is never believed.
const TTL_S_MIN: u64 = limits::BEAT_MS / 1_000 + 1;

/// Runs a coding CLI on the tasks it wins.
#[derive(Debug, Clone, ClapArgs)]
pub struct Args {
    /// The tool: claude, codex, custom, or the name of a profile of yours.
    #[arg(long, value_name = "NAME")]
    pub tool: String,
    /// The tool's program, where it is not found by its name.
    #[arg(long, value_name = "PATH")]
    pub program: Option<PathBuf>,
    /// The model, for tools that take one.
    #[arg(long, value_name = "NAME")]
    pub model: Option<String>,
    /// What the tool may do on its own: the tool's sandbox where it has one, else edits.
    #[arg(long, value_enum)]
    pub permission: Option<Permission>,
    /// What the tool prints, where its profile is not to decide.
    #[arg(long, value_enum)]
    pub dialect: Option<Dialect>,
    /// This host's name in the mesh.
    #[arg(long, env = "DEVMESH_HOST", value_name = "NAME")]
    pub host: Option<HostId>,
    /// Where a repository lies on this host, as NAME=PATH; repeated.
    #[arg(long = "repo", value_name = "NAME=PATH", value_parser = repo_at)]
    pub repos: Vec<(RepoId, PathBuf)>,
    /// Take tasks of these persons alone; repeated.
    #[arg(long = "for", value_name = "PERSON")]
    pub for_persons: Vec<ActorId>,
    /// What the agent can do, as words that tasks ask for; repeated.
    #[arg(long = "capability", value_name = "WORD")]
    pub capabilities: Vec<String>,
    /// Memory that a run takes, in MiB.
    #[arg(long, value_name = "MIB")]
    pub ram_mb: Option<u64>,
    /// GPU memory that a run takes, in MiB.
    #[arg(long, value_name = "MIB")]
    pub vram_mb: Option<u64>,
    /// Places of the host that a run takes.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub slots: u32,
    /// Retries in one session of the tool before an attempt is given up.
    #[arg(long, value_name = "N", default_value_t = 2)]
    pub retries: u32,
    /// End a run that is silent for so many seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 900)]
    pub idle_s: u64,
    /// End a setup or verify command after so many seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 1_800)]
    pub verify_s: u64,
    /// Setup and verify commands that run at once on this host; one to four processors by default.
    #[arg(
        long,
        env = "DEVMESH_BUILD_SLOTS",
        value_name = "N",
        value_parser = clap::value_parser!(u16).range(1..=i64::from(builds::BUILD_SLOTS_MAX))
    )]
    pub build_slots: Option<u16>,
    /// Time to live of leases, in seconds.
    #[arg(
        long,
        env = "DEVMESH_LOCK_TTL_SEC",
        value_name = "SECONDS",
        default_value_t = limits::LEASE_TTL_MS / 1_000,
        value_parser = clap::value_parser!(u64)
            .range(TTL_S_MIN..=limits::LEASE_TTL_AGENT_MS_MAX / 1_000)
    )]
    pub ttl_s: u64,
    /// Variables that pass to the tool, a star ends a prefix; repeated.
    #[arg(long = "env-pass", value_name = "NAME")]
    pub env_pass: Vec<String>,
    /// Where the mesh keeps its state on this host.
    #[arg(long, env = "DEVMESH_STATE_DIR", value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
    /// Where worktrees lie; outside every repository.
    #[arg(long, value_name = "DIR")]
    pub worktrees: Option<PathBuf>,
    /// Profiles of your own.
    #[arg(long, value_name = "DIR")]
    pub profiles: Option<PathBuf>,
    /// Where the mesh's repositories are, as git's address with `{repo}` in it, on a host that is
    /// not the one where they lie; the process that starts the agent says it.
    #[arg(skip)]
    pub origin: Option<String>,
    /// The command of a custom tool; the prompt comes by stdin.
    #[arg(last = true, value_name = "COMMAND")]
    pub command: Vec<String>,
}

fn repo_at(text: &str) -> std::result::Result<(RepoId, PathBuf), String> {
    let (name, path) = text.split_once('=').ok_or("give it as NAME=PATH")?;
    let name = RepoId::new(name).map_err(|error| error.to_string())?;
    Ok((name, PathBuf::from(path)))
}

/// What the process works with.
#[derive(Debug)]
pub struct Config {
    /// The actor.
    pub actor: ActorId,
    /// This host.
    pub host: HostId,
    /// The tool.
    pub profile: Profile,
    /// Its program.
    pub program: PathBuf,
    /// The model asked for.
    pub model: Option<String>,
    /// What it may do.
    pub permission: Permission,
    /// Where worktrees lie.
    pub worktrees: PathBuf,
    /// Where this agent keeps what must survive it.
    pub state: PathBuf,
    /// Where repositories lie, where the mesh does not know it right.
    pub repos: BTreeMap<RepoId, PathBuf>,
    /// Where the repositories of the host that has the mesh are, as git's address with `{repo}` in
    /// it, where that is another host.
    pub origin: Option<String>,
    /// Where mirrors of other hosts' repositories lie.
    pub mirrors: PathBuf,
    /// The environment of tools and commands.
    pub env: Vec<(OsString, OsString)>,
    /// The bounds of a run.
    pub limits: RunLimits,
    /// How long setup and verify commands may take.
    pub command_limit: Duration,
    /// How many of them run at once on this host.
    pub build_slots: u16,
    /// Where the agents of this host agree on that.
    pub builds: PathBuf,
    /// What is taken out of everything stored.
    pub mask: Mask,
    /// What it says of itself.
    pub me: Me,
}

impl Config {
    /// Reads profiles, finds the tool, fills in defaults.
    ///
    /// # Errors
    /// [`Error::Profile`] and [`Error::Config`], which name every problem.
    pub async fn resolve(args: Args, client: &Client) -> Result<Self> {
        let profile = profile_of(&args)?;
        let all: Vec<(OsString, OsString)> = std::env::vars_os().collect();
        let mut pass = args.env_pass.clone();
        pass.extend(profile.pass.iter().cloned());
        let env = process::allowed(all, &pass);
        let (program, version) = program_of(&args, &profile, &env).await?;
        tracing::info!(tool = profile.name, program = %program.display(), version, "tool found");
        let base = args.state_dir.clone().unwrap_or_else(|| state_dir(client.mesh().as_str()));
        let permission = permission_of(&args, &profile)?;
        let host = match args.host.clone() {
            Some(host) => host,
            None => host_name(),
        };
        let mut mask_env = env.clone();
        mask_env.extend(std::env::vars_os().filter(|(key, _)| key == "DEVMESH_TOKEN"));
        // Said now, and not by the first task's failure.
        let worktrees = args.worktrees.clone().unwrap_or_else(|| base.join("worktrees"));
        let worktrees = slot::checked_root(&worktrees)?;
        let idle = Duration::from_secs(args.idle_s);
        let limits = RunLimits { idle, ..RunLimits::default() };
        Ok(Self {
            actor: client.actor().clone(),
            me: me_of(&args, &profile, client.actor(), &host),
            host,
            program,
            model: args.model,
            permission,
            worktrees,
            state: base.join("agents").join(client.actor().as_str()),
            repos: args.repos.into_iter().collect(),
            origin: args.origin,
            mirrors: base.join("repos"),
            mask: Mask::of_env(&mask_env),
            env,
            limits,
            command_limit: Duration::from_secs(args.verify_s),
            build_slots: args.build_slots.unwrap_or_else(builds::default_places),
            builds: base.join("builds"),
            profile,
        })
    }
}

fn me_of(args: &Args, profile: &Profile, actor: &ActorId, host: &HostId) -> Me {
    let needs = Needs {
        ram_mb: args.ram_mb.unwrap_or(profile.needs.ram_mb),
        vram_mb: args.vram_mb.unwrap_or(profile.needs.vram_mb),
        slots: args.slots,
    };
    let join = Join {
        tool: profile.name.clone(),
        host: host.clone(),
        model: args.model.clone(),
        capabilities: args.capabilities.clone(),
        needs,
        repos: Vec::new(),
        for_persons: args.for_persons.clone(),
        seen: None,
    };
    Me {
        actor: actor.clone(),
        join,
        retries_max: args.retries,
        resumes: profile.resume_args.is_some(),
        lease_wait_ms: 30_000,
        ttl_ms: args.ttl_s.saturating_mul(1_000),
    }
}

/// The profile with what the command line says of it.
fn profile_of(args: &Args) -> Result<Profile> {
    let user = args.profiles.clone().or_else(profiles_dir);
    let mut all = profile::load(user.as_deref())?;
    let known = all.keys().cloned().collect::<Vec<_>>().join(", ");
    let Some(mut profile) = all.remove(&args.tool) else {
        let reason = format!("there is no tool {}; there are {known}", args.tool);
        return Err(Error::Config { reason });
    };
    if let Some(dialect) = args.dialect {
        profile.dialect = dialect;
    }
    if let Some((program, rest)) = args.command.split_first() {
        profile.programs = vec![program.clone()];
        profile.args = rest.to_vec();
    }
    Ok(profile)
}

/// The mode asked for, or a narrower one where the tool lacks it; never a wider one.
fn permission_of(args: &Args, profile: &Profile) -> Result<Permission> {
    let refused = |reason| Error::Config { reason: format!("{}: {reason}", profile.name) };
    let permission = profile.permission_for(args.permission).map_err(refused)?;
    if args.permission.is_some_and(|wanted| wanted != permission) {
        tracing::info!(tool = profile.name, mode = permission.name(), "it has no wider mode");
    }
    Ok(permission)
}

async fn program_of(
    args: &Args,
    profile: &Profile,
    env: &[(OsString, OsString)],
) -> Result<(PathBuf, Option<String>)> {
    if let Some(program) = &args.program {
        return Ok((program.clone(), None));
    }
    if let Some(found) = profile.detect(env).await {
        return Ok((found.program, found.version));
    }
    let reason = match profile.programs.as_slice() {
        [] => format!("{} needs a command: give it after --", profile.name),
        names => format!("{} was not found in PATH", names.join(" or ")),
    };
    Err(Error::Config { reason })
}

fn state_dir(mesh: &str) -> PathBuf {
    let home = || std::env::var_os("HOME").map(|home| Path::new(&home).join(".local/state"));
    let root = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from).or_else(home);
    root.unwrap_or_else(std::env::temp_dir).join("devmesh").join(mesh)
}

fn profiles_dir() -> Option<PathBuf> {
    let home = || std::env::var_os("HOME").map(|home| Path::new(&home).join(".config"));
    let root = std::env::var_os("XDG_CONFIG_HOME").map(PathBuf::from).or_else(home)?;
    Some(root.join("devmesh/tools"))
}

/// The system's name in the alphabet of names, as the probe of this host finds it too: what it
/// measures must be of the same host.
fn host_name() -> HostId {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname")
        .or_else(|_| std::fs::read_to_string("/etc/hostname"))
        .unwrap_or_default();
    HostId::new(&plain(name.trim()))
        .unwrap_or_else(|_| HostId::new("host").expect("a plain word is the name of a host"))
}
