//! `devmesh completions`: for a shell.

use clap::CommandFactory;
use clap_complete::Shell;

use crate::context::Context;
use crate::error::Result;

/// Print completions for a shell
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Which shell
    #[arg(value_enum)]
    shell: Shell,
}

impl Args {
    pub(super) fn run(self, context: &Context) -> Result<()> {
        let mut text = Vec::new();
        let mut command = super::Cli::command();
        clap_complete::generate(self.shell, &mut command, "devmesh", &mut text);
        context.out.raw(&String::from_utf8_lossy(&text));
        Ok(())
    }
}
