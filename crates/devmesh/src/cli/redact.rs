//! `devmesh redact`: forgets the bytes of a text; the log still verifies.

use devmesh_protocol::command::mesh::Redact;
use devmesh_protocol::{Digest, Verb};

use crate::context::Context;
use crate::error::{Error, Result};

/// Forget the bytes of a free text: a prompt, comment, note, question or answer
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The text's digest, as the log shows it
    #[arg(value_name = "DIGEST")]
    digest: String,
}

impl Args {
    pub(super) async fn run(self, context: &Context) -> Result<()> {
        let digest: Digest = self.digest.parse().map_err(|error| {
            Error::usage(format!("{:?} is no digest: {error}", self.digest))
                .hint("`devmesh log --json` names each text by its digest")
        })?;
        let verb = Verb::Redact(Redact { digest });
        context.act(verb, |_, _| context.out.say("its bytes are forgotten")).await
    }
}
