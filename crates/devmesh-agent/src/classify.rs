//! What kind of failure a text is, and what to tell the model about it: on a retry it gets the
//! classified error and its hint, not the whole output again.

#[cfg(test)]
mod tests;

/// A kind of failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// The provider's limit.
    RateLimit,
    /// A person must sign in.
    SignIn,
    /// The network, or a server behind it.
    Network,
    /// No room on a disk.
    DiskFull,
    /// No memory.
    OutOfMemory,
    /// A limit of time.
    Timeout,
    /// A program or package is not there.
    MissingTool,
    /// A file may not be read or written.
    Permission,
    /// The code does not compile.
    Compile,
    /// A linter or formatter objects.
    Lint,
    /// A test failed.
    Test,
    /// The work conflicts with what has landed.
    Conflict,
    /// The tool changed nothing.
    NoChange,
    /// The tool itself broke.
    ToolBroke,
    /// None of these.
    Unknown,
}

/// A failure that is understood as far as it can be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Classified {
    /// Its kind.
    pub class: Class,
    /// What the model is told.
    pub hint: &'static str,
    /// The same for two failures that differ only in numbers: asking again brought nothing.
    pub fingerprint: String,
}

impl Class {
    /// The kind's name in events.
    pub fn name(self) -> &'static str {
        match self {
            Self::RateLimit => "rate_limit",
            Self::SignIn => "sign_in",
            Self::Network => "network",
            Self::DiskFull => "disk_full",
            Self::OutOfMemory => "out_of_memory",
            Self::Timeout => "timeout",
            Self::MissingTool => "missing_tool",
            Self::Permission => "permission",
            Self::Compile => "compile",
            Self::Lint => "lint",
            Self::Test => "test",
            Self::Conflict => "conflict",
            Self::NoChange => "no_change",
            Self::ToolBroke => "tool_broke",
            Self::Unknown => "unknown",
        }
    }

    /// Nothing that the model could do mends it.
    pub fn is_hard(self) -> bool {
        match self {
            Self::SignIn | Self::DiskFull | Self::OutOfMemory => true,
            Self::RateLimit
            | Self::Network
            | Self::Timeout
            | Self::MissingTool
            | Self::Permission
            | Self::Compile
            | Self::Lint
            | Self::Test
            | Self::Conflict
            | Self::NoChange
            | Self::ToolBroke
            | Self::Unknown => false,
        }
    }

    /// What the model is told.
    pub fn hint(self) -> &'static str {
        match self {
            Self::RateLimit => "The provider limits the rate; wait for the reset.",
            Self::SignIn => "The tool is not signed in; a person has to do that.",
            Self::Network => "The network failed. Do not change code for it; try again.",
            Self::DiskFull => "The disk is full; a person has to make room.",
            Self::OutOfMemory => "Memory ran out. Run fewer things at once.",
            Self::Timeout => {
                "It took too long. Look for a wait that never ends or an input \
                              prompt; run only the tests that concern the change."
            }
            Self::MissingTool => {
                "A program or package is missing. Use what the repository \
                                  declares; do not install anything globally."
            }
            Self::Permission => "A file may not be touched. Stay inside the worktree.",
            Self::Compile => {
                "The code does not compile. Mend the first error; the others may \
                              follow from it."
            }
            Self::Lint => "The linter or formatter objects. Mend what it names; do not silence it.",
            Self::Test => {
                "Tests fail. Read the failing assertion and mend the code; change a \
                           test only if the task asks for it."
            }
            Self::Conflict => {
                "Others have landed changes to the same lines. Read both sides again \
                               and keep what each meant."
            }
            Self::NoChange => {
                "Nothing was changed in the worktree. Make the change with the edit \
                               tools; do not only describe it."
            }
            Self::ToolBroke => "The tool ended unexpectedly. Go on where the worktree stands.",
            Self::Unknown => "The check failed. Read the end of its output and mend the cause.",
        }
    }
}

impl Classified {
    /// A failure whose kind is known.
    pub fn of(class: Class, text: &str) -> Self {
        Self { class, hint: class.hint(), fingerprint: fingerprint(class, text) }
    }
}

/// Words that tell a kind, the telling ones first. All in lower case.
const WORDS: [(Class, &[&str]); 11] = [
    (Class::DiskFull, &["no space left on device", "disk quota exceeded"]),
    (
        Class::OutOfMemory,
        &["out of memory", "cannot allocate memory", "heap limit", "oom-kill", "signal: 9"],
    ),
    (
        Class::RateLimit,
        &["429 too many requests", "rate limit", "rate_limit", "quota exceeded", "usage limit"],
    ),
    (Class::SignIn, &["401 unauthorized", "invalid api key", "please run /login", "not logged in"]),
    (Class::Conflict, &["conflict (content)", "merge conflict", "<<<<<<<"]),
    (
        Class::Compile,
        &[
            "error[e",
            "could not compile",
            "syntaxerror",
            "syntax error",
            "error ts",
            "cannot find symbol",
            "undefined reference",
            "undefined: ",
            "expected ';'",
            "compilation failed",
            "type error",
            "build failed",
        ],
    ),
    (
        Class::Test,
        &[
            "test result: failed",
            "tests failed",
            "test failed",
            "failed tests",
            "failing test",
            "assertionerror",
            "assertion failed",
            "assertion `",
            "--- fail",
            "panicked at",
            " failed, ",
            " failing",
            "= failures =",
        ],
    ),
    (
        Class::Lint,
        &["clippy", "eslint", "prettier", "rustfmt", "would reformat", "ruff", "flake8", "lint"],
    ),
    (
        Class::MissingTool,
        &[
            "command not found",
            ": not found",
            "no such file or directory",
            "modulenotfounderror",
            "cannot find module",
            "could not find a version",
            "unresolved import",
        ],
    ),
    (
        Class::Network,
        &[
            "could not resolve host",
            "connection refused",
            "connection reset",
            "network is unreachable",
            "temporary failure in name resolution",
            "etimedout",
            "502 bad gateway",
            "503 service unavailable",
        ],
    ),
    (Class::Permission, &["permission denied", "operation not permitted", "read-only file system"]),
];

/// The kind of a failure by the words of its output.
pub fn classify(text: &str) -> Classified {
    let lower = text.to_lowercase();
    let found = WORDS.iter().find(|(_, words)| words.iter().any(|word| lower.contains(word)));
    Classified::of(found.map_or(Class::Unknown, |(class, _)| *class), text)
}

/// BLAKE3 over the kind and the text without digits, so that times, counts and addresses do not
/// make two failures of one.
fn fingerprint(class: Class, text: &str) -> String {
    let mut hash = blake3::Hasher::new();
    hash.update(class.name().as_bytes());
    let words: String =
        text.chars().filter(|c| !c.is_ascii_digit() && !c.is_whitespace()).collect();
    hash.update(words.as_bytes());
    hash.finalize().to_hex().chars().take(16).collect()
}
