//! The table: each verb in each state.

use serde_json::json;

use super::Tasks;

pub(super) const QUEUED: &[&str] = &["alice add"];
pub(super) const CLAIMED: &[&str] = &["alice add", "close 1 codex"];
pub(super) const WORKING: &[&str] = &["alice add", "close 1 codex", "codex start 1"];
pub(super) const VERIFIED: &[&str] =
    &["alice add", "close 1 codex", "codex start 1", "codex verify 1"];
pub(super) const REVIEW: &[&str] =
    &["alice add {\"review\":\"person\"}", "close 1 codex", "codex start 1", "codex verify 1"];
pub(super) const LANDING: &[&str] =
    &["alice add", "close 1 codex", "codex start 1", "codex verify 1", "codex begin 1"];
pub(super) const LANDED: &[&str] = &[
    "alice add",
    "close 1 codex",
    "codex start 1",
    "codex verify 1",
    "codex begin 1",
    "codex land 1",
];
const COMPLETED: &[&str] = &[
    "alice add",
    "close 1 codex",
    "codex start 1",
    "codex verify 1",
    "codex begin 1",
    "codex land 1",
    "codex complete 1",
];
const FAILED: &[&str] =
    &["alice add {\"max_attempts\":1}", "close 1 codex", "codex start 1", "codex abandon 1"];
pub(super) const CANCELLED: &[&str] =
    &["alice add", "close 1 codex", "codex start 1", "alice cancel 1"];
const HELD: &[&str] = &["alice add", "alice pause 1"];
pub(super) const FROZEN: &[&str] =
    &["alice add", "close 1 codex", "codex start 1", "alice pause 1"];
const ASKED: &[&str] =
    &["alice add", "close 1 codex", "codex start 1", "codex ask 1 {\"wait_s\":60}"];
/// Behind a task that was cancelled.
const BLOCKED: &[&str] = &["alice add", "alice add {\"depends_on\":[\"t-1\"]}", "alice cancel 1"];
/// In line for the turn that another has.
const IN_LINE: &[&str] = &[
    "alice add",
    "alice add",
    "close 2 claude",
    "claude start 2",
    "claude verify 2",
    "claude begin 2",
    "close 1 codex",
    "codex start 1",
    "codex verify 1",
    "codex begin 1",
];

/// `yes`: events; `no`: `TASK_STATE_ERROR`; `stale`, `proof`, `review`: the codes; `same`: the
/// answer that it got before, and no event.
fn came(tasks: &mut Tasks, step: &str) -> &'static str {
    match tasks.step(step).as_str() {
        "nothing" => "same",
        "TASK_STATE_ERROR" => "no",
        "STALE_TOKEN" => "stale",
        "VERIFICATION_REQUIRED" => "proof",
        "REVIEW_REQUIRED" => "review",
        "NOT_OWNER" => "owner",
        other if other.chars().all(|c| c.is_uppercase() || c == '_') => panic!("{step}: {other}"),
        _ => "yes",
    }
}

#[track_caller]
fn row(given: &[&str], number: u64, verbs: &str) {
    let before = Tasks::after_all(given);
    for cell in verbs.split_whitespace() {
        let (verb, expect) = cell.split_once('=').expect("verb=expect");
        let who = match verb {
            "pause" | "resume" | "cancel" | "retry" | "edit" | "revert" | "approve" | "reject"
            | "say" => "alice",
            _ => "codex",
        };
        let mut tasks = before.clone();
        let step = format!("{who} {verb} {number}");
        assert_eq!(came(&mut tasks, &step), expect, "{step} after {given:?}");
    }
    for (_, verb) in VERBS {
        assert!(verbs.contains(&format!("{verb}=")), "{verb} has no case after {given:?}");
    }
}

/// The steps, and the verbs they send.
const VERBS: [(&str, &str); 17] = [
    ("task.start", "start"),
    ("task.progress", "progress"),
    ("task.verified", "verify"),
    ("task.ask", "ask"),
    ("task.review", "approve"),
    ("task.review", "reject"),
    ("land.begin", "begin"),
    ("land.end", "land"),
    ("task.complete", "complete"),
    ("task.fail", "fail"),
    ("task.abandon", "abandon"),
    ("task.pause", "pause"),
    ("task.resume", "resume"),
    ("task.cancel", "cancel"),
    ("task.retry", "retry"),
    ("task.edit", "edit"),
    ("task.revert", "revert"),
];

#[test]
fn queued() {
    row(
        QUEUED,
        1,
        "bid=same start=stale progress=stale verify=stale ask=no approve=no reject=no
        begin=stale land=stale complete=stale fail=stale abandon=stale
        pause=yes resume=no cancel=yes retry=no edit=yes revert=no say=yes",
    );
}

