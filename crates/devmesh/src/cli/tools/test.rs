//! `devmesh tools test`: one small task in a repository made for it, judged by git.

use std::io::{BufRead, IsTerminal, Write};
use std::path::PathBuf;
use std::time::Duration;

use devmesh_agent::process;
use devmesh_agent::profile::{Permission, Profile, Proof, SignIn, Trial, Verdict};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::agents;
use crate::config::User;
use crate::context::Context;
use crate::error::{Error, Result, chain};
use crate::exit::Exit;
use crate::output::{clean, clean_lines};

/// Prove a tool: it makes one file in a repository of its own, and git is asked whether it did
///
/// A real model is called with your sign-in, which costs what one small task costs. Nothing of
/// yours is touched. Exits 6 where the tool is not proven.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The tool
    #[arg(value_name = "TOOL")]
    tool: String,
    /// Ask nothing
    #[arg(long, short)]
    yes: bool,
    /// The model; the tool's own choice, where nothing is said
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
    /// What the tool may do; what a run of it would be allowed, where nothing is said
    #[arg(long, value_enum)]
    permission: Option<Permission>,
    /// The tool's program, where it is not found by its name
    #[arg(long, value_name = "PATH")]
    program: Option<PathBuf>,
    /// End it after so many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 300,
          value_parser = clap::value_parser!(u64).range(1..=3_600))]
    limit_s: u64,
    /// Keep the repository, and say where it is
    #[arg(long)]
    keep: bool,
    /// Said to the model beside the task; for a model that answers by a script.
    #[arg(long, value_name = "TEXT", hide = true)]
    beside: Option<String>,
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Report {
    tool: String,
    program: String,
    version: Option<String>,
    permission: Permission,
    model: Option<String>,
    proof: Proof,
}

impl Args {
    pub(super) async fn run(self, context: &Context) -> Result<Exit> {
        let profile = self.profile()?;
        let user = User::load()?;
        let env = agents::env_of(&profile);
        let (program, version) = match &self.program {
            Some(program) => (program.clone(), None),
            None => match profile.detect(&env).await {
                Some(found) => (found.program, found.version),
                None => return Err(not_installed(&profile)),
            },
        };
        let permission = profile
            .permission_for(self.permission.or(user.permissions.mode))
            .map_err(|why| Error::usage(format!("{} cannot be run: {why}", profile.name)))?;
        if let SignIn::SignedOut { how } = profile.sign_in(&program, &env).await {
            context.out.say(format!("{} says that nobody is signed in: {how}", profile.name));
        }
        self.consent(context, &profile, permission)?;
        let folder = folder()?;
        let trial = Trial {
            profile: &profile,
            program: &program,
            model: self.model.as_deref(),
            permission,
            env: &env,
            limit: Duration::from_secs(self.limit_s),
            folder: folder.path(),
            beside: self.beside.as_deref(),
        };
        process::become_subreaper();
        let stop = CancellationToken::new();
        let stopping = stop.clone();
        let waits = tokio::spawn(async move {
            if tokio::signal::ctrl_c().await.is_ok() {
                stopping.cancel();
            }
        });
        let proof = trial.run(&stop).await;
        waits.abort();
        let proof = proof.map_err(|error| {
            Error::failed(format!("try {}", profile.name)).because(chain(&error))
        })?;
        let report = Report {
            tool: profile.name.clone(),
            program: program.display().to_string(),
            version,
            permission,
            model: self.model.clone(),
            proof,
        };
        if self.keep {
            let kept = folder.keep();
            context.out.say(format!("kept: {}", kept.display()));
        }
        tell(context, &report);
        Ok(match report.proof.verdict {
            Verdict::Proven => Exit::Ok,
            _ => Exit::Failed,
        })
    }

    fn profile(&self) -> Result<Profile> {
        let mut all = agents::profiles()?;
        let known = all.keys().cloned().collect::<Vec<_>>().join(", ");
        all.remove(&self.tool).ok_or_else(|| {
            Error::usage(format!("there is no tool {}", self.tool))
                .hint(format!("there are {known}; a profile of yours adds one"))
        })
    }

    /// A model call is the person's money.
    fn consent(&self, context: &Context, profile: &Profile, permission: Permission) -> Result<()> {
        if self.yes {
            return Ok(());
        }
        let question = format!(
            "this calls {}'s model once, at your cost, with the mode {}; go on?",
            profile.name,
            permission.name()
        );
        if !(std::io::stdin().is_terminal() && std::io::stderr().is_terminal()) {
            return Err(Error::usage(question).hint("say --yes where nobody can be asked"));
        }
        let mut err = std::io::stderr().lock();
        let _ = write!(err, "{question} [y/N] ");
        let _ = err.flush();
        let mut line = String::new();
        std::io::stdin()
            .lock()
            .read_line(&mut line)
            .map_err(|error| Error::failed("read your answer").because(error))?;
        if matches!(line.trim().to_lowercase().as_str(), "y" | "yes") {
            return Ok(());
        }
        context.out.say("nothing was called");
        Err(Error::silent(Exit::Usage))
    }
}

fn not_installed(profile: &Profile) -> Error {
    match profile.programs.as_slice() {
        [] => Error::usage(format!("{} names no program", profile.name))
            .hint("name one with --program, or write a profile of your own"),
        names => Error::usage(format!("{} is not installed", profile.name))
            .hint(format!("{} is looked for in PATH", names.join(" or "))),
    }
}

/// A folder that nobody else may write to and that some tools refuse less than the temporary one.
fn folder() -> Result<tempfile::TempDir> {
    let absolute = |name| std::env::var_os(name).map(PathBuf::from).filter(|it| it.is_absolute());
    let cache = absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")));
    let trials = cache.unwrap_or_else(std::env::temp_dir).join("devmesh").join("trials");
    let made = std::fs::create_dir_all(&trials)
        .and_then(|()| tempfile::Builder::new().prefix("trial-").tempdir_in(&trials));
    made.map_err(|error| {
        Error::failed(format!("make a folder in {}", trials.display())).because(error)
    })
}

fn tell(context: &Context, report: &Report) {
    let out = context.out;
    if out.json {
        out.json(report);
        return;
    }
    let proof = &report.proof;
    let version = report.version.iter().map(|version| format!(" {version}")).collect::<String>();
    let told = match &proof.why {
        None => "proven: it made the file and changed nothing else".to_owned(),
        Some(why) => format!("not proven: {}", clean(why)),
    };
    out.line(format!("{}{}: {told}", report.tool, clean(&version)));
    let seconds = proof.ms as f64 / 1_000.0;
    out.line(format!("time     {seconds:.1} s, with the mode {}", report.permission.name()));
    let count = |count: Option<u64>| count.map_or("?".to_owned(), |count| count.to_string());
    let tokens = match (proof.input_tokens, proof.output_tokens) {
        (None, None) => "not told".to_owned(),
        (input, output) => format!("{} read, {} written", count(input), count(output)),
    };
    out.line(format!("tokens   {tokens}"));
    let cost = proof.cost_micro_usd.map(|micro| format!("${:.4}", micro as f64 / 1e6));
    out.line(format!("cost     {}", cost.as_deref().unwrap_or("not told")));
    if !proof.message.is_empty() {
        out.line(format!("it said  {}", clean(&proof.message)));
    }
    if !proof.tail.is_empty() {
        out.say(clean_lines(&proof.tail));
    }
}
