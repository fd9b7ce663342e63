//! Tasks that end in every way: landed, cancelled, failed, rejected and done again.

use std::time::{Duration, Instant};

use devmesh_protocol::view::TaskView;
use serde_json::Value;

use crate::demo::mesh::{Mesh, say};
use crate::error::{Error, Result};

/// How long a task may take to come to a state.
const WITHIN: Duration = Duration::from_secs(90);

pub(super) async fn play(mesh: &Mesh<'_>) -> Result<()> {
    let retried = add(mesh, "sell pears", PEARS, &["--paths", "fruit.txt"]).await?;
    let never = "until [ -e $TMPDIR/never ]; do sleep 0.1; done\n";
    let endless = add(mesh, "count the stars", never, &[]).await?;
    let after =
        add(mesh, "name the stars", "echo Vega > stars.txt\n", &["--after", &endless]).await?;
    let fails = add(mesh, "square the circle", "exit 3\n", &["--max-attempts", "1"]).await?;
    let review = ["--review", "person", "--priority", "1"];
    let looked_at = add(mesh, "say who may copy the shop", COPY, &review).await?;
    until(mesh, &looked_at, &["review"]).await?;
    run(mesh, &["task", "reject", &looked_at, "-m", "name the owner"]).await?;
    until(mesh, &looked_at, &["review"]).await?;
    run(mesh, &["task", "approve", &looked_at]).await?;
    until(mesh, &endless, &["working"]).await?;
    run(mesh, &["task", "cancel", &after]).await?;
    run(mesh, &["task", "cancel", &endless]).await?;
    until(mesh, &fails, &["failed"]).await?;
    for task in [&retried, &looked_at] {
        until(mesh, task, &["completed"]).await?;
    }
    until(mesh, &endless, &["cancelled"]).await
}

/// Out of order at first, which the tests of the repository refuse.
const PEARS: &str = "if grep -q pear fruit.txt\n\
    then sort -u fruit.txt > sorted; mv sorted fruit.txt\n\
    else printf 'pear\\ndate\\n' >> fruit.txt; fi\n";

const COPY: &str = "echo 'Anybody may copy this shop.' >> LICENCE\n";

async fn add(mesh: &Mesh<'_>, title: &str, script: &str, more: &[&str]) -> Result<String> {
    let name = format!("prompts/{}.md", title.replace(' ', "-"));
    let text = format!("{title}\n\n```sh\n{script}```\n");
    let file = mesh.folder.write(&name, &text)?.display().to_string();
    let added: Value = mesh.json(&[&["task", "add", "-F", &file], more].concat()).await?;
    Ok(added["task"].as_str().unwrap_or_default().to_owned())
}

async fn run(mesh: &Mesh<'_>, args: &[&str]) -> Result<()> {
    say(&format!("devmesh {}", args.join(" ")));
    mesh.folder.devmesh(args).await?.succeeded().map(drop)
}

async fn until(mesh: &Mesh<'_>, task: &str, states: &[&str]) -> Result<()> {
    let deadline = Instant::now() + WITHIN;
    loop {
        let all: Vec<TaskView> = mesh.tasks().await?;
        let state = all.iter().find(|view| view.task.to_string() == task).map(|view| &view.state);
        if state.is_some_and(|state| states.contains(&state.as_str())) {
            return Ok(());
        }
        if Instant::now() >= deadline {
            return Err(Error::Demo {
                doing: format!("see {task} come to {}", states.join(" or ")),
                evidence: format!("it is {state:?}"),
            });
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
