//! Whatever people and agents do in whatever order, every invariant holds after every record,
//! the same records make the same state, and in the end everybody gets what they wait for.

use std::collections::BTreeSet;

use devmesh_protocol::LeaseId;
use proptest::prelude::*;

use crate::invariant::world::World;

const PATHS: [&str; 7] = [".", "a", "a/b", "a/b/c", "a/d", "e", "e/f"];
const WHO: [&str; 7] = ["alice", "bob", "carol", "dave", "codex", "claude", "gemini"];

/// Codex and claude work on tasks; gemini does too and never shares.
fn working() -> World {
    let mut world = World::new();
    for (n, who) in [(1, "codex"), (2, "claude"), (3, "gemini")] {
        world.attempt(n, who, serde_json::json!({}));
    }
    world
}
const MODES: [&str; 4] = ["read", "intent", "co_write", "write"];

/// A step that may or may not have a meaning as things stand.
#[derive(Clone, Debug)]
enum Step {
    Acquire { who: usize, mode: usize, paths: Vec<usize>, wait_ms: Option<u64> },
    Release { who: usize, nth: usize },
    Convert { who: usize, nth: usize, mode: usize, wait_ms: Option<u64> },
    Withdraw { who: usize, nth: usize },
    Break { nth: usize },
    After { ms: u64 },
    Silent { who: usize, ms: u64 },
    Renew { who: usize },
}

fn steps(ends: bool) -> impl Strategy<Value = Vec<Step>> {
    let wait = || proptest::option::weighted(0.8, prop_oneof![Just(500_u64), Just(3_600_000)]);
    let who = || 0..WHO.len();
    let acquire = (who(), 0..4_usize, proptest::collection::vec(1..PATHS.len(), 1..4), wait())
        .prop_map(|(who, mode, paths, wait_ms)| Step::Acquire { who, mode, paths, wait_ms });
    let wide = (who(), 0..4_usize, wait()).prop_map(|(who, mode, wait_ms)| Step::Acquire {
        who,
        mode,
        paths: vec![0],
        wait_ms,
    });
    let release = (who(), 0..8_usize).prop_map(|(who, nth)| Step::Release { who, nth });
    let convert = (who(), 0..8_usize, 0..4_usize, wait())
        .prop_map(|(who, nth, mode, wait_ms)| Step::Convert { who, nth, mode, wait_ms });
    let withdraw = (who(), 0..4_usize).prop_map(|(who, nth)| Step::Withdraw { who, nth });
    let rare = if ends { 1 } else { 0 };
    let after = match ends {
        true => vec![1_u64, 500, 10_000, 2_000_000],
        false => vec![10_000],
    };
    let after = proptest::sample::select(after);
    let step = prop_oneof![
        12 => acquire,
        1 => wide,
        6 => release,
        4 => convert,
        2 => withdraw,
        rare => (0..8_usize).prop_map(|nth| Step::Break { nth }),
        2 => after.prop_map(|ms| Step::After { ms }),
        rare => (4..7_usize, prop_oneof![Just(15_000_u64), Just(20_000), Just(29_999)])
            .prop_map(|(who, ms)| Step::Silent { who, ms }),
        1 => who().prop_map(|who| Step::Renew { who }),
    ];
    proptest::collection::vec(step, 1..60)
}

fn lease(world: &World, who: Option<usize>, nth: usize) -> Option<LeaseId> {
    let own: Vec<LeaseId> = world
        .state
        .leases
        .iter()
        .filter(|(_, lease)| who.is_none_or(|who| lease.holder.actor.as_str() == WHO[who]))
        .map(|(id, _)| *id)
        .collect();
    own.get(nth % own.len().max(1)).copied()
}