#[test]
fn claimed() {
    row(
        CLAIMED,
        1,
        "bid=no start=yes progress=no verify=no ask=no approve=no reject=no
        begin=no land=no complete=no fail=yes abandon=yes
        pause=yes resume=no cancel=yes retry=no edit=no revert=no say=yes",
    );
}

#[test]
fn working() {
    row(
        WORKING,
        1,
        "bid=no start=no progress=yes verify=yes ask=yes approve=no reject=no
        begin=proof land=no complete=proof fail=yes abandon=yes
        pause=yes resume=no cancel=yes retry=no edit=no revert=no say=yes",
    );
}

#[test]
fn verified() {
    row(
        VERIFIED,
        1,
        "bid=no start=no progress=yes verify=yes ask=yes approve=no reject=yes
        begin=yes land=no complete=no fail=yes abandon=yes
        pause=yes resume=no cancel=yes retry=no edit=no revert=no say=yes",
    );
}

#[test]
fn review() {
    row(
        REVIEW,
        1,
        "bid=no start=stale progress=stale verify=stale ask=no approve=yes reject=yes
        begin=stale land=stale complete=stale fail=stale abandon=same
        pause=yes resume=no cancel=yes retry=no edit=no revert=no say=yes",
    );
}

#[test]
fn landing() {
    row(
        LANDING,
        1,
        "bid=no start=no progress=yes verify=no ask=no approve=no reject=no
        begin=no land=yes complete=no fail=yes abandon=yes
        pause=yes resume=no cancel=yes retry=no edit=no revert=no say=yes",
    );
}

#[test]
fn in_line() {
    row(
        IN_LINE,
        1,
        "bid=no start=no progress=yes verify=no ask=no approve=no reject=no
        begin=no land=no complete=no fail=yes abandon=yes
        pause=yes resume=no cancel=yes retry=no edit=no revert=no say=yes",
    );
}

#[test]
fn landed() {
    row(
        LANDED,
        1,
        "bid=no start=no progress=yes verify=no ask=no approve=no reject=no
        begin=no land=same complete=yes fail=no abandon=no
        pause=yes resume=no cancel=no retry=no edit=no revert=no say=yes",
    );
}

#[test]
fn completed() {
    row(
        COMPLETED,
        1,
        "bid=no start=stale progress=stale verify=stale ask=no approve=no reject=no
        begin=stale land=same complete=same fail=stale abandon=stale
        pause=no resume=no cancel=no retry=no edit=no revert=yes say=yes",
    );
}

#[test]
fn failed() {
    row(
        FAILED,
        1,
        "bid=no start=stale progress=stale verify=stale ask=no approve=no reject=no
        begin=stale land=stale complete=stale fail=stale abandon=same
        pause=no resume=no cancel=no retry=yes edit=yes revert=no say=yes",
    );
}

#[test]
fn cancelled() {
    row(
        CANCELLED,
        1,
        "bid=no start=stale progress=stale verify=stale ask=no approve=no reject=no
        begin=stale land=stale complete=stale fail=stale abandon=stale
        pause=no resume=no cancel=no retry=yes edit=yes revert=no say=yes",
    );
}

#[test]
fn held() {
    row(
        HELD,
        1,
        "bid=no start=stale progress=stale verify=stale ask=no approve=no reject=no
        begin=stale land=stale complete=stale fail=stale abandon=stale
        pause=no resume=yes cancel=yes retry=no edit=yes revert=no say=yes",
    );
}

#[test]
fn frozen() {
    row(
        FROZEN,
        1,
        "bid=no start=no progress=yes verify=yes ask=yes approve=no reject=no
        begin=no land=no complete=no fail=yes abandon=yes
        pause=no resume=yes cancel=yes retry=no edit=no revert=no say=yes",
    );
}

#[test]
fn asked() {
    row(
        ASKED,
        1,
        "bid=no start=no progress=yes verify=yes ask=no approve=no reject=no
        begin=no land=no complete=no fail=yes abandon=yes
        pause=yes resume=no cancel=yes retry=no edit=no revert=no say=yes",
    );
}

#[test]
fn blocked() {
    row(
        BLOCKED,
        2,
        "bid=no start=stale progress=stale verify=stale ask=no approve=no reject=no
        begin=stale land=stale complete=stale fail=stale abandon=stale
        pause=yes resume=no cancel=yes retry=no edit=yes revert=no say=yes",
    );
}

