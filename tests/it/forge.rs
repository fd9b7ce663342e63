//! Forgeries: a client has the server publish for it, where it may not publish itself.
//!
//! Publish permissions bind what a client sends and not what the server answers, so each of these
//! was once a way into the log or into another actor's name.

use async_nats::jetstream::{self, consumer};
use async_nats::{Client, Message, Subscriber};
use devmesh_bus::cred::{Account, Role, Sender, is_import_reply};
use futures::StreamExt;

use super::world::{QUIET, WITHIN, World};

const LOG: &str = "devmesh.my-mesh.log";
/// The filter of alice's inbox.
const OWN: &str = "devmesh.my-mesh.mail.*.alice";
const BOBS: &str = "devmesh.my-mesh.cmd.bob.agent.leave";

struct Scene {
    world: World,
    alice: Client,
    core: Client,
    /// What reaches the coordinator as commands.
    commands: Subscriber,
}

impl Scene {
    async fn set() -> Self {
        let world = World::start().await;
        let core = world.coordinator().await;
        let commands = core.subscribe("devmesh.my-mesh.cmd.>").await.unwrap();
        core.flush().await.unwrap();
        let alice = world.agent("alice").await;
        Self { world, alice, core, commands }
    }

    /// How many messages the log has, told by its leader.
    async fn logged(&self) -> u64 {
        let context = jetstream::new(self.core.clone());
        context.get_stream("DEVMESH_MY-MESH").await.unwrap().cached_info().state.messages
    }

    /// Publishes with that reply subject, and waits until the server has done what follows from it:
    /// it answers the same request once more, to an inbox.
    async fn ask(&self, subject: &str, reply: &str, body: &str) {
        self.alice
            .publish_with_reply(subject.to_owned(), reply.to_owned(), body.to_owned().into())
            .await
            .unwrap();
        self.alice.flush().await.unwrap();
    }

    /// What reaches the coordinator, until it is quiet.
    async fn arrivals(&mut self) -> Vec<Message> {
        let mut arrived = Vec::new();
        while let Ok(Some(message)) = tokio::time::timeout(QUIET, self.commands.next()).await {
            arrived.push(message);
        }
        arrived
    }

    /// Mails herself, and makes her own consumer: all of it permitted.
    async fn own_mail(&self, body: &str) {
        let context = jetstream::new(self.alice.clone());
        let mut headers = async_nats::HeaderMap::new();
        headers.insert("Devmesh-Epoch", "99");
        let mail = "devmesh.my-mesh.mail.alice.alice";
        let sent = context.publish_with_headers(mail, headers, body.to_owned().into());
        sent.await.unwrap().await.unwrap();
        let config = consumer::pull::Config {
            durable_name: Some("alice".to_owned()),
            filter_subject: "devmesh.my-mesh.mail.*.alice".to_owned(),
            ..Default::default()
        };
        context.create_consumer_on_stream(config, "DEVMESH_MY-MESH_MAIL").await.unwrap();
    }
}

const PULL: &str = "$JS.API.CONSUMER.MSG.NEXT.DEVMESH_MY-MESH_MAIL.alice";

#[tokio::test]
async fn the_log_cannot_be_published_to() {
    let scene = Scene::set().await;
    let alice = scene.world.watched("alice", Role::Agent, Account::Mesh).await;
    assert_eq!(alice.refused_publish(&[LOG.to_owned()]).await, [LOG]);
    assert_eq!(scene.logged().await, 0);
}

#[tokio::test]
async fn a_receipt_cannot_be_sent_into_the_log() {
    let mut scene = Scene::set().await;
    scene.ask("devmesh.my-mesh.cmd.alice.lock.acquire", LOG, "{}").await;
    let command = tokio::time::timeout(WITHIN, scene.commands.next()).await.unwrap().unwrap();
    // The coordinator answers as it would anyone; the answer stays in MESH.
    let reply = command.reply.unwrap();
    assert!(is_import_reply(&reply));
    scene.core.publish(reply, "{\"ok\":true}".into()).await.unwrap();
    scene.core.flush().await.unwrap();
    tokio::time::sleep(QUIET).await;
    assert_eq!(scene.logged().await, 0);
}

#[tokio::test]
async fn an_acknowledgement_cannot_be_sent_into_the_log() {
    let scene = Scene::set().await;
    scene.ask("devmesh.my-mesh.output.alice.t-1.1", LOG, "line").await;
    tokio::time::sleep(QUIET).await;
    assert_eq!(scene.logged().await, 0);
}

