//! The one error of this crate: what was attempted, of which kind the failure is, and its cause.

use std::error::Error as StdError;

/// What this crate returns.
pub type Result<T> = std::result::Result<T, Error>;

/// An error with its causes in one line, as people and logs read it.
#[must_use]
pub fn chain(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

/// The kinds of failure that callers tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// No server could be reached, or the connection is gone.
    Connect,
    /// The server refused the credential or the subject.
    Denied,
    /// No answer in time.
    Timeout,
    /// Nobody listens on the subject, or the stream has no leader.
    NoResponders,
    /// The stream does not exist.
    NoStream,
    /// A stream position is missing: nothing after it can be trusted.
    Gap,
    /// The stream ends before a position that was read, or was made anew.
    RolledBack,
    /// The stream ends before a position that was asked for.
    BeyondEnd,
    /// Bytes do not have the shape, the digest or the size they must have.
    Corrupt,
    /// What was to be sent is over a bound.
    TooLarge,
    /// A name that cannot stand in a subject, or a setting out of range.
    Invalid,
    /// What was asked for is not there.
    NotFound,
    /// The managed server could not be found, started or stopped.
    Server,
    /// A key or credential could not be made or read.
    Credential,
    /// A stream or account is not as it was asked to be.
    Provision,
    /// A file could not be read or written.
    Io,
    /// The server answered with an error of its own.
    Answer,
}

/// A failure: a kind, a fragment that fits "failed to …", and its cause.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub struct Error {
    kind: ErrorKind,
    what: String,
    #[source]
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// A failure of `kind`; `what` is a lower-case fragment that fits "failed to …".
    pub fn new(kind: ErrorKind, what: impl Into<String>) -> Self {
        Self { kind, what: what.into(), source: None }
    }

    /// The same failure with its cause.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Which kind of failure this is.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }
}