#[test]
fn the_names_of_states() {
    for (given, number, name) in [
        (QUEUED, 1, "queued"),
        (CLAIMED, 1, "claimed"),
        (WORKING, 1, "working"),
        (VERIFIED, 1, "verifying"),
        (REVIEW, 1, "review"),
        (LANDING, 1, "landing"),
        (IN_LINE, 1, "landing"),
        (LANDED, 1, "landing"),
        (COMPLETED, 1, "completed"),
        (FAILED, 1, "failed"),
        (CANCELLED, 1, "cancelled"),
        (HELD, 1, "paused"),
        (FROZEN, 1, "paused"),
        (ASKED, 1, "blocked"),
        (BLOCKED, 2, "blocked"),
    ] {
        assert_eq!(Tasks::after_all(given).state(number), name, "{given:?}");
    }
}

/// A refusal names the state and what it would take, and that is what it does take.
#[test]
fn what_is_said_to_be_possible_is() {
    let states =
        [QUEUED, CLAIMED, WORKING, VERIFIED, REVIEW, LANDING, LANDED, FAILED, HELD, FROZEN, ASKED];
    for given in states {
        let mut tasks = Tasks::after_all(given);
        let body = serde_json::json!({ "task": "t-1" });
        let refused = tasks.world.send("alice", "task.revert", body).unwrap_err();
        assert_eq!(refused.details["state"], tasks.state(1));
        let allowed: Vec<&str> = refused.details["allowed"]
            .as_array()
            .unwrap()
            .iter()
            .map(|v| v.as_str().unwrap())
            .collect();
        assert!(!allowed.is_empty() && refused.message.contains(allowed[0]));
        for (verb, step) in VERBS {
            let people = verb.starts_with("task.re") || ["pause", "cancel", "edit"].contains(&step);
            let who = if people { "alice" } else { "codex" };
            let mut tasks = Tasks::after_all(given);
            let came = came(&mut tasks, &format!("{who} {step} 1"));
            if !allowed.contains(&verb) {
                assert!(!matches!(came, "yes"), "{verb} after {given:?}: {came}");
            } else if verb != "task.review" {
                assert!(!matches!(came, "no" | "stale"), "{verb} after {given:?}: {came}");
            }
        }
    }
}

/// Nobody else's token, and nobody else.
#[test]
fn only_its_own_worker_reports() {
    let given = ["alice add", "close 1 codex", "codex start 1", "codex verify 1"];
    for verb in ["start", "progress", "verify", "complete", "fail", "abandon", "begin", "land"] {
        for (step, expect) in [
            (format!("claude {verb} 1"), "NOT_OWNER"),
            (format!("alice {verb} 1"), "NOT_OWNER"),
            (format!("claude {verb} 1 {{\"token\":1}}"), "STALE_TOKEN"),
            (format!("codex {verb} 1 {{\"token\":1}}"), "STALE_TOKEN"),
            (format!("codex {verb} 1 {{\"attempt\":2}}"), "STALE_TOKEN"),
            (format!("codex {verb} 1 {{\"session\":\"other\"}}"), "AGENT_NOT_REGISTERED"),
            (format!("codex {verb} 1 {{\"session\":\"other\",\"token\":1}}"), "STALE_TOKEN"),
            (format!("codex {verb} 9"), "TASK_NOT_FOUND"),
        ] {
            super::check(&given, &step, expect);
        }
    }
    super::check(&given, "claude ask 1", "NOT_OWNER");
    super::check(&given, "alice ask 1", "AGENT_NOT_REGISTERED");
}

#[test]
fn only_people_hold_and_end() {
    for verb in ["pause", "resume", "cancel", "retry", "edit", "revert"] {
        super::check(&["alice add"], &format!("codex {verb} 1"), "NOT_PERMITTED");
        super::check(&["alice add"], &format!("nobody {verb} 1"), "NOT_PERMITTED");
        super::check(&["alice add"], &format!("alice {verb} 9"), "TASK_NOT_FOUND");
    }
}

/// A refusal names what is possible and nothing else.
#[test]
fn a_refusal_names_all_that_is_possible() {
    let allowed = |given: &[&str]| {
        let mut tasks = Tasks::after_all(given);
        let refused = tasks.world.send("alice", "task.retry", json!({ "task": "t-1" }));
        let allowed = refused.unwrap_err().details["allowed"].clone();
        let allowed: Vec<String> = serde_json::from_value(allowed).unwrap();
        allowed.join(" ")
    };
    let queued = "task.bid task.pause task.cancel task.edit task.say";
    assert_eq!(allowed(QUEUED), queued);
    let landed = "task.progress task.complete task.pause task.say";
    assert_eq!(allowed(LANDED), landed);
}
