//! The process's decisions: `(view, time, input) → effects`, pure. No clock, no disk, no network.

mod attempt;
mod ending;
mod held;
mod landing;
mod learned;
mod news;
mod plan;
mod review;
mod session;
mod share;
mod tool;

#[cfg(test)]
mod tests;

use crate::clock::Now;
use crate::effect::Effect;
use crate::input::{Input, Timed};
use crate::view::View;

/// Takes one input up.
pub fn step(view: &mut View, timed: Timed) -> Vec<Effect> {
    let Timed { now, input } = timed;
    match input {
        Input::Tick => tick(view, now),
        Input::Shutdown => ending::shutdown(view),
        Input::Joined { session, answer } => session::joined(view, now, &session, answer),
        Input::SessionRenewed(id) => session::renewed(view, id),
        Input::Beaten { sent_ms, session, answer } => {
            session::beaten(view, &session, sent_ms, answer)
        }
        Input::Left => vec![Effect::Exit],
        Input::Noticed(notice) => news::noticed(view, now, *notice),
        Input::Reconciled(tasks) => session::reconciled(view, now, tasks),
        Input::LeasesSeen { session, seen } => held::seen(view, &session, seen),
        Input::LookedAt { task, sight } => session::looked_at(view, now, task, sight),
        Input::LookedUp { key, job } => attempt::looked_up(view, key, job),
        Input::Answered { key, .. } if view.review_of(key).is_some() => review::end(view),
        Input::Answered { key, verb, answer } => attempt::answered(view, key, verb, answer),
        Input::Posted { key, refused } => ending::posted(view, key, refused),
        Input::Prepared { key, place } => attempt::prepared(view, now, key, place),
        Input::BuildWaits { key, holders } => attempt::build_waits(view, key, &holders),
        Input::BaseProven { key, red } => attempt::base_proven(view, key, red),
        Input::Told { key, fact } if view.review_of(key).is_some() => review::told(view, key, fact),
        Input::Told { key, fact } => tool::told(view, key, fact),
        Input::ToolEnded { key, end } if view.review_of(key).is_some() => {
            review::ended(view, now, key, &end)
        }
        Input::ToolEnded { key, end } => tool::ended(view, now, key, end),
        Input::Saved { key, commit } => tool::saved(view, now, key, commit),
        Input::Captured { key, captured } => attempt::captured(view, key, captured),
        Input::ReviewPrepared { key, prompt } => review::prepared(view, key, prompt),
        Input::Refreshed { key, fresh } => attempt::refreshed(view, key, fresh),
        Input::Verified { key, verdict } => attempt::verified(view, key, verdict),
        Input::Landed { key, landing, trees } => landing::landed(view, key, landing, trees),
        Input::Resent => vec![Effect::Reconcile],
        Input::Published { key, done } => landing::published(view, key, done),
        Input::Rebased { key, conflicts } => landing::rebased(view, key, conflicts),
        Input::Said { key, words } => news::said(view, key, words),
        Input::FrameworkRead(text) => {
            view.framework = Some(text);
            Vec::new()
        }
        Input::Dropped(key) if view.review_of(key).is_some() => review::over(view),
        Input::Dropped(key) => ending::dropped(view, key),
    }
}

fn tick(view: &mut View, now: Now) -> Vec<Effect> {
    let mut effects = session::tick(view, now);
    effects.extend(tool::tick(view, now));
    effects
}
