//! Points in time: integer milliseconds UTC in the log, RFC 3339 at the JSON door.

use std::fmt;
use std::ops::{Add, Sub};

use chrono::{DateTime, SecondsFormat};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Milliseconds since the Unix epoch, UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct At(pub u64);

impl At {
    /// The time as RFC 3339 with milliseconds, `2026-11-21T09:30:00.000Z`. A number of
    /// milliseconds outside the calendar's range is shown as that number.
    pub fn to_rfc3339(self) -> String {
        i64::try_from(self.0)
            .ok()
            .and_then(DateTime::from_timestamp_millis)
            .map_or_else(|| self.0.to_string(), |t| t.to_rfc3339_opts(SecondsFormat::Millis, true))
    }

    /// Reads RFC 3339. `None` for anything else and for times before 1970.
    pub fn from_rfc3339(text: &str) -> Option<At> {
        let time = DateTime::parse_from_rfc3339(text).ok()?;
        u64::try_from(time.timestamp_millis()).ok().map(At)
    }

    /// Milliseconds from `earlier` to this, 0 where `earlier` is later.
    pub fn since(self, earlier: At) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<u64> for At {
    type Output = At;
    fn add(self, ms: u64) -> At {
        At(self.0.saturating_add(ms))
    }
}

impl Sub<u64> for At {
    type Output = At;
    fn sub(self, ms: u64) -> At {
        At(self.0.saturating_sub(ms))
    }
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_rfc3339())
    }
}

impl Serialize for At {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            serializer.serialize_u64(self.0)
        }
    }
}

impl<'de> Deserialize<'de> for At {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<At, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = At;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a time: RFC 3339 text or milliseconds since 1970")
            }
            fn visit_u64<E: de::Error>(self, ms: u64) -> Result<At, E> {
                Ok(At(ms))
            }
            fn visit_i64<E: de::Error>(self, ms: i64) -> Result<At, E> {
                u64::try_from(ms).map(At).map_err(|_| E::custom("a time before 1970"))
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<At, E> {
                At::from_rfc3339(text)
                    .ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl JsonSchema for At {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "At".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "date-time" })
    }
}

#[cfg(test)]
mod tests;
