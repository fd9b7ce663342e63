//! The rulebook: what every agent is told when it joins, what of it its model reads, and where
//! each rule is enforced.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::reply::Code;

#[cfg(test)]
mod tests;

/// The version of the rules below. Another text is another version.
pub const VERSION: u32 = 2;

/// One rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// `R01` …
    pub id: &'static str,
    /// What agents are told.
    pub text: &'static str,
    /// What stands in every prompt; none where the rule binds the agent's process, and its model
    /// could neither keep nor break it.
    pub prompt: Option<&'static str>,
    /// The one function that enforces it.
    pub enforced_by: &'static str,
    /// The test that sees it refuse.
    pub tested_by: &'static str,
    /// What whoever breaks it is answered.
    pub codes: &'static [Code],
    /// It at work, for `devmesh explain`.
    pub example: &'static str,
}

/// The rulebook as sent at `agent.join`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RulebookView {
    /// The version of the rules.
    pub version: u32,
    /// The rules' texts, by id.
    pub rules: BTreeMap<String, String>,
    /// What of them stands in every prompt, word for word, by id.
    #[serde(default)]
    pub prompt: BTreeMap<String, String>,
}

/// All rules.
pub const RULES: &[Rule] = &[
    Rule {
        id: "R01",
        text: "The first agent is the architect and plans goals; when it leaves or drains, the \
               next in line is.",
        prompt: None,
        enforced_by: "devmesh_domain::decide::task::auction::fit::planner",
        tested_by: "devmesh_domain::decide::task::tests::rules::r01_only_the_architect_plans",
        codes: &[Code::NotPermitted],
        example: "codex joined first, so the goal of `devmesh plan` is offered to codex, and a \
                  bid of claude's on it is refused. codex leaves in the middle of it: claude is \
                  the architect and takes it up.",
    },
    Rule {
        id: "R02",
        text: "Work on a goal waits until its framework is published.",
        prompt: None,
        enforced_by: "devmesh_domain::state::plan::State::before",
        tested_by: "devmesh_domain::decide::task::tests::rules::r02_work_waits_for_the_framework",
        codes: &[Code::TaskStateError],
        example: "A task that is part of goal t-1 has no auction while t-1 is planned, however \
                  long that takes, and no bid on it is taken.",
    },
    Rule {
        id: "R03",
        text: "Nobody assigns work; the auction does, and its award's token is what counts.",
        prompt: None,
        enforced_by: "devmesh_domain::decide::task::guard::own",
        tested_by: "devmesh_domain::decide::task::tests::rules::r03_nobody_assigns_work",
        codes: &[Code::StaleToken, Code::NotOwner, Code::BadRequest],
        example: "No command has a field for who is to do it. An agent that starts a task \
                  without an award, or with the token of an attempt that is over, is refused, \
                  and so is anybody who reports on another's attempt.",
    },
    Rule {
        id: "R04",
        text: "What you write is leased before it lands; a folder's lease covers all within.",
        prompt: Some(
            "What you change is leased for you, and others wait for it: change what the task \
             needs and nothing else.",
        ),
        enforced_by: "devmesh_domain::decide::lock::admit::admit",
        tested_by: "devmesh_domain::decide::task::tests::rules::r04_a_folder_covers_all_within",
        codes: &[Code::LockConflict],
        example: "alice holds src/ for writing: codex gets neither src/a.rs nor src/deep/b.rs \
                  until she gives it back, and waits in line where it says `wait_ms`. What it \
                  changed without a lease does not land.",
    },
    Rule {
        id: "R05",
        text: "Beat every four seconds, or lose your leases and then your task.",
        prompt: None,
        enforced_by: "devmesh_domain::decide::agent::session::session_silent",
        tested_by: "devmesh_domain::decide::task::tests::rules::r05_silence_costs_leases_then_task",
        codes: &[Code::AgentNotRegistered, Code::StaleToken],
        example: "An agent that is silent for 20 s (the lease's 15 and 5 of grace) loses its \
                  leases; after 30 s its session is over, its task goes to another, and what it \
                  sends when it wakes is refused.",
    },
    Rule {
        id: "R06",
        text: "A task that asks for a review lands only when another has approved it.",
        prompt: None,
        enforced_by: "devmesh_domain::decide::task::attempt::check_evidence",
        tested_by: "devmesh_domain::decide::task::tests::rules::r06_another_has_to_approve",
        codes: &[Code::ReviewRequired, Code::SelfReview],
        example: "A task with `review: agent` is parked when it is proven and given to an agent \
                  that had no part in it. Its author's own approval is refused, and without \
                  another's no turn to land is given.",
    },
    Rule {
        id: "R07",
        text: "Limits of memory, GPU memory and places hold for the whole host.",
        prompt: None,
        enforced_by: "devmesh_domain::decide::agent::host::fits",
        tested_by: "devmesh_domain::decide::task::tests::rules::r07_a_host_gives_what_it_has",
        codes: &[Code::InsufficientResources, Code::AgentSuspended],
        example: "The host's last place is taken: bids of its other agents are refused until \
                  the work ends. An agent that needs more than the host has at all is \
                  suspended with the numbers, and so are the idle agents of a host that is \
                  strained (pressure, a full disk); they go on by themselves when it ends.",
    },
    Rule {
        id: "R08",
        text: "Read the framework before you bid.",
        prompt: Some("Where there is a plan above, work to it."),
        enforced_by: "devmesh_domain::decide::task::auction::fit::unprepared",
        tested_by: "devmesh_domain::decide::task::tests::rules::r08_the_framework_is_read_first",
        codes: &[Code::FrameworkUnread],
        example: "The architect patches the framework: version 2 is unread by everybody, and \
                  each bid is refused until its agent has said that it has read version 2.",
    },
    Rule {
        id: "R09",
        text: "Work is a diff, known by its digest: what lands is what was proven, and the same \
               change twice is refused.",
        prompt: Some(
            "Your work is what differs in this folder when you end, new files included; what \
             you only say is not done.",
        ),
        enforced_by: "devmesh_domain::decide::task::change::check_new",
        tested_by: "devmesh_domain::decide::task::tests::rules::r09_the_same_change_twice",
        codes: &[Code::DuplicateChange, Code::NoEdit, Code::VerificationRequired],
        example: "codex has submitted a change of x.rs; claude submits the same for another \
                  task and is refused with the name of the first. A worktree that is as its \
                  base was is no edit, and a tree that no receipt is about has no turn to land.",
    },
    Rule {
        id: "R10",
        text: "Changes of files and of the mesh are published as events; wait for them. Whoever \
               asks too often is refused, and nobody else.",
        prompt: None,
        enforced_by: "devmesh_bus::intake::queues::Inner::put",
        tested_by: "devmesh_bus::intake::queues::tests::r10_who_asks_too_often_is_refused",
        codes: &[Code::LimitExceeded],
        example: "What an attempt has changed, file by file, goes out with its proof on \
                  devmesh.<mesh>.event.task_verified.<task>, and whoever waits for a path is \
                  answered when it is free. A loop that asks without a pause is refused over its \
                  bound, and others are served in between.",
    },
    Rule {
        id: "R11",
        text: "The worktree is the root: nothing outside it is yours.",
        prompt: Some(
            "Work in the current folder only; leave committing, pushing and branches to devmesh.",
        ),
        enforced_by: "devmesh_protocol::path::RepoPath::new",
        tested_by: "devmesh_domain::decide::task::tests::rules::r11_nothing_outside_is_named",
        codes: &[Code::PathOutsideRepo],
        example: "`devmesh lock acquire ../other` and `/etc/hosts` name nothing in the \
                  repository and are refused before anything else is looked at.",
    },
    Rule {
        id: "R12",
        text: "Finish by yourself; ask only when you are blocked: a question stops the task that \
               it is about, and no other.",
        prompt: Some(
            "Finish by yourself: nobody answers while you work. Say in your last message what \
             you were not sure of.",
        ),
        enforced_by: "devmesh_domain::decide::task::talk::ask",
        tested_by: "devmesh_domain::decide::task::tests::rules::r12_a_question_stops_its_task",
        codes: &[Code::TaskStateError, Code::NotOwner],
        example: "codex asks about t-1: t-1 is blocked, a second question on it is refused, \
                  and nothing of it completes until a person has answered or the default has \
                  come. codex itself is free for t-2.",
    },
    Rule {
        id: "R13",
        text: "The log is the single source of truth.",
        prompt: None,
        enforced_by: "devmesh_domain::decide::agent::check_actor",
        tested_by: "devmesh_domain::decide::task::tests::rules::r13_nobody_else_writes_history",
        codes: &[Code::NotPermitted],
        example: "What only the coordinator decides (a term, a silence, an award) nobody else \
                  can send, not even the administrator. All the rest is decided from the log, \
                  and what is not in it has not happened.",
    },
];

/// The rulebook as sent.
pub fn view() -> RulebookView {
    let by_id = |text: fn(&Rule) -> Option<&'static str>| {
        let told = RULES.iter().filter_map(|rule| Some((rule.id, text(rule)?)));
        told.map(|(id, text)| (id.to_owned(), text.to_owned())).collect()
    };
    let (rules, prompt) = (by_id(|rule| Some(rule.text)), by_id(|rule| rule.prompt));
    RulebookView { version: VERSION, rules, prompt }
}
