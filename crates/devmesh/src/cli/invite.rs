//! `devmesh invite`: the line that lets another host join.

use std::net::{IpAddr, UdpSocket};

use devmesh_bus::gate::Authority;
use devmesh_protocol::ActorId;
use serde_json::json;

use crate::context::Context;
use crate::error::{Error, Result};
use crate::host::{Code, invitations, listen_address, now};
use crate::state_dir::RunFile;

/// Print the line that lets another host join: it works once, for 10 minutes
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Whose host it will be; yours, where nothing is said
    #[arg(long = "for", value_name = "NAME")]
    person: Option<ActorId>,
    /// Where the other host reaches this one, where that is not the address it listens on
    #[arg(long, value_name = "HOST:PORT", value_parser = listen_address)]
    address: Option<String>,
}

impl Args {
    pub(super) async fn run(self, context: &Context) -> Result<()> {
        let state = context.state()?;
        if !state.has_keys() {
            return Err(Error::usage(format!("the keys of mesh {} are not here", state.mesh))
                .hint("hosts are invited where `devmesh up --listen ADDRESS` was run"));
        }
        let run = RunFile::read(&state)?.filter(|run| run.supervisor().is_some());
        let listen = run.and_then(|run| run.listen).ok_or_else(|| {
            Error::usage("this mesh does not listen for other hosts")
                .hint("`devmesh down`, then `devmesh up --listen ADDRESS`")
        })?;
        let address = match self.address {
            Some(address) => address,
            None => reachable(&listen)?,
        };
        let person = self.person.or_else(|| context.globals.speaker.clone());
        let person = person.unwrap_or_else(Context::person);
        let pin = Authority::open_or_create(&state.path)?.pin();
        let at = now();
        let secret = invitations::make(&state, &person, at)?;
        let code = Code { address, pin, secret };
        let expires_at = at + invitations::VALID_MS;
        if context.out.json {
            let code = code.to_string();
            context.out.json(&json!({ "code": code, "for": person, "expires_at": expires_at }));
        } else {
            context.out.line(format!("devmesh join {code}"));
            context.out.say(format!("works once, for 10 min; the host will be {person}'s"));
        }
        Ok(())
    }
}

/// The address in an invitation: where it listens on all addresses, the one that this host speaks
/// to others from.
fn reachable(listen: &str) -> Result<String> {
    let (host, port) = listen.rsplit_once(':').unwrap_or((listen, ""));
    let ip = host.trim_matches(['[', ']']).parse::<IpAddr>();
    if !ip.is_ok_and(|ip| ip.is_unspecified()) {
        return Ok(listen.to_owned());
    }
    // Sends nothing: the system only says which way it would go.
    let own = UdpSocket::bind(("0.0.0.0", 0))
        .and_then(|socket| socket.connect(("192.0.2.1", 9)).and_then(|()| socket.local_addr()));
    match own {
        Ok(own) if !own.ip().is_loopback() => Ok(format!("{}:{port}", own.ip())),
        Ok(_) | Err(_) => Err(Error::usage("it is not clear how another host reaches this one")
            .hint("say it: devmesh invite --address HOST:PORT")),
    }
}
