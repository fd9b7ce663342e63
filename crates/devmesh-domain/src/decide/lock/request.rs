//! A request for leases, checked and with its defaults filled in.

use devmesh_protocol::command::lock::{Acquire, Share};
use devmesh_protocol::event::lock::Sharing;
use devmesh_protocol::limits::{
    LEASE_TTL_AGENT_MS_MAX, LEASE_TTL_MS_MIN, LEASE_TTL_PERSON_MS, LEASE_TTL_PERSON_MS_MAX,
    RECORD_BYTES_MAX, WAIT_MS_MAX,
};
use devmesh_protocol::{ActorId, At, Code, Command, CommandId, LeaseId, Mode, Rejection};
use devmesh_protocol::{RepoId, RepoPath, TaskId};

use crate::decide::agent::is_person;
use crate::state::State;
use crate::state::lease::{Ask, Holder};

/// What is asked for, and by whom.
#[derive(Clone, Debug)]
pub(super) struct Request {
    /// The command's id, by which a wait is known.
    pub(super) id: CommandId,
    /// For whom.
    pub(super) holder: Holder,
    /// In which repository.
    pub(super) repo: RepoId,
    /// Without those that lie within another.
    pub(super) paths: Vec<RepoPath>,
    /// How.
    pub(super) mode: Mode,
    /// Time to live.
    pub(super) ttl_ms: u64,
    /// A person's lease ends by the clock.
    pub(super) expires: bool,
    /// How long to wait.
    pub(super) wait_ms: u64,
    /// The lease to be converted, where that is all it is.
    pub(super) convert: Option<LeaseId>,
    /// Whether it may be shared, where whoever asks says so.
    pub(super) share: Option<Share>,
    /// It takes its paths together with these.
    pub(super) sharing: Option<Sharing>,
    /// Why.
    pub(super) reason: Option<String>,
}

impl Request {
    pub(super) fn of(
        state: &State,
        command: &Command,
        body: &Acquire,
    ) -> Result<Request, Rejection> {
        let repo = repo(state, body.repo.as_ref())?;
        let ttl_ms = ttl(state, &command.actor, body.ttl_ms)?;
        let wait_ms = wait(body.wait_ms)?;
        if let Some(task) = body.task {
            own_task(state, command, task)?;
        }
        let holder = Holder {
            actor: command.actor.clone(),
            session: command.session.clone(),
            task: body.task,
        };
        let paths = state.outermost(&repo, &body.paths);
        fits_a_record(&paths, body.reason.as_deref())?;
        Ok(Request {
            id: command.id.clone(),
            holder,
            repo,
            paths,
            mode: body.mode,
            ttl_ms,
            expires: is_person(state, &command.actor),
            wait_ms,
            convert: None,
            share: body.share,
            sharing: None,
            reason: body.reason.clone(),
        })
    }

    pub(super) fn ask<'a>(&'a self, paths: &'a [RepoPath]) -> Ask<'a> {
        let converts = self.convert.is_some();
        let Request { holder, repo, mode, sharing, .. } = self;
        Ask { holder, repo, paths, mode: *mode, converts, sharing: *sharing }
    }

    /// Whether it is an attempt's that shares rather than waits for ever.
    pub(super) fn may_share(&self) -> bool {
        self.holder.task.is_some() && self.share != Some(Share::Never)
    }

    pub(super) fn expires_at(&self, at: At) -> Option<At> {
        self.expires.then(|| at + self.ttl_ms)
    }
}

/// The repository that is meant: the one named, or the only one.
pub(crate) fn repo(state: &State, named: Option<&RepoId>) -> Result<RepoId, Rejection> {
    if let Some(repo) = named {
        if state.repos.contains_key(repo) {
            return Ok(repo.clone());
        }
        return Err(Rejection::bad_field("repo", format!("the mesh has no repository {repo}")));
    }
    let mut repos = state.repos.keys();
    match (repos.next(), repos.next()) {
        (Some(repo), None) => Ok(repo.clone()),
        (None, _) => Err(Rejection::bad_field("repo", "the mesh has no repository; add one")),
        (Some(_), Some(_)) => {
            Err(Rejection::bad_field("repo", "the mesh has several repositories; name one"))
        }
    }
}

/// The time to live that is asked for, or the default.
pub(super) fn ttl(state: &State, actor: &ActorId, asked: Option<u64>) -> Result<u64, Rejection> {
    let (default, most) = if is_person(state, actor) {
        (LEASE_TTL_PERSON_MS, LEASE_TTL_PERSON_MS_MAX)
    } else {
        (state.lock_ttl_ms(), LEASE_TTL_AGENT_MS_MAX)
    };
    let ttl_ms = asked.unwrap_or(default);
    if ttl_ms < LEASE_TTL_MS_MIN {
        let text = format!("a lease lives {LEASE_TTL_MS_MIN} ms at least");
        return Err(Rejection::bad_field("ttl_ms", text));
    }
    if ttl_ms > most {
        let text = format!("ttl_ms: a lease of {actor} lives {most} ms at most");
        return Err(Rejection::new(Code::LimitExceeded, text).with_field("ttl_ms"));
    }
    Ok(ttl_ms)
}

pub(super) fn wait(asked: Option<u64>) -> Result<u64, Rejection> {
    let wait_ms = asked.unwrap_or(0);
    if wait_ms > WAIT_MS_MAX {
        let text = format!("wait_ms: a request waits {WAIT_MS_MAX} ms at most");
        return Err(Rejection::new(Code::LimitExceeded, text).with_field("wait_ms"));
    }
    Ok(wait_ms)
}

/// A lease for a task ends with the task's attempt, so it is only the attempt's own to take.
fn own_task(state: &State, command: &Command, id: TaskId) -> Result<(), Rejection> {
    let Some(task) = state.tasks.get(&id) else {
        return Err(Rejection::new(Code::TaskNotFound, format!("there is no task {id}")));
    };
    let own = task.attempt.as_ref().is_some_and(|attempt| {
        attempt.actor == command.actor && Some(&attempt.session) == command.session.as_ref()
    });
    if own {
        return Ok(());
    }
    let text = match &task.attempt {
        Some(attempt) => format!("{id} is worked on by {}", attempt.actor),
        None => format!("{id} is nobody's to work on now"),
    };
    Err(Rejection::new(Code::NotOwner, text))
}

/// A grant is one event a path, with the reason in each: all of it must go into one record.
fn fits_a_record(paths: &[RepoPath], reason: Option<&str>) -> Result<(), Rejection> {
    let bytes = record_bytes(paths, reason);
    if bytes > RECORD_BYTES_MAX {
        let text = format!("paths: too much for one request ({bytes} bytes); ask for fewer");
        return Err(Rejection::new(Code::LimitExceeded, text).with_field("paths"));
    }
    Ok(())
}

/// No less than the grants of these paths take in a record.
pub(super) fn record_bytes(paths: &[RepoPath], reason: Option<&str>) -> usize {
    // The names in an event are at most 63 bytes each, and there are few.
    let each = 512 + reason.map_or(0, str::len);
    paths.iter().map(|path| path.key().len() + each).sum()
}
