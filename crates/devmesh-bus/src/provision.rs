//! Provisioning: the role `admin` makes the streams, and compares what the server stored with what
//! was asked. A server that ignores a field it does not know would otherwise go unnoticed.

mod spec;
#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use async_nats::Client;
use async_nats::jetstream::{self, ErrorCode, stream};

pub use spec::{Limits, logs, sides};

/// How long streams may take to have a leader; a cluster that has just started elects first.
const LEADER_WITHIN: Duration = Duration::from_secs(15);
const POLL: Duration = Duration::from_millis(100);

/// Why the streams are not as they should be.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The server could not be asked, or refused.
    #[error("{what} the stream {stream}")]
    Answer {
        /// The operation.
        what: &'static str,
        /// The stream.
        stream: String,
        /// What it said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The stream is not as asked. It is left as it is.
    #[error(
        "check the stream {stream}: {}; it was made by other settings or by hand",
        list(differences)
    )]
    Differs {
        /// The stream.
        stream: String,
        /// Each field that differs.
        differences: Vec<Difference>,
    },
    /// The settings cannot be asked for.
    #[error("use `{field}`: {detail}")]
    Limits {
        /// The field of [`Limits`].
        field: &'static str,
        /// What is wrong with it.
        detail: &'static str,
    },
}

/// One field of a stream that the server stored otherwise than asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The field.
    pub field: String,
    /// What was asked for.
    pub asked: String,
    /// What there is.
    pub stored: String,
}

fn list(differences: &[Difference]) -> String {
    let each = |d: &Difference| format!("{} is {}, asked was {}", d.field, d.stored, d.asked);
    differences.iter().map(each).collect::<Vec<_>>().join("; ")
}

/// What was done to a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was not there.
    Created,
    /// It was there, as asked.
    Unchanged,
    /// Its limits were moved to those asked.
    Updated,
}

/// Makes and checks the log and its free text. `core` is a connection of the role `admin` in the
/// account CORE. A log that differs is never changed: it is history, and somebody must look.
///
/// # Errors
/// Where the server refuses, or stores something else than was asked.
pub async fn core(
    core: &Client,
    mesh: &str,
    limits: &Limits,
) -> Result<Vec<(String, Outcome)>, Error> {
    limits.validate()?;
    let [log, text] = logs(mesh, limits);
    let outcomes = [ensure(core, log, false).await?, ensure(core, text, true).await?];
    Ok(outcomes.into())
}

/// Makes and checks the output, blob and mail streams. `side` is a connection of the role `admin`
/// in the account MESH.
///
/// # Errors
/// As [`core()`].
pub async fn mesh(
    side: &Client,
    mesh: &str,
    limits: &Limits,
) -> Result<Vec<(String, Outcome)>, Error> {
    limits.validate()?;
    let mut outcomes = Vec::new();
    for config in sides(mesh, limits) {
        outcomes.push(ensure(side, config, true).await?);
    }
    Ok(outcomes)
}

async fn ensure(
    client: &Client,
    asked: stream::Config,
    adjustable: bool,
) -> Result<(String, Outcome), Error> {
    let context = jetstream::new(client.clone());
    let name = asked.name.clone();
    let (stored, mut outcome) = create(&context, &asked).await?;
    let mut differences = differences(&asked, &stored);
    if !differences.is_empty() && adjustable && outcome == Outcome::Unchanged {
        let info = context.update_stream(&asked).await;
        let info = info.map_err(|e| answer("change", &name, e))?;
        differences = self::differences(&asked, &info.config);
        outcome = Outcome::Updated;
    }
    if differences.is_empty() {
        return Ok((name, outcome));
    }
    Err(Error::Differs { stream: name, differences })
}

/// Reads the stream, or makes it where there is none, waiting for a cluster that still elects.
async fn create(
    context: &jetstream::Context,
    asked: &stream::Config,
) -> Result<(stream::Config, Outcome), Error> {
    let deadline = Instant::now() + LEADER_WITHIN;
    loop {
        let error: Box<dyn std::error::Error + Send + Sync> =
            match context.get_stream(&asked.name).await {
                Ok(stream) => return Ok((stream.cached_info().config.clone(), Outcome::Unchanged)),
                Err(error) if is_missing(&error) => match context.create_stream(asked).await {
                    Ok(stream) => {
                        return Ok((stream.cached_info().config.clone(), Outcome::Created));
                    }
                    // Another admin was faster, with other settings: the next look compares.
                    Err(error) if code(error.kind()) == Some(ErrorCode::STREAM_NAME_EXIST) => {
                        error.into()
                    }
                    Err(error) if is_waiting(code(error.kind())) => error.into(),
                    Err(error) => return Err(answer("make", &asked.name, error)),
                },
                Err(error) => error.into(),
            };
        if Instant::now() >= deadline {
            return Err(answer("read", &asked.name, error));
        }
        tokio::time::sleep(POLL).await;
    }
}

fn is_missing(error: &jetstream::context::GetStreamError) -> bool {
    use jetstream::context::GetStreamErrorKind::JetStream;
    matches!(error.kind(), JetStream(e) if e.error_code() == ErrorCode::STREAM_NOT_FOUND)
}

fn code(kind: jetstream::context::CreateStreamErrorKind) -> Option<ErrorCode> {
    match kind {
        jetstream::context::CreateStreamErrorKind::JetStream(error) => Some(error.error_code()),
        _ => None,
    }
}

/// What a server says while a cluster has no leader yet, or too few servers have come up.
fn is_waiting(code: Option<ErrorCode>) -> bool {
    const WAITING: [ErrorCode; 3] = [
        ErrorCode::CLUSTER_NOT_AVAILABLE,
        ErrorCode::CLUSTER_NO_PEERS,
        ErrorCode::INSUFFICIENT_RESOURCES,
    ];
    code.is_none_or(|code| WAITING.contains(&code))
}

fn answer(
    what: &'static str,
    stream: &str,
    source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> Error {
    Error::Answer { what, stream: stream.to_owned(), source: source.into() }
}

/// Field by field, as the server writes them. What was left to the server's default is not
/// compared, and neither are the notes it adds to `metadata`.
fn differences(asked: &stream::Config, stored: &stream::Config) -> Vec<Difference> {
    let fields = |config: &stream::Config| match serde_json::to_value(config) {
        Ok(serde_json::Value::Object(fields)) => fields,
        _ => serde_json::Map::new(),
    };
    let (asked, stored) = (fields(asked), fields(stored));
    let text = |value: Option<&serde_json::Value>| {
        value.map_or_else(|| "unset".to_owned(), ToString::to_string)
    };
    asked
        .iter()
        .filter(|(field, value)| *field != "metadata" && stored.get(*field) != Some(*value))
        .map(|(field, value)| Difference {
            field: field.clone(),
            asked: value.to_string(),
            stored: text(stored.get(field)),
        })
        .collect()
}
