//! Reports in, events out: what of a host goes on record, whom a strain suspends, and what fits.

use std::collections::BTreeMap;

use devmesh_protocol::command::agent::Needs;
use devmesh_protocol::command::internal::Internal;
use devmesh_protocol::event::agent::{Measured, Resource};
use devmesh_protocol::limits::strain::{FREE_MS, FREE_PARTS, TURN_MS};
use devmesh_protocol::report::{Gpu, HostReport};
use devmesh_protocol::{At, Event, HostId};
use proptest::prelude::*;
use serde_json::json;

use super::fits;
use crate::invariant::world::{AGENTS, World, actor, idle_host};

/// A mesh of three agents on one host, and what its probe reports.
struct Host {
    world: World,
    report: HostReport,
}

impl Host {
    fn new() -> Host {
        Host { world: World::new(), report: idle_host("host") }
    }

    /// `after 500 free 3000 memory 300`: time passes, figures change, and the probe reports.
    fn step(&mut self, step: &str) -> String {
        let words: Vec<&str> = step.split_whitespace().collect();
        for pair in words.chunks(2) {
            let n: u64 = pair[1].parse().unwrap();
            self.set(pair[0], n);
        }
        self.reports()
    }

    fn set(&mut self, what: &str, n: u64) {
        let milli = u32::try_from(n).unwrap_or(u32::MAX);
        let pressure = self.report.pressure.as_mut().unwrap();
        match what {
            "after" => drop(self.world.after(n)),
            "free" => self.report.ram_free_mb = n,
            "swap" => self.report.swap_used_mb = n,
            "memory" => pressure.memory_milli = milli,
            "io" => pressure.io_milli = milli,
            "cpu" => pressure.cpu_milli = milli,
            "load" => self.report.load1_milli = n,
            "disk" => self.report.disk_free_mb = n,
            "slots" => self.report.slots = milli,
            "vram" => self.report.gpus = vec![gpu(0, 16_000, 16_000 - n)],
            "ignore" => self.report.ignore_strain = n > 0,
            other => panic!("no such figure: {other}"),
        }
    }

    fn measured(&self) -> Measured {
        self.world.state.measured(&self.report.host).unwrap().clone()
    }

    fn reports(&mut self) -> String {
        let before = self.world.records.len();
        self.world.reported(&self.report);
        let events = self.world.records[before..].iter().flat_map(|record| &record.events);
        let (mut told, mut suspended, mut resumed) = (Vec::new(), 0, 0);
        for event in events {
            if let Event::HostMeasured(e) = event {
                let measured = e.measured.as_ref().unwrap();
                told.push(format!("{} free", measured.ram_free_mb));
                told.extend(measured.strains.iter().map(ToString::to_string));
            } else if matches!(event, Event::AgentSuspended(_)) {
                suspended += 1;
            } else {
                assert!(matches!(event, Event::AgentUnsuspended(_)), "{event}");
                resumed += 1;
            }
        }
        told.extend((suspended > 0).then(|| format!("{suspended} suspended")));
        told.extend((resumed > 0).then(|| format!("{resumed} go on")));
        told.join(" | ")
    }
}

fn gpu(device: u32, vram_total_mb: u64, vram_used_mb: u64) -> Gpu {
    let (vram_limit_mb, use_percent, celsius) = (None, None, None);
    let name = "x".to_owned();
    Gpu { device, name, vram_total_mb, vram_used_mb, vram_limit_mb, use_percent, celsius }
}

/// Each step with what goes on record.
fn story(steps: &[(&str, &str)]) -> Host {
    let mut host = Host::new();
    for (step, expect) in steps {
        assert_eq!(host.step(step), *expect, "{step}, in {steps:#?}");
    }
    host.world.check_replay();
    host
}

