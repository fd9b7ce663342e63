//! The normal form of a world as bytes: a serialiser that knows which names stand for numbers of
//! records.
//!
//! Such numbers only say what came before what, so each is replaced by its rank among its kind.
//! Times are told relative to now; of those that are past only the age of a ready task counts.
//! Ids of commands are named in the order in which they appear. A field that this file does not
//! know stays as it is: that tells worlds apart that could be one, and never takes two for one.

use std::collections::BTreeMap;
use std::fmt;

use devmesh_domain::state::task::AGE_MS;
use devmesh_protocol::At;
use serde::ser::{self, Serialize};

/// Kinds of numbers that are ranked among themselves, by the names of their fields.
const RANKED: &[&[&str]] = &[
    &["lease", "leases", "convert"],
    &["place"],
    &["token"],
    &["joined_seq"],
    &["idle_since"],
    &["question", "Question"],
];

/// Numbers of records that nothing is decided by.
const DROPPED: &[&str] =
    &["added_seq", "bypassed_seq", "ended_seq", "epoch_seq", "nonce", "seq", "turn_ended"];

/// From here on a number is a time: a year after 2004, or a length of more than thirty years.
const TIME_MIN: u64 = 1 << 40;

pub(crate) fn write(now: At, value: &impl Serialize) -> Vec<u8> {
    let mut form = Form {
        now,
        out: Vec::with_capacity(512),
        name: "",
        in_tuple: false,
        ranked: Vec::new(),
        ids: BTreeMap::new(),
    };
    value.serialize(&mut form).expect("rows are plain data, and memory takes them");
    form.rank()
}

struct Form {
    now: At,
    out: Vec<u8>,
    /// The name of the field that is written.
    name: &'static str,
    /// Past the first of several numbers: an index beside the number of a record.
    in_tuple: bool,
    /// Where a rank goes, its kind, and the number.
    ranked: Vec<(usize, usize, u64)>,
    ids: BTreeMap<String, u8>,
}

impl Form {
    fn rank(mut self) -> Vec<u8> {
        for kind in 0..RANKED.len() {
            let of_kind = self.ranked.iter().filter(|(_, of, _)| *of == kind);
            let mut numbers: Vec<u64> = of_kind.map(|(_, _, number)| *number).collect();
            numbers.sort_unstable();
            numbers.dedup();
            for (place, _, number) in self.ranked.iter().filter(|(_, of, _)| *of == kind) {
                let rank = numbers.binary_search(number).unwrap_or_default();
                self.out[*place] = u8::try_from(rank).unwrap_or(u8::MAX);
            }
        }
        self.out
    }

    fn number(&mut self, number: u64) {
        if DROPPED.contains(&self.name) {
            return;
        }
        if number >= TIME_MIN {
            return self.time(At(number));
        }
        // Beyond the bound it makes no difference how often.
        let bypasses = u64::from(devmesh_protocol::limits::BYPASSES_MAX) + 1;
        let number = if self.name == "bypasses" { number.min(bypasses) } else { number };
        let kind = RANKED.iter().position(|names| names.contains(&self.name));
        if let Some(kind) = kind.filter(|_| !self.in_tuple) {
            self.ranked.push((self.out.len(), kind, number));
            self.out.push(0);
        } else if let Ok(small) = u8::try_from(number)
            && small < 0xf0
        {
            self.out.push(small);
        } else {
            self.out.push(0xff);
            self.out.extend_from_slice(&number.to_le_bytes());
        }
    }

    fn time(&mut self, at: At) {
        let (tag, ms) = match at > self.now {
            true => (0xfe, at.since(self.now)),
            // A longer wait than for a level of priority changes nothing here.
            false if self.name == "ready_at" => (0xfd, self.now.since(at).min(AGE_MS)),
            false => return self.out.push(0xfc),
        };
        self.out.push(tag);
        self.out.extend_from_slice(&u32::try_from(ms).unwrap_or(u32::MAX).to_le_bytes());
    }

    fn text(&mut self, text: &str) {
        if text.starts_with("c-") {
            let next = u8::try_from(self.ids.len()).unwrap_or(u8::MAX);
            let id = *self.ids.entry(text.to_owned()).or_insert(next);
            self.out.extend_from_slice(&[0xfb, id]);
        } else {
            self.out.push(0xfa);
            self.out.extend_from_slice(text.as_bytes());
            self.out.push(0);
        }
    }

    fn variant(&mut self, index: u32) -> Parts<'_> {
        self.out.push(index.to_le_bytes()[0]);
        Parts { form: self, tuple: false }
    }

    fn named(
        &mut self,
        name: &'static str,
        value: &(impl Serialize + ?Sized),
    ) -> Result<(), Unwritable> {
        let before = std::mem::replace(&mut self.name, name);
        // A field that is there and one that is not must not read alike.
        self.out.push(name.len().to_le_bytes()[0] ^ name.as_bytes()[0]);
        value.serialize(&mut *self)?;
        self.name = before;
        Ok(())
    }
}

/// What cannot be written; nothing of a state.
#[derive(Debug)]
struct Unwritable(String);

impl fmt::Display for Unwritable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unwritable {}

impl ser::Error for Unwritable {
    fn custom<T: fmt::Display>(what: T) -> Unwritable {
        Unwritable(what.to_string())
    }
}

/// Things in a row, and whether they are the numbers of one id.
struct Parts<'a> {
    form: &'a mut Form,
    tuple: bool,
}

