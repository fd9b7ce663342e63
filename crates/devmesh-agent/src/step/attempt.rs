//! An attempt on its way: looked up, started, prepared, run, captured, leased, verified.

use devmesh_protocol::command::lock::Acquire;
use devmesh_protocol::command::task::{
    Abandon, Flow, LandBegin, Phase as ToldPhase, Progress, Receipt, ReviewBy, Start,
    Verdict as Told, Verified,
};
use devmesh_protocol::limits::{LINE_CHARS_MAX, PATHS_MAX, WAIT_MS_MAX};
use devmesh_protocol::{Code, Mode, Rejection, RepoPath, SessionId, Verb};

use super::tool::{failure_from, failure_of, progress};
use super::{ending, landing, learned, plan, share};
use crate::classify::{Class, Classified};
use crate::clock::Now;
use crate::effect::Effect;
use crate::guard;
use crate::input::{Answer, Captured, Prepared, Refreshed, Unable};
use crate::prompt::Lore;
use crate::verify::Verdict;
use crate::view::{Attempt, Failure, Job, Key, Phase, View};

/// Refusals of one set of leases before the attempt is given back.
const LEASE_REFUSALS_MAX: u32 = 20;
/// Names shown of what cannot land.
const NAMES_MAX: usize = 10;

pub(super) fn begin(view: &mut View, attempt: Attempt) -> Vec<Effect> {
    let key = attempt.key;
    let seen = attempt.token;
    view.attempt = Some(attempt);
    vec![Effect::LookUp { key, seen }]
}

pub(super) fn looked_up(view: &mut View, key: Key, job: Result<Box<Job>, Unable>) -> Vec<Effect> {
    let session = view.session.clone();
    let Some(attempt) = view.attempt_of(key).filter(|it| it.phase == Phase::Looking) else {
        return Vec::new();
    };
    match job {
        Ok(job) => {
            let base_commit = Some(job.base_commit.clone());
            // What was parked comes back with its evidence.
            let own = job.task.attempt.as_ref().filter(|it| it.attempt == key.attempt);
            if let (None, Some(own)) = (&attempt.receipt, own) {
                attempt.receipt.clone_from(&own.receipt);
            }
            attempt.job = Some(*job);
            if attempt.adopted {
                return prepare(view, key);
            }
            attempt.phase = Phase::Starting;
            let (task, number, token) = (key.task, key.attempt, attempt.token);
            let start = Start { task, attempt: number, token, base_commit };
            vec![Effect::Send { key, session, verb: Box::new(Verb::TaskStart(start)) }]
        }
        // Nobody can do it as things stand; another host may have what this one lacks.
        Err(Unable::Base(why)) => ending::fail(view, key, failure_of("base", &why, false)),
        Err(Unable::Place(why) | Unable::Setup(why) | Unable::Unheard(why)) => {
            give_back(view, key, &why, true)
        }
    }
}

fn prepare(view: &mut View, key: Key) -> Vec<Effect> {
    let lore = Lore { rules: view.rules.clone(), framework: view.framework.clone() };
    let Some(attempt) = view.attempt_of(key) else { return Vec::new() };
    let Some(job) = attempt.job.clone() else { return Vec::new() };
    attempt.phase = Phase::Preparing;
    if attempt.plans() {
        return vec![Effect::PreparePlan { key, job: Box::new(job), lore }];
    }
    vec![Effect::Prepare { key, job: Box::new(job), lore }]
}

/// A command about the attempt was answered; which one, its phase tells.
pub(super) fn answered(
    view: &mut View,
    key: Key,
    verb: &'static str,
    answer: Answer,
) -> Vec<Effect> {
    let Some(attempt) = view.attempt_of(key) else { return Vec::new() };
    if let Answer::Refused(rejection) = &answer
        && is_over(rejection)
    {
        // Somebody else has the task, or nobody: this attempt lands nothing.
        return ending::let_go(view);
    }
    match (&attempt.phase, verb) {
        (Phase::Starting, "task.start") => match answer {
            Answer::Done { .. } => prepare(view, key),
            Answer::Refused(_) => ending::let_go(view),
        },
        (Phase::Leasing { .. }, "lock.acquire") => leased(view, key, answer),
        (Phase::Announcing, "task.progress") => verify(attempt),
        (Phase::Proposing, "framework.publish") => plan::published(view, key, answer),
        (Phase::Telling, "task.verified") => verdict_told(view, key, answer),
        (Phase::Queueing, "land.begin") => landing::began(view, key, answer),
        (Phase::Yielding(_), "land.end") => landing::yielded(view, key, answer),
        _ => Vec::new(),
    }
}

