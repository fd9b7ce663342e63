//! The four lock modes and the one table of which go together.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How a lease holds a path.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Reads it, and wants it not to change meanwhile.
    Read,
    /// Means to write it: keeps other writers out before the first edit.
    Intent,
    /// Writes it together with others; whoever lands second merges.
    CoWrite,
    /// Writes it alone.
    Write,
}

impl Mode {
    /// All modes, in the order of the table.
    pub const ALL: [Mode; 4] = [Mode::Read, Mode::Intent, Mode::CoWrite, Mode::Write];

    /// Whether two holders may hold overlapping paths in these modes. Symmetric.
    pub fn is_compatible(self, other: Mode) -> bool {
        use Mode::{CoWrite, Intent, Read};
        matches!(
            (self, other),
            (Read, Read | Intent | CoWrite) | (Intent | CoWrite, Read) | (CoWrite, CoWrite)
        )
    }

    /// Whether a holder in this mode has all that the other gives: it may do as much and keeps
    /// as many others out. Asking for a covered mode returns the lease that is held.
    pub fn covers(self, other: Mode) -> bool {
        let writes = |mode| matches!(mode, Mode::Write | Mode::CoWrite);
        let excludes_as_much =
            Mode::ALL.iter().all(|m| self.is_compatible(*m) <= other.is_compatible(*m));
        excludes_as_much && writes(self) >= writes(other)
    }

    /// The mode in which a request of this mode takes a path together with others.
    pub fn shared(self) -> Mode {
        match self {
            Mode::Read => Mode::Read,
            Mode::Intent | Mode::CoWrite | Mode::Write => Mode::CoWrite,
        }
    }

    /// The name as on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Mode::Read => "read",
            Mode::Intent => "intent",
            Mode::CoWrite => "co_write",
            Mode::Write => "write",
        }
    }

    /// The table as Markdown, as the README and the help show it.
    pub fn table() -> String {
        let mut text = String::from("| |");
        for mode in Mode::ALL {
            text += &format!(" {mode} |");
        }
        text += "\n|---|---|---|---|---|\n";
        for row in Mode::ALL {
            text += &format!("| **{row}** |");
            for column in Mode::ALL {
                text += if row.is_compatible(column) { " yes |" } else { " no |" };
            }
            text += "\n";
        }
        text
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests;
