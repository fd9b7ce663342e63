//! Many who claim one thing at the same moment: exactly one has it.

use devmesh_bus::client::{Client, Outcome};
use devmesh_protocol::{Code, Reply};
use futures::future::join_all;
use serde_json::json;

use super::mesh::{Mesh, WITHIN};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_who_claim_one_wins_a_thousand_times() {
    races(2, 1_000).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_eight_who_claim_one_wins_a_thousand_times() {
    races(8, 1_000).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_sixty_four_who_claim_one_wins_a_hundred_times() {
    races(64, 100).await;
}

async fn races(claimants: usize, rounds: usize) {
    let mesh = Mesh::start(1).await;
    let _running = mesh.coordinator();
    mesh.furnish(claimants).await;
    let mut clients = Vec::new();
    for n in 0..claimants {
        clients.push(mesh.person(&format!("p{n}")).await);
    }
    let mut last = 0;
    for round in 0..rounds {
        let path = format!("race/{round}");
        let answers = join_all(clients.iter().map(|client| claim(client, &path))).await;
        let tokens: Vec<u64> = answers.into_iter().flatten().collect();
        assert_eq!(tokens.len(), 1, "round {round} was won by {tokens:?}");
        assert!(tokens[0] > last, "round {round}: {} after {last}", tokens[0]);
        last = tokens[0];
    }
}

/// The token of whoever wins; whoever does not is told that another holds it.
async fn claim(client: &Client, path: &str) -> Option<u64> {
    let body = json!({ "paths": [path], "mode": "write" });
    match client.submit_body("lock.acquire", body, WITHIN).await.unwrap() {
        Outcome::Reply(Reply::Ok { result, .. }) => result.pointer("/leases/0/token")?.as_u64(),
        Outcome::Reply(Reply::Err { error, .. }) => {
            assert_eq!(error.code, Code::LockConflict, "{error}");
            None
        }
        Outcome::Unknown { why } => panic!("no answer: {why}"),
    }
}
