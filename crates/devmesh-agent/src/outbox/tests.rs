//! Commands that outlive their process.

use devmesh_protocol::command::task::Complete;
use devmesh_protocol::{TaskId, Verb};

use super::*;

fn complete(actor: &ActorId, attempt: u32) -> Command {
    let body =
        Complete { task: TaskId(3), attempt, token: 9, message: Some("done".into()), usage: None };
    let session = Some(crate::id::session());
    Command {
        id: crate::id::command(),
        actor: actor.clone(),
        session,
        verb: Verb::TaskComplete(body),
    }
}

#[tokio::test]
async fn what_was_not_answered_is_there_after_a_restart_with_its_id() {
    let dir = tempfile::tempdir().unwrap();
    let actor = ActorId::new("codex-1").unwrap();
    let (first, second) = (complete(&actor, 1), complete(&actor, 2));
    let mut outbox = Outbox::open(dir.path(), &actor).await.unwrap();
    assert!(outbox.waiting().is_empty());
    outbox.put(first.clone()).await.unwrap();
    outbox.put(second.clone()).await.unwrap();
    outbox.answered(&first).await.unwrap();
    let again = Outbox::open(dir.path(), &actor).await.unwrap();
    assert_eq!(again.waiting(), [second]);
}

#[tokio::test]
async fn an_outbox_that_cannot_be_understood_is_not_thrown_away() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("outbox.json");
    std::fs::write(&path, "[{\"verb\":\"task.fly\",\"body\":{}}]").unwrap();
    let actor = ActorId::new("codex-1").unwrap();
    let error = Outbox::open(dir.path(), &actor).await.unwrap_err();
    assert!(matches!(error, Error::Format { .. }), "{error}");
    assert!(path.exists());
}
