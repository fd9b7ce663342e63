//! What the tokens of operator, accounts and users say, in the words of nats-io/jwt version 2.

use std::collections::BTreeMap;

use serde::Serialize;

use super::role::{Exports, Permissions};

/// No limit, in the server's words.
const NONE: i64 = -1;

#[derive(Debug, Serialize)]
pub(super) struct Operator {
    system_account: String,
    r#type: &'static str,
    version: u8,
}

impl Operator {
    pub(super) fn new(system_account: String) -> Self {
        Self { system_account, r#type: "operator", version: 2 }
    }
}

#[derive(Debug, Serialize)]
struct Export {
    name: String,
    subject: String,
    r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_type: Option<&'static str>,
    /// Nanoseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    response_threshold: Option<u64>,
}

#[derive(Debug, Serialize)]
struct Import {
    name: String,
    subject: String,
    account: String,
    r#type: &'static str,
    /// Has the server tell the exporter which user asked.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    share: bool,
}

/// Every limit is written: one that is left out is zero, which forbids.
#[derive(Debug, Serialize)]
struct Limits {
    subs: i64,
    data: i64,
    payload: i64,
    imports: i64,
    exports: i64,
    wildcards: bool,
    conn: i64,
    leaf: i64,
    mem_storage: i64,
    disk_storage: i64,
    streams: i64,
    consumer: i64,
}

impl Limits {
    fn new(streams: bool) -> Self {
        let store = if streams { NONE } else { 0 };
        Self {
            subs: NONE,
            data: NONE,
            payload: NONE,
            imports: NONE,
            exports: NONE,
            wildcards: true,
            conn: NONE,
            // A leaf node would be a server of someone else's inside the account.
            leaf: 0,
            mem_storage: store,
            disk_storage: store,
            streams: store,
            consumer: store,
        }
    }
}

#[derive(Debug, Serialize)]
pub(super) struct Account {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    imports: Vec<Import>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    exports: Vec<Export>,
    limits: Limits,
    /// Public key of a user → its tokens issued up to this second are refused.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    revocations: BTreeMap<String, i64>,
    r#type: &'static str,
    version: u8,
}

impl Account {
    fn empty(streams: bool, revocations: BTreeMap<String, i64>) -> Self {
        Self {
            imports: Vec::new(),
            exports: Vec::new(),
            limits: Limits::new(streams),
            revocations,
            r#type: "account",
            version: 2,
        }
    }

    pub(super) fn system() -> Self {
        Self::empty(false, BTreeMap::new())
    }

    /// The account of the log: it offers.
    pub(super) fn core(exports: &Exports, revocations: BTreeMap<String, i64>) -> Self {
        let mut account = Self::empty(true, revocations);
        let threshold = exports.response_threshold_s.saturating_mul(1_000_000_000);
        for subject in &exports.services {
            account.exports.push(Export {
                name: subject.clone(),
                subject: subject.clone(),
                r#type: "service",
                response_type: Some("Singleton"),
                response_threshold: Some(threshold),
            });
        }
        for subject in &exports.streams {
            account.exports.push(Export {
                name: subject.clone(),
                subject: subject.clone(),
                r#type: "stream",
                response_type: None,
                response_threshold: None,
            });
        }
        account
    }

    /// The account of everyone else: it takes what `core` offers.
    pub(super) fn mesh(exports: &Exports, core: &str, revocations: BTreeMap<String, i64>) -> Self {
        let mut account = Self::empty(true, revocations);
        let import = |subject: &String, r#type, share| Import {
            name: subject.clone(),
            subject: subject.clone(),
            account: core.to_owned(),
            r#type,
            share,
        };
        // Who asked is told for reports alone: a request shows by its reply subject that it came
        // through the import, and the header, which holds the whole token, costs a tenth to a
        // third of the request rate.
        let tells_sender = |subject: &str| subject.contains(".report.");
        account
            .imports
            .extend(exports.services.iter().map(|s| import(s, "service", tells_sender(s))));
        account.imports.extend(exports.streams.iter().map(|s| import(s, "stream", false)));
        account
    }
}

#[derive(Debug, Serialize)]
struct Rule {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    allow: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    deny: Vec<String>,
}

impl Rule {
    /// An empty list would allow everything; here it allows nothing.
    fn only(allow: Vec<String>) -> Self {
        let deny = if allow.is_empty() { vec![">".to_owned()] } else { Vec::new() };
        Self { allow, deny }
    }
}

#[derive(Debug, Serialize)]
pub(super) struct User {
    r#pub: Rule,
    sub: Rule,
    subs: i64,
    data: i64,
    payload: i64,
    tags: Vec<String>,
    r#type: &'static str,
    version: u8,
}

impl User {
    pub(super) fn new(permissions: Permissions, role: &str) -> Self {
        Self {
            r#pub: Rule::only(permissions.publish),
            sub: Rule::only(permissions.subscribe),
            subs: NONE,
            data: NONE,
            payload: NONE,
            // The coordinator reads the role here, told by the server and not by the client.
            tags: vec![format!("role:{role}")],
            r#type: "user",
            version: 2,
        }
    }
}
