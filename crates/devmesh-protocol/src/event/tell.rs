//! Each event as a sentence, for logs, `why` and the dashboard's tail.

use std::fmt;

use super::Event;
use super::agent::HostMeasured;
use super::task::{Blocked, Ended, Next, ReviewLapse};
use crate::command::task::{Judgement, LandOutcome, Phase, Verdict};
use crate::path::RepoPath;

/// Object names are told by their first ten digits, as git does.
fn short(name: &str) -> &str {
    name.get(..10).unwrap_or(name)
}

fn because(reason: Option<&String>) -> String {
    reason.map(|reason| format!(": {reason}")).unwrap_or_default()
}

fn list(paths: &[RepoPath]) -> String {
    let mut text: Vec<String> = paths.iter().take(4).map(ToString::to_string).collect();
    if paths.len() > 4 {
        text.push(format!("{} more", paths.len() - 4));
    }
    text.join(", ")
}

fn tell_host(f: &mut fmt::Formatter<'_>, e: &HostMeasured) -> fmt::Result {
    let c = &e.capacity;
    write!(f, "{} has {} MiB, {} GPUs, {} places", e.host, c.ram_mb, c.vram_mb.len(), c.slots)?;
    let Some(measured) = &e.measured else { return Ok(()) };
    write!(f, "; {} MiB are free", measured.ram_free_mb)?;
    for strain in &measured.strains {
        write!(f, "; strained: {strain}")?;
    }
    Ok(())
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::EpochStarted(e) => write!(f, "{} leads term {}", e.node, e.epoch),
            Event::Checkpoint(e) => write!(f, "the state has hash {}", e.hash.short()),
            Event::CommandRejected(e) => {
                write!(
                    f,
                    "{} was refused with {}: {}",
                    e.verb, e.rejection.code, e.rejection.message
                )
            }
            Event::RefusalsSuppressed(e) => {
                write!(f, "{} more refusals of {} with {}", e.n, e.actor, e.code)
            }
            Event::MeshPaused(e) => write!(f, "the mesh paused{}", because(e.reason.as_ref())),
            Event::MeshResumed(_) => write!(f, "the mesh goes on"),
            Event::SettingChanged(e) => match &e.value {
                Some(value) => write!(f, "setting {} is {value}", e.key),
                None => write!(f, "setting {} is back to its default", e.key),
            },
            Event::Redacted(e) => write!(f, "text {} was forgotten", e.digest.short()),
            Event::RepoAdded(e) => {
                write!(f, "repository {} starts from {} and lands on {}", e.repo, e.base, e.target)
            }
            Event::BranchMoved(e) => {
                write!(f, "somebody moved {} of {} to {}", e.branch, e.repo, short(&e.to))
            }
            Event::CheckoutChanged(e) if e.paths.is_empty() => {
                write!(f, "{} has committed all in {}", e.actor, e.repo)
            }
            Event::CheckoutChanged(e) => {
                write!(f, "{} has changes in {}: {}", e.actor, e.repo, list(&e.paths))
            }
            Event::NoteShared(e) => write!(f, "{} shared a note on {}", e.by, e.key),
            Event::FrameworkPublished(e) => write!(f, "{} published framework {}", e.by, e.version),
            Event::FrameworkRead(e) => write!(f, "{} read framework {}", e.actor, e.version),
            _ => self.tell_agent(f),
        }
    }
}

