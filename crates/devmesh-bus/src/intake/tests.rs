//! Who is let in.

use async_nats::HeaderMap;
use devmesh_protocol::MeshId;
use devmesh_protocol::command::Encoding;
use devmesh_protocol::limits::REQUEST_BYTES_MAX;

use super::admit::admit;
use super::{Message, Trust};

fn let_in(
    trust: Trust,
    subject: &str,
    reply: Option<&str>,
    headers: Option<HeaderMap>,
    size: usize,
) -> Result<Message, &'static str> {
    let message = async_nats::Message {
        subject: subject.into(),
        reply: reply.map(Into::into),
        payload: vec![b' '; size].into(),
        headers,
        status: None,
        description: None,
        length: 0,
    };
    admit(&MeshId::new("m").unwrap(), trust, message)
}

fn info(kind: &str, name: &str) -> Option<HeaderMap> {
    let mut headers = HeaderMap::new();
    let text = format!(r#"{{"kind":"{kind}","name_tag":"{name}","tags":["role:agent"]}}"#);
    headers.insert("Nats-Request-Info", text);
    Some(headers)
}

fn check(subject: &str, reply: Option<&str>, headers: Option<HeaderMap>) -> &'static str {
    match let_in(Trust::Accounts, subject, reply, headers, 2) {
        Ok(_) => "in",
        Err(reason) => reason,
    }
}

#[test]
fn a_request_of_its_own_sender_through_the_import_is_let_in() {
    for subject in
        ["devmesh.m.cmd.alice.lock.acquire", "devmesh.m.query.alice.state", "devmesh.m.beat.alice"]
    {
        assert_eq!(check(subject, Some("_R_.abc"), None), "in", "{subject}");
    }
    assert_eq!(check("devmesh.m.report.h1", None, info("Client", "h1")), "in");
}

#[test]
fn what_has_another_reply_subject_or_sender_is_kept_out() {
    let command = "devmesh.m.cmd.alice.agent.leave";
    for reply in [None, Some("devmesh.m.log"), Some("_INBOX.alice.1"), Some("_R_."), Some("$JS.A")]
    {
        assert_eq!(check(command, reply, info("Client", "alice")), "reply", "{reply:?}");
    }
    let report = "devmesh.m.report.h1";
    assert_eq!(check(report, None, None), "sender");
    assert_eq!(check(report, None, info("JetStream", "h1")), "sender");
    assert_eq!(check(report, None, info("Client", "")), "sender");
    assert_eq!(check(report, None, info("Client", "h2")), "other_sender");
}

#[test]
fn what_is_no_subject_of_the_mesh_is_kept_out() {
    for subject in [
        "devmesh.n.cmd.alice.agent.leave",
        "devmesh.m.cmd.Alice.agent.leave",
        "devmesh.m.cmd.alice",
        "devmesh.m.cmd.alice.",
        "devmesh.m.log",
        "devmesh.m.beat.alice.more",
    ] {
        assert_eq!(
            check(subject, Some("_R_.abc"), info("Client", "alice")),
            "subject",
            "{subject}"
        );
    }
}

#[test]
fn without_accounts_a_reply_subject_is_enough() {
    let command = "devmesh.m.cmd.alice.agent.leave";
    assert!(let_in(Trust::Everybody, command, Some("_INBOX.1"), None, 2).is_ok());
    assert_eq!(let_in(Trust::Everybody, command, None, None, 2).unwrap_err(), "reply");
}

#[test]
fn a_body_over_the_bound_is_let_in_only_to_be_refused() {
    let command = "devmesh.m.cmd.alice.agent.leave";
    let let_in = |size| let_in(Trust::Everybody, command, Some("_R_.1"), None, size).unwrap();
    let fits = let_in(REQUEST_BYTES_MAX);
    assert!(!fits.is_over_bound && fits.payload.len() == REQUEST_BYTES_MAX);
    let over = let_in(REQUEST_BYTES_MAX + 1);
    assert!(over.is_over_bound && over.payload.is_empty());
}

#[test]
fn the_encoding_is_read_from_the_header_however_it_is_spelled() {
    let command = "devmesh.m.cmd.alice.agent.leave";
    for (name, value, encoding) in [
        ("content-type", "application/cbor", Encoding::Cbor),
        ("Content-Type", "application/cbor", Encoding::Cbor),
        ("content-type", "application/json", Encoding::Json),
        ("accept", "application/cbor", Encoding::Json),
    ] {
        let mut headers = HeaderMap::new();
        headers.insert(name, value);
        let message = let_in(Trust::Everybody, command, Some("_R_.1"), Some(headers), 2).unwrap();
        assert_eq!(message.encoding, encoding, "{name}: {value}");
    }
}
