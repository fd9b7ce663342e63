//! From bytes to a checked command, and back.

use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use super::straight::straight;
use super::{Command, Verb};
use crate::digest::Digest;
use crate::id::{ActorId, CommandId, SessionId};
use crate::limits::REQUEST_BYTES_MAX;
use crate::path::BadPath;
use crate::reply::{Code, Rejection};

/// How a body is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// The default.
    Json,
    /// Where the header `content-type` is `application/cbor`.
    Cbor,
}

/// A JSON object whose names are distinct: of two values under one name, one would be lost.
pub(crate) struct Object(pub(crate) Map<String, Value>);

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Object, D::Error> {
        struct Distinct;
        impl<'de> Visitor<'de> for Distinct {
            type Value = Object;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
                let mut object = Map::new();
                while let Some((name, value)) = map.next_entry::<String, Value>()? {
                    if object.contains_key(&name) {
                        return Err(A::Error::custom(format_args!("duplicate field `{name}`")));
                    }
                    object.insert(name, value);
                }
                Ok(Object(object))
            }
        }
        deserializer.deserialize_map(Distinct)
    }
}

/// Reads an object from a body; an empty body is an empty object.
pub(crate) fn object(body: &[u8], encoding: Encoding) -> Result<Map<String, Value>, Rejection> {
    if body.len() > REQUEST_BYTES_MAX {
        let text = format!("the body has {} bytes; at most {REQUEST_BYTES_MAX}", body.len());
        return Err(Rejection::new(Code::LimitExceeded, text));
    }
    if body.is_empty() {
        return Ok(Map::new());
    }
    let object = match encoding {
        Encoding::Json => serde_json::from_slice::<Object>(body).map_err(|e| e.to_string()),
        Encoding::Cbor => ciborium::from_reader::<Object, _>(body).map_err(|e| e.to_string()),
    };
    object.map(|object| object.0).map_err(|error| {
        Rejection::new(Code::BadRequest, format!("the body is not a JSON object: {error}"))
    })
}

/// The refusal of a body that is not what it should be; a path out of the repository has a code of
/// its own.
pub(crate) fn unread(error: serde_path_to_error::Error<serde_json::Error>) -> Rejection {
    let path = error.path().to_string();
    let text = error.into_inner().to_string();
    let mut rejection = Rejection::bad_field(&path, &text);
    let outside = [BadPath::Absolute, BadPath::Outside, BadPath::GitFolder, BadPath::Control];
    // serde hands on the words of an error alone.
    if outside.iter().any(|bad| bad.to_string() == text) {
        rejection.code = Code::PathOutsideRepo;
    }
    rejection
}

/// Takes an optional field out of the object and reads it.
pub(crate) fn take<T: serde::de::DeserializeOwned>(
    object: &mut Map<String, Value>,
    field: &str,
) -> Result<Option<T>, Rejection> {
    match object.remove(field) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => serde_json::from_value(value)
            .map(Some)
            .map_err(|error| Rejection::bad_field(field, error)),
    }
}

/// What stands in a body.
#[derive(Debug, PartialEq)]
pub(super) struct Body {
    pub(super) id: Option<CommandId>,
    pub(super) session: Option<SessionId>,
    pub(super) verb: Verb,
}

/// Reads a body of either encoding, or says which field is wrong.
pub(super) fn at_length(verb: &str, body: &[u8], encoding: Encoding) -> Result<Body, Rejection> {
    if !Verb::NAMES.contains(&verb) {
        return Err(Rejection::unknown_verb(verb));
    }
    let mut object = object(body, encoding)?;
    let id = take(&mut object, "id")?;
    let session = take(&mut object, "session")?;
    let verb = Verb::from_body(verb, Value::Object(object))
        .ok_or_else(|| Rejection::unknown_verb(verb))?
        .map_err(unread)?;
    Ok(Body { id, session, verb })
}

impl Command {
    /// Reads a command from the parts of a message. Without an `id` in the body, `mint` names it
    /// and the call is not idempotent.
    pub fn parse(
        actor: ActorId,
        verb: &str,
        body: &[u8],
        encoding: Encoding,
        mint: impl FnOnce() -> CommandId,
    ) -> Result<Command, Rejection> {
        let is_json = encoding == Encoding::Json && body.len() <= REQUEST_BYTES_MAX;
        let read = match is_json.then(|| straight(verb, body)).flatten() {
            Some(read) => read,
            None => at_length(verb, body, encoding)?,
        };
        let Body { id, session, verb } = read;
        let command = Command { id: id.unwrap_or_else(mint), actor, session, verb };
        command.check_bounds()?;
        Ok(command)
    }

    /// The body as it is sent.
    pub fn to_body(&self) -> Result<Value, serde_json::Error> {
        let mut body = self.verb.body()?;
        if let Value::Object(object) = &mut body {
            object.insert("id".into(), serde_json::to_value(&self.id)?);
            if let Some(session) = &self.session {
                object.insert("session".into(), serde_json::to_value(session)?);
            }
        }
        Ok(body)
    }

    /// What two sendings of one attempt have in common: verb, session and body, whatever their
    /// spelling.
    pub fn digest(&self) -> Digest {
        let mut bytes = Vec::new();
        ciborium::into_writer(&(&self.session, &self.verb), &mut bytes)
            .expect("a command is plain data and memory takes it");
        Digest::of(&bytes)
    }
}
