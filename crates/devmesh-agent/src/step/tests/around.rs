//! What this host lacks, and what others have too.

use devmesh_protocol::event::lock::LeaseShared;
use devmesh_protocol::{LeaseId, Mode, RepoPath};

use super::*;
use crate::input::{Sight, Unable};

fn look(view: &mut View, sight: Result<Sight, Unable>) -> Vec<Effect> {
    take(view, 0, Input::LookedAt { task: TaskId(1), sight })
}

#[test]
fn a_task_that_cannot_be_done_here_is_declined_with_the_reason() {
    for unable in [Unable::Base("no branch\nnext".into()), Unable::Place("no branch next".into())] {
        let effects = look(&mut view(), Err(unable));
        let [Effect::Decline { task: TaskId(1), why, .. }] = effects.as_slice() else {
            panic!("{effects:?}");
        };
        assert_eq!(why, "no branch next", "one line of it");
    }
    let sight = Sight { repo: job().repo, warm: false, base_commit: "b".into() };
    assert_eq!(names(&look(&mut view(), Ok(sight))), ["Bid"]);
}

#[test]
fn what_is_not_known_is_not_declined() {
    assert!(look(&mut view(), Err(Unable::Unheard("asked in vain".into()))).is_empty());
    let mut busy = view();
    busy.paused = true;
    assert!(look(&mut busy, Err(Unable::Base("no branch".into()))).is_empty());
}

#[test]
fn an_award_without_a_base_is_a_persons_to_look_at_and_without_a_place_another_agents() {
    let looked = |unable| {
        let mut view = at(Phase::Looking);
        take(&mut view, 0, Input::LookedUp { key: KEY, job: Err(unable) })
    };
    let effects = looked(Unable::Base("no branch next".into()));
    let [_, Effect::Post { verbs, .. }] = effects.as_slice() else { panic!("{effects:?}") };
    let [Verb::TaskFail(fail)] = verbs.as_slice() else { panic!("{verbs:?}") };
    assert_eq!((fail.class.as_str(), fail.message.as_str()), ("base", "no branch next"));
    let effects = looked(Unable::Place("it is not here".into()));
    assert_eq!(names(&effects), ["Save", "task.abandon"]);
}

fn shared(actor: &str, task: u64) -> LeaseShared {
    LeaseShared {
        lease: LeaseId { seq: 7, index: 0 },
        actor: ActorId::new(actor).unwrap(),
        task: Some(TaskId(task)),
        repo: job().repo.repo,
        path: RepoPath::new("a.txt").unwrap(),
        to: Mode::CoWrite,
        with: ActorId::new("claude-1").unwrap(),
        with_task: Some(TaskId(3)),
    }
}

#[test]
fn a_path_that_is_shared_is_told_and_brought_up_to_date_before_it_is_proven() {
    let mut view = at(Phase::Running);
    view.attempt.as_mut().unwrap().leased.insert("a.txt".into());
    assert_eq!(names(&notice(&mut view, 8, shared("codex-1", 1))), ["task.progress"]);
    // It costs no turn of its own ...
    tell_done(&mut view, true, None);
    let effects = take(&mut view, 0, ended(EndCause::Exited, Some(0)));
    assert_eq!(names(&effects), ["Capture"]);
    // ... what the other has landed comes in, though the path was leased long ago ...
    let captured = Captured { work: Some(work(&["a.txt"])), ..Captured::default() };
    let effects = take(&mut view, 0, Input::Captured { key: KEY, captured: Ok(captured) });
    assert_eq!(names(&effects), ["Refresh"]);
    // ... and the next turn there is tells it, once.
    let conflicts = vec!["a.txt".to_owned()];
    let fresh = Refreshed { base: "h2".into(), conflicts, captured: Captured::default() };
    let effects = take(&mut view, 0, refreshed(Some(fresh)));
    let [Effect::Run { prompt, .. }] = effects.as_slice() else { panic!("{effects:?}") };
    assert!(prompt.contains("a.txt is changed by claude-1 (for t-3) too"), "{prompt}");
    assert!(view.attempt.unwrap().asides.is_empty());
}

#[test]
fn what_is_shared_of_others_is_not_told() {
    let mut view = at(Phase::Running);
    assert!(notice(&mut view, 8, shared("gemini-1", 1)).is_empty());
    assert!(notice(&mut view, 9, shared("codex-1", 2)).is_empty(), "a task of long ago");
    let attempt = view.attempt.unwrap();
    assert!(attempt.asides.is_empty() && !attempt.unfresh);
}

#[test]
fn who_gets_a_path_together_with_another_is_told_as_well() {
    let rest = vec!["a.txt".to_owned()];
    let mut view = at(Phase::Leasing { rest, refused: 0, verified: false });
    let shared = json!([{ "lease": "l-7-0", "actor": "claude-1", "task": "t-3", "path": "a.txt" }]);
    let advisory = json!([{ "actor": "ada", "holder": "you", "repo": "app", "path": "a.txt" }]);
    let given = json!({ "shared": shared, "advisory": advisory });
    let effects = answer(&mut view, "lock.acquire", done(given));
    assert_eq!(names(&effects), ["Refresh"]);
    let asides = &view.attempt.as_ref().unwrap().asides;
    assert!(asides.len() == 2 && asides[0].contains("claude-1 (for t-3)"), "{asides:?}");
    assert!(asides[1].contains("a.txt is changed by ada by hand"), "{asides:?}");
}

#[test]
fn a_host_that_can_make_no_worktree_costs_no_try_and_a_setup_that_fails_does() {
    let mut view = at(Phase::Preparing);
    let place = Err(Unable::Place("no\nroom".into()));
    let effects = take(&mut view, 0, Input::Prepared { key: KEY, place });
    let Some(Effect::Post { verbs, .. }) = effects.last() else { panic!("{effects:?}") };
    let [Verb::TaskAbandon(body)] = verbs.as_slice() else { panic!("{verbs:?}") };
    assert!(body.unspent);
    assert_eq!(body.reason, "no room", "in one line");
    let mut view = at(Phase::Preparing);
    let place = Err(Unable::Setup("exit 4".into()));
    let effects = take(&mut view, 0, Input::Prepared { key: KEY, place });
    assert_eq!(names(&effects), ["Save", "task.fail"]);
}

/// Whoever waits for a place to build says so, with those who have the places; an attempt that is
/// another's, or none, is not told of.
#[test]
fn a_wait_for_a_place_to_build_is_told() {
    let told = |view: &mut View, key, holders: &[&str]| {
        let holders = holders.iter().map(|it| (*it).to_owned()).collect();
        take(view, 0, Input::BuildWaits { key, holders })
    };
    for (holders, behind) in [
        (&["claude (t-3)", "gemini (t-9)"][..], "behind claude (t-3), gemini (t-9)"),
        (&[][..], "behind others"),
    ] {
        let mut view = at(Phase::Verifying);
        let effects = told(&mut view, KEY, holders);
        let [Effect::Tell { verb, .. }] = effects.as_slice() else { panic!("{effects:?}") };
        let Verb::TaskProgress(progress) = &**verb else { panic!("{verb:?}") };
        let message = progress.message.as_deref().unwrap();
        assert!(message.ends_with(behind) && message.contains("waits to build"), "{message}");
        assert_eq!(view.attempt.unwrap().phase, Phase::Verifying, "nothing else comes of it");
    }
    let other = Key { attempt: KEY.attempt + 1, ..KEY };
    assert!(told(&mut at(Phase::Verifying), other, &["claude"]).is_empty());
    assert!(told(&mut view(), KEY, &["claude"]).is_empty());
}
