//! Planning a goal: the tool answers with a plan, which is checked and published. Nothing in the
//! worktree is kept.

use devmesh_protocol::command::mesh::FrameworkPublish;
use devmesh_protocol::{Code, Verb};

use super::{attempt, ending};
use crate::effect::Effect;
use crate::input::Answer;
use crate::prompt;
use crate::view::{Attempt, Failure, Key, Phase, View};

/// What is kept of what the tool says: its end, where the plan stands.
const WORDS_BYTES_MAX: usize = 512 << 10;

/// What the tool is told of a plan that cannot be taken.
const HINT: &str = "Your answer holds no plan that can be taken. Mend what is said below, and \
                    answer again with the whole JSON object.";

/// The tool said something.
pub(super) fn heard(attempt: &mut Attempt, text: &str) {
    attempt.words.push_str(text);
    attempt.words.push('\n');
    if attempt.words.len() > 2 * WORDS_BYTES_MAX {
        cut(&mut attempt.words);
    }
}

/// Leaves the end of it; whether something was left out.
fn cut(words: &mut String) -> bool {
    let Some(over) = words.len().checked_sub(WORDS_BYTES_MAX).filter(|over| *over > 0) else {
        return false;
    };
    let from = (over..=words.len()).find(|at| words.is_char_boundary(*at));
    words.drain(..from.unwrap_or(over));
    true
}

/// The tool has ended well: its plan is published, or it is told what is wrong with it.
pub(super) fn answered(view: &mut View, key: Key) -> Vec<Effect> {
    let session = view.session.clone();
    let Some(attempt) = view.attempt_of(key) else { return Vec::new() };
    let mut words = std::mem::take(&mut attempt.words);
    let is_cut = cut(&mut words);
    let plan = match prompt::plan_in(&words) {
        Ok(plan) => plan,
        Err(why) if is_cut => {
            let why = format!("{why}; only the last {WORDS_BYTES_MAX} bytes of it were read");
            return again(view, key, &why);
        }
        Err(why) => return again(view, key, &why),
    };
    attempt.phase = Phase::Proposing;
    let publish = FrameworkPublish {
        text: plan.text,
        graph: plan.tasks,
        task: Some(key.task),
        attempt: Some(key.attempt),
        token: Some(attempt.token),
        usage: attempt.usage(),
        repo: None,
    };
    vec![Effect::Send { key, session, verb: Box::new(Verb::FrameworkPublish(publish)) }]
}

/// The tool's next turn, with what is wrong word by word; the same again ends the attempt.
fn again(view: &mut View, key: Key, why: &str) -> Vec<Effect> {
    let failure = Failure {
        class: "plan".to_owned(),
        hint: HINT.to_owned(),
        tail: why.to_owned(),
        fingerprint: format!("plan: {why}"),
        hard: false,
    };
    attempt::retry(view, key, failure)
}

/// What the mesh says to the plan.
pub(super) fn published(view: &mut View, key: Key, answer: Answer) -> Vec<Effect> {
    let rejection = match answer {
        Answer::Done { .. } => return ending::let_go(view),
        Answer::Refused(rejection) => rejection,
    };
    let mendable = matches!(
        rejection.code,
        Code::BadRequest | Code::LimitExceeded | Code::DependencyError | Code::PathOutsideRepo
    );
    match mendable {
        true => again(view, key, &rejection.message),
        // Held, or a question is open: it is planned another time.
        false => attempt::give_back(view, key, &rejection.message, true),
    }
}