/// Whether a refusal says that the attempt is somebody else's, or nobody's.
fn is_over(rejection: &Rejection) -> bool {
    // Only the wait has ended, with the leases or the session it hung on; those are asked for anew.
    let wait_alone = rejection.details.get("why").is_some_and(|why| why == "ended");
    match rejection.code {
        Code::StaleToken => !wait_alone,
        Code::AgentNotRegistered | Code::TaskNotFound | Code::NotPermitted => true,
        _ => false,
    }
}

pub(super) fn prepared(
    view: &mut View,
    now: Now,
    key: Key,
    place: Result<Box<Prepared>, Unable>,
) -> Vec<Effect> {
    let Some(attempt) = view.attempt_of(key).filter(|it| it.phase == Phase::Preparing) else {
        return Vec::new();
    };
    let prepared = match place {
        Ok(prepared) => *prepared,
        Err(Unable::Setup(why)) => {
            return ending::fail(view, key, failure_of("setup", &why, false));
        }
        // The host's trouble is nobody's failure; it has been waited out in vain.
        Err(unable) => return give_back(view, key, unable.why(), true),
    };
    attempt.saved_ms = now.ms;
    attempt.said = attempt.said.max(prepared.said);
    attempt.place = Some(prepared.place);
    attempt.conflicts = prepared.conflicts;
    // Work that was proven before its process died, or before it had to wait, goes on to land.
    let proven = match (&attempt.receipt, &prepared.work) {
        (Some(receipt), Some(work)) => receipt.tree == work.tree && receipt.verdict != Told::Failed,
        _ => false,
    };
    if proven && let Some(work) = prepared.work {
        let paths = work.changed.clone();
        attempt.work = Some(work);
        return lease(view, key, paths, true);
    }
    attempt.receipt = None;
    if attempt.turn.is_some() {
        return landing::give_turn_back(view, key);
    }
    let own_verify = attempt.job.as_ref().is_some_and(|job| job.task.verify != job.repo.verify);
    let continues = attempt.place.as_ref().is_some_and(|place| place.continues);
    if own_verify || continues || attempt.plans() {
        return run_first(view, key);
    }
    attempt.phase = Phase::ProvingBase;
    vec![Effect::ProveBase { key }]
}

/// On a base that fails by itself no attempt is spent.
pub(super) fn base_proven(view: &mut View, key: Key, red: Option<String>) -> Vec<Effect> {
    let Some(attempt) = view.attempt_of(key).filter(|it| it.phase == Phase::ProvingBase) else {
        return Vec::new();
    };
    if red.is_none() {
        return run_first(view, key);
    }
    let job = attempt.job.as_ref().map(|job| (job.repo.repo.clone(), job.base_commit.clone()));
    view.red.extend(job);
    let tail = red.unwrap_or_default();
    let failure = failure_of("base_red", &tail, false);
    ending::fail(view, key, failure)
}

pub(super) fn run_first(view: &mut View, key: Key) -> Vec<Effect> {
    let Some(attempt) = view.attempt_of(key) else { return Vec::new() };
    let Some(place) = &attempt.place else { return Vec::new() };
    let prompt = match attempt.conflicts.as_slice() {
        [] => place.prompt.clone(),
        left => crate::prompt::again(&place.prompt, &crate::prompt::conflict(left)),
    };
    attempt.phase = Phase::Running;
    attempt.done = None;
    attempt.words.clear();
    // A session belongs to its worktree and host; only one of this very slot is continued.
    let tool_session = attempt.tool_session.clone().filter(|_| attempt.adopted);
    vec![Effect::Run { key, prompt, session: tool_session }]
}

