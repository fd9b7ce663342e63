//! Identifiers. Each is its own type, valid by construction, so that a name that could forge a
//! subject or a path never gets past the door.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Why a text is not an identifier.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not {what}: {rule}")]
pub struct BadId {
    what: &'static str,
    rule: &'static str,
    text: String,
}

impl BadId {
    fn new(what: &'static str, rule: &'static str, text: &str) -> BadId {
        // An identifier is echoed to its sender; a megabyte of it is not.
        BadId { what, rule, text: text.chars().take(80).collect() }
    }
}

fn is_name(text: &str, bytes_max: usize, underscore: bool) -> bool {
    let plain = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit();
    let bytes = text.as_bytes();
    bytes.first().is_some_and(|c| plain(*c))
        && bytes.len() <= bytes_max
        && bytes.iter().all(|c| plain(*c) || *c == b'-' || (underscore && *c == b'_'))
}

/// Brings any text into the alphabet of names: lower case, what is not of it as `-`, at most as
/// long as a name. Nothing may be left of it.
pub fn plain(text: &str) -> String {
    let word = |c: char| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' };
    let plain: String = text.to_ascii_lowercase().chars().map(word).collect();
    plain.trim_matches(['-', '_']).chars().take(63).collect()
}

/// What tools are known by, for [`check_name`].
pub const TOOL: &str = "the name of a tool";
/// What capabilities are known by, for [`check_name`].
pub const CAPABILITY: &str = "the name of a capability";

/// Checks a name that has no type of its own and obeys the same rule; `what` is it.
pub fn check_name(what: &'static str, text: &str) -> Result<(), BadId> {
    if is_name(text, 63, true) {
        return Ok(());
    }
    Err(BadId::new(what, "it matches [a-z0-9][a-z0-9_-]{0,62}", text))
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $what:literal, $rule:literal, $pattern:literal, $valid:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks and takes the text.
            pub fn new(text: &str) -> Result<$name, BadId> {
                let valid: fn(&str) -> bool = $valid;
                if valid(text) {
                    Ok($name(text.into()))
                } else {
                    Err(BadId::new($what, $rule, text))
                }
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = BadId;
            fn from_str(text: &str) -> Result<$name, BadId> {
                $name::new(text)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<$name, D::Error> {
                deserializer.deserialize_str(Text($name::new))
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "pattern": $pattern })
            }
        }
    };
}

/// Takes a text where the reader has it. Logs are full of names, and a copy of each only to look
/// at it would cost as much as all the rest of reading it.
pub(crate) struct Text<T, E>(pub(crate) fn(&str) -> Result<T, E>);

impl<T, E: fmt::Display> de::Visitor<'_> for Text<T, E> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<F: de::Error>(self, text: &str) -> Result<T, F> {
        (self.0)(text).map_err(F::custom)
    }
}

text_id!(
    /// A mesh. Without `_`, so that no mesh's stream can carry the name of another's.
    MeshId, "the name of a mesh", "it matches [a-z0-9][a-z0-9-]{0,30}",
    "^[a-z0-9][a-z0-9-]{0,30}$", |text| is_name(text, 31, false)
);
text_id!(
    /// Who acts: the name of a credential.
    ActorId, "the name of an actor", "it matches [a-z0-9][a-z0-9_-]{0,62}",
    "^[a-z0-9][a-z0-9_-]{0,62}$", |text| is_name(text, 63, true)
);
text_id!(
    /// One run of an agent process; a reaped session never acts again.
    SessionId, "the id of a session", "it matches [a-z0-9][a-z0-9_-]{0,62}",
    "^[a-z0-9][a-z0-9_-]{0,62}$", |text| is_name(text, 63, true)
);
text_id!(
    /// A machine.
    HostId, "the name of a host", "it matches [a-z0-9][a-z0-9_-]{0,62}",
    "^[a-z0-9][a-z0-9_-]{0,62}$", |text| is_name(text, 63, true)
);
text_id!(
    /// A repository of the mesh.
    RepoId, "the name of a repository", "it matches [a-z0-9][a-z0-9_-]{0,62}",
    "^[a-z0-9][a-z0-9_-]{0,62}$", |text| is_name(text, 63, true)
);
text_id!(
    /// What a command is known by: one attempt at it. A UUIDv7 makes it idempotent for ever;
    /// any other text only while it is among its actor's last few.
    CommandId, "the id of a command", "1 to 64 characters of [A-Za-z0-9_-]",
    "^[A-Za-z0-9_-]{1,64}$",
    |text| (1..=64).contains(&text.len())
        && text.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-' || c == b'_')
);

