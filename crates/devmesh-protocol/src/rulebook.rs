//! The rulebook: what every agent is told when it joins, and where each rule is enforced.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The version of the rules below.
pub const VERSION: u32 = 1;

/// One rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Rule {
    /// `R01` …
    pub id: &'static str,
    /// What agents are told.
    pub text: &'static str,
    /// The place that enforces it.
    pub enforced_by: &'static str,
}

/// The rulebook as sent at `agent.join`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RulebookView {
    /// The version of the rules.
    pub version: u32,
    /// The rules' texts, by id.
    pub rules: std::collections::BTreeMap<String, String>,
}

/// All rules.
pub const RULES: &[Rule] = &[
    Rule {
        id: "R01",
        text: "The first agent is the architect; when it leaves, the next in line is.",
        enforced_by: "decide: agent.join, agent.leave, agent.drain; the auction of a plan",
    },
    Rule {
        id: "R02",
        text: "Work on a goal waits until its framework is published.",
        enforced_by: "fold: a task is ready when the plan that it is part of is",
    },
    Rule {
        id: "R03",
        text: "Nobody assigns work; the auction does.",
        enforced_by: "decide: task.start takes the award's token",
    },
    Rule {
        id: "R04",
        text: "Lease what you write before you write it; a folder's lease covers all within.",
        enforced_by: "decide: lock.acquire; the gate at landing",
    },
    Rule {
        id: "R05",
        text: "Beat every four seconds, or lose your leases and then your task.",
        enforced_by: "decide: session silence",
    },
    Rule {
        id: "R06",
        text: "A task that asks for a review lands only when another has approved it.",
        enforced_by: "decide: land.begin, task.review",
    },
    Rule {
        id: "R07",
        text: "Limits of memory, GPU memory and places hold for the whole host.",
        enforced_by: "decide: the award's reservation",
    },
    Rule { id: "R08", text: "Read the framework before you bid.", enforced_by: "decide: task.bid" },
    Rule {
        id: "R09",
        text: "Work is a diff, known by the digest of its tree.",
        enforced_by: "decide: land.begin compares tree and receipt",
    },
    Rule {
        id: "R10",
        text: "Changes are published as events; nothing polls.",
        enforced_by: "coordinator: live notices",
    },
    Rule {
        id: "R11",
        text: "The worktree is the root: nothing outside it is yours.",
        enforced_by: "protocol: paths are relative; agent: slots",
    },
    Rule {
        id: "R12",
        text: "Finish by yourself; ask only when you are blocked.",
        enforced_by: "decide: task.ask blocks the task alone",
    },
    Rule {
        id: "R13",
        text: "The log is the single source of truth.",
        enforced_by: "fold: state has no other input",
    },
];

/// The rulebook as sent.
pub fn view() -> RulebookView {
    let rules = RULES.iter().map(|rule| (rule.id.to_owned(), rule.text.to_owned())).collect();
    RulebookView { version: VERSION, rules }
}