/// The tool's next turn in the same session, or with the task again where it cannot resume.
pub(super) fn run_again(view: &mut View, key: Key, news: &str) -> Vec<Effect> {
    let resumes = view.me.resumes;
    let Some(attempt) = view.attempt_of(key) else { return Vec::new() };
    let Some(place) = &attempt.place else { return Vec::new() };
    let tool_session = attempt.tool_session.clone().filter(|_| resumes);
    let news = &crate::prompt::beside(news, &std::mem::take(&mut attempt.asides));
    let prompt = match &tool_session {
        Some(_) => news.clone(),
        None => crate::prompt::again(&place.prompt, news),
    };
    attempt.phase = Phase::Running;
    attempt.done = None;
    attempt.words.clear();
    attempt.receipt = None;
    vec![Effect::Run { key, prompt, session: tool_session }]
}

/// A failure that the model may mend is told to it; hard or repeated ones end the attempt.
pub(super) fn retry(view: &mut View, key: Key, failure: Failure) -> Vec<Effect> {
    let retries_max = view.me.retries_max;
    let Some(attempt) = view.attempt_of(key) else { return Vec::new() };
    let repeated = attempt.failed_as.as_deref() == Some(&failure.fingerprint);
    if failure.hard || repeated || attempt.retries >= retries_max {
        // A failed verification has been told and has cost a try already.
        let told = attempt.receipt.as_ref().is_some_and(|it| it.verdict == Told::Failed);
        if told && !failure.hard {
            return give_back(view, key, &format!("given up on: {}", failure.class), true);
        }
        if failure.class == Class::Conflict.name() {
            // What others have landed is nobody's failure; who has the task next resolves it.
            let paths = failure.tail.lines().collect::<Vec<_>>().join(", ");
            return give_back(view, key, &format!("conflicts left in {paths}"), true);
        }
        return ending::fail(view, key, failure);
    }
    attempt.retries += 1;
    attempt.failed_as = Some(failure.fingerprint.clone());
    let prompt = crate::prompt::retry(&failure.class, &failure.hint, &failure.tail);
    run_again(view, key, &prompt)
}

pub(super) fn captured(
    view: &mut View,
    key: Key,
    captured: Result<Captured, String>,
) -> Vec<Effect> {
    if view.attempt_of(key).is_none_or(|it| it.phase != Phase::Capturing) {
        return Vec::new();
    }
    match captured {
        Ok(captured) => captured_work(view, key, captured),
        Err(reason) => ending::fail(view, key, failure_of("capture", &reason, false)),
    }
}

fn captured_work(view: &mut View, key: Key, captured: Captured) -> Vec<Effect> {
    let session = view.session.clone();
    let Some(attempt) = view.attempt_of(key) else { return Vec::new() };
    if !captured.unresolved.is_empty() {
        let tail = captured.unresolved.join("\n");
        let classified = Classified::of(Class::Conflict, &tail);
        return retry(view, key, failure_from(&classified, &tail));
    }
    if !captured.change.commands.is_empty() {
        // Nothing of it is run, and nothing undone: it may have been a person.
        let names = captured.change.commands.join(", ");
        let text = format!(
            "while the attempt ran, .git/config was changed so that git runs something else: \
             {names}; look at it, and retry the task"
        );
        return ending::fail(view, key, failure_of("git_config", &text, true));
    }
    let mut effects = warn(attempt, session, &captured.change.files);
    if let Some(failure) = cannot_land(&captured) {
        effects.extend(retry(view, key, failure));
        return effects;
    }
    let Some(work) = captured.work else {
        let classified = Classified::of(Class::NoChange, "");
        let tail = attempt.last_message.clone();
        effects.extend(retry(view, key, failure_from(&classified, &tail)));
        return effects;
    };
    attempt.conflicts.clear();
    let paths = work.changed.clone();
    attempt.work = Some(work);
    effects.extend(lease(view, key, paths, false));
    effects
}

/// Says that files of the repository's own were changed while the attempt ran.
fn warn(attempt: &Attempt, session: SessionId, files: &[String]) -> Vec<Effect> {
    if files.is_empty() {
        return Vec::new();
    }
    let text = format!("changed in .git while the attempt ran: {}", files.join(", "));
    let message = Some(crate::text::head(&text, LINE_CHARS_MAX));
    let progress = Progress { message, ..progress(attempt) };
    vec![Effect::Tell { session, verb: Box::new(Verb::TaskProgress(progress)) }]
}