#[test]
fn samples_are_no_events_and_large_moves_are() {
    story(&[
        ("free 6000", "6000 free"),
        ("free 6000", ""),
        // A thousand is an eighth of all: not more than it.
        ("after 60000 free 5000", ""),
        ("after 60000 free 7000", ""),
        ("after 60000 free 4999", "4999 free"),
        // Not within ten seconds of the last.
        ("after 9999 free 8000", ""),
        ("after 1 free 8000", "8000 free"),
        ("after 9999 free 1500", ""),
        ("after 1 free 7900", ""),
        // Small steps add up: it is the last that was told that counts.
        ("after 20000 free 7500", ""),
        ("after 20000 free 7001", ""),
        ("after 20000 free 6999", "6999 free"),
        // What it can give is told at once.
        ("slots 9", "6999 free"),
        ("slots 8 free 6990", "6990 free"),
    ]);
    story(&[
        ("vram 16000", "8000 free"),
        ("after 60000 vram 14000", ""),
        ("after 60000 vram 13999", "8000 free"),
    ]);
}

#[test]
fn a_strain_begins_at_one_mark_and_ends_at_another() {
    story(&[
        ("memory 199", "8000 free"),
        ("memory 200", "8000 free | memory pressure 20.0 %, mark 20.0 % | 3 suspended"),
        ("memory 1000", ""),
        ("memory 99", ""),
        ("after 9999 memory 99", ""),
        ("after 1 memory 100", ""),
        ("memory 99", "8000 free | 3 go on"),
        // It has just turned.
        ("memory 900", ""),
        ("after 9999 memory 900", ""),
        ("after 1 memory 900", "8000 free | memory pressure 90.0 %, mark 20.0 % | 3 suspended"),
    ]);
}

#[test]
fn each_figure_has_its_marks() {
    for (calm, begins, between, ends, told, suspends) in [
        ("memory 199", "memory 200", "memory 100", "memory 99", "memory pressure 20.0 %", true),
        ("io 699", "io 700", "io 400", "io 399", "disk pressure 70.0 %", true),
        ("free 808", "free 800", "free 1200", "free 1208", "free memory 10.0 %", true),
        ("disk 1025", "disk 1024", "disk 2048", "disk 2049", "free disk 1024 MiB", true),
        ("free 1600 swap 89", "swap 90", "swap 80", "swap 79", "swap in use 90.0 %", true),
        // A full swap beside free memory is cold pages.
        ("swap 100 free 1608", "free 1600", "free 2000", "free 2008", "swap in use 100.0 %", true),
        ("cpu 499", "cpu 500", "cpu 300", "cpu 299", "processor pressure 50.0 %", false),
        ("load 7999", "load 8000", "load 6000", "load 5999", "load 8.00", false),
    ] {
        let mut host = Host::new();
        assert!(!host.step(calm).contains("mark"), "{calm}");
        let came = host.step(begins);
        assert!(came.contains(&format!("{told}, mark")), "{begins}: {came}");
        assert_eq!(came.contains("3 suspended"), suspends, "{begins}: {came}");
        host.world.after(TURN_MS);
        let still = host.step(between);
        assert!(still.is_empty() || still.contains(told), "{between}: {still}");
        let came = host.step(ends);
        assert!(came.contains("free") && !came.contains("mark"), "{ends}: {came}");
        assert_eq!(came.contains("3 go on"), suspends, "{ends}: {came}");
    }
}

#[test]
fn what_a_host_does_not_tell_strains_nothing() {
    let mut host = Host::new();
    host.report.pressure = None;
    (host.report.swap_total_mb, host.report.swap_used_mb) = (0, 0);
    assert_eq!(host.reports(), "8000 free");
    (host.report.ram_total_mb, host.report.ram_free_mb) = (0, 0);
    assert!(!host.reports().contains("mark"), "nothing of nothing is no share");
    // Whoever owns it may want work to begin all the same; what is there still counts.
    let mut host = story(&[
        ("ignore 1 memory 900 disk 0 load 90000", "8000 free"),
        (
            "ignore 0",
            "8000 free | memory pressure 90.0 %, mark 20.0 % | free disk 0 MiB, \
                      mark 1024 MiB | load 90.00, mark 8.00 | 3 suspended",
        ),
    ]);
    host.world.after(TURN_MS);
    assert_eq!(host.step("ignore 1"), "8000 free | 3 go on");
}