impl Event {
    fn tell_agent(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::ActorAdded(e) => write!(f, "{} is a credential for: {:?}", e.actor, e.role),
            Event::ActorEnded(e) => {
                write!(f, "the credential {} ended{}", e.actor, because(e.reason.as_ref()))
            }
            Event::AgentJoined(e) => {
                write!(f, "{} joined with {} on {} ({})", e.actor, e.tool, e.host, e.session)
            }
            Event::AgentResumed(e) => write!(f, "{} is back ({})", e.actor, e.session),
            Event::AgentLeft(e) => write!(f, "{} left{}", e.actor, because(e.reason.as_ref())),
            Event::AgentDrained(e) => write!(f, "{} gets nothing new", e.actor),
            Event::LeasesLapsed(e) => {
                write!(f, "{} was silent for {} ms: its leases are free", e.actor, e.silent_ms)
            }
            Event::SessionLost(e) => {
                write!(f, "{} was silent for {} ms: its session ended", e.actor, e.silent_ms)
            }
            Event::ArchitectNamed(e) => match &e.actor {
                Some(actor) => write!(f, "{actor} is the architect"),
                None => write!(f, "nobody is the architect"),
            },
            Event::AgentSuspended(e) => write!(f, "{} is suspended: {e}", e.actor),
            Event::AgentUnsuspended(e) => write!(f, "{} can work again", e.actor),
            Event::HostMeasured(e) => tell_host(f, e),
            Event::HostSilent(e) => {
                let silent = e.silent_ms / 1_000;
                write!(f, "{} is not measured any more: no report for {silent} s", e.host)
            }
            _ => self.tell_lock(f),
        }
    }

    fn tell_lock(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::LockGranted(e) => {
                write!(f, "{} holds {} ({})", e.actor, e.path, e.mode)?;
                e.task.map_or(Ok(()), |task| write!(f, " for {task}"))?;
                if e.waited.is_some() { write!(f, ", after waiting") } else { Ok(()) }
            }
            Event::LockQueued(e) => {
                write!(f, "{} waits for {} ({})", e.actor, list(&e.paths), e.mode)
            }
            Event::LockWithdrawn(e) => write!(f, "{} no longer waits ({:?})", e.actor, e.why),
            Event::LockConverted(e) => write!(f, "lease {} is now {}", e.lease, e.to),
            Event::SharingBegan(e) => write!(f, "{} has waited long enough to share", e.actor),
            Event::LeaseShared(e) => {
                write!(f, "{} holds {} ({}) together with {}", e.actor, e.path, e.to, e.with)?;
                e.with_task.map_or(Ok(()), |task| write!(f, " for {task}"))
            }
            Event::WideWrite(e) => {
                write!(f, "{} wrote {} files at once for {}", e.actor, e.paths, e.task)
            }
            Event::LockReleased(e) => write!(f, "lease {} was given back", e.lease),
            Event::LockRenewed(e) => write!(f, "{} keeps {} leases", e.actor, e.leases.len()),
            Event::LockExpired(e) => write!(f, "the time of lease {} was over", e.lease),
            Event::LockBroken(e) => {
                write!(f, "{} ended lease {}", e.by, e.lease)?;
                if let (Some(path), Some(actor)) = (&e.path, &e.actor) {
                    write!(f, " of {actor} on {path}")?;
                }
                write!(f, ": {}", e.reason)
            }
            _ => self.tell_task(f),
        }
    }

    fn tell_task(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::TaskAdded(e) => write!(f, "{} added {}: {}", e.by, e.task, e.title),
            Event::TaskEdited(e) => write!(f, "{} was changed", e.task),
            Event::AuctionOpened(e) => write!(f, "bids are taken on {}", e.task),
            Event::AuctionLapsed(e) => write!(f, "nobody won {}: {}", e.task, e.why),
            Event::TaskAwarded(e) => {
                write!(f, "{} won {} (attempt {}) with ", e.actor, e.task, e.attempt)?;
                match e.bids.first() {
                    Some(best) => write!(f, "{} points, {} bids", best.total, e.bids.len()),
                    None => write!(f, "no bid on record"),
                }
            }
            Event::TaskStarted(e) => write!(f, "{} began (attempt {})", e.task, e.attempt),
            Event::TaskProgressed(e) => match (&e.phase, &e.saved) {
                (Some(Phase::Working), _) => write!(f, "{} is being worked on", e.task),
                (Some(Phase::Verifying), _) => write!(f, "{} is being verified", e.task),
                (None, Some(commit)) => write!(f, "{} was saved as {}", e.task, short(commit)),
                (None, None) => write!(f, "{} tells its tool's session", e.task),
            },
            Event::TaskVerified(e) => {
                let how = match e.receipt.verdict {
                    Verdict::Passed => "passed its verification",
                    Verdict::Flaky => "passed its verification when run again",
                    Verdict::Failed => "failed its verification",
                    Verdict::Unverified => "has nothing to verify it",
                };
                write!(f, "{} {how} (tree {})", e.task, short(&e.receipt.tree))
            }
            Event::PlanProposed(e) => write!(f, "the plan of {} waits for a look", e.task),
            Event::TaskPlanned(e) => {
                let (task, n) = (e.task, e.tasks.len());
                write!(f, "{task} is planned: framework {}, {n} tasks", e.framework)
            }
            Event::TaskReviewed(e) => {
                let how = match e.verdict {
                    Judgement::Approve => "approved",
                    Judgement::Reject => "rejected",
                    Judgement::Abstain => "came to no verdict on",
                };
                write!(f, "{} {how} {}", e.by, e.task)
            }
            Event::ReviewAssigned(e) => {
                write!(f, "{} is to review {} (tree {})", e.reviewer, e.task, short(&e.tree))
            }
            Event::ReviewLapsed(e) => {
                let why = match e.why {
                    ReviewLapse::TimedOut => "no verdict came in time",
                    ReviewLapse::Abstained => "it came to no verdict",
                    ReviewLapse::SessionEnded => "its session ended",
                    ReviewLapse::NotNeeded => "no verdict is needed any more",
                };
                write!(f, "{} no longer reviews {}: {why}", e.reviewer, e.task)
            }
            Event::TaskAsked(e) => write!(f, "the worker of {} asks", e.task),
            Event::TaskAnswered(e) => match &e.by {
                Some(by) => write!(f, "{by} answered {} of {}", e.question, e.task),
                None => {
                    write!(f, "nobody answered {} of {}: the default counts", e.question, e.task)
                }
            },
            Event::TaskSaid(e) => write!(f, "{} said something to the worker of {}", e.by, e.task),
            Event::TaskPaused(e) => write!(f, "{} is held{}", e.task, because(e.reason.as_ref())),
            Event::TaskResumed(e) => write!(f, "{} goes on", e.task),
            Event::TaskBlocked(e) => write!(f, "{} is blocked: {}", e.task, e.cause),
            Event::TaskUnblocked(e) => write!(f, "{} is no longer blocked", e.task),
            _ => self.tell_end(f),
        }
    }

    fn tell_end(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::PathsQueued(e) => {
                write!(f, "{} has waited long and is in the queue for {}", e.task, list(&e.paths))
            }
            Event::PathsLeft(e) => write!(f, "{} has left the queue for its paths", e.task),
            Event::LandQueued(e) => write!(f, "{} waits for its turn to land", e.task),
            Event::LandWithdrawn(e) => {
                write!(f, "{} no longer waits to land ({:?})", e.task, e.why)
            }
            Event::LandBegan(e) => write!(f, "{} has the turn to land on {}", e.task, e.target),
            Event::LandEnded(e) => match (e.outcome, &e.commit) {
                (LandOutcome::Landed, Some(commit)) => {
                    write!(f, "{} landed on {} as {}", e.task, e.target, short(commit))
                }
                (LandOutcome::Landed, None) => write!(f, "{} landed on {}", e.task, e.target),
                (LandOutcome::Conflict, _) => {
                    write!(f, "{} conflicts with {} in {}", e.task, e.target, e.paths.join(", "))
                }
                (LandOutcome::Blocked, _) => {
                    write!(f, "{} cannot land{}", e.task, because(e.message.as_ref()))
                }
                (LandOutcome::Yielded, _) => write!(f, "{} gave its turn back", e.task),
            },
            Event::TaskCompleted(e) => match &e.commit {
                Some(commit) => write!(f, "{} is completed as {}", e.task, short(commit)),
                None => write!(f, "{} is completed", e.task),
            },
            Event::AttemptEnded(e) => {
                let next = match e.next {
                    Next::Queued => "back to the queue",
                    Next::Failed => "it has failed",
                    Next::Cancelled => "it is cancelled",
                    Next::Completed => "it is completed",
                    Next::Review => "a reviewer is to look",
                };
                write!(f, "attempt {} of {} ended: {}; {next}", e.attempt, e.task, e.why)
            }
            Event::TaskCancelled(e) => {
                write!(f, "{} was cancelled{}", e.task, because(e.reason.as_ref()))
            }
            Event::TaskRetried(e) => {
                write!(f, "{} is tried again{}", e.task, because(e.reason.as_ref()))
            }
            other => f.write_str(other.kind()),
        }
    }
}

