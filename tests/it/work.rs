//! What each role is for, done with its own credential.

use std::time::Duration;

use async_nats::jetstream::{self, consumer};
use devmesh_bus::cred::{Account, Role, is_import_reply};
use futures::StreamExt;

use super::world::{QUIET, WITHIN, World};

/// A stand-in coordinator that answers every request after `delay` with its subject.
async fn answering(world: &World, delay: Duration) -> async_nats::Client {
    let core = world.coordinator().await;
    let mut asked = core.subscribe("devmesh.my-mesh.cmd.>").await.unwrap();
    core.flush().await.unwrap();
    let client = core.clone();
    tokio::spawn(async move {
        while let Some(message) = asked.next().await {
            let reply = message.reply.expect("a request");
            assert!(is_import_reply(&reply), "{reply}");
            tokio::time::sleep(delay).await;
            let subject = message.subject.to_string();
            client.publish(reply, subject.into()).await.unwrap();
        }
    });
    core
}

#[tokio::test]
async fn a_command_is_answered_through_the_import() {
    let world = World::start().await;
    let _core = answering(&world, Duration::ZERO).await;
    for (name, role) in [("alice", Role::Agent), ("pat", Role::Person), ("board", Role::Dashboard)]
    {
        let client = world.connect(name, role, Account::Mesh).await;
        let subject = format!("devmesh.my-mesh.cmd.{name}.lock.acquire");
        let answer = client.request(subject.clone(), "{}".into()).await.unwrap();
        assert_eq!(answer.payload, subject);
    }
}

#[tokio::test]
async fn a_late_answer_still_arrives() {
    let world = World::start().await;
    let _core = answering(&world, Duration::from_secs(3)).await;
    let alice = world.agent("alice").await;
    let answer = alice.request("devmesh.my-mesh.cmd.alice.lock.acquire", "{}".into()).await;
    assert_eq!(answer.unwrap().payload, "devmesh.my-mesh.cmd.alice.lock.acquire");
}

#[tokio::test]
async fn without_a_coordinator_a_command_has_no_responder() {
    let world = World::start().await;
    let alice = world.agent("alice").await;
    let answer = alice.request("devmesh.my-mesh.cmd.alice.agent.join", "{}".into()).await;
    assert_eq!(answer.unwrap_err().kind(), async_nats::RequestErrorKind::NoResponders);
}

/// What comes of a message. It is sent again until it is heard: that a subscription was written
/// does not say that the server has taken it.
async fn heard(
    from: &async_nats::Client,
    subject: &'static str,
    to: &mut async_nats::Subscriber,
) -> async_nats::Message {
    let began = std::time::Instant::now();
    loop {
        from.publish(subject, "1".into()).await.unwrap();
        let next = tokio::time::timeout(std::time::Duration::from_millis(200), to.next()).await;
        if let Ok(Some(message)) = next {
            return message;
        }
        assert!(began.elapsed() < WITHIN, "{subject} is not heard");
    }
}

#[tokio::test]
async fn notices_reports_and_beats_cross_the_accounts() {
    let world = World::start().await;
    let core = world.coordinator().await;
    let alice = world.agent("alice").await;
    let host = world.connect("host-1", Role::Probe, Account::Mesh).await;
    let mut notices = alice.subscribe("devmesh.my-mesh.event.>").await.unwrap();
    let mut beats = core.subscribe("devmesh.my-mesh.beat.*").await.unwrap();
    let mut reports = core.subscribe("devmesh.my-mesh.report.*").await.unwrap();

    let notice = heard(&core, "devmesh.my-mesh.event.task_added.t-1", &mut notices).await;
    assert_eq!(notice.subject.as_str(), "devmesh.my-mesh.event.task_added.t-1");
    let report = heard(&host, "devmesh.my-mesh.report.host-1", &mut reports).await;
    assert_eq!(report.subject.as_str(), "devmesh.my-mesh.report.host-1");

    let answering = tokio::spawn(async move {
        let beat = beats.next().await.unwrap();
        core.publish(beat.reply.unwrap(), "3".into()).await.unwrap();
        core.flush().await.unwrap();
    });
    let answer = alice.request("devmesh.my-mesh.beat.alice", "{}".into()).await.unwrap();
    assert_eq!(answer.payload, "3");
    answering.await.unwrap();
}

#[tokio::test]
async fn mail_reaches_its_addressee_and_nobody_else() {
    let world = World::start().await;
    let (alice, bob) = (world.agent("alice").await, world.agent("bob").await);
    let send = jetstream::new(alice.clone());
    for to in ["bob", "carol"] {
        let subject = format!("devmesh.my-mesh.mail.alice.{to}");
        send.publish(subject, to.to_owned().into()).await.unwrap().await.unwrap();
    }
    let inbox = jetstream::new(bob)
        .create_consumer_on_stream(
            consumer::pull::Config {
                durable_name: Some("bob".to_owned()),
                filter_subject: "devmesh.my-mesh.mail.*.bob".to_owned(),
                ..Default::default()
            },
            "DEVMESH_MY-MESH_MAIL",
        )
        .await
        .unwrap();
    let mut mail = inbox.fetch().max_messages(10).messages().await.unwrap();
    let first = mail.next().await.unwrap().unwrap();
    assert_eq!(first.payload, "bob");
    first.double_ack().await.unwrap();
    assert!(mail.next().await.is_none(), "carol's mail is not bob's");
}

