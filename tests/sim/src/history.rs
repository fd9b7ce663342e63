//! What clients saw of leases, checked for linearizability file by file.
//!
//! The times are when a request was sent and when its answer was there, in simulated time. A
//! request without an answer may take effect at any time or never; so may the end of a lease that
//! nobody renews, but not before its holder has stopped to rely on it.

use std::collections::BTreeMap;

use devmesh_protocol::{CommandId, Mode};
use porcupine_rs::{Model, Operation};

/// One request for a lease, and everything about the lease that came of it.
pub type Tenure = usize;

/// What is done to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
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

    fn operations(&self) -> Vec<Done> {
        let open = self.open.map(|(op, called)| Done { op: op.unsure(), called, returned: None });
        let lapse = self.lapses_from.map(|called| Done { op: Op::Lapse, called, returned: None });
        self.done.iter().cloned().chain(open).chain(lapse).collect()
    }

    /// The same with an end to what nobody saw end, for a checker tries every order of all that
    /// may still happen. No history is explained by one and not by the other:
    ///
    /// - a lease that nobody was ever told of can as well never have been;
    /// - the end of a lease, and its change to a mode that keeps fewer out, stand in nobody's
    ///   way: what can happen late can happen as soon as its holder has been told the last of it;
    /// - a change to a mode that keeps more out helps nobody: it need not happen.
    fn bounded(&self) -> Vec<Done> {
        let mut done = self.operations();
        let told = |it: &&Done| matches!(it.op, Op::Acquire(_) | Op::Convert(_));
        let ends = || done.iter().filter(told).filter_map(|it| it.returned);
        let (Some(first), Some(last)) = (ends().min(), ends().max()) else { return Vec::new() };
        let modes: Vec<Mode> = done.iter().filter_map(|it| it.op.mode()).collect();
        let keeps_fewer = |one: Mode, than: Mode| {
            Mode::ALL.iter().all(|m| one.is_compatible(*m) >= than.is_compatible(*m))
        };
        done.retain_mut(|it| {
            let end = Some(last.max(it.called));
            match it.op {
                _ if it.returned.is_some() => {}
                Op::Release | Op::Lapse => it.returned = end,
                Op::Acquire(_) | Op::MayAcquire(_) => it.returned = Some(first),
                Op::Convert(mode) | Op::MayConvert(mode) => {
                    if modes.iter().all(|other| keeps_fewer(*other, mode)) {
                        return false;
                    }
                    if modes.iter().all(|other| keeps_fewer(mode, *other)) {
                        it.returned = end;
                    }
                }
            }
            true
        });
        done
    }
}

impl Op {
    /// The same where nobody was told that it was done.
    fn unsure(self) -> Op {
        if let Op::Convert(mode) = self { Op::MayConvert(mode) } else { self }
    }

    fn mode(self) -> Option<Mode> {
        match self {
            Op::Acquire(mode) | Op::MayAcquire(mode) | Op::Convert(mode) | Op::MayConvert(mode) => {
                Some(mode)
            }
            Op::Release | Op::Lapse => None,
        }
    }
}

/// All that was seen.
#[derive(Debug, Default)]
pub struct History {
    stories: Vec<Story>,
    by_id: BTreeMap<CommandId, Tenure>,
}

impl History {
    /// Somebody asks for a lease.
    pub fn begin(
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
    pub fn name(&mut self, tenure: Tenure, id: CommandId) {
        self.by_id.insert(id.clone(), tenure);
        self.stories[tenure].id = Some(id);
    }

    /// Which request has that id.
    #[must_use]
    pub fn tenure_of(&self, id: &CommandId) -> Option<Tenure> {
        self.by_id.get(id).copied()
    }

    /// The id of a request.
    #[must_use]
    pub fn id_of(&self, tenure: Tenure) -> Option<CommandId> {
        self.stories[tenure].id.clone()
    }

    /// It was granted.
    pub fn granted(&mut self, tenure: Tenure, at: u64) -> Option<Mode> {
        let story = &mut self.stories[tenure];
        story.is_settled = true;
        let op = Op::Acquire(story.mode);
        story.done.push(Done { op, called: story.called, returned: Some(at) });
        Some(story.mode)
    }

    /// It was refused: nothing has happened.
    pub fn refused(&mut self, tenure: Tenure) {
        self.stories[tenure].is_settled = true;
    }

    /// Whether it was granted is not known.
    pub fn unknown(&mut self, tenure: Tenure) {
        let story = &mut self.stories[tenure];
        story.is_settled = true;
        let (op, called) = (Op::MayAcquire(story.mode), story.called);
        story.done.push(Done { op, called, returned: None });
        story.lapses_from = Some(called);
    }

    /// Something is asked about it.
    pub fn call(&mut self, tenure: Tenure, op: Op, at: u64) {
        self.stories[tenure].open = Some((op, at));
    }

    /// That was done.
    pub fn returned(&mut self, tenure: Tenure, at: u64) {
        let story = &mut self.stories[tenure];
        if let Some((op, called)) = story.open.take() {
            story.done.push(Done { op, called, returned: Some(at) });
        }
    }

    /// That was refused.
    pub fn withdrawn(&mut self, tenure: Tenure) {
        self.stories[tenure].open = None;
    }

    /// Whether that was done is not known.
    pub fn never_returned(&mut self, tenure: Tenure) {
        let story = &mut self.stories[tenure];
        if let Some((op, called)) = story.open.take() {
            story.done.push(Done { op: op.unsure(), called, returned: None });
        }
    }

    /// Its holder relies on it no longer.
    pub fn lapses(&mut self, tenure: Tenure, at: u64) {
        let story = &mut self.stories[tenure];
        story.lapses_from = Some(story.lapses_from.map_or(at, |from| from.min(at)));
    }

    /// Whoever asked has died: what was under way may have happened or not.
    pub fn crashed(&mut self, locker: usize) {
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
    pub fn operations(&self) -> u64 {
        self.stories.iter().map(|story| story.done.len() as u64).sum()
    }

    /// Whether some order explains what was seen of each file.
    ///
    /// # Errors
    /// The file whose history nothing explains.
    pub fn check(&self) -> Result<(), String> {
        for leaf in 0..4 {
            let operations = self.of_leaf(leaf, Story::bounded);
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

    /// Whether the same is explained where every operation that nobody saw the end of may still
    /// happen at any time: what [`Self::check`] has to agree with, and far slower.
    #[must_use]
    pub fn is_explained_at_length(&self) -> bool {
        (0..4).all(|leaf| {
            porcupine_rs::check_operations::<File>(&self.of_leaf(leaf, Story::operations))
        })
    }

    /// Whether there is something in it whose end nobody saw.
    #[must_use]
    pub fn is_unsure(&self) -> bool {
        self.stories.iter().any(|story| story.operations().iter().any(|it| it.returned.is_none()))
    }

    fn of_leaf(&self, leaf: usize, told: fn(&Story) -> Vec<Done>) -> Vec<Operation<File>> {
        let mut operations = Vec::new();
        for (tenure, story) in self.stories.iter().enumerate() {
            if !story.leaves.contains(&leaf) || story.done.is_empty() {
                continue;
            }
            for done in told(story) {
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