impl CommandId {
    /// A number in which most ids differ, and that follows from the text: of a UUID the first
    /// half, which in a v7 rises with its time.
    pub fn number(&self) -> u64 {
        match uuid::Uuid::try_parse(&self.0) {
            Ok(uuid) => (uuid.as_u128() >> 64) as u64,
            Err(_) => fnv(&self.0),
        }
    }

    /// The creation time that a UUIDv7 carries, in milliseconds.
    pub fn uuid_v7_ms(&self) -> Option<u64> {
        let uuid = uuid::Uuid::try_parse(&self.0).ok()?;
        if uuid.get_version_num() != 7 {
            return None;
        }
        let high = (uuid.as_u128() >> 80) as u64;
        Some(high)
    }
}

/// FNV-1a: short, and the same on every machine.
fn fnv(text: &str) -> u64 {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    text.bytes().fold(0xcbf2_9ce4_8422_2325, step)
}

impl ActorId {
    /// A number in which most names differ, and that follows from the text.
    pub fn number(&self) -> u64 {
        fnv(&self.0)
    }

    /// The name of the coordinator.
    pub const COORDINATOR: &str = "coordinator";

    /// The name of the mesh's own administrator.
    pub const ADMIN: &str = "admin";

    /// The coordinator itself: who acts when time passes.
    pub fn coordinator() -> ActorId {
        ActorId(ActorId::COORDINATOR.into())
    }

    /// The mesh's own administrator, who says which actor has which role.
    pub fn admin() -> ActorId {
        ActorId(ActorId::ADMIN.into())
    }
}

macro_rules! number_id {
    (
        $(#[$doc:meta])*
        $name:ident, $what:literal, $prefix:literal, $rule:literal, $pattern:literal
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{}"), self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = BadId;
            fn from_str(text: &str) -> Result<$name, BadId> {
                text.strip_prefix($prefix)
                    .and_then(number)
                    .map($name)
                    .ok_or_else(|| BadId::new($what, $rule, text))
            }
        }

        compact_id!($name, $pattern, |id| id.0, |n: u64| Some($name(n)));
    };
}

/// Text in JSON, an integer in CBOR; both are read from either.
macro_rules! compact_id {
    ($name:ident, $pattern:literal, $to:expr, $from:expr) => {
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                if serializer.is_human_readable() {
                    serializer.collect_str(self)
                } else {
                    let to: fn(&$name) -> _ = $to;
                    to(self).serialize(serializer)
                }
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<$name, D::Error> {
                if deserializer.is_human_readable() {
                    let text = Cow::<'de, str>::deserialize(deserializer)?;
                    text.parse().map_err(de::Error::custom)
                } else {
                    let from: fn(_) -> Option<$name> = $from;
                    from(Deserialize::deserialize(deserializer)?)
                        .ok_or_else(|| de::Error::custom("an id out of range"))
                }
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "pattern": $pattern })
            }
        }
    };
}

/// Digits only, and no leading zero: an id has one spelling.
fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|c| c.is_ascii_digit());
    let canonical = text == "0" || !text.starts_with('0');
    (digits && canonical).then(|| text.parse().ok()).flatten()
}

number_id!(
    /// A task, `t-17`, numbered in the order of adding.
    TaskId, "the id of a task", "t-", "it is t- and a number, as in t-17", "^t-[0-9]+$"
);
number_id!(
    /// A question of an agent, `q-41`: the record that asked it.
    QuestionId, "the id of a question", "q-", "it is q- and a number, as in q-41", "^q-[0-9]+$"
);

/// A lease, `l-41-0`: the record that granted it (or converted it to a stronger mode) and its
/// place in that record. It rises with every grant and is never used again, so it is the fence.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeaseId {
    /// The record of the grant: the lease's token.
    pub seq: u64,
    /// The place within the record.
    pub index: u32,
}

impl fmt::Display for LeaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "l-{}-{}", self.seq, self.index)
    }
}

impl fmt::Debug for LeaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for LeaseId {
    type Err = BadId;
    fn from_str(text: &str) -> Result<LeaseId, BadId> {
        let parse = || {
            let (seq, index) = text.strip_prefix("l-")?.split_once('-')?;
            Some(LeaseId { seq: number(seq)?, index: u32::try_from(number(index)?).ok()? })
        };
        let rule = "it is l- and two numbers, as in l-41-0";
        parse().ok_or_else(|| BadId::new("the id of a lease", rule, text))
    }
}

compact_id!(LeaseId, "^l-[0-9]+-[0-9]+$", |id| (id.seq, id.index), |(seq, index)| Some(LeaseId {
    seq,
    index
}));

#[cfg(test)]
mod tests;