/// A setup or verify command waits for a place. Told once, for it may wait for as long as others
/// build; the wait counts for no limit.
pub(super) fn build_waits(view: &mut View, key: Key, holders: &[String]) -> Vec<Effect> {
    let session = view.session.clone();
    let Some(attempt) = view.attempt_of(key) else { return Vec::new() };
    let behind = if holders.is_empty() { "others".to_owned() } else { holders.join(", ") };
    let text = format!("waits to build on this host (DEVMESH_BUILD_SLOTS), behind {behind}");
    let message = Some(crate::text::head(&text, LINE_CHARS_MAX));
    let progress = Progress { message, ..progress(attempt) };
    vec![Effect::Tell { session, verb: Box::new(Verb::TaskProgress(progress)) }]
}

/// Names and folders that git or a lease has no room for; the model can choose others.
fn cannot_land(captured: &Captured) -> Option<Failure> {
    let names = |names: &[String]| {
        let some: Vec<&str> = names.iter().take(NAMES_MAX).map(String::as_str).collect();
        let more = if names.len() > NAMES_MAX { " and more" } else { "" };
        format!("{}{more}", some.join(", "))
    };
    if !captured.nested.is_empty() {
        let tail = format!("a git repository of its own stands in {}", names(&captured.nested));
        let hint = "A repository within the repository cannot land: only a pointer to it would. \
                    Remove the .git folder in it where its files are to land as files of this \
                    repository, or remove the folder.";
        return Some(Failure {
            hint: hint.into(),
            ..failure_of("nested_repository", &tail, false)
        });
    }
    if !captured.submodules.is_empty() {
        let tail = format!("the submodule {} was changed within", names(&captured.submodules));
        let hint = "A submodule lands as a pointer to a commit that others can fetch, and nothing \
                    else of it: the check would pass here and fail where it lands. Undo what was \
                    changed in it, and change files of this repository instead.";
        return Some(Failure { hint: hint.into(), ..failure_of("submodule", &tail, false) });
    }
    if captured.unnamable.is_empty() {
        return None;
    }
    let tail = format!("no lease can name {}", names(&captured.unnamable));
    let hint = "A name must be UTF-8 without control characters (line breaks among them) and \
                without backslashes. Rename or remove the file.";
    Some(Failure { hint: hint.into(), ..failure_of("path", &tail, false) })
}

/// Asks for a writing lease on each path, as many at a time as one request takes.
pub(super) fn lease(view: &mut View, key: Key, paths: Vec<String>, verified: bool) -> Vec<Effect> {
    let (session, wait_ms) = (view.session.clone(), view.me.lease_wait_ms);
    let ttl_ms = Some(view.me.ttl_ms);
    let Some(attempt) = view.attempt_of(key) else { return Vec::new() };
    let rest: Vec<String> =
        paths.into_iter().filter(|path| !attempt.leased.contains(path)).collect();
    if rest.is_empty() {
        return match (verified, attempt.unfresh) {
            (true, _) => to_land(view, key),
            (false, true) => refresh(attempt),
            (false, false) => announce(attempt, session),
        };
    }
    let some = rest.iter().take(PATHS_MAX);
    let paths: Vec<RepoPath> = some.filter_map(|path| RepoPath::new(path).ok()).collect();
    let repo = attempt.job.as_ref().map(|job| job.repo.repo.clone());
    let acquire = Acquire {
        paths,
        mode: Mode::Write,
        repo,
        task: Some(key.task),
        ttl_ms,
        wait_ms: Some(wait_ms),
        share: None,
        reason: None,
    };
    let refused = match attempt.phase {
        Phase::Leasing { refused, .. } => refused,
        _ => 0,
    };
    attempt.phase = Phase::Leasing { rest, refused, verified };
    vec![Effect::Send { key, session, verb: Box::new(Verb::LockAcquire(acquire)) }]
}

