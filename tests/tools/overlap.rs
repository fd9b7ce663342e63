//! Two codex and two claude agents on one repository, four tasks that meet in the same files.

use std::collections::{BTreeMap, BTreeSet};

use devmesh_protocol::Event;
use devmesh_protocol::command::task::LandOutcome;
use devmesh_testkit::tools::Tool;

use super::rig::Rig;

/// Four verses, far enough apart that git merges two edits of different ones.
const SONG: &str = "one\n\n\n\n\ntwo\n\n\n\n\nthree\n\n\n\n\nfour\n";

/// Each changes a verse of the same file. The last two wait for one another, so that neither sees
/// the other's work, and add a line to the end of one more: the second to land meets the first,
/// gets both sides back and resolves them.
const TASKS: [(&str, Tool, &str); 4] = [
    (
        "the first verse",
        Tool::Codex,
        r#"{"delay_ms":400,"steps":[{"edit":{"path":"song.txt","old":"one","new":"ONE"}},
            {"shell":"echo first > by-first.txt"}],"final":"The first verse is done."}"#,
    ),
    (
        "the second verse",
        Tool::Claude,
        r#"{"delay_ms":400,"steps":[{"edit":{"path":"song.txt","old":"two","new":"TWO"}},
            {"shell":"echo second > by-second.txt"}],"final":"The second verse is done."}"#,
    ),
    (
        "the third verse",
        Tool::Codex,
        r#"{"delay_ms":400,"steps":[{"edit":{"path":"song.txt","old":"three","new":"THREE"}},
            {"shell":"touch $TMPDIR/third; until [ -e $TMPDIR/fourth ]; do sleep 0.1; done"},
            {"shell":"echo '- third' >> singers.txt"}],"final":"The third verse is done.",
            "again":{"steps":[{"shell":"sed -i '/^[<=>|]\\{7\\}/d' singers.txt"}],
                "final":"Both stand there now."}}"#,
    ),
    (
        "the fourth verse",
        Tool::Claude,
        r#"{"delay_ms":400,"steps":[{"edit":{"path":"song.txt","old":"four","new":"FOUR"}},
            {"shell":"touch $TMPDIR/fourth; until [ -e $TMPDIR/third ]; do sleep 0.1; done"},
            {"shell":"echo '- fourth' >> singers.txt"}],"final":"The fourth verse is done.",
            "again":{"steps":[{"shell":"sed -i '/^[<=>|]\\{7\\}/d' singers.txt"}],
                "final":"Both stand there now."}}"#,
    ),
];

/// What the log tells of each task: who worked on it, under which sessions of the tool, and what
/// it used.
#[derive(Debug, Default)]
struct Told {
    worker: String,
    sessions: BTreeSet<String>,
    tokens: (u64, u64),
    has_cost: bool,
    conflicts: usize,
}

async fn told(rig: &Rig) -> BTreeMap<String, Told> {
    let mut told: BTreeMap<String, Told> = BTreeMap::new();
    for record in rig.records().await {
        for event in record.events {
            match event {
                Event::TaskAwarded(e) => {
                    told.entry(e.task.to_string()).or_default().worker = e.actor.to_string();
                }
                Event::TaskProgressed(e) => {
                    told.entry(e.task.to_string()).or_default().sessions.extend(e.tool_session);
                }
                Event::TaskCompleted(e) => {
                    let usage = e.usage.unwrap_or_default();
                    let one = told.entry(e.task.to_string()).or_default();
                    one.tokens = (usage.input_tokens, usage.output_tokens);
                    one.has_cost = usage.cost_micro_usd.is_some();
                }
                Event::LandEnded(e) if e.outcome == LandOutcome::Conflict => {
                    told.entry(e.task.to_string()).or_default().conflicts += 1;
                }
                _ => {}
            }
        }
    }
    told
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_codex_and_two_claude_land_four_overlapping_tasks_when_installed() {
    let files = [
        ("song.txt", SONG),
        ("singers.txt", "# Singers\n"),
        ("devmesh.toml", "[verify]\ntask = [\"sh check.sh\"]\n"),
        ("check.sh", "! grep -n '^<<<<<<<' *.txt\n"),
    ];
    let Some(rig) = Rig::new(&files).await else { return };
    let own = rig.own().await;
    rig.devmesh(&["up", "-d", "--yes"]).await;
    for (title, tool, script) in TASKS {
        rig.add(title, tool, script).await;
    }
    let tasks = rig.ended().await;
    let states: Vec<&str> = tasks.iter().map(|task| task.state.as_str()).collect();
    assert_eq!(states, ["completed"; 4], "{tasks:#?}\n{}", rig.last_words());

    let song = SONG.to_uppercase();
    assert_eq!(rig.landed("song.txt").await, song);
    let singers = rig.landed("singers.txt").await;
    let lines: BTreeSet<&str> = singers.lines().collect();
    assert_eq!(lines, BTreeSet::from(["# Singers", "- third", "- fourth"]), "{singers}");
    assert_eq!(singers.lines().count(), 3, "{singers}");
    assert_eq!(rig.landed("by-first.txt").await, "first\n");
    assert_eq!(rig.landed("by-second.txt").await, "second\n");
    let parents = rig.git(&["rev-list", "--parents", "main..devmesh/landed/main"]).await;
    let straight = parents.lines().all(|line| line.split(' ').count() == 2);
    assert!(straight && parents.lines().count() == 4, "{parents}");
    assert_eq!(rig.git(&["status", "--porcelain"]).await, "");

    let told = told(&rig).await;
    let workers: BTreeSet<&str> = told.values().map(|task| task.worker.as_str()).collect();
    assert_eq!(
        workers,
        BTreeSet::from(["claude-1", "claude-2", "codex-1", "codex-2"]),
        "{told:#?}"
    );
    let conflicts: Vec<usize> = told.values().map(|task| task.conflicts).collect();
    // Who is second meets the first before the proof, or at its turn where the first was not yet
    // there.
    assert!(matches!(conflicts[..], [0, 0, 0, 0 | 1] | [0, 0, 1, 0]), "{told:#?}");
    for (task, told) in &told {
        assert_eq!(told.sessions.len(), 1, "{task}: a conflict goes on in the session: {told:?}");
        assert!(told.tokens.0 > 0 && told.tokens.1 > 0, "{task}: {told:?}");
        // Codex does not tell what it cost; then nobody pretends to know.
        assert_eq!(told.has_cost, told.worker.starts_with("claude"), "{task}: {told:?}");
    }
    let stats = rig.model.stats();
    assert_eq!((stats.unfit, stats.unscripted, stats.faults), (0, 0, 0), "{stats:?}");
    let left = rig.down().await;
    assert!(left.is_empty(), "{left:?}");
    assert_eq!(rig.own().await, own, "what is the person's own is as it was");
}
