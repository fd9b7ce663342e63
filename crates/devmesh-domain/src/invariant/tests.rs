//! Each of the promises can be broken, and then says so: a check that cannot fail checks
//! nothing.

use devmesh_protocol::command::agent::Role;
use devmesh_protocol::command::internal::Internal;
use devmesh_protocol::event::Bid;
use devmesh_protocol::event::agent::ActorAdded;
use devmesh_protocol::report::{Gpu, HostReport};
use devmesh_protocol::{At, LeaseId, Mode, RepoPath, TaskId};
use serde_json::json;

use super::*;
use crate::invariant::world::{World, actor, idle_host, session};
use crate::state::lease::{Holder, Lease, Waiter};

/// A mesh in which something is held and waited for.
fn world() -> World {
    let mut world = World::new();
    for step in [
        "alice write a",
        "codex read b/c",
        "bob write a wait 9000",
        "carol write a/x wait 9000",
        "claude write b wait 9000",
        "gemini read b/d wait 9000",
        "codex intent b/c wait 9000",
    ] {
        world.step(step);
    }
    check(&world.state).unwrap();
    world
}

fn broken(holds: fn(&State) -> Result<(), String>, harm: fn(&mut State)) {
    let mut state = world().state;
    harm(&mut state);
    assert!(holds(&state).is_err(), "the harm is seen");
    assert!(check(&state).is_err(), "and is among all");
}

fn lease(name: &str, path: &str, mode: Mode) -> Lease {
    let holder = Holder { actor: actor(name), session: None, task: None };
    Lease {
        holder,
        repo: devmesh_protocol::RepoId::new("r").unwrap(),
        path: RepoPath::new(path).unwrap(),
        mode,
        granted_at: At(1),
        ttl_ms: 1000,
        expires_at: Some(At(2_000_000)),
        reason: None,
        request: None,
        share: None,
    }
}

fn first_waiter(state: &State) -> (u64, Waiter) {
    let (place, waiter) = state.waiters.iter().next().unwrap();
    (*place, waiter.clone())
}

const ID: LeaseId = LeaseId { seq: 1, index: 0 };

#[test]
fn s1_can_fail() {
    broken(s1_compatible, |state| drop(state.leases.insert(ID, lease("bob", "a/b", Mode::Read))));
    broken(s1_compatible, |state| drop(state.leases.insert(ID, lease("bob", ".", Mode::Write))));
}

#[test]
fn s2_can_fail() {
    broken(s2_tokens, |state| {
        let id = LeaseId { seq: 1000, index: 0 };
        state.leases.insert(id, lease("bob", "z", Mode::Read));
    });
    broken(s2_tokens, |state| {
        let (place, _) = first_waiter(state);
        state.waiters.get_mut(&place).unwrap().convert = Some(ID);
    });
}

#[test]
fn s5_can_fail() {
    broken(s5_deadlines, |state| {
        let mut lease = lease("codex", "z", Mode::Read);
        lease.holder.session = Some(session("codex"));
        state.leases.insert(ID, lease);
    });
    broken(s5_deadlines, |state| {
        let (place, waiter) = first_waiter(state);
        state.waiters.get_mut(&place).unwrap().deadline = waiter.queued_at;
    });
}

#[test]
fn s8_can_fail() {
    broken(s8_sessions, |state| {
        let mut lease = lease("codex", "z", Mode::Read);
        lease.holder.session = Some(session("old"));
        state.leases.insert(ID, lease);
    });
    broken(s8_sessions, |state| state.actors.get_mut(&actor("alice")).unwrap().ended = true);
    broken(s8_sessions, |state| {
        let codex = state.actors.get_mut(&actor("codex")).unwrap();
        codex.past_sessions.push_back(session("codex"));
    });
}

#[test]
fn s10_can_fail() {
    broken(s10_one_owner, |state| {
        state.agents.get_mut(&actor("codex")).unwrap().task = Some(TaskId(1));
    });
    broken(s10_one_owner, |state| {
        let mut lease = lease("alice", "z", Mode::Read);
        lease.holder.task = Some(TaskId(1));
        state.leases.insert(ID, lease);
    });
}

#[test]
fn s11_can_fail() {
    broken(s11_reservations, |state| {
        let host = devmesh_protocol::HostId::new("host").unwrap();
        state.index.reserve(&host, &Default::default(), None);
    });
}

#[test]
fn s13_can_fail() {
    broken(s13_bounded, |state| {
        let (_, waiter) = first_waiter(state);
        for place in 0..=devmesh_protocol::limits::WAITERS_MAX as u64 {
            state.waiters.insert(place, waiter.clone());
        }
    });
}