fn leased(view: &mut View, key: Key, answer: Answer) -> Vec<Effect> {
    let Some(attempt) = view.attempt_of(key) else { return Vec::new() };
    let Phase::Leasing { rest, refused, verified } = &mut attempt.phase else {
        return Vec::new();
    };
    let verified = *verified;
    match answer {
        Answer::Done { result, .. } => {
            attempt.asides.extend(share::with_whom(&result));
            let taken = PATHS_MAX.min(rest.len());
            let paths: Vec<String> = rest.drain(..taken).collect();
            let rest = std::mem::take(rest);
            *refused = 0;
            attempt.leased.extend(paths);
            attempt.unfresh = true;
            view.held = None;
            lease(view, key, rest, verified)
        }
        // Waited in vain; a new request waits again, for it is not the attempt's fault.
        Answer::Refused(rejection) if *refused < LEASE_REFUSALS_MAX => {
            let known = matches!(
                rejection.code,
                Code::LockConflict | Code::LockTimeout | Code::LockDeadlock | Code::StaleToken
            );
            if !known {
                return ending::fail(view, key, failure_of("lease", &rejection.message, false));
            }
            *refused += 1;
            let rest = std::mem::take(rest);
            lease(view, key, rest, verified)
        }
        Answer::Refused(rejection) => {
            let reason = format!("leases were not to be had: {}", rejection.message);
            give_back(view, key, &reason, true)
        }
    }
}

/// A lease is on the current version: what others have landed on its paths comes in first.
pub(super) fn refresh(attempt: &mut Attempt) -> Vec<Effect> {
    let Some(work) = attempt.work.clone() else { return Vec::new() };
    attempt.phase = Phase::Refreshing;
    vec![Effect::Refresh { key: attempt.key, work }]
}

pub(super) fn refreshed(
    view: &mut View,
    key: Key,
    fresh: Result<Option<Refreshed>, String>,
) -> Vec<Effect> {
    let session = view.session.clone();
    let Some(attempt) = view.attempt_of(key).filter(|it| it.phase == Phase::Refreshing) else {
        return Vec::new();
    };
    attempt.unfresh = false;
    let fresh = match fresh {
        Ok(Some(fresh)) => fresh,
        Ok(None) => return announce(attempt, session),
        Err(reason) => return ending::fail(view, key, failure_of("capture", &reason, false)),
    };
    if let Some(place) = &mut attempt.place {
        place.base = fresh.base;
    }
    if !fresh.conflicts.is_empty() {
        // Others were faster: that is no failure of the model's, and no try.
        let prompt = crate::prompt::conflict(&fresh.conflicts);
        attempt.conflicts = fresh.conflicts;
        return run_again(view, key, &prompt);
    }
    attempt.phase = Phase::Capturing;
    captured_work(view, key, fresh.captured)
}

/// Says that the verify commands are about to run. Answered before they do: told late, it would
/// overtake their outcome.
fn announce(attempt: &mut Attempt, session: SessionId) -> Vec<Effect> {
    attempt.phase = Phase::Announcing;
    let progress = Progress { phase: Some(ToldPhase::Verifying), ..progress(attempt) };
    let verb = Box::new(Verb::TaskProgress(progress));
    vec![Effect::Send { key: attempt.key, session, verb }]
}

fn verify(attempt: &mut Attempt) -> Vec<Effect> {
    let Some(work) = attempt.work.clone() else { return Vec::new() };
    attempt.phase = Phase::Verifying;
    vec![Effect::Verify { key: attempt.key, work }]
}

pub(super) fn verified(view: &mut View, key: Key, verdict: Result<Verdict, String>) -> Vec<Effect> {
    let session = view.session.clone();
    let Some(attempt) = view.attempt_of(key).filter(|it| it.phase == Phase::Verifying) else {
        return Vec::new();
    };
    let verdict = match verdict {
        Ok(verdict) => verdict,
        Err(reason) => return ending::fail(view, key, failure_of("verify", &reason, false)),
    };
    attempt.failure = match &verdict {
        Verdict::Passed(_) => None,
        Verdict::Failed { classified, tail, .. } => Some(failure_from(classified, tail)),
    };
    let mut receipt = told(&verdict);
    let changed = attempt.work.as_ref().map_or(&[][..], |work| &work.changed);
    let commands = attempt.job.as_ref().map_or(&[][..], |job| &job.task.verify);
    receipt.guarded = guard::guarded(changed, commands);
    attempt.receipt = Some(receipt.clone());
    attempt.phase = Phase::Telling;
    let body = Verified {
        task: key.task,
        attempt: key.attempt,
        token: attempt.token,
        receipt,
        commit: attempt.work.as_ref().map(|work| work.commit.clone()),
        usage: attempt.usage(),
        class: attempt.failure.as_ref().map(|failure| failure.class.clone()),
        change: attempt
            .work
            .as_ref()
            .filter(|_| attempt.failure.is_none())
            .and_then(|work| work.change.clone()),
    };
    vec![Effect::Send { key, session, verb: Box::new(Verb::TaskVerified(body)) }]
}

