//! The one error of the binary: how the process is to exit, what was attempted, what to do.

use std::error::Error as StdError;

use devmesh_bus::ErrorKind;
pub(crate) use devmesh_bus::chain;
use devmesh_protocol::{CommandId, Rejection};

use crate::exit::Exit;

/// What commands return.
pub(crate) type Result<T> = std::result::Result<T, Error>;

/// A failure, with a hint where one is known.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub(crate) struct Error {
    exit: Exit,
    what: String,
    hint: Option<String>,
    told: bool,
    #[source]
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    fn new(exit: Exit, what: impl Into<String>) -> Error {
        Error { exit, what: what.into(), hint: None, told: false, source: None }
    }

    /// What was typed or configured cannot be used; `what` is a statement.
    pub(crate) fn usage(what: impl Into<String>) -> Error {
        Error::new(Exit::Usage, what)
    }

    /// Something did not work; `what` fits "failed to …".
    pub(crate) fn failed(what: impl Into<String>) -> Error {
        Error::new(Exit::Failed, what)
    }

    /// The mesh, or what it needs, is not there; `what` fits "failed to …".
    pub(crate) fn unreachable(what: impl Into<String>) -> Error {
        Error::new(Exit::Unreachable, what)
    }

    /// The mesh refused.
    pub(crate) fn rejected(rejection: Rejection) -> Error {
        let hint = format!("devmesh explain {}", rejection.code);
        Error::new(Exit::Rejected, rejection.to_string()).hint(hint)
    }

    /// Another host refused, or is not to be trusted; `what` is a statement.
    pub(crate) fn refused(what: impl Into<String>) -> Error {
        Error::new(Exit::Rejected, what)
    }

    /// No answer came to the command of this id.
    pub(crate) fn unknown(verb: &str, id: &CommandId, why: &str) -> Error {
        let what = format!("{verb} ({id}) was not answered: {why}; it may have happened");
        Error::new(Exit::Unknown, what)
            .hint("look with `devmesh status` and `devmesh log` before you repeat it")
    }

    /// The same exit without a word: all was said already.
    pub(crate) fn silent(exit: Exit) -> Error {
        Error { told: true, ..Error::new(exit, "") }
    }

    /// The same with its cause.
    #[must_use]
    pub(crate) fn because(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Error {
        self.source = Some(source.into());
        self
    }

    /// The same with what to do about it.
    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Error {
        self.hint = Some(hint.into());
        self
    }

    /// How the process is to exit.
    pub(crate) fn exit(&self) -> Exit {
        self.exit
    }

    /// The lines for people: the chain of causes once, and the hint.
    pub(crate) fn lines(&self) -> Vec<String> {
        if self.told {
            return Vec::new();
        }
        let lead = match self.exit {
            Exit::Failed | Exit::Unreachable | Exit::Bug => "failed to ",
            Exit::Rejected => "refused: ",
            Exit::Ok | Exit::Usage | Exit::Unknown | Exit::Person => "",
        };
        let mut text = format!("devmesh: {lead}{}", self.what);
        let mut cause = self.source();
        while let Some(error) = cause {
            let said = error.to_string();
            if !text.ends_with(&said) {
                text = format!("{text}: {said}");
            }
            cause = error.source();
        }
        let hint = self.hint.iter().map(|hint| format!("hint: {hint}"));
        std::iter::once(text).chain(hint).collect()
    }
}

impl From<devmesh_bus::Error> for Error {
    fn from(error: devmesh_bus::Error) -> Error {
        let kind = error.kind();
        let what = error.to_string();
        let cause = StdError::source(&error).map(chain);
        let made = match kind {
            ErrorKind::Connect | ErrorKind::Timeout | ErrorKind::NoResponders => {
                Error::unreachable(what).hint("is the mesh up? see `devmesh status` and `doctor`")
            }
            ErrorKind::Denied => Error::unreachable(what)
                .hint("the credential was refused; `devmesh cred list` shows those in use"),
            ErrorKind::Invalid | ErrorKind::TooLarge => Error::new(Exit::Usage, what),
            _ => Error::failed(what),
        };
        match cause {
            Some(cause) => made.because(cause),
            None => made,
        }
    }
}
