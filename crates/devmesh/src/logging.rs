//! Logging: for people by default, JSON for collectors; to stderr or a file.

use std::fs::File;
use std::path::PathBuf;

use tracing_subscriber::EnvFilter;

use crate::error::{Error, Result};

/// How log lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum LogFormat {
    /// For people
    Human,
    /// One JSON object a line
    Json,
}

/// What and where to log.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Logging {
    /// What to log: error, warn, info, debug, trace, or a filter such as devmesh_agent=debug
    #[arg(
        long,
        global = true,
        env = "DEVMESH_LOG_LEVEL",
        value_name = "LEVEL",
        hide_env_values = true
    )]
    pub(crate) log_level: Option<String>,
    /// Log to this file instead of stderr
    #[arg(
        long,
        global = true,
        env = "DEVMESH_LOG_FILE",
        value_name = "FILE",
        hide_env_values = true
    )]
    pub(crate) log_file: Option<PathBuf>,
    /// How log lines are written
    #[arg(
        long,
        global = true,
        env = "DEVMESH_LOG_FORMAT",
        value_name = "FORMAT",
        hide_env_values = true
    )]
    pub(crate) log_format: Option<LogFormat>,
}

impl Logging {
    /// Starts logging; `level` counts where nothing was asked for.
    pub(crate) fn start(&self, level: &str) -> Result<()> {
        let wanted = self.log_level.as_deref().filter(|text| !text.is_empty()).unwrap_or(level);
        let filter = EnvFilter::try_new(wanted).map_err(|error| {
            Error::usage(format!("DEVMESH_LOG_LEVEL or --log-level {wanted:?} is no level"))
                .because(error)
                .hint("use error, warn, info, debug or trace")
        })?;
        let file = match &self.log_file {
            None => None,
            Some(path) => Some(open(path)?),
        };
        let json = self.log_format == Some(LogFormat::Json);
        // A line that cannot be written would be told on stderr, and with stderr gone too (a full
        // disk under a mesh in the background) that ends the process.
        let base = tracing_subscriber::fmt()
            .log_internal_errors(false)
            .with_env_filter(filter)
            .with_ansi(false);
        let started = match (json, file) {
            (true, Some(file)) => base.json().with_writer(file).try_init(),
            (true, None) => base.json().with_writer(std::io::stderr).try_init(),
            (false, Some(file)) => base.with_writer(file).try_init(),
            (false, None) => base.with_writer(std::io::stderr).try_init(),
        };
        started.map_err(|error| Error::failed("start logging").because(error))
    }
}

fn open(path: &std::path::Path) -> Result<File> {
    File::options().create(true).append(true).open(path).map_err(|error| {
        Error::usage(format!("the log file {} cannot be written", path.display()))
            .because(error)
            .hint("choose another with --log-file or DEVMESH_LOG_FILE")
    })
}
