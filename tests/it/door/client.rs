//! One client in a process of its own, asked a line at a time.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Stdio;
use std::time::Instant;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::it::world::{MESH, WITHIN};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/door/door.py");

/// A client.
pub(super) struct Door {
    name: String,
    /// The session that an agent's commands carry.
    pub(super) session: Option<String>,
    /// Names of the verbs and queries that it sent and that were answered well.
    pub(super) sent: BTreeSet<String>,
    _child: Child,
    stdin: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Door {
    pub(super) async fn open(packages: &Path, url: &str, creds: &Path, name: &str) -> Self {
        let mut command = Command::new("python3");
        command.arg(SCRIPT).arg(url).arg(creds).arg(format!("_INBOX.{name}"));
        command.env("PYTHONPATH", packages).env("PYTHONDONTWRITEBYTECODE", "1");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let stdin = child.stdin.take().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (name, sent) = (name.to_owned(), BTreeSet::new());
        Self { name, session: None, sent, _child: child, stdin, lines }
    }

    /// One request: `{"reply": …}`, or `{"error": …}` where no answer came.
    pub(super) async fn raw(&mut self, ask: &Value) -> Value {
        self.stdin.write_all(format!("{ask}\n").as_bytes()).await.unwrap();
        let line = tokio::time::timeout(3 * WITHIN, self.lines.next_line()).await;
        let line = line.expect("the client answers").unwrap().expect("the client lives");
        serde_json::from_str(&line).unwrap()
    }

    /// A command's subject.
    pub(super) fn subject(&self, verb: &str) -> String {
        format!("devmesh.{MESH}.cmd.{}.{verb}", self.name)
    }

    async fn reply(&mut self, subject: String, body: Value) -> Value {
        let answer = self.raw(&json!({ "subject": subject, "body": body })).await;
        let reply = answer.get("reply").unwrap_or_else(|| panic!("{subject} {body}: {answer}"));
        check_shape(reply);
        reply.clone()
    }

    /// Sends a command.
    pub(super) async fn send(&mut self, verb: &str, mut body: Value) -> Value {
        if let Some(session) = &self.session
            && body.get("session").is_none()
        {
            body["session"] = json!(session);
        }
        self.reply(self.subject(verb), body).await
    }

    /// Sends a command that must be taken; its result.
    pub(super) async fn ok(&mut self, verb: &str, body: Value) -> Value {
        let reply = self.send(verb, body.clone()).await;
        assert_eq!(reply["ok"], true, "{verb} {body}: {reply}");
        self.sent.insert(verb.to_owned());
        reply["result"].clone()
    }

    /// Sends a command that must be refused with this code; the error.
    pub(super) async fn refused(&mut self, verb: &str, body: Value, code: &str) -> Value {
        let reply = self.send(verb, body.clone()).await;
        let shown: String = body.to_string().chars().take(200).collect();
        assert_eq!(reply["error"]["code"], code, "{verb} {shown}: {reply}");
        reply["error"].clone()
    }

    /// Asks a query that must be answered; its result.
    pub(super) async fn ask(&mut self, what: &str, body: Value) -> Value {
        let subject = format!("devmesh.{MESH}.query.{}.{what}", self.name);
        let reply = self.reply(subject, body.clone()).await;
        assert_eq!(reply["ok"], true, "{what} {body}: {reply}");
        assert!(reply["seq"].is_u64(), "{what} says which state it shows: {reply}");
        self.sent.insert(what.to_owned());
        reply["result"].clone()
    }

    /// Waits until a coordinator leads.
    pub(super) async fn until_led(&mut self) {
        let subject = format!("devmesh.{MESH}.query.{}.state", self.name);
        let deadline = Instant::now() + WITHIN;
        loop {
            let ask = json!({ "subject": subject, "body": {}, "timeout": 1 });
            let answer = self.raw(&ask).await;
            if answer["reply"]["ok"] == true {
                return;
            }
            assert!(Instant::now() < deadline, "nobody leads: {answer}");
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    }
}

/// Every answer is one of two shapes, with nothing beside.
fn check_shape(reply: &Value) {
    let names = |value: &Value| -> Vec<String> {
        value.as_object().map(|fields| fields.keys().cloned().collect()).unwrap_or_default()
    };
    let seq = reply["seq"].is_u64() || reply["seq"].is_null();
    let whole = match reply["ok"].as_bool() {
        Some(true) => names(reply) == ["ok", "result", "seq"],
        Some(false) => {
            let error = &reply["error"];
            names(reply) == ["error", "ok", "seq"]
                && names(error) == ["code", "details", "message", "retry_after_ms"]
                && error["details"].is_object()
                && error["message"].as_str().is_some_and(|text| !text.is_empty())
        }
        None => false,
    };
    assert!(seq && whole, "{reply}");
}