/// The receipt in the protocol's words.
pub(super) fn told(verdict: &Verdict) -> Receipt {
    let (receipt, failed) = match verdict {
        Verdict::Passed(receipt) => (receipt, false),
        Verdict::Failed { receipt, .. } => (receipt, true),
    };
    receipt.told(failed)
}

fn verdict_told(view: &mut View, key: Key, answer: Answer) -> Vec<Effect> {
    let Some(attempt) = view.attempt_of(key) else { return Vec::new() };
    let result = match answer {
        Answer::Done { result, .. } => result,
        // What is refused as it is would be refused again: a person knows what is left to do.
        Answer::Refused(rejection) if rejection.code == Code::DuplicateChange => {
            return ending::fail(view, key, failure_of("duplicate", &rejection.message, false));
        }
        Answer::Refused(rejection) => return give_back(view, key, &rejection.message, true),
    };
    if let Some(failure) = attempt.failure.take() {
        return retry(view, key, failure);
    }
    attempt.failed_as = None;
    let mut effects: Vec<Effect> = learned::share(view, key).into_iter().collect();
    // Whoever shares a file with others learns only here that somebody looks at it.
    let is_reviewed = result.get("state").is_some_and(|state| state == "review");
    effects.extend(match is_reviewed {
        true => ending::let_go(view),
        false => let_on(view, key),
    });
    effects
}

/// Proven work goes to whoever looks at it, or on to land.
fn let_on(view: &mut View, key: Key) -> Vec<Effect> {
    let Some(attempt) = view.attempt_of(key) else { return Vec::new() };
    let review = attempt.job.as_ref().map_or(ReviewBy::None, |job| job.task.review);
    let guarded = attempt.receipt.as_ref().is_some_and(|receipt| !receipt.guarded.is_empty());
    if review != ReviewBy::None || guarded {
        // It is parked: the work is saved, and whoever lands it after the review begins there.
        return ending::let_go(view);
    }
    to_land(view, key)
}

/// What becomes of proven work.
pub(super) fn to_land(view: &mut View, key: Key) -> Vec<Effect> {
    let session = view.session.clone();
    let Some(attempt) = view.attempt_of(key) else { return Vec::new() };
    let flow = attempt.job.as_ref().map(|job| job.task.flow).unwrap_or_default();
    match (flow, attempt.turn) {
        (Flow::Merge, None) => queue(attempt, session),
        // The turn was granted to the process before this one.
        (Flow::Merge, Some(turn)) => landing::take_turn(view, key, turn, None),
        (Flow::Branch | Flow::Pr | Flow::Patch, _) => landing::publish(attempt, flow),
    }
}

/// Asks for a turn of the branch's merge queue.
pub(super) fn queue(attempt: &mut Attempt, session: SessionId) -> Vec<Effect> {
    let key = attempt.key;
    if attempt.frozen {
        attempt.phase = Phase::Blocked;
        return Vec::new();
    }
    let Some(work) = &attempt.work else { return Vec::new() };
    let begin = LandBegin {
        task: key.task,
        attempt: key.attempt,
        token: attempt.token,
        tree: work.tree.clone(),
        wait_ms: Some(WAIT_MS_MAX),
        seen: attempt.brought_in,
    };
    attempt.phase = Phase::Queueing;
    vec![Effect::Send { key, session, verb: Box::new(Verb::LandBegin(begin)) }]
}

/// Ends the attempt without a result; the task goes back to the queue.
pub(super) fn give_back(view: &mut View, key: Key, reason: &str, unspent: bool) -> Vec<Effect> {
    let Some(attempt) = view.attempt_of(key) else { return Vec::new() };
    let body = Abandon {
        task: key.task,
        attempt: key.attempt,
        token: attempt.token,
        reason: crate::text::line(reason),
        unspent,
        usage: attempt.usage(),
    };
    ending::post(view, key, vec![Verb::TaskAbandon(body)])
}