fn take(world: &mut World, step: &Step) {
    let body = |wait_ms: &Option<u64>| match wait_ms {
        Some(ms) => serde_json::json!({ "wait_ms": ms }),
        None => serde_json::json!({}),
    };
    let done = match step {
        Step::Acquire { who, mode, paths, wait_ms } => {
            let mut body = body(wait_ms);
            body["mode"] = MODES[*mode].into();
            body["paths"] = paths.iter().map(|path| PATHS[*path]).collect();
            if let Some(task) = who.checked_sub(3).filter(|task| *task > 0) {
                body["task"] = format!("t-{task}").into();
            }
            if WHO[*who] == "gemini" {
                body["share"] = "never".into();
            }
            world.send(WHO[*who], "lock.acquire", body)
        }
        Step::Release { who, nth } => {
            let Some(lease) = lease(world, Some(*who), *nth) else { return };
            let body = serde_json::json!({ "leases": [lease] });
            world.send(WHO[*who], "lock.release", body)
        }
        Step::Convert { who, nth, mode, wait_ms } => {
            let Some(lease) = lease(world, Some(*who), *nth) else { return };
            let mut body = body(wait_ms);
            body["lease"] = lease.to_string().into();
            body["mode"] = MODES[*mode].into();
            world.send(WHO[*who], "lock.convert", body)
        }
        Step::Withdraw { who, nth } => {
            let waiting: Vec<String> = world
                .state
                .waiters
                .values()
                .filter(|waiter| waiter.holder.actor.as_str() == WHO[*who])
                .map(|waiter| waiter.id.to_string())
                .collect();
            let Some(id) = waiting.get(nth % waiting.len().max(1)) else { return };
            world.send(WHO[*who], "lock.release", serde_json::json!({ "ids": [id] }))
        }
        Step::Break { nth } => {
            let Some(lease) = lease(world, None, *nth) else { return };
            let body = serde_json::json!({ "lease": lease, "reason": "test" });
            world.send("alice", "lock.break", body)
        }
        Step::After { ms } => Ok(world.after(*ms)),
        Step::Silent { who, ms } => Ok(world.silent(WHO[*who], *ms)),
        Step::Renew { who } => world.send(WHO[*who], "lock.renew", serde_json::json!({})),
    };
    if let Err(refused) = done {
        let code = refused.code.as_str();
        let expected = ["LOCK_CONFLICT", "LOCK_DEADLOCK", "LEASE_EXPIRED"];
        assert!(expected.contains(&code), "{step:?} is refused: {refused}");
        check_circle(step, &refused, world);
    }
}

/// An attempt that shares is refused for no circle, unless it leads over somebody who never does.
fn check_circle(step: &Step, refused: &devmesh_protocol::Rejection, world: &World) {
    let (Step::Acquire { who, .. } | Step::Convert { who, .. }) = step else { return };
    let never = |share| share == Some(devmesh_protocol::command::lock::Share::Never);
    let somebody_never_does = world.state.leases.values().any(|lease| never(lease.share));
    if refused.code.as_str() == "LOCK_DEADLOCK" && (4..6).contains(who) {
        assert!(somebody_never_does, "{step:?} is refused: {refused}");
    }
}

/// Everybody who waits for nothing gives back what they have, until nobody is left. Whoever
/// still waits when nobody can give anything back would have waited for ever.
fn drain(world: &mut World) {
    while !world.state.waiters.is_empty() {
        let waiting: BTreeSet<_> =
            world.state.waiters.values().map(|waiter| waiter.holder.clone()).collect();
        let free: Vec<(String, LeaseId)> = world
            .state
            .leases
            .iter()
            .filter(|(_, lease)| !waiting.contains(&lease.holder))
            .map(|(id, lease)| (lease.holder.actor.to_string(), *id))
            .collect();
        assert!(!free.is_empty(), "these wait for ever: {:#?}", world.state.waiters);
        let (who, lease) = &free[0];
        let body = serde_json::json!({ "leases": [lease] });
        world.send(who, "lock.release", body).unwrap();
    }
}

/// No token is ever given twice, and a later one is greater.
fn check_tokens(world: &World) {
    let mut greatest = None;
    for record in &world.records {
        for event in &record.events {
            #[expect(clippy::wildcard_enum_match_arm, reason = "these two give tokens")]
            let index = match event {
                devmesh_protocol::Event::LockGranted(e) => e.index,
                devmesh_protocol::Event::LockConverted(e) => match e.index {
                    Some(index) => index,
                    None => continue,
                },
                _ => continue,
            };
            let token = Some((record.seq, index));
            assert!(token > greatest, "{token:?} after {greatest:?}");
            greatest = token;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn every_invariant_holds_and_everybody_is_served(steps in steps(false)) {
        let mut world = working();
        steps.iter().for_each(|step| take(&mut world, step));
        drain(&mut world);
        check_tokens(&world);
        world.check_replay();
    }

    #[test]
    fn every_invariant_holds_as_leases_and_sessions_end(steps in steps(true)) {
        let mut world = working();
        steps.iter().for_each(|step| take(&mut world, step));
        world.after(4_000_000);
        world.silent("codex", 400_000);
        world.silent("claude", 400_000);
        world.silent("gemini", 400_000);
        prop_assert!(world.state.leases.is_empty(), "in the end nothing is held");
        prop_assert!(world.state.waiters.is_empty(), "and nobody waits");
        check_tokens(&world);
        world.check_replay();
    }
}