#[tokio::test]
async fn an_api_answer_cannot_be_sent_into_the_log() {
    let scene = Scene::set().await;
    scene.own_mail("{}").await;
    scene.ask("$JS.API.CONSUMER.INFO.DEVMESH_MY-MESH_MAIL.alice", LOG, "").await;
    tokio::time::sleep(QUIET).await;
    assert_eq!(scene.logged().await, 0);
}

#[tokio::test]
async fn own_mail_cannot_be_pulled_into_the_log() {
    let scene = Scene::set().await;
    scene.own_mail("a whole forged batch").await;
    scene.ask(PULL, LOG, "1").await;
    tokio::time::sleep(QUIET).await;
    assert_eq!(scene.logged().await, 0);
    // Nobody in MESH listens there, so the server does not even hand the message out.
    assert_eq!(scene.delivered().await, 0);
}

impl Scene {
    /// How many messages alice's consumer has handed out: the forgery was really tried.
    async fn delivered(&self) -> u64 {
        let info = "$JS.API.CONSUMER.INFO.DEVMESH_MY-MESH_MAIL.alice";
        let answer = self.alice.request(info, "".into()).await.unwrap();
        let info: serde_json::Value = serde_json::from_slice(&answer.payload).unwrap();
        info["delivered"]["consumer_seq"].as_u64().unwrap()
    }
}

#[tokio::test]
async fn an_acknowledgement_that_poses_as_anothers_command_is_dropped() {
    let mut scene = Scene::set().await;
    scene.ask("devmesh.my-mesh.output.alice.t-1.1", BOBS, "line").await;
    let forged = tokio::time::timeout(WITHIN, scene.commands.next()).await.unwrap().unwrap();
    // It does arrive, and parses: what tells it apart is that no import made its reply subject.
    assert_eq!(forged.subject.as_str(), BOBS);
    assert!(!forged.reply.is_some_and(|reply| is_import_reply(&reply)));
}

#[tokio::test]
async fn own_mail_that_poses_as_anothers_command_is_dropped() {
    let mut scene = Scene::set().await;
    scene.own_mail("{\"reason\":\"bob says so\"}").await;
    scene.ask(PULL, BOBS, "1").await;
    for message in scene.arrivals().await {
        assert!(!message.reply.is_some_and(|reply| is_import_reply(&reply)), "{}", message.subject);
    }
    assert_eq!(scene.delivered().await, 1, "the pull itself was served");
}

#[tokio::test]
async fn the_answer_to_an_own_command_cannot_pose_as_anothers() {
    let mut scene = Scene::set().await;
    scene.ask("devmesh.my-mesh.cmd.alice.lock.acquire", BOBS, "{}").await;
    let own = tokio::time::timeout(WITHIN, scene.commands.next()).await.unwrap().unwrap();
    assert_eq!(own.subject.as_str(), "devmesh.my-mesh.cmd.alice.lock.acquire");
    let reply = own.reply.unwrap();
    assert!(is_import_reply(&reply));
    scene.core.publish(reply, "{\"ok\":true}".into()).await.unwrap();
    for message in scene.arrivals().await {
        assert!(!message.reply.is_some_and(|reply| is_import_reply(&reply)), "{}", message.subject);
    }
}

/// A push consumer delivers where its owner says, with reply subjects and flow-control requests of
/// the server's own.
#[tokio::test]
async fn a_push_consumer_cannot_pose_as_anothers_command() {
    let mut scene = Scene::set().await;
    jetstream::new(scene.alice.clone())
        .publish("devmesh.my-mesh.mail.alice.alice", "{}".into())
        .await
        .unwrap()
        .await
        .unwrap();
    let body = serde_json::json!({ "stream_name": "DEVMESH_MY-MESH_MAIL", "config": {
        "name": "alice", "filter_subject": "devmesh.my-mesh.mail.*.alice",
        "deliver_subject": BOBS, "deliver_policy": "all", "replay_policy": "instant",
        "ack_policy": "explicit", "flow_control": true, "idle_heartbeat": 100_000_000,
    }});
    let create = "$JS.API.CONSUMER.CREATE.DEVMESH_MY-MESH_MAIL.alice.devmesh.my-mesh.mail.*.alice";
    let answer = scene.alice.request(create, body.to_string().into()).await.unwrap();
    let answer: serde_json::Value = serde_json::from_slice(&answer.payload).unwrap();
    assert_eq!(answer["error"], serde_json::Value::Null, "the attempt itself is permitted");
    for message in scene.arrivals().await {
        assert!(!message.reply.is_some_and(|reply| is_import_reply(&reply)), "{}", message.subject);
    }
}

