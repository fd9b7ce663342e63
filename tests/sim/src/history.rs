//! What clients saw of leases, checked for linearizability file by file.
//!
//! The times are when a request was sent and when its answer was there, in simulated time. A
//! request without an answer may take effect at any time or never; so may the end of a lease that
//! nobody renews, but not before its holder has stopped to rely on it.

use std::collections::BTreeMap;

use devmesh_protocol::{CommandId, Mode};
use porcupine_rs::{Model, Operation};

/// One request for a lease, and everything about the lease that came of it.
pub(crate) type Tenure = usize;

/// What is done to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Op {
    /// A lease is granted.
    Acquire(Mode),
    /// A lease may be granted: nobody was told.
    MayAcquire(Mode),
    /// It gets another mode.
    Convert(Mode),
    /// It may get another mode.
    MayConvert(Mode),
    /// It is given back, if it is there.
    Release,
    /// It ends by itself, some time or never.
    Lapse,
}

#[derive(Debug, Clone)]
struct Done {
    op: Op,
    called: u64,
    returned: Option<u64>,
}

#[derive(Debug)]
struct Story {
    locker: usize,
    leaves: &'static [usize],
    mode: Mode,
    id: Option<CommandId>,
    called: u64,
    done: Vec<Done>,
    /// What is under way.
    open: Option<(Op, u64)>,
    lapses_from: Option<u64>,
    /// Its request was answered, or given up.
    is_settled: bool,
}

impl Story {
    /// Something about it was never answered.
    fn is_abandoned(&self) -> bool {
        self.done.iter().any(|done| done.returned.is_none())
    }
}

/// All that was seen.
#[derive(Debug, Default)]
pub(crate) struct History {
    stories: Vec<Story>,
    by_id: BTreeMap<CommandId, Tenure>,
}

impl History {
    /// Somebody asks for a lease.
    pub(crate) fn begin(
        &mut self,
        locker: usize,
        leaves: &'static [usize],
        mode: Mode,
        at: u64,
    ) -> Tenure {
        let (done, id) = (Vec::new(), None);
        let called = at;
        let (open, lapses_from, is_settled) = (None, None, false);
        let story = Story { locker, leaves, mode, id, called, done, open, lapses_from, is_settled };
        self.stories.push(story);
        self.stories.len() - 1
    }

    /// The id of that request.
    pub(crate) fn name(&mut self, tenure: Tenure, id: CommandId) {
        self.by_id.insert(id.clone(), tenure);
        self.stories[tenure].id = Some(id);
    }

    /// Which request has that id.
    #[must_use]
    pub(crate) fn tenure_of(&self, id: &CommandId) -> Option<Tenure> {
        self.by_id.get(id).copied()
    }

    /// The id of a request.
    #[must_use]
    pub(crate) fn id_of(&self, tenure: Tenure) -> Option<CommandId> {
        self.stories[tenure].id.clone()
    }

    /// It was granted.
    pub(crate) fn granted(&mut self, tenure: Tenure, at: u64) -> Option<Mode> {
        let story = &mut self.stories[tenure];
        story.is_settled = true;
        let op = Op::Acquire(story.mode);
        story.done.push(Done { op, called: story.called, returned: Some(at) });
        Some(story.mode)
    }

    /// It was refused: nothing has happened.
    pub(crate) fn refused(&mut self, tenure: Tenure) {
        self.stories[tenure].is_settled = true;
    }

    /// Whether it was granted is not known.
    pub(crate) fn unknown(&mut self, tenure: Tenure) {
        let story = &mut self.stories[tenure];
        story.is_settled = true;
        let (op, called) = (Op::MayAcquire(story.mode), story.called);
        story.done.push(Done { op, called, returned: None });
        story.lapses_from = Some(called);
    }

    /// Something is asked about it.
    pub(crate) fn call(&mut self, tenure: Tenure, op: Op, at: u64) {
        self.stories[tenure].open = Some((op, at));
    }

    /// That was done.
    pub(crate) fn returned(&mut self, tenure: Tenure, at: u64) {
        let story = &mut self.stories[tenure];
        if let Some((op, called)) = story.open.take() {
            story.done.push(Done { op, called, returned: Some(at) });
        }
    }

    /// That was refused.
    pub(crate) fn withdrawn(&mut self, tenure: Tenure) {
        self.stories[tenure].open = None;
    }