/// Who is at work goes on, and is suspended when it is done; the others are told the numbers.
#[test]
fn a_strain_suspends_the_idle_and_they_resume_by_themselves() {
    let mut host = Host::new();
    host.step("memory 0");
    host.world.attempt(1, "codex", json!({}));
    assert!(host.step("memory 431").ends_with("2 suspended"));
    let state = |host: &Host, name: &str| {
        let agent = host.world.state.agents.get(&actor(name)).unwrap();
        agent.suspended.as_ref().map(ToString::to_string)
    };
    let strained = "its host is strained: memory pressure 43.1 %, mark 20.0 %";
    assert_eq!(state(&host, "codex"), None);
    assert_eq!(state(&host, "claude").as_deref(), Some(strained));
    let failed = json!({ "task": "t-1", "attempt": 1, "token": host.world.token(1),
                         "class": "test", "message": "no", "hard": true });
    let came = host.world.send("codex", "task.fail", failed).unwrap().join(", ");
    assert!(came.contains("agent_suspended codex"), "{came}");
    assert_eq!(state(&host, "codex").as_deref(), Some(strained));
    assert!(host.world.state.index.idle.is_empty());
    host.world.after(TURN_MS);
    assert!(host.step("memory 0").ends_with("3 go on"));
    assert_eq!(host.world.state.index.idle.len(), AGENTS.len());
    host.world.check_replay();
}

/// The worst that a figure can do is a change every ten seconds.
#[test]
fn flapping_makes_a_bounded_number_of_events() {
    let mut host = Host::new();
    let before = host.world.records.len();
    for second in 0..600_u64 {
        let (high, low) = if second % 2 == 0 { (1_000, 0) } else { (0, 100_000) };
        for what in ["memory", "io", "cpu"] {
            host.set(what, high);
        }
        host.set("load", high * 100);
        host.set("disk", low);
        host.set("free", low.min(8_000));
        host.world.at = host.world.at + 1_000;
        host.reports();
    }
    let told = host.world.records[before..].iter().flat_map(|record| &record.events);
    let told = told.filter(|event| matches!(event, Event::HostMeasured(_))).count();
    // All figures turn together here: once in ten seconds, and once to begin with.
    assert!((30..=61).contains(&told), "{told}");
}

#[test]
fn what_fits_is_what_is_free_and_measured() {
    let mut host = Host::new();
    let name = HostId::new("host").unwrap();
    let fits = |host: &Host, ram_mb, vram_mb| {
        let needs = Needs { ram_mb, vram_mb, slots: 1 };
        fits(&host.world.state, &name, &needs).map_err(|s| (s.resource, s.needs, s.free))
    };
    host.report.gpus = vec![gpu(0, 16_000, 1_000), gpu(1, 16_000, 12_000)];
    host.step("free 3000");
    assert_eq!(fits(&host, 3_000, 0), Ok(None));
    assert_eq!(fits(&host, 3_001, 0), Err((Resource::Ram, 3_001, 3_000)), "others have the rest");
    assert_eq!(fits(&host, 0, 4_000), Ok(Some(1)));
    assert_eq!(fits(&host, 0, 4_001), Ok(Some(0)));
    assert_eq!(fits(&host, 0, 15_001), Err((Resource::Vram, 15_001, 15_000)));
    // What is promised and not yet taken counts as well, whichever is less.
    let needs = Needs { ram_mb: 6_000, vram_mb: 4_000, slots: 1 };
    host.world.state.index.reserve(&name, &needs, Some(0));
    assert_eq!(fits(&host, 2_001, 0), Err((Resource::Ram, 2_001, 2_000)));
    assert_eq!(fits(&host, 0, 12_001), Err((Resource::Vram, 12_001, 12_000)));
    host.world.state.index.unreserve(&name, &needs, Some(0));
}

