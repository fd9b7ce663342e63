//! What `up` starts: as said, as configured, or as a person at the terminal agrees to.

use std::io::{BufRead, IsTerminal, Write};
use std::path::PathBuf;

use devmesh_bus::server::{self, FETCHED_VERSION};

use super::{Args, proposal, verify_of};
use crate::agents::{self, Wanted};
use crate::config::{AgentSpec, Config, User};
use crate::context::Context;
use crate::error::{Error, Result, chain};
use crate::git::Repo;

impl Args {
    /// Finds a nats-server, or fetches the pinned one where a person agrees.
    pub(super) async fn nats_server(&self, context: &Context) -> Result<PathBuf> {
        let rejected = match server::find(self.nats_server.as_deref()).await {
            Ok(found) => return Ok(found.path),
            Err(error @ server::Error::NotFound { .. }) => error,
            Err(error) => return Err(Error::unreachable("find nats-server").because(chain(&error))),
        };
        let named = self.nats_server.is_some() || std::env::var_os("DEVMESH_NATS_SERVER").is_some();
        let question = format!("no nats-server here; fetch {FETCHED_VERSION} (pinned by SHA-256)?");
        if named || !(self.yes || ask(&question)?) {
            return Err(Error::unreachable("find a nats-server")
                .because(rejected.to_string())
                .hint("`devmesh up --yes` fetches one"));
        }
        context.out.say(format!("fetching nats-server {FETCHED_VERSION}"));
        server::fetch().await.map_err(|error| {
            Error::unreachable("fetch nats-server")
                .because(chain(&error))
                .hint("install one yourself and name it with --nats-server")
        })
    }

    /// The agents to start and the commands that prove work, as said or as a person agrees.
    pub(super) async fn agree(
        &self,
        context: &Context,
        repo: &Repo,
        config: &Config,
        user: &User,
    ) -> Result<(Vec<AgentSpec>, Vec<String>)> {
        let said = self.said(user).await?;
        if let Some(agents) = said {
            return Ok((agents, verify_of(context, repo, config, self.yes)?));
        }
        let tools = agents::tools(user).await?;
        let offered = agents::offered(&tools);
        let is_asked = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
        if !self.yes && !is_asked {
            context
                .out
                .say("no agent is started: nobody said which (--agent, --agents, [[agents]])");
            return Ok((Vec::new(), verify_of(context, repo, config, false)?));
        }
        proposal::show(context, &offered, repo, config);
        if offered.is_empty() || !(self.yes || ask("start one agent of each?")?) {
            return Ok((Vec::new(), verify_of(context, repo, config, self.yes)?));
        }
        let verify = verify_of(context, repo, config, true)?;
        Ok((agents::spread(&offered, offered.len()), verify))
    }

    /// The agents that somebody named; none where nobody did.
    pub(super) async fn said(&self, user: &User) -> Result<Option<Vec<AgentSpec>>> {
        if self.no_agents || self.lite {
            return Ok(Some(Vec::new()));
        }
        let more = match &self.agents {
            None => Vec::new(),
            Some(Wanted::File(path)) => User::read(path)?.agents,
            Some(Wanted::Count(count)) if !user.agents.is_empty() => {
                user.agents.iter().take(*count).cloned().collect()
            }
            Some(Wanted::Count(count)) => {
                let tools = agents::tools(user).await?;
                let offered = agents::offered(&tools);
                if offered.is_empty() && *count > 0 {
                    return Err(Error::usage("no coding CLI is installed here")
                        .hint("`devmesh tools` lists those that are looked for"));
                }
                agents::spread(&offered, *count)
            }
        };
        if self.agents.is_some() || !self.agent.is_empty() {
            return Ok(Some(self.agent.iter().cloned().chain(more).collect()));
        }
        Ok((!user.agents.is_empty()).then(|| user.agents.clone()))
    }
}

/// A question to who sits at the terminal; no where nobody does.
fn ask(question: &str) -> Result<bool> {
    if !(std::io::stdin().is_terminal() && std::io::stderr().is_terminal()) {
        return Ok(false);
    }
    let mut err = std::io::stderr().lock();
    let _ = write!(err, "{question} [Y/n] ");
    let _ = err.flush();
    let mut line = String::new();
    std::io::stdin()
        .lock()
        .read_line(&mut line)
        .map_err(|error| Error::failed("read your answer").because(error))?;
    Ok(matches!(line.trim().to_lowercase().as_str(), "y" | "yes") || line == "\n")
}