    /// Whether that was done is not known.
    pub(crate) fn never_returned(&mut self, tenure: Tenure) {
        let story = &mut self.stories[tenure];
        if let Some((op, called)) = story.open.take() {
            let op = if let Op::Convert(mode) = op { Op::MayConvert(mode) } else { op };
            story.done.push(Done { op, called, returned: None });
        }
    }

    /// Its holder relies on it no longer.
    pub(crate) fn lapses(&mut self, tenure: Tenure, at: u64) {
        let story = &mut self.stories[tenure];
        story.lapses_from = Some(story.lapses_from.map_or(at, |from| from.min(at)));
    }

    /// Whoever asked has died: what was under way may have happened or not.
    pub(crate) fn crashed(&mut self, locker: usize) {
        for tenure in 0..self.stories.len() {
            if self.stories[tenure].locker != locker {
                continue;
            }
            if !self.stories[tenure].is_settled {
                self.unknown(tenure);
            }
            self.never_returned(tenure);
            let called = self.stories[tenure].called;
            if self.stories[tenure].is_abandoned() {
                self.lapses(tenure, called);
            }
        }
    }

    /// How many operations there are.
    #[must_use]
    pub(crate) fn operations(&self) -> u64 {
        self.stories.iter().map(|story| story.done.len() as u64).sum()
    }

    /// Whether some order explains what was seen of each file.
    ///
    /// # Errors
    /// The file whose history nothing explains.
    pub(crate) fn check(&self) -> Result<(), String> {
        for leaf in 0..4 {
            let operations = self.of_leaf(leaf);
            if !porcupine_rs::check_operations::<File>(&operations) {
                let name = crate::locker::leaf(leaf);
                let mut lines: Vec<String> = Vec::new();
                for it in &operations {
                    let Operation { call_time, return_time, op, .. } = it;
                    lines.push(format!("{call_time}..{return_time} {op:?}"));
                }
                return Err(format!(
                    "no order explains what was seen of {name}:\n{}",
                    lines.join("\n")
                ));
            }
        }
        Ok(())
    }

    fn of_leaf(&self, leaf: usize) -> Vec<Operation<File>> {
        let mut operations = Vec::new();
        for (tenure, story) in self.stories.iter().enumerate() {
            if !story.leaves.contains(&leaf) || story.done.is_empty() {
                continue;
            }
            let unfinished = story.open.map(|(op, called)| Done { op, called, returned: None });
            let lapse =
                story.lapses_from.map(|called| Done { op: Op::Lapse, called, returned: None });
            for done in story.done.iter().cloned().chain(unfinished).chain(lapse) {
                operations.push(Operation {
                    client_id: None,
                    call_time: i64::try_from(done.called).unwrap_or(0),
                    return_time: done
                        .returned
                        .and_then(|at| at.try_into().ok())
                        .unwrap_or(i64::MAX),
                    op: (story.locker, tenure, done.op),
                    metadata: None,
                });
            }
        }
        operations
    }
}

/// One file: who has it, by request, in which mode.
#[derive(Debug, Clone)]
struct File;

impl Model for File {
    type State = Vec<(usize, Tenure, Mode)>;
    type Op = (usize, Tenure, Op);
    type Metadata = ();

    fn init() -> Self::State {
        Vec::new()
    }

    fn step(state: &Self::State, (locker, tenure, op): &Self::Op) -> (bool, Self::State) {
        let fits = |mode: Mode| {
            state.iter().all(|(other, _, has)| other == locker || mode.is_compatible(*has))
        };
        let without = || -> Self::State {
            state.iter().filter(|(_, other, _)| other != tenure).copied().collect()
        };
        let with = |mode: Mode| {
            let mut next = without();
            next.push((*locker, *tenure, mode));
            next.sort_unstable();
            next
        };
        let has = state.iter().any(|(_, other, _)| other == tenure);
        match op {
            Op::Acquire(mode) => (fits(*mode), with(*mode)),
            Op::Convert(mode) => (has && fits(*mode), with(*mode)),
            Op::MayAcquire(mode) if fits(*mode) => (true, with(*mode)),
            Op::MayConvert(mode) if has && fits(*mode) => (true, with(*mode)),
            Op::MayAcquire(_) | Op::MayConvert(_) => (true, state.clone()),
            Op::Release | Op::Lapse => (true, without()),
        }
    }
}
