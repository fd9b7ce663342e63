//! Two scripted agents on one file at the same time, and two that make the same change: with the
//! real program, from the command line.

use std::time::{Duration, Instant};

use devmesh_protocol::command::task::Judgement;
use devmesh_protocol::{Event, Record, TaskId};
use serde_json::{Value, json};

use super::rig::Rig;

/// How long a condition may take to come about.
const WITHIN: Duration = Duration::from_secs(90);

/// Adds a task whose worker, and whoever reviews it, finds these blocks in its prompt.
async fn add(rig: &Rig, title: &str, options: &str, blocks: &[(&str, &str)]) -> String {
    let mut text = format!("{title}\n");
    for (kind, lines) in blocks {
        text += &format!("\n```{kind}\n{lines}\n```\n");
    }
    let path = rig.at(&format!("tmp/{title}.md"));
    std::fs::write(&path, text).unwrap();
    rig.done(&format!("devmesh task add {options} -F {}", path.display())).await
}

async fn view(rig: &Rig, task: &str) -> Value {
    let shown = rig.done(&format!("devmesh task show --json {task}")).await;
    serde_json::from_str::<Value>(&shown).unwrap()["result"].clone()
}

async fn until(rig: &Rig, task: &str, state: &str) -> Value {
    let deadline = Instant::now() + WITHIN;
    loop {
        let shown = view(rig, task).await;
        if shown["state"] == state {
            return shown;
        }
        assert!(Instant::now() < deadline, "{shown:#}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn records(rig: &Rig) -> Vec<Record> {
    let lines = rig.done("devmesh replay --records --json").await;
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Waits, and not for ever.
fn wait_for(condition: &str) -> String {
    format!("n=0; until {condition}; do n=$((n+1)); [ $n -lt 600 ]; sleep 0.1; done")
}

/// Whoever lands second brings the first one's change in; the other agent looks at both together,
/// sends it back once, and lets it through when it comes again.
#[tokio::test]
async fn two_on_one_file_are_merged_and_the_merge_is_looked_at_by_the_other() {
    let rig = Rig::new().await;
    rig.done("seq 1 20 > src/list.txt && git add -A && git commit -q -m list").await;
    rig.done("devmesh up -d --agent a1=scripted --agent a2=scripted").await;
    let began = rig.at("tmp/began").display().to_string();
    let first =
        format!("sed -i '1s/.*/first/' src/list.txt\n{}", wait_for(&format!("[ -e {began} ]")));
    let share = "--share --paths src/list.txt";
    assert_eq!(add(&rig, "first", share, &[("sh", &first)]).await, "t-1");
    let landed = "git show devmesh/landed/main:src/list.txt 2>&1 | grep -q first";
    let second = format!(
        "touch {began}\nsed -i '20s/.*/second/' src/list.txt\n{}",
        wait_for(&format!("{{ {landed}; }}"))
    );
    let blocks = [
        ("sh attempt=1", second.as_str()),
        ("scripted attempt=1", "say NOTE the list [src/]: both its ends are taken"),
        ("scripted attempt=1", "say Say more in the middle.\nsay VERDICT: reject"),
        ("sh attempt=2+", "sed -i '10s/.*/middle/' src/list.txt"),
        ("scripted attempt=2+", "say VERDICT: approve"),
    ];
    assert_eq!(add(&rig, "second", share, &blocks).await, "t-2");
    rig.done("devmesh task wait --timeout 90 t-1 t-2").await;
    let list = rig.done("git show devmesh/landed/main:src/list.txt").await;
    let lines: Vec<&str> = list.lines().collect();
    assert_eq!((lines[0], lines[9], lines[19]), ("first", "middle", "second"), "{list}");

    let (mut seen, mut verdicts) = (Vec::new(), Vec::new());
    let records = records(&rig).await;
    for event in records.iter().flat_map(|record| &record.events) {
        match event {
            Event::TaskVerified(e) => {
                let change = e.change.as_ref().unwrap();
                let files: Vec<&str> = change.edits.iter().map(|edit| edit.path.key()).collect();
                assert_eq!(files, ["src/list.txt"]);
                let edit = &change.edits[0];
                seen.push((e.task.0, edit.base.clone(), edit.now.clone(), e.receipt.merged.len()));
            }
            Event::ReviewAssigned(e) => {
                let worker = records.iter().flat_map(|record| &record.events).find_map(|it| {
                    let Event::TaskAwarded(it) = it else { return None };
                    (it.task == e.task && it.attempt == e.attempt).then(|| it.actor.clone())
                });
                assert_ne!(Some(e.reviewer.clone()), worker, "nobody looks at their own work");
            }
            Event::TaskReviewed(e) => verdicts.push((e.task, e.verdict)),
            _ => {}
        }
    }
    // What the second one's newest work begins from is what the first has made of the file.
    let (first, last) = (&seen[0], seen.last().unwrap());
    assert_eq!((first.0, first.3, last.0, last.3), (1, 0, 2, 1), "{seen:#?}");
    assert_eq!(last.1, first.2);
    let t_2 = TaskId(2);
    assert_eq!(verdicts, [(t_2, Judgement::Reject), (t_2, Judgement::Approve)]);
    let said = view(&rig, "t-2").await["said"].clone();
    assert_eq!(said[0]["kind"], "reject");
    assert!(said[0]["text"].as_str().unwrap().contains("Say more in the middle."), "{said:#}");
    // What was learned at it is known by its path and by its words.
    let note = rig.done("devmesh note search ends --path src/list.txt --json").await;
    assert!(note.contains("\"task\":\"t-2\"") && note.contains("the list"), "{note}");
    rig.done("devmesh replay --verify").await;
    rig.done("devmesh down").await;
    assert_eq!(rig.left().await, []);
}

/// The same change twice is refused, and the task it was made for is named.
#[tokio::test]
async fn the_same_change_is_not_made_twice() {
    let rig = Rig::new().await;
    rig.done("devmesh up -d --agent a1=scripted --agent a2=scripted").await;
    let same = [("sh", "echo same > same.txt")];
    assert_eq!(add(&rig, "one", "--review person", &same).await, "t-1");
    until(&rig, "t-1", "review").await;
    assert_eq!(add(&rig, "two", "", &same).await, "t-2");
    let two = until(&rig, "t-2", "blocked").await;
    assert_eq!((&two["blocked"], &two["tries"]), (&json!("decision"), &json!(0)), "{two:#}");
    assert_eq!(two["failure"]["class"], "duplicate");
    let why = two["failure"]["message"].as_str().unwrap();
    assert!(why.contains("t-1 has submitted exactly this change before t-2"), "{why}");
    let page = rig.done("devmesh explain DUPLICATE_CHANGE").await;
    assert!(page.contains("known by its digest"), "{page}");
    rig.done("devmesh down").await;
    assert_eq!(rig.left().await, []);
}