#[tokio::test]
async fn blobs_are_read_by_their_whole_name() {
    let world = World::start().await;
    let (alice, bob) = (world.agent("alice").await, world.agent("bob").await);
    let subject = "devmesh.my-mesh.blob.alice.0123abcd.0";
    jetstream::new(alice).publish(subject, "bytes".into()).await.unwrap().await.unwrap();
    let get = format!("$JS.API.DIRECT.GET.DEVMESH_MY-MESH_BLOB.{subject}");
    assert_eq!(bob.request(get, "".into()).await.unwrap().payload, "bytes");
}

#[tokio::test]
async fn people_read_what_agents_print() {
    let world = World::start().await;
    let alice = jetstream::new(world.agent("alice").await);
    for line in ["one", "two"] {
        let subject = "devmesh.my-mesh.output.alice.t-1.1";
        alice.publish(subject, line.into()).await.unwrap().await.unwrap();
    }
    for (name, role) in [("pat", Role::Person), ("vic", Role::Viewer), ("dash", Role::Dashboard)] {
        let context = jetstream::new(world.connect(name, role, Account::Mesh).await);
        let config = consumer::pull::OrderedConfig {
            // Without a name the filter would not stand in the request's subject.
            name: Some(format!("read-{name}")),
            filter_subject: "devmesh.my-mesh.output.alice.t-1.1".to_owned(),
            ..Default::default()
        };
        let reader = context.create_consumer_on_stream(config, "DEVMESH_MY-MESH_OUTPUT");
        let mut lines = reader.await.unwrap().messages().await.unwrap();
        for line in ["one", "two"] {
            let next = tokio::time::timeout(WITHIN, lines.next()).await.unwrap();
            assert_eq!(next.unwrap().unwrap().payload, line, "{name}");
        }
    }
}

#[tokio::test]
async fn readers_read_the_log_and_the_coordinator_alone_writes_it() {
    let world = World::start().await;
    let coordinator = jetstream::new(world.coordinator().await);
    for record in ["one", "two"] {
        let ack = coordinator.publish("devmesh.my-mesh.log", record.into()).await.unwrap();
        ack.await.unwrap();
    }
    for (name, role) in [("rep", Role::Replay), ("dash", Role::Dashboard), ("vic", Role::Viewer)] {
        let client = world.connect(name, role, Account::Core).await;
        let context = jetstream::new(client.clone());
        let config = consumer::pull::Config {
            filter_subject: "devmesh.my-mesh.log".to_owned(),
            name: Some(format!("read-{name}")),
            ack_policy: consumer::AckPolicy::None,
            ..Default::default()
        };
        let reader = context.create_consumer_on_stream(config, "DEVMESH_MY-MESH").await.unwrap();
        let mut records = reader.fetch().max_messages(2).messages().await.unwrap();
        for record in ["one", "two"] {
            assert_eq!(records.next().await.unwrap().unwrap().payload, record, "{name}");
        }
        let stream = context.get_stream("DEVMESH_MY-MESH").await.unwrap();
        assert_eq!(
            stream.get_last_raw_message_by_subject("devmesh.my-mesh.log").await.unwrap().sequence,
            2
        );
        let ack = context.publish("devmesh.my-mesh.log", "forged".into()).await.unwrap();
        assert!(tokio::time::timeout(QUIET, ack.into_future()).await.is_err(), "{name}");
        assert_eq!(
            context.get_stream("DEVMESH_MY-MESH").await.unwrap().cached_info().state.messages,
            2
        );
    }
}

#[tokio::test]
async fn the_coordinator_stores_and_redacts_free_text() {
    let world = World::start().await;
    let core = world.coordinator().await;
    let context = jetstream::new(core.clone());
    let subject = "devmesh.my-mesh.text.d1";
    let stored = context.publish(subject, "secret".into()).await.unwrap().await.unwrap();
    let get = format!("$JS.API.DIRECT.GET.DEVMESH_MY-MESH_TEXT.{subject}");
    assert_eq!(core.request(get.clone(), "".into()).await.unwrap().payload, "secret");
    let stream = context.get_stream("DEVMESH_MY-MESH_TEXT").await.unwrap();
    assert!(stream.delete_message(stored.sequence).await.unwrap());
    let gone = core.request(get, "".into()).await.unwrap();
    assert_eq!(gone.status.map(|s| s.as_u16()), Some(404));
}