impl Parts<'_> {
    fn part(&mut self, value: &(impl Serialize + ?Sized)) -> Result<(), Unwritable> {
        value.serialize(&mut *self.form)?;
        if self.tuple {
            self.form.in_tuple = true;
        }
        Ok(())
    }

    fn end(self) {
        if self.tuple {
            self.form.in_tuple = false;
        }
        self.form.out.push(0xf9);
    }
}

macro_rules! parts {
    ($($serializer:ident::$method:ident,)*) => {$(
        impl ser::$serializer for Parts<'_> {
            type Ok = ();
            type Error = Unwritable;
            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Unwritable> {
                self.part(value)
            }
            fn end(self) -> Result<(), Unwritable> {
                Parts::end(self);
                Ok(())
            }
        }
    )*};
}

parts! {
    SerializeSeq::serialize_element,
    SerializeTuple::serialize_element,
    SerializeTupleStruct::serialize_field,
    SerializeTupleVariant::serialize_field,
}

macro_rules! fields {
    ($($serializer:ident,)*) => {$(
        impl ser::$serializer for Parts<'_> {
            type Ok = ();
            type Error = Unwritable;
            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                name: &'static str,
                value: &T,
            ) -> Result<(), Unwritable> {
                self.form.named(name, value)
            }
            fn end(self) -> Result<(), Unwritable> {
                Parts::end(self);
                Ok(())
            }
        }
    )*};
}

fields! { SerializeStruct, SerializeStructVariant, }

impl ser::SerializeMap for Parts<'_> {
    type Ok = ();
    type Error = Unwritable;
    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Unwritable> {
        self.part(key)
    }
    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Unwritable> {
        self.part(value)
    }
    fn end(self) -> Result<(), Unwritable> {
        Parts::end(self);
        Ok(())
    }
}

macro_rules! numbers {
    ($($method:ident: $type:ty,)*) => {$(
        fn $method(self, v: $type) -> Result<(), Unwritable> {
            self.number(v as u64);
            Ok(())
        }
    )*};
}

impl<'a> ser::Serializer for &'a mut Form {
    type Ok = ();
    type Error = Unwritable;
    type SerializeSeq = Parts<'a>;
    type SerializeTuple = Parts<'a>;
    type SerializeTupleStruct = Parts<'a>;
    type SerializeTupleVariant = Parts<'a>;
    type SerializeMap = Parts<'a>;
    type SerializeStruct = Parts<'a>;
    type SerializeStructVariant = Parts<'a>;

    numbers! {
        serialize_u8: u8, serialize_u16: u16, serialize_u32: u32, serialize_u64: u64,
        serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64,
    }

    fn is_human_readable(&self) -> bool {
        false
    }
    fn serialize_bool(self, v: bool) -> Result<(), Unwritable> {
        self.out.push(0xf6 + u8::from(v));
        Ok(())
    }
    fn serialize_f32(self, v: f32) -> Result<(), Unwritable> {
        self.serialize_str(&v.to_string())
    }
    fn serialize_f64(self, v: f64) -> Result<(), Unwritable> {
        self.serialize_str(&v.to_string())
    }
    fn serialize_char(self, v: char) -> Result<(), Unwritable> {
        self.serialize_str(v.encode_utf8(&mut [0; 4]))
    }
    fn serialize_str(self, v: &str) -> Result<(), Unwritable> {
        self.text(v);
        Ok(())
    }
    fn serialize_bytes(self, v: &[u8]) -> Result<(), Unwritable> {
        self.out.push(0xf8);
        self.out.extend_from_slice(v);
        Ok(())
    }
    fn serialize_none(self) -> Result<(), Unwritable> {
        self.out.push(0xf5);
        Ok(())
    }
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Unwritable> {
        value.serialize(self)
    }
    fn serialize_unit(self) -> Result<(), Unwritable> {
        self.serialize_none()
    }
    fn serialize_unit_struct(self, _: &'static str) -> Result<(), Unwritable> {
        self.serialize_none()
    }
    fn serialize_unit_variant(
        self,
        _: &'static str,
        index: u32,
        _: &'static str,
    ) -> Result<(), Unwritable> {
        self.out.extend_from_slice(&[0xf4, index.to_le_bytes()[0]]);
        Ok(())
    }
    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), Unwritable> {
        value.serialize(self)
    }
    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), Unwritable> {
        self.out.push(index.to_le_bytes()[0]);
        self.named(variant, value)
    }
    fn serialize_seq(self, _: Option<usize>) -> Result<Parts<'a>, Unwritable> {
        Ok(Parts { form: self, tuple: false })
    }
    fn serialize_tuple(self, len: usize) -> Result<Parts<'a>, Unwritable> {
        Ok(Parts { form: self, tuple: len == 2 })
    }
    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Parts<'a>, Unwritable> {
        Ok(Parts { form: self, tuple: false })
    }
    fn serialize_tuple_variant(
        self,
        _: &'static str,
        index: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Parts<'a>, Unwritable> {
        Ok(self.variant(index))
    }
    fn serialize_map(self, _: Option<usize>) -> Result<Parts<'a>, Unwritable> {
        Ok(Parts { form: self, tuple: false })
    }
    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Parts<'a>, Unwritable> {
        Ok(Parts { form: self, tuple: false })
    }
    fn serialize_struct_variant(
        self,
        _: &'static str,
        index: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Parts<'a>, Unwritable> {
        Ok(self.variant(index))
    }
}