/// A move that is too small to be told is told where an agent has room by it: else its task
/// would wait for a larger one.
#[test]
fn who_waits_for_room_is_let_in_by_a_small_move() {
    let mut host = Host::new();
    host.world.send("gemini", "agent.leave", json!({})).unwrap();
    let body = json!({ "tool": "x", "host": "host", "session": "g2", "needs": { "ram_mb": 4000 } });
    host.world.send("gemini", "agent.join", body).unwrap();
    assert_eq!(host.step("free 3900"), "3900 free");
    assert_eq!(host.step("free 4000"), "", "not within ten seconds");
    assert_eq!(host.step("after 10000 free 3999"), "");
    assert_eq!(host.step("free 4000"), "4000 free");
    assert_eq!(host.step("after 10000 free 3990"), "", "and not to and fro");
}

#[test]
fn a_host_whose_probe_is_gone_is_not_measured() {
    let mut host = Host::new();
    let name = HostId::new("host").unwrap();
    let silent = |host: &mut Host, silent_ms| {
        let name = HostId::new("host").unwrap();
        host.world.internal(Internal::HostSilent { host: name, silent_ms }).join(", ")
    };
    assert_eq!(silent(&mut host, 30_000), "", "nobody has measured it");
    host.step("vram 16000 free 3000 memory 900");
    assert_eq!(silent(&mut host, 29_999), "");
    let came = silent(&mut host, 30_000);
    assert!(came.starts_with("host_silent host, agent_unsuspended"), "{came}");
    assert_eq!(silent(&mut host, 60_000), "", "once");
    let fits = |host: &Host, ram_mb, vram_mb| {
        let needs = Needs { ram_mb, vram_mb, slots: 1 };
        fits(&host.world.state, &name, &needs).map_err(|s| s.free)
    };
    assert_eq!((fits(&host, 8_000, 0), fits(&host, 8_001, 0)), (Ok(None), Err(8_000)));
    assert_eq!(fits(&host, 0, 1), Err(0), "of GPUs it promises nothing");
    let why = host.world.state.unmeasured(&name);
    assert!(why.contains("not reported for 30 s"), "{why}");
    // The next report counts at once.
    assert_eq!(host.step("memory 0 free 2900"), "2900 free");
    assert_eq!((fits(&host, 2_901, 0), fits(&host, 0, 16_000)), (Err(2_900), Ok(Some(0))));
    assert_eq!(host.world.state.unmeasured(&name), "");
    host.world.check_replay();
}

/// An agent that needs a GPU does not start blindly on one that nobody measures any more.
#[test]
fn without_its_probe_a_gpu_is_not_given() {
    let mut host = Host::new();
    host.world.send("gemini", "agent.leave", json!({})).unwrap();
    let body = json!({ "tool": "x", "host": "host", "session": "g2", "needs": { "vram_mb": 1 } });
    host.world.send("gemini", "agent.join", body).unwrap();
    assert!(host.step("vram 16000").ends_with("1 go on"));
    let name = HostId::new("host").unwrap();
    let came = host.world.internal(Internal::HostSilent { host: name, silent_ms: 31_000 });
    assert_eq!(came.join(", "), "host_silent host, agent_suspended gemini");
    assert!(host.step("vram 16000").ends_with("1 go on"));
}

