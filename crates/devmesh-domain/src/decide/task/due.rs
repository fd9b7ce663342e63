//! What time and free places lead to by themselves: awards that were not taken up, answers that
//! did not come, turns that can begin, auctions that can open.

use devmesh_protocol::event::lock::WithdrawnWhy;
use devmesh_protocol::event::mesh::TextRef;
use devmesh_protocol::event::task::{
    AttemptEnded, AuctionLapsed, Ended, LandBegan, LandWithdrawn, Next, TaskAnswered, TaskUnblocked,
};
use devmesh_protocol::limits::GRANTS_PER_RECORD_MAX;
use devmesh_protocol::planted::{self, Fault};
use devmesh_protocol::{At, Event, TaskId};

use super::attempt::parked;
use super::auction::{Search, open};
use super::change::has_fallen_behind;
use super::review::{assign, timed_out};
use crate::state::State;
use crate::state::index::Due;

/// One record's worth, and nothing where nothing is due.
pub(crate) fn follow(state: &State, at: At) -> Vec<Event> {
    let mut events = due(state, at);
    if events.is_empty() {
        events = turns(state);
    }
    if events.is_empty() {
        events = assign(state, at);
    }
    if events.is_empty() {
        events = open(state, at);
    }
    events
}

fn due(state: &State, at: At) -> Vec<Event> {
    let mut search = Search::new(state, at);
    let due = state.index.due.iter().take_while(|(when, _)| *when <= at);
    due.map(|(_, due)| match due {
        Due::Start(_) if planted::is(Fault::StartUnbounded) => Vec::new(),
        Due::Start(task) => not_started(state, *task).into_iter().collect(),
        Due::Auction(task) => vec![try_again(*task, &mut search)],
        Due::Land(task) => withdrawn(state, *task).into_iter().collect(),
        Due::Question(task) => default(state, *task).into_iter().collect(),
        Due::Park(task) => waits_too_long(state, *task).into_iter().collect(),
        Due::Review(task) => timed_out(state, *task),
        Due::Unblock(task) => vec![TaskUnblocked { task: *task }.into()],
        Due::Lease(_) | Due::Share(_) | Due::Waiter(_) => Vec::new(),
    })
    .take(GRANTS_PER_RECORD_MAX)
    .flatten()
    .collect()
}

/// Held for a while, or asked and not answered: the attempt ends and its agent is free.
fn waits_too_long(state: &State, id: TaskId) -> Option<Event> {
    let task = state.tasks.get(&id)?;
    Some(parked(task, task.attempt.as_ref()?, Next::Queued))
}

fn not_started(state: &State, id: TaskId) -> Option<Event> {
    let attempt = state.tasks.get(&id)?.attempt.as_ref()?;
    let ended = AttemptEnded {
        task: id,
        attempt: attempt.number,
        why: Ended::NotStarted,
        spent: false,
        next: Next::Queued,
        usage: None,
    };
    Some(ended.into())
}

fn try_again(id: TaskId, search: &mut Search<'_>) -> Event {
    search.open(id).unwrap_or_else(|| {
        let why = "no agent is free that could take it".to_owned();
        AuctionLapsed { task: id, why, again_at: None, unheard: Vec::new() }.into()
    })
}

fn withdrawn(state: &State, id: TaskId) -> Option<Event> {
    let queue = state.lands.get(&state.tasks.get(&id)?.target())?;
    let waiter = queue.waiting.iter().find(|waiter| waiter.task == id)?;
    let (attempt, id) = (waiter.attempt, waiter.id.clone());
    let why = WithdrawnWhy::TimedOut;
    Some(LandWithdrawn { task: waiter.task, attempt, id, why }.into())
}

fn default(state: &State, id: TaskId) -> Option<Event> {
    let question = state.tasks.get(&id)?.question.as_ref()?;
    let answer = TextRef::to(question.default.as_ref()?);
    Some(TaskAnswered { task: id, question: question.id, answer, by: None }.into())
}

/// The first who waits, and is not held, has the next turn; whose work has fallen behind what
/// landed meanwhile asks again.
fn turns(state: &State) -> Vec<Event> {
    let free = state.index.tasks.lands.iter().take(GRANTS_PER_RECORD_MAX);
    free.filter_map(|target| {
        let queue = state.lands.get(target)?;
        let waiter = state.next_to_land(queue)?;
        if has_fallen_behind(state, waiter) {
            let (task, attempt, id) = (waiter.task, waiter.attempt, waiter.id.clone());
            let why = WithdrawnWhy::Ended;
            return Some(LandWithdrawn { task, attempt, id, why }.into());
        }
        let (repo, target) = target.clone();
        let began = LandBegan {
            task: waiter.task,
            attempt: waiter.attempt,
            repo,
            target,
            tree: waiter.tree.clone(),
            head: queue.head.clone(),
            waited: Some(waiter.id.clone()),
        };
        Some(began.into())
    })
    .collect()
}
