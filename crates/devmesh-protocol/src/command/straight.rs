//! The short way from JSON to a command: in one pass, and without a word on what is wrong.
//!
//! Most commands are as they should be. What is not takes the long way, which says which field is
//! wrong; so whatever this refuses is not refused yet, and what it takes is what the long way
//! takes.

use std::borrow::Cow;
use std::fmt;

use serde::de::value::CowStrDeserializer;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, Visitor};

use super::Verb;
use super::parse::Body;
use crate::id::{CommandId, SessionId};

/// Reads the body of a verb.
pub(super) fn straight(verb: &str, body: &[u8]) -> Option<Body> {
    let mut json = serde_json::Deserializer::from_slice(body);
    let body = json.deserialize_map(Of { verb }).ok()?;
    json.end().ok()?;
    Some(body)
}

struct Of<'a> {
    verb: &'a str,
}

impl<'de> Visitor<'de> for Of<'_> {
    type Value = Body;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Body, A::Error> {
        let mut fields = Fields { map, id: None, session: None };
        let verb = Verb::from_fields(self.verb, &mut fields)?;
        let Fields { id, session, .. } = fields;
        Ok(Body { id: id.flatten(), session: session.flatten(), verb })
    }
}

/// The fields of a verb, with `id` and `session` taken aside.
struct Fields<A> {
    map: A,
    id: Option<Option<CommandId>>,
    session: Option<Option<SessionId>>,
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Fields<A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, A::Error> {
        loop {
            let Some(name) = self.map.next_key_seed(Name)? else { return Ok(None) };
            let is_second = match &*name {
                "id" => self.id.replace(self.map.next_value()?).is_some(),
                "session" => self.session.replace(self.map.next_value()?).is_some(),
                _ => return seed.deserialize(CowStrDeserializer::new(name)).map(Some),
            };
            if is_second {
                return Err(A::Error::custom("a name comes twice"));
            }
        }
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, A::Error> {
        self.map.next_value_seed(seed)
    }
}

/// A field's name, borrowed from the body wherever it stands there as it is.
struct Name;

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, name: D) -> Result<Cow<'de, str>, D::Error> {
        name.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Name {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a field")
    }

    fn visit_borrowed_str<E: Error>(self, name: &'de str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Borrowed(name))
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Owned(name.to_owned()))
    }
}

#[cfg(test)]
mod tests;
