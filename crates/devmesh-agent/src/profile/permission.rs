//! What a tool may do on its own, and which of that a run gets.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Profile;

/// What a tool may do on its own; the narrower first.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize, clap::ValueEnum,
)]
#[serde(rename_all = "snake_case")]
pub enum Permission {
    /// Read and answer: what it would ask a person for is refused, for nobody is there to ask.
    Ask,
    /// Edit files of the worktree.
    Edit,
    /// Everything, inside the tool's own sandbox.
    Sandbox,
    /// Everything. Only when the user's own configuration says so.
    Full,
}

/// What a permission mode means to a tool.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PermissionArgs {
    /// Its arguments.
    #[serde(default)]
    pub args: Vec<String>,
    /// Its variables.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Its files.
    #[serde(default)]
    pub files: BTreeMap<String, String>,
}

impl Permission {
    /// Its name in configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ask => "ask",
            Self::Edit => "edit",
            Self::Sandbox => "sandbox",
            Self::Full => "full",
        }
    }
}

impl Profile {
    /// The mode that a run gets: of what the tool has, the widest that is no wider than `wanted`.
    /// Where nothing is said: the tool's own sandbox, else edits.
    ///
    /// # Errors
    /// In words, where the tool has no such mode.
    pub fn permission_for(&self, wanted: Option<Permission>) -> Result<Permission, String> {
        let most = wanted.unwrap_or(Permission::Sandbox);
        if self.permissions.is_empty() {
            return Ok(wanted.unwrap_or(Permission::Edit));
        }
        // Nobody who lets a tool edit wants one that cannot.
        let least = most.min(Permission::Edit);
        let within = self.permissions.keys().filter(|mode| (least..=most).contains(mode));
        within.max().copied().ok_or_else(|| {
            let has: Vec<&str> = self.permissions.keys().map(|mode| mode.name()).collect();
            let has = has.join(" and ");
            format!("it knows the permission modes {has} alone, and may get {}", most.name())
        })
    }
}
