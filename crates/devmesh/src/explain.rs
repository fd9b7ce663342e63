//! The pages of `devmesh explain`: one for each rejection code, one for each rule.

use devmesh_protocol::Code;
use devmesh_protocol::rulebook::{RULES, Rule};

#[cfg(test)]
mod tests;

/// Characters of a line of a page.
const LINE_CHARS: usize = 88;

macro_rules! pages {
    ($($variant:ident: $file:literal,)*) => {
        /// The page of a code. A new code is one that has no page until it stands here.
        fn of(code: Code) -> &'static str {
            match code {
                $(Code::$variant => include_str!(concat!("explain/", $file)),)*
            }
        }
    };
}

pages! {
    UnknownVerb: "unknown_verb.md",
    BadRequest: "bad_request.md",
    IdExpired: "id_expired.md",
    SeqNotReached: "seq_not_reached.md",
    StoreRefuses: "store_refuses.md",
    AgentNotRegistered: "agent_not_registered.md",
    AgentSuspended: "agent_suspended.md",
    LockConflict: "lock_conflict.md",
    LockTimeout: "lock_timeout.md",
    LockDeadlock: "lock_deadlock.md",
    LeaseExpired: "lease_expired.md",
    StaleToken: "stale_token.md",
    TaskNotFound: "task_not_found.md",
    TaskStateError: "task_state_error.md",
    DependencyError: "dependency_error.md",
    NotOwner: "not_owner.md",
    ReviewRequired: "review_required.md",
    SelfReview: "self_review.md",
    VerificationRequired: "verification_required.md",
    DuplicateChange: "duplicate_change.md",
    NoEdit: "no_edit.md",
    MergeRequired: "merge_required.md",
    FrameworkUnread: "framework_unread.md",
    InsufficientResources: "insufficient_resources.md",
    ToolNotFound: "tool_not_found.md",
    ToolInvokeError: "tool_invoke_error.md",
    BudgetExceeded: "budget_exceeded.md",
    PathOutsideRepo: "path_outside_repo.md",
    LimitExceeded: "limit_exceeded.md",
    NotPermitted: "not_permitted.md",
    InvalidConfig: "invalid_config.md",
}

/// The page of a code or rule by its name; none where there is no such.
pub(crate) fn page(name: &str) -> Option<String> {
    if let Some(code) = Code::ALL.iter().find(|code| code.as_str() == name) {
        let verbs = match code {
            Code::UnknownVerb => {
                let verbs = devmesh_protocol::Verb::NAMES.join(" ");
                let queries = devmesh_protocol::query::Query::NAMES.join(" ");
                format!("\nVerbs: {verbs}\n\nQueries: {queries}\n")
            }
            _ => String::new(),
        };
        return Some(format!("{}{verbs}", of(*code)));
    }
    Some(rule_page(RULES.iter().find(|rule| rule.id == name)?))
}

fn rule_page(rule: &Rule) -> String {
    let codes: Vec<&str> = rule.codes.iter().map(|code| code.as_str()).collect();
    let mut page = format!("# {}\n\n{}\n", rule.id, wrapped(rule.text));
    if let Some(prompt) = rule.prompt {
        page += &format!("\nIn every prompt:\n\n{}\n", wrapped(prompt));
    }
    page += &format!("\n{}\n", wrapped(&format!("For example: {}", rule.example)));
    page += &format!("\nRefuses with: {} (`devmesh explain CODE`)\n", codes.join(", "));
    page + &format!("\nEnforced by {},\nshown by {}\n", rule.enforced_by, rule.tested_by)
}

/// In lines as long as those of the pages that are files.
fn wrapped(text: &str) -> String {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let last = lines.last_mut().expect("there is a line from the start");
        if last.is_empty() {
            last.push_str(word);
        } else if last.chars().count() + 1 + word.chars().count() <= LINE_CHARS {
            last.push(' ');
            last.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines.join("\n")
}

/// Every code and rule with its first sentence.
pub(crate) fn all() -> Vec<(&'static str, String)> {
    let first = |page: &str| page.lines().nth(2).unwrap_or_default().to_owned();
    let codes = Code::ALL.iter().map(|code| (code.as_str(), first(of(*code))));
    codes.chain(RULES.iter().map(|rule| (rule.id, rule.text.to_owned()))).collect()
}
