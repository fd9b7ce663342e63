//! After the mishaps: when everybody does the next right thing, everything drains.

use devmesh_domain::glance;
use devmesh_domain::state::task::Phase;
use devmesh_protocol::command::task::{LandOutcome, Reasoned, Start, Verdict};
use devmesh_protocol::{ActorId, Verb};

use crate::action::{complete, done, land_end, verified};
use crate::world::{Held, World, broken};

/// Rounds in which everything has to be over.
const ROUNDS: usize = 40;

impl World {
    /// L6: every task ends; and when all have left, nobody holds or waits for anything.
    pub(crate) fn drains(mut self) -> Held {
        self.return_all()?;
        for _ in 0..ROUNDS {
            if glance::tasks(&self.state).all(|(_, task)| task.phase.has_ended()) {
                break;
            }
            self.work()?;
            self.pass(5_000)?;
        }
        let open = glance::tasks(&self.state).find(|(_, task)| !task.phase.has_ended());
        if let Some((id, task)) = open {
            return broken("l6_drains", format!("{id} is {} for ever", task.state_name()));
        }
        for n in 0..self.clients.len() {
            if self.clients[n].is_agent {
                self.leave(n)?;
            }
        }
        for _ in 0..ROUNDS {
            if glance::held(&self.state).next().is_none() {
                break;
            }
            self.pass(5_000)?;
        }
        match (glance::held(&self.state).next(), glance::waiting(&self.state).next()) {
            (Some((id, _)), _) => broken("l6_drains", format!("{id} is held by nobody")),
            (_, Some(waiter)) => broken("l6_drains", format!("{} waits for ever", waiter.id)),
            (None, None) => Ok(()),
        }
    }

    /// Whoever crashed is back under a new session, once its old one is over.
    fn return_all(&mut self) -> Held {
        if self.clients.iter().all(|client| client.alive) {
            self.clients.iter_mut().for_each(|client| client.flying = false);
            return self.pass(5_000);
        }
        for _ in 0..8 {
            self.pass(5_000)?;
        }
        for n in 0..self.clients.len() {
            self.clients[n].flying = false;
            if !self.clients[n].alive {
                self.clients[n].session += 1;
                self.clients[n].alive = true;
                self.clients[n].silent_ms = 0;
            }
            if self.clients[n].is_agent {
                self.pass(35_000)?;
                if glance::live_session(&self.state, &self.clients[n].actor).is_none()
                    && self.join(n).is_ok()
                    && glance::live_session(&self.state, &self.clients[n].actor).is_none()
                {
                    // Its session has ended while it thought itself alive.
                    self.clients[n].session += 1;
                    self.join(n)?;
                }
            }
        }
        Ok(())
    }

    /// Each task gets on by as much as it can.
    fn work(&mut self) -> Held {
        let auctions: Vec<_> = glance::auctions(&self.state).map(|(task, _)| task).collect();
        for task in auctions {
            let bidder = devmesh_domain::decide::bidders(&self.state, task).into_iter().next();
            self.close(task, bidder.as_ref())?;
        }
        let tasks: Vec<_> =
            glance::tasks(&self.state).map(|(id, task)| (id, task.clone())).collect();
        for (id, task) in tasks {
            let boss = ActorId::new("boss").unwrap();
            if task.paused || (task.blocked.is_some() && !task.phase.has_ended()) {
                let body = Reasoned { task: id, reason: None };
                self.send(boss.clone(), None, Verb::TaskResume(body))?;
                let lost = Reasoned { task: id, reason: None };
                let blocked = glance::tasks(&self.state).find(|(other, _)| *other == id);
                if blocked.is_some_and(|(_, task)| task.blocked.is_some()) {
                    self.send(boss, None, Verb::TaskCancel(lost))?;
                }
                continue;
            }
            let Some(attempt) = &task.attempt else { continue };
            let (number, token) = (attempt.number, attempt.token);
            let verb = match task.phase {
                Phase::Claimed => {
                    Verb::TaskStart(Start { task: id, attempt: number, token, base_commit: None })
                }
                Phase::Working => verified(id, number, token, Verdict::Passed),
                Phase::Verifying => done(&task, number, token),
                Phase::Landing if attempt.landed.is_some() => complete(id, number, token),
                Phase::Landing => land_end(id, number, token, LandOutcome::Landed),
                Phase::Queued
                | Phase::Review
                | Phase::Completed
                | Phase::Failed
                | Phase::Cancelled => continue,
            };
            self.send(attempt.actor.clone(), Some(attempt.session.clone()), verb)?;
        }
        Ok(())
    }
}