/// A consumer request may not say one filter in its subject and another in its body.
#[tokio::test]
async fn a_consumers_filter_is_the_one_in_its_subject() {
    let scene = Scene::set().await;
    let bob = jetstream::new(scene.world.agent("bob").await);
    let sent = bob.publish("devmesh.my-mesh.mail.bob.carol", "private".into()).await.unwrap();
    sent.await.unwrap();
    let create = "$JS.API.CONSUMER.CREATE.DEVMESH_MY-MESH_MAIL.alice.devmesh.my-mesh.mail.*.alice";
    for config in [
        serde_json::json!({ "name": "alice", "filter_subject": "devmesh.my-mesh.mail.>" }),
        serde_json::json!({ "name": "alice", "filter_subjects": ["devmesh.my-mesh.mail.>"] }),
        serde_json::json!({ "name": "alice" }),
        serde_json::json!({ "durable_name": "bob", "filter_subject": OWN }),
    ] {
        let body = serde_json::json!({ "stream_name": "DEVMESH_MY-MESH_MAIL", "config": config });
        let answer = scene.alice.request(create, body.to_string().into()).await.unwrap();
        let answer: serde_json::Value = serde_json::from_slice(&answer.payload).unwrap();
        assert!(answer["error"]["err_code"].is_u64(), "{config}: {answer}");
    }
    // Another name is not refused, and not taken either.
    let config = serde_json::json!({ "name": "bob", "filter_subject": OWN });
    let body = serde_json::json!({ "stream_name": "DEVMESH_MY-MESH_MAIL", "config": config });
    let answer = scene.alice.request(create, body.to_string().into()).await.unwrap();
    let answer: serde_json::Value = serde_json::from_slice(&answer.payload).unwrap();
    assert_eq!(answer["name"], "alice");
}

/// A report expects no answer, so its reply subject shows nothing; its sender does.
#[tokio::test]
async fn an_own_blob_that_poses_as_anothers_report_has_no_sender() {
    let scene = Scene::set().await;
    let mut reports = scene.core.subscribe("devmesh.my-mesh.report.*").await.unwrap();
    scene.core.flush().await.unwrap();
    let blob = "devmesh.my-mesh.blob.alice.d1.0";
    let context = jetstream::new(scene.alice.clone());
    context.publish(blob, "{\"ram_mb\":0}".into()).await.unwrap().await.unwrap();
    let get = format!("$JS.API.DIRECT.GET.DEVMESH_MY-MESH_BLOB.{blob}");
    scene.ask(&get, "devmesh.my-mesh.report.host-2", "").await;
    let forged = tokio::time::timeout(WITHIN, reports.next()).await.unwrap().unwrap();
    assert_eq!(forged.payload, "{\"ram_mb\":0}");
    assert_eq!(Sender::of(forged.headers.as_ref()), None);

    let host = scene.world.connect("host-1", Role::Probe, Account::Mesh).await;
    host.publish("devmesh.my-mesh.report.host-1", "{}".into()).await.unwrap();
    let honest = tokio::time::timeout(WITHIN, reports.next()).await.unwrap().unwrap();
    let sender = Sender { name: "host-1".to_owned(), role: Role::Probe };
    assert_eq!(Sender::of(honest.headers.as_ref()), Some(sender));
}

#[tokio::test]
async fn the_header_that_names_the_sender_cannot_be_brought_along() {
    let scene = Scene::set().await;
    let mut reports = scene.core.subscribe("devmesh.my-mesh.report.*").await.unwrap();
    scene.core.flush().await.unwrap();
    let host = scene.world.connect("host-1", Role::Probe, Account::Mesh).await;
    let claim = r#"{"kind":"Client","name_tag":"host-2","tags":["role:probe"]}"#;
    let name = "Nats-Request-Info";
    let spellings: [&[&str]; 4] = [&[name], &[name, name], &["nats-request-info"], &["A", name]];
    for names in spellings {
        let mut headers = async_nats::HeaderMap::new();
        for name in names {
            headers.append(*name, claim);
        }
        let own = "devmesh.my-mesh.report.host-1".to_owned();
        host.publish_with_headers(own, headers, "{}".into()).await.unwrap();
        let report = tokio::time::timeout(WITHIN, reports.next()).await.unwrap().unwrap();
        let sender = Sender { name: "host-1".to_owned(), role: Role::Probe };
        assert_eq!(Sender::of(report.headers.as_ref()), Some(sender), "{names:?}");
    }
}
