//! `devmesh log`: the records.

use devmesh_bus::connect;
use devmesh_bus::cred::Role;
use devmesh_bus::log::nats::NatsOpen;
use devmesh_protocol::ActorId;
use devmesh_replay::Source;

use crate::context::Context;
use crate::error::{Error, Result, chain};
use crate::keys;

/// Print the records of the log, each as a sentence
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// From this record
    #[arg(long, value_name = "SEQ", default_value_t = 1)]
    from: u64,
    /// Go on as records come
    #[arg(long, short)]
    follow: bool,
}

impl Args {
    pub(super) async fn run(self, context: &Context) -> Result<()> {
        let args = devmesh_replay::Args {
            records: Some(self.from),
            follow: self.follow,
            json: context.out.json,
            ..devmesh_replay::Args::default()
        };
        super::replay::print(&args, Some(source(context)?)).await
    }
}

/// The mesh's own log, read with the credential of the role replay.
pub(super) fn source(context: &Context) -> Result<Source> {
    let state = context.state()?;
    let url = context.nats_url(&state)?;
    let name = context.globals.speaker.clone();
    let name = name.unwrap_or_else(|| ActorId::new("replay").expect("a plain word is a name"));
    let creds = match context.globals.creds.clone() {
        Some(creds) => creds,
        None => {
            let own = context.globals.speaker.is_none();
            if own && state.has_keys() {
                keys::ensure(&keys::open(&state)?, &name, Role::Replay)?;
            }
            state.creds_of(name.as_str())
        }
    };
    if !creds.exists() {
        return Err(Error::usage(format!("{} is not there", creds.display()))
            .hint("reading the log takes a credential of the role replay"));
    }
    let options = connect::Options::default();
    let open = NatsOpen::new(&url, Some(&creds), &state.mesh, name.as_str(), options);
    Ok(Source { open })
}

/// What replay could not do, as an error of this program. A reader that has gone, `head` for
/// instance, is none.
pub(super) fn told(error: devmesh_replay::Error) -> Result<()> {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&error);
    while let Some(one) = cause {
        if let Some(io) = one.downcast_ref::<std::io::Error>()
            && io.kind() == std::io::ErrorKind::BrokenPipe
        {
            return Ok(());
        }
        cause = one.source();
    }
    if let devmesh_replay::Error::Argument { value, why, .. } = &error {
        return Err(Error::usage(format!("{value:?} cannot be used: {why}"))
            .hint("`devmesh log` and `devmesh task list` show what there is"));
    }
    if let devmesh_replay::Error::Unknown(about) = &error {
        return Err(Error::usage(format!("the log knows nothing of {about:?}"))
            .hint("give a task (t-17), a lease (l-41-0) or an agent's name"));
    }
    Err(Error::failed("read the log").because(chain(&error)))
}
