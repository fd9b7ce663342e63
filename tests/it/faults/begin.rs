//! What `up` cannot begin with: each time the field that is wrong and what to do, the exit code
//! that says whose move it is, and nothing left running or changed.

use std::net::TcpListener;

use crate::scripts::rig::Rig;

const USAGE: i32 = 2;
const FAILED: i32 = 6;

/// Runs each line; its exit code and all these words on stderr.
async fn told(rig: &Rig, cases: &[(&str, i32, &[&str])]) {
    for (line, code, words) in cases {
        let (got, said) = rig.fails(line).await;
        assert_eq!(got, *code, "{line}: {said}");
        for word in *words {
            assert!(said.contains(word), "{line}: {word} is not in: {said}");
        }
        assert!(!said.contains("panicked"), "{line}: {said}");
        assert!(!rig.at("state/run.json").exists(), "{line}: nothing has begun");
    }
    assert_eq!(rig.left().await, [], "nothing is left of what did not begin");
}

#[tokio::test]
async fn what_a_file_or_a_variable_says_wrongly_is_named_with_what_to_write() {
    let rig = Rig::new().await;
    let user = "mkdir -p ../home/.config/devmesh; cat > ../home/.config/devmesh/config.toml";
    let repo = "cat > devmesh.toml";
    let up = "devmesh up -d --lite";
    let case = |file: &str, text: &str| format!("{file} <<'END'\n{text}\nEND\n{up}");
    let cases = [
        (case(repo, "[budget]\nmax_attempts = \"three\""), vec!["budget.max_attempts", "1 to 100"]),
        (case(repo, "[verfy]\ntask = 1"), vec!["devmesh.toml", "verfy", "verify"]),
        (case(repo, "[verify\n"), vec!["devmesh.toml", "devmesh.toml:1", "unclosed"]),
        // All at once.
        (case(repo, "[land]\nflow = 1\npsh = true"), vec!["2 problems", "land.flow", "land.psh"]),
        (format!("rm devmesh.toml; DEVMESH_LOCK_TTL_SEC=no {up}"), vec!["DEVMESH_LOCK_TTL_SEC"]),
        (format!("DEVMESH_NATS_PORT=70000 {up}"), vec!["70000", "--port"]),
        (
            case(user, "[[agents]]\ntool = \"scripted\"\ncolour = \"red\""),
            vec!["config.toml", "colour", "capabilities"],
        ),
        (case(user, "[notice]\ncommand = \"x\""), vec!["config.toml", "notice", "notices"]),
    ];
    let cases: Vec<_> = cases.iter().map(|(line, words)| (&line[..], USAGE, &words[..])).collect();
    told(&rig, &cases).await;
}

#[tokio::test]
async fn what_stands_in_the_way_is_named_with_how_to_get_past() {
    let rig = Rig::new().await;
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let bus = format!("devmesh up -d --lite --port {port}");
    let page = format!("rm ../state/nats; devmesh up -d --no-agents --dashboard-port {port}");
    told(
        &rig,
        &[
            (&bus, FAILED, &[&port, "--port"]),
            (
                "echo x > ../file; DEVMESH_STATE_DIR=$PWD/../file devmesh up -d --lite",
                FAILED,
                &["/file", "--state-dir"],
            ),
            (
                "rm -rf ../state/nats; echo x > ../state/nats; devmesh up -d --lite",
                FAILED,
                &["start the bus", "state/nats"],
            ),
            (&page, FAILED, &[&port, "--dashboard-port"]),
        ],
    )
    .await;
    // With that out of the way it begins.
    drop(taken);
    rig.done("devmesh up -d --lite").await;
    rig.done("devmesh down").await;
}

#[tokio::test]
async fn an_agent_without_its_tool_says_so_and_the_others_work() {
    let rig = Rig::new().await;
    let agents = "--agent a1=custom:no-such-program --agent a2=scripted";
    rig.done(&format!("devmesh up -d {agents}")).await;
    let log = std::fs::read_to_string(rig.at("state/logs/a1.log")).unwrap();
    assert!(log.contains("no-such-program was not found in PATH"), "{log}");
    assert!(log.contains("devmesh tools"), "{log}");
    let add = "printf 'write\\n\\n```sh\\necho two > src/two.txt\\n```\\n' | devmesh task add";
    let task = rig.done(add).await;
    rig.done(&format!("devmesh task wait --timeout 60 {task}")).await;
    rig.done("devmesh down").await;
    assert_eq!(rig.left().await, []);
}
