//! What the streams are asked to be.

use std::time::Duration;

use async_nats::jetstream::stream::{Compression, Config, DiscardPolicy, StorageType};

use super::Error;
use crate::cred::Streams;

/// The largest message of any stream, which is also the server's `max_payload`.
const MESSAGE_BYTES_MAX: i32 = 1 << 20;
/// The server's smallest. The log carries no message ids: on a replicated stream they would
/// acknowledge to two rivals what one of them stored.
const DUPLICATE_WINDOW_MIN: Duration = Duration::from_millis(100);
/// The server's own default, said so that it can be compared: output and mail may be sent twice.
const DUPLICATE_WINDOW: Duration = Duration::from_secs(120);
const UNLIMITED: i64 = -1;

/// How much is kept beside the log, which is kept for ever.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Copies of each message: 1, or 3 on a cluster of three servers or more.
    pub replicas: usize,
    /// What agents print, in bytes.
    pub output_bytes_max: i64,
    /// How long it is kept.
    pub output_age_max: Duration,
    /// Saved work and other bytes, in bytes. Those that the state names are renewed by their
    /// owner before they age.
    pub blob_bytes_max: i64,
    /// How long they are kept.
    pub blob_age_max: Duration,
    /// Mail, in bytes.
    pub mail_bytes_max: i64,
    /// How long it is kept.
    pub mail_age_max: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        const DAY: Duration = Duration::from_secs(24 * 60 * 60);
        Self {
            replicas: 1,
            output_bytes_max: 1 << 30,
            output_age_max: 14 * DAY,
            blob_bytes_max: 8 << 30,
            blob_age_max: 90 * DAY,
            mail_bytes_max: 256 << 20,
            mail_age_max: 30 * DAY,
        }
    }
}

impl Limits {
    pub(super) fn validate(&self) -> Result<(), Error> {
        if !matches!(self.replicas, 1 | 3) {
            return Err(Error::Limits { field: "replicas", detail: "1, or 3 on a cluster" });
        }
        let sizes = [
            ("output_bytes_max", self.output_bytes_max),
            ("blob_bytes_max", self.blob_bytes_max),
            ("mail_bytes_max", self.mail_bytes_max),
        ];
        for (field, bytes) in sizes {
            if bytes < i64::from(MESSAGE_BYTES_MAX) {
                return Err(Error::Limits { field, detail: "at least one message of 1 MiB" });
            }
        }
        let ages = [
            ("output_age_max", self.output_age_max),
            ("blob_age_max", self.blob_age_max),
            ("mail_age_max", self.mail_age_max),
        ];
        for (field, age) in ages {
            if age < DUPLICATE_WINDOW {
                return Err(Error::Limits { field, detail: "at least two minutes" });
            }
        }
        Ok(())
    }
}

/// Every field that matters is said, so that the comparison sees it.
fn base(name: &str, subject: String, replicas: usize) -> Config {
    Config {
        name: name.to_owned(),
        subjects: vec![subject],
        storage: StorageType::File,
        num_replicas: replicas,
        max_bytes: UNLIMITED,
        max_messages: UNLIMITED,
        max_messages_per_subject: UNLIMITED,
        max_consumers: -1,
        max_message_size: MESSAGE_BYTES_MAX,
        duplicate_window: DUPLICATE_WINDOW,
        discard: DiscardPolicy::Old,
        ..Config::default()
    }
}

/// The streams of CORE: the log, and the free text that its records name by digest. Text is not
/// history itself, so it can be deleted; it has no age, because what names it has none.
#[must_use]
pub fn logs(mesh: &str, limits: &Limits) -> [Config; 2] {
    let names = Streams::of(mesh);
    let log = Config {
        deny_delete: true,
        deny_purge: true,
        duplicate_window: DUPLICATE_WINDOW_MIN,
        // Nothing old may ever make room for something new.
        discard: DiscardPolicy::New,
        ..base(&names.log, format!("devmesh.{mesh}.log"), limits.replicas)
    };
    let text = Config {
        allow_direct: true,
        max_messages_per_subject: 1,
        ..base(&names.text, format!("devmesh.{mesh}.text.*"), limits.replicas)
    };
    [log, text]
}

/// The streams of MESH, limited by size and age.
#[must_use]
pub fn sides(mesh: &str, limits: &Limits) -> [Config; 3] {
    let names = Streams::of(mesh);
    let output = Config {
        max_bytes: limits.output_bytes_max,
        max_age: limits.output_age_max,
        compression: Some(Compression::S2),
        ..base(&names.output, format!("devmesh.{mesh}.output.*.*.*"), limits.replicas)
    };
    let blob = Config {
        max_bytes: limits.blob_bytes_max,
        max_age: limits.blob_age_max,
        // Read by whole name; storing the same bytes again makes them young again.
        allow_direct: true,
        max_messages_per_subject: 1,
        ..base(&names.blob, format!("devmesh.{mesh}.blob.*.*.*"), limits.replicas)
    };
    let mail = Config {
        max_bytes: limits.mail_bytes_max,
        max_age: limits.mail_age_max,
        ..base(&names.mail, format!("devmesh.{mesh}.mail.*.*"), limits.replicas)
    };
    [output, blob, mail]
}