impl fmt::Display for Blocked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Blocked::Dependency(task) => {
                write!(f, "{task}, which it depends on, was not completed")
            }
            Blocked::Question(question) => write!(f, "{question} waits for an answer"),
            Blocked::Landing(what) => write!(f, "it cannot land: {what}"),
            Blocked::Budget => write!(f, "its money is spent"),
            Blocked::BaseRed => write!(f, "its base fails its own verification"),
            Blocked::RateLimit(Some(at)) => write!(f, "a rate limit, until {at}"),
            Blocked::RateLimit(None) => write!(f, "a rate limit"),
            Blocked::Decision => write!(f, "a person has to decide"),
            Blocked::GivenBack(why) => write!(f, "agents give it back: {why}"),
            Blocked::Base(what) => write!(f, "its base cannot be worked on: {what}"),
        }
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ended::NotStarted => write!(f, "it was not started in time"),
            Ended::Failed { class, .. } => write!(f, "it failed ({class})"),
            Ended::Abandoned { reason } => write!(f, "it was given back ({reason})"),
            Ended::SessionEnded => write!(f, "its agent's session ended"),
            Ended::Cancelled => write!(f, "its task was cancelled"),
            Ended::Superseded => write!(f, "another attempt had landed"),
            Ended::Parked => write!(f, "it has to wait, and its agent need not"),
        }
    }
}
