//! The pages of `devmesh explain`: one for each rejection code, one for each rule.

use devmesh_protocol::Code;
use devmesh_protocol::rulebook::RULES;

#[cfg(test)]
mod tests;

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
    let rule = RULES.iter().find(|rule| rule.id == name)?;
    Some(format!("# {}\n\n{}\n\nEnforced by {}.\n", rule.id, rule.text, rule.enforced_by))
}

/// Every code and rule with its first sentence.
pub(crate) fn all() -> Vec<(&'static str, String)> {
    let first = |page: &str| page.lines().nth(2).unwrap_or_default().to_owned();
    let codes = Code::ALL.iter().map(|code| (code.as_str(), first(of(*code))));
    codes.chain(RULES.iter().map(|rule| (rule.id, rule.text.to_owned()))).collect()
}