fn figures() -> impl Strategy<Value = Vec<(u64, [u64; 8])>> {
    let milli = || prop_oneof![0..150_u64, 0..1_000_u64, 600..1_000_u64];
    let one = (
        prop_oneof![0..3_000_u64, 9_990..10_010_u64, 0..40_000_u64],
        0..=8_000_u64,
        0..=100_u64,
        [milli(), milli(), milli()],
        0..20_000_u64,
        0..4_000_u64,
        0..=16_000_u64,
    );
    let one = one.prop_map(|(dt, free, swap, [memory, io, cpu], load, disk, vram)| {
        (dt, [free, swap, memory, io, cpu, load, disk, vram])
    });
    proptest::collection::vec(one, 1..60)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Whatever a probe reports: every invariant holds after every record, of each strain there
    /// is at most one change in ten seconds, what is free is told for its own sake at most once in
    /// that time and only when it moved by much, and in the end all go on.
    #[test]
    fn whatever_is_reported(figures in figures()) {
        let names = ["free", "swap", "memory", "io", "cpu", "load", "disk", "vram"];
        let mut host = Host::new();
        host.step("vram 16000");
        let mut turned: BTreeMap<Resource, At> = BTreeMap::new();
        let (mut last, mut told_at) = (host.measured(), host.world.at);
        for (dt, now) in figures {
            host.world.after(dt);
            for (what, n) in names.iter().zip(now) {
                host.set(what, n);
            }
            host.reports();
            let (is, at) = (host.measured(), host.world.at);
            if is == last {
                continue;
            }
            let of = |it: &Measured| -> Vec<Resource> {
                it.strains.iter().map(|strain| strain.what).collect()
            };
            let (was, are) = (of(&last), of(&is));
            let turns: Vec<Resource> = was.iter().filter(|what| !are.contains(what))
                .chain(are.iter().filter(|what| !was.contains(what))).copied().collect();
            for what in &turns {
                if let Some(before) = turned.insert(*what, at) {
                    prop_assert!(at.since(before) >= TURN_MS, "{what:?} turned twice");
                }
            }
            if turns.is_empty() {
                prop_assert!(at.since(told_at) >= FREE_MS);
                let moved = |one: u64, other: u64, all: u64| {
                    one.abs_diff(other) > all / FREE_PARTS
                };
                prop_assert!(
                    moved(last.ram_free_mb, is.ram_free_mb, 8_000)
                        || moved(last.vram_free_mb[0], is.vram_free_mb[0], 16_000)
                );
            }
            (last, told_at) = (is, at);
        }
        host.report = HostReport { gpus: host.report.gpus.clone(), ..idle_host("host") };
        for _ in 0..2 {
            host.world.after(TURN_MS);
            host.reports();
        }
        prop_assert!(host.measured().strains.is_empty());
        prop_assert_eq!(host.world.state.index.idle.len(), AGENTS.len());
        host.world.check_replay();
    }
}

/// How much room there is counts the GPUs only for whoever needs one.
#[test]
fn room_is_of_what_is_needed() {
    let mut host = Host::new();
    let name = HostId::new("host").unwrap();
    host.step("vram 4000 free 7000");
    for (vram_mb, expect) in [(0, 7), (1, 2)] {
        let needs = Needs { ram_mb: 0, vram_mb, slots: 1 };
        assert_eq!(super::room(&host.world.state, &name, &needs), Some(expect), "{vram_mb}");
    }
}

/// A strain that goes on has not just turned: it is known since when it is there.
#[test]
fn a_strain_has_begun_when_it_began() {
    let mut host = Host::new();
    let name = HostId::new("host").unwrap();
    let turned = |host: &Host| host.world.state.gauges.get(&name).unwrap().turned.clone();
    host.step("memory 900");
    let began_at = host.world.at;
    assert_eq!(turned(&host), [(Resource::MemoryPressure, began_at)].into());
    host.step("after 60000 io 900");
    let later = host.world.at;
    let both = [(Resource::MemoryPressure, began_at), (Resource::IoPressure, later)];
    assert_eq!(turned(&host), both.into());
    host.step("after 60000 memory 0");
    assert_eq!(turned(&host)[&Resource::MemoryPressure], host.world.at);
    assert_eq!(turned(&host)[&Resource::IoPressure], later);
}

/// Two on one GPU: what one gives back is not the other's.
#[test]
fn what_one_gives_back_is_its_own() {
    let mut host = Host::new();
    let name = HostId::new("host").unwrap();
    let needs = |vram_mb| Needs { ram_mb: 1_000, vram_mb, slots: 1 };
    let index = &mut host.world.state.index;
    index.reserve(&name, &needs(3_000), Some(0));
    index.reserve(&name, &needs(500), Some(0));
    index.reserve(&name, &needs(700), Some(1));
    index.unreserve(&name, &needs(3_000), Some(0));
    assert_eq!(index.reserved[&name].vram_mb, [(0, 500), (1, 700)].into());
    index.unreserve(&name, &needs(500), Some(0));
    assert_eq!(index.reserved[&name].vram_mb, [(1, 700)].into());
    assert_eq!((index.reserved[&name].ram_mb, index.reserved[&name].slots), (1_000, 1));
    index.unreserve(&name, &needs(700), Some(1));
    assert!(index.reserved.is_empty());
}
