//! Money: a decimal at the JSON door, integer micro-dollars everywhere else.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::Usd;

/// More than any task may cost; beyond it a double no longer tells micro-dollars apart.
const MICRO_MAX: u64 = 1_000_000_000_000;

impl Serialize for Usd {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.serialize_f64(self.micro as f64 / 1e6)
        } else {
            serializer.serialize_u64(self.micro)
        }
    }
}

impl<'de> Deserialize<'de> for Usd {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Usd, D::Error> {
        if !deserializer.is_human_readable() {
            return Ok(Usd { micro: u64::deserialize(deserializer)? });
        }
        let micro = (f64::deserialize(deserializer)? * 1e6).round();
        if !(0.0..=MICRO_MAX as f64).contains(&micro) {
            return Err(de::Error::custom("an amount from 0 to 1000000 US dollars is expected"));
        }
        Ok(Usd { micro: micro as u64 })
    }
}

impl JsonSchema for Usd {
    fn schema_name() -> Cow<'static, str> {
        "Usd".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "number", "minimum": 0, "maximum": 1_000_000 })
    }
}
