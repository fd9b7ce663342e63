//! A goal, planned by the scripted tool as architect, and its tasks worked on and landed: with the
//! real program, from the command line.

use std::time::{Duration, Instant};

use devmesh_protocol::{Event, Record};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use super::rig::Rig;

/// How long a condition may take to come about.
const WITHIN: Duration = Duration::from_secs(90);

/// A task of a plan, whose worker runs a line of shell.
fn task(key: &str, after: &[&str], shell: &str) -> Value {
    json!({
        "key": key, "title": key, "depends_on": after, "paths": [format!("{key}.txt")],
        "prompt": format!("Make {key}.txt.\n\n```sh\n{shell}\n```\n"),
    })
}

/// Two verses side by side and the song that is made of them.
fn song(text: &str) -> Value {
    json!({ "text": text, "tasks": [
        task("song", &["one", "two"], "cat one.txt two.txt > song.txt"),
        task("one", &[], "echo one > one.txt"),
        task("two", &[], "echo two > two.txt"),
    ]})
}

/// Writes a goal whose architect does this in these attempts; gives the file's name.
fn goal(rig: &Rig, attempts: &[(&str, String)]) -> String {
    let mut text = "Write a song\n".to_owned();
    for (which, line) in attempts {
        text += &format!("\n```scripted attempt={which}\n{line}\n```\n");
    }
    let path = rig.at("tmp/goal.md");
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

fn say(plan: &Value) -> String {
    format!("say {plan}")
}

async fn records(rig: &Rig) -> Vec<Record> {
    let lines = rig.done("devmesh replay --records --json").await;
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

async fn view(rig: &Rig, task: &str) -> Value {
    let shown = rig.done(&format!("devmesh task show --json {task}")).await;
    serde_json::from_str::<Value>(&shown).unwrap()["result"].clone()
}

/// The architect's tool changes nothing; what others make of its plan is there in the end.
#[tokio::test]
async fn a_goal_is_planned_worked_on_and_landed() {
    let rig = Rig::new().await;
    rig.done("devmesh up -d --agent a1=scripted --agent a2=scripted").await;
    let plan = say(&song("Verses stand in files of their own."));
    let file = goal(&rig, &[("1", format!("{plan}\n```\n\n```sh\necho no > planner.txt"))]);
    let said = rig.done(&format!("devmesh plan --wait -F {file}")).await;
    assert_eq!(said, "t-2\nt-3\nt-4");
    rig.done("devmesh task wait --timeout 90 t-2 t-3 t-4").await;
    assert_eq!(rig.done("git show devmesh/landed/main:song.txt").await, "one\ntwo");
    let (code, _) = rig.fails("git show devmesh/landed/main:planner.txt").await;
    assert_ne!(code, 0, "what the architect's tool has left behind is nobody's work");

    let records = records(&rig).await;
    let planned =
        |record: &&Record| record.events.iter().any(|event| matches!(event, Event::TaskPlanned(_)));
    let record = records.iter().find(planned).unwrap();
    let kinds: Vec<&str> = record.events.iter().map(Event::kind).collect();
    let added = "task_added";
    assert_eq!(kinds, ["framework_published", added, added, added, "task_planned"]);
    let titles: Vec<&str> = record
        .events
        .iter()
        .filter_map(|event| if let Event::TaskAdded(e) = event { Some(&*e.title) } else { None })
        .collect();
    assert_eq!(titles, ["one", "two", "song"], "in an order that can be worked");
    // Whoever worked had read it before (R08), and the song came after both verses.
    let mut readers = Vec::new();
    let mut ended = Vec::new();
    for event in records.iter().flat_map(|record| &record.events) {
        match event {
            Event::FrameworkRead(e) => readers.push(e.actor.clone()),
            Event::TaskAwarded(e) if e.task.0 > 1 => {
                assert!(readers.contains(&e.actor), "{} worked unread", e.actor);
                assert!(e.task.0 < 4 || ended.len() == 2, "{ended:?}");
            }
            Event::TaskCompleted(e) => ended.push(e.task),
            _ => {}
        }
    }
    let shown = rig.done("devmesh task show t-1").await;
    assert!(shown.contains("framework 1, t-2, t-3, t-4"), "{shown}");
    rig.done("devmesh replay --verify").await;
    rig.done("devmesh down").await;
    assert_eq!(rig.left().await, []);
}

/// A plan that goes round in a circle, one that a person sends back, and one that is taken.
#[tokio::test]
async fn a_bad_plan_is_mended_and_a_plan_waits_for_whoever_asked_to_see_it() {
    let rig = Rig::new().await;
    rig.done("devmesh up -d --agent a1=scripted --agent a2=scripted").await;
    let circle = json!({ "text": "x", "tasks": [
        { "key": "a", "title": "a", "depends_on": ["b"] },
        { "key": "b", "title": "b", "depends_on": ["a"] },
    ]});
    let wide = json!({ "text": "Too wide.", "tasks": [{ "key": "all", "title": "all" }] });
    let attempts = [
        ("1", say(&circle)),
        ("2", say(&wide)),
        (
            "3+",
            say(&json!({ "text": "Two lines.", "tasks": [
                { "key": "one", "title": "one", "needs": ["gpu"] },
                task("two", &[], "echo two > two.txt"),
            ]})),
        ),
    ];
    let file = goal(&rig, &attempts);
    let (code, said) = rig.fails(&format!("devmesh plan --approve --wait -F {file}")).await;
    assert_eq!(code, 7, "{said}");
    assert!(said.contains("its plan waits for your look"), "{said}");
    let one = view(&rig, "t-1").await;
    assert_eq!(one["attempts"][0]["class"], "plan", "{one:#}");
    let list = rig.done("devmesh review").await;
    assert!(list.contains("t-1") && list.contains("devmesh task approve t-1"), "{list}");
    let shown = rig.done("devmesh task show t-1").await;
    assert!(shown.contains("Too wide.") && shown.contains("all  all"), "{shown}");
    let (code, _) = rig.fails("devmesh task show t-2").await;
    assert_eq!(code, 3, "nothing is queued before somebody has looked");

    rig.done("devmesh task reject t-1 -m 'one task for each line'").await;
    let deadline = Instant::now() + WITHIN;
    loop {
        let shown = view(&rig, "t-1").await;
        if shown["state"] == "review" && shown["plan"]["text"] == "Two lines." {
            assert_eq!(shown["plan"]["unknown"], json!(["gpu"]));
            break;
        }
        assert!(Instant::now() < deadline, "{shown:#}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let (_, said) = rig.fails("devmesh task approve t-1").await;
    assert!(said.contains("t-1 is planned: t-2, t-3"), "{said}");
    rig.done("devmesh task wait --timeout 90 t-3").await;
    let (code, _) = rig.fails("devmesh task approve t-1").await;
    assert_eq!(code, 3);
    rig.done("devmesh replay --verify").await;
    rig.done("devmesh down").await;
    assert_eq!(rig.left().await, []);
}

/// The architect leaves in the middle of planning: the next one plans.
#[tokio::test]
async fn the_next_architect_plans_when_the_first_has_gone() {
    let rig = Rig::new().await;
    rig.done("devmesh up -d --agent a1=scripted --agent a2=scripted").await;
    let plan = json!({ "text": "x", "tasks": [task("one", &[], "echo one > one.txt")] });
    let file = goal(&rig, &[("1", "hang".to_owned()), ("2+", say(&plan))]);
    assert_eq!(rig.done(&format!("devmesh plan -F {file}")).await, "t-1");
    let deadline = Instant::now() + WITHIN;
    let first = loop {
        let shown = view(&rig, "t-1").await;
        if shown["state"] == "working" {
            break shown["attempt"]["actor"].as_str().unwrap().to_owned();
        }
        assert!(Instant::now() < deadline, "{shown:#}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    let run = std::fs::read_to_string(rig.at("state/run.json")).unwrap();
    let run: Value = serde_json::from_str(&run).unwrap();
    let pid = i32::try_from(run["pids"][&first].as_i64().unwrap()).unwrap();
    kill(Pid::from_raw(pid), Signal::SIGTERM).unwrap();
    let (code, said) = rig.fails("devmesh task wait --timeout 90 t-1").await;
    assert_eq!(code, 0, "{said}{}", rig.shell("devmesh task show t-1").await);
    let shown = view(&rig, "t-1").await;
    assert_ne!(shown["plan"]["by"], json!(first), "{shown:#}");
    assert_eq!(shown["tries"], 0, "it was nobody's failure");
    rig.done("devmesh task wait --timeout 90 t-2").await;
    rig.done("devmesh down").await;
    assert_eq!(rig.left().await, []);
}