#[test]
fn l2_can_fail() {
    broken(l2_no_lost_wake_up, |state| {
        // Somebody gave a lease back and nobody was told.
        let id = *state.leases.iter().find(|(_, l)| l.path.key() == "a").unwrap().0;
        let repo = devmesh_protocol::RepoId::new("r").unwrap();
        state.leases.remove(&id);
        state.index.leases_by_path.remove(&repo, "a", id);
    });
    broken(l2_no_lost_wake_up, |state| {
        let (place, _) = first_waiter(state);
        state.index.grantable.insert(place);
    });
}

#[test]
fn l4_can_fail() {
    broken(l4_no_circle, |state| {
        // alice waits for what bob holds, who waits for her.
        let repo = devmesh_protocol::RepoId::new("r").unwrap();
        state.leases.insert(ID, lease("bob", "z", Mode::Write));
        state.index.leases_by_path.insert(&repo, "z", ID);
        let (_, mut waiter) = first_waiter(state);
        waiter.holder = Holder { actor: actor("alice"), session: None, task: None };
        waiter.paths = vec![RepoPath::new("z").unwrap()];
        state.waiters.insert(1, waiter);
    });
}

#[test]
fn lost_entries_of_indexes_are_seen() {
    broken(indexes_match_tables, |state| {
        drop(state.leases.insert(ID, lease("bob", "z", Mode::Read)))
    });
    broken(indexes_match_tables, |state| state.index.leases_by_session.clear());
    broken(indexes_match_tables, |state| state.index.waiters_by_session.clear());
    broken(indexes_match_tables, |state| state.index.waiters_by_id.clear());
    broken(indexes_match_tables, |state| state.index.held_up.clear());
    broken(indexes_match_tables, |state| state.index.due.clear());
    broken(indexes_match_tables, |state| state.index.line.clear());
    broken(indexes_match_tables, |state| state.index.idle.clear());
    broken(indexes_match_tables, |state| state.index.agents_by_host.clear());
    broken(indexes_match_tables, |state| state.index.misjudged.extend([actor("codex")]));
    broken(indexes_match_tables, |state| {
        let place = *state.index.held_up.keys().next().unwrap();
        state.index.stalled.insert(place);
    });
    broken(indexes_match_tables, |state| {
        let place = *state.index.held_up.keys().next().unwrap();
        *state.index.held_up.get_mut(&place).unwrap() += 1;
    });
}

/// What begins where no room was on record is seen, of whatever there is too little.
#[test]
fn s11_of_what_begins_can_fail() {
    let gpu = |used| Gpu {
        device: 0,
        name: "x".to_owned(),
        vram_total_mb: 800,
        vram_used_mb: used,
        vram_limit_mb: None,
        use_percent: None,
        celsius: None,
    };
    let enough = HostReport { gpus: vec![gpu(0)], ..idle_host("host") };
    let needs = json!({ "ram_mb": 2_000, "vram_mb": 400, "slots": 2 });
    let mut world = World::bare();
    let session = json!({ "tool": "x", "host": "host", "session": "s", "needs": needs });
    world.reported(&enough);
    world.happened(vec![ActorAdded { actor: actor("alice"), role: Role::Person }.into()]);
    world.repo("r", false);
    world.send("codex", "agent.join", session).unwrap();
    world.send("alice", "task.add", json!({ "title": "x", "repo": "r" })).unwrap();
    let before = world.state.clone();
    let (actor, task) = (actor("codex"), TaskId(1));
    let bid = Bid { actor, score: [("free".to_owned(), 1)].into(), total: 1, declined: None };
    let came = world.internal(Internal::AuctionClose { task, bids: vec![bid] });
    assert_eq!(came, ["task_awarded t-1"]);
    let (award, after) = (world.records.last().unwrap(), &world.state);
    let judged = |report: &HostReport| {
        let mut before = before.clone();
        let (host, capacity) = (report.host.clone(), report.capacity());
        before.hosts.insert(host.clone(), capacity);
        let gauge = before.gauges.get_mut(&host).unwrap();
        gauge.measured.ram_free_mb = report.ram_free_mb;
        gauge.measured.vram_free_mb = report.by_device(|it| it.vram_total_mb - it.vram_used_mb);
        check_step(&before, award, after)
    };
    judged(&enough).unwrap();
    for (short, why) in [
        (HostReport { ram_limit_mb: Some(1_999), ..enough.clone() }, "2000 MiB of 1999"),
        (HostReport { ram_free_mb: 1_999, ..enough.clone() }, "2000 free MiB of 1999"),
        (HostReport { slots: 1, ..enough.clone() }, "2 places of 1"),
        (HostReport { gpus: vec![gpu(401)], ..enough.clone() }, "400 free MiB of a GPU of 399"),
        (HostReport { gpus: Vec::new(), ..enough }, "400 MiB of a GPU of 0"),
    ] {
        let told = judged(&short).unwrap_err();
        assert!(told.contains("s11_begins_with_room") && told.contains(why), "{told}");
    }
}
