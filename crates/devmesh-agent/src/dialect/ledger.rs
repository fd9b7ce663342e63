//! What of a tool's numbers is new: some count over all resumes of a session, some by run.

use super::{Scope, Usage};

/// What a run used beyond what is booked for its session already. The scopes of the tools differ:
/// codex counts tokens over resumes, claude counts money so but tokens per run.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct Ledger {
    input_tokens: u64,
    output_tokens: u64,
    cost_micros: u64,
}

impl Ledger {
    /// The part of `usage` that is new; remembers the session's sums.
    pub fn book(&mut self, usage: &Usage) -> Usage {
        let tokens = usage.tokens_scope;
        Usage {
            input_tokens: beyond(usage.input_tokens, tokens, &mut self.input_tokens),
            output_tokens: beyond(usage.output_tokens, tokens, &mut self.output_tokens),
            cost_micros: beyond(usage.cost_micros, usage.cost_scope, &mut self.cost_micros),
            tokens_scope: Scope::Step,
            cost_scope: Scope::Step,
        }
    }
}

fn beyond(now: Option<u64>, scope: Scope, booked: &mut u64) -> Option<u64> {
    let now = now?;
    Some(match scope {
        Scope::Step => now,
        Scope::Session => {
            // A sum that shrank is a new count: some versions count per run.
            let new = now.checked_sub(*booked).unwrap_or(now);
            *booked = now;
            new
        }
    })
}
