//! An ordered map that knows the hash of its contents, kept as it changes.
//!
//! The hash is the wrapping sum, byte string by byte string read as a 256-bit number, of
//! BLAKE3(table, key, value) over all entries. A changed entry is only marked; its hash is taken
//! again when the sum is asked for, so that a fold pays for what stands at a checkpoint and not
//! for what came and went before it.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry as MapEntry;
use std::fmt::Debug;
use std::ops::RangeBounds;

use serde::Serialize;

/// A named table of the state.
#[derive(Clone, Debug)]
pub struct Table<K, V> {
    name: &'static str,
    map: BTreeMap<K, Entry<V>>,
    /// Keys of entries that are marked; those of entries that went since may be among them.
    changed: Vec<K>,
    /// So many were marked that none is named: to look at every entry costs no more.
    is_looked_through: bool,
    /// Of all hashes that the entries hold.
    sum: Sum,
}

/// A value, and its hash as it stood when the sum was last taken.
#[derive(Clone, Debug)]
struct Entry<V> {
    value: V,
    hash: Option<Sum>,
    /// It has changed since.
    is_marked: bool,
}

/// So many changed keys are remembered in any case.
const ROOM_MIN: usize = 1024;
/// Beyond that one to so many entries: looking through them all is then worth what changed.
const ENTRIES_PER_KEY: usize = 8;

impl<K: Ord + Clone + Serialize, V: Serialize> Table<K, V> {
    /// An empty table. The name goes into every hash: equal entries of two tables differ.
    pub fn new(name: &'static str) -> Table<K, V> {
        let (map, changed, sum) = Default::default();
        Table { name, map, changed, is_looked_through: false, sum }
    }

    /// The entry.
    pub fn get(&self, key: &K) -> Option<&V> {
        self.map.get(key).map(|entry| &entry.value)
    }

    /// The entry, to be changed.
    pub fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        let names = self.names();
        let entry = self.map.get_mut(key)?;
        if !std::mem::replace(&mut entry.is_marked, true) && names {
            self.changed.push(key.clone());
        }
        Some(&mut entry.value)
    }

    /// The entry, made first if there is none.
    pub fn get_or_insert_with(&mut self, key: &K, make: impl FnOnce() -> V) -> &mut V {
        let names = self.names();
        let fresh = || Entry { value: make(), hash: None, is_marked: false };
        let entry = self.map.entry(key.clone()).or_insert_with(fresh);
        if !std::mem::replace(&mut entry.is_marked, true) && names {
            self.changed.push(key.clone());
        }
        &mut entry.value
    }

    /// Puts an entry, and returns what stood there.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        let names = self.names();
        match self.map.entry(key) {
            MapEntry::Occupied(mut there) => {
                let entry = there.get_mut();
                let old = std::mem::replace(&mut entry.value, value);
                if !std::mem::replace(&mut entry.is_marked, true) && names {
                    self.changed.push(there.key().clone());
                }
                Some(old)
            }
            MapEntry::Vacant(free) => {
                if names {
                    self.changed.push(free.key().clone());
                }
                free.insert(Entry { value, hash: None, is_marked: true });
                None
            }
        }
    }

    /// Takes an entry out.
    pub fn remove(&mut self, key: &K) -> Option<V> {
        let entry = self.map.remove(key)?;
        if let Some(hash) = &entry.hash {
            self.sum.subtract(hash);
        }
        Some(entry.value)
    }

    /// Whether there is such an entry.
    pub fn contains_key(&self, key: &K) -> bool {
        self.map.contains_key(key)
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.map.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.map.is_empty()
    }

    /// All entries in the order of their keys.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&K, &V)> {
        self.map.iter().map(|(key, entry)| (key, &entry.value))
    }

    /// All keys in order.
    pub fn keys(&self) -> impl DoubleEndedIterator<Item = &K> {
        self.map.keys()
    }

    /// All values in the order of their keys.
    pub fn values(&self) -> impl DoubleEndedIterator<Item = &V> {
        self.map.values().map(|entry| &entry.value)
    }

    /// The entries with keys in the range.
    pub fn range<R: RangeBounds<K>>(&self, range: R) -> impl DoubleEndedIterator<Item = (&K, &V)> {
        self.map.range(range).map(|(key, entry)| (key, &entry.value))
    }

    /// The last entry.
    pub fn last(&self) -> Option<(&K, &V)> {
        self.map.last_key_value().map(|(key, entry)| (key, &entry.value))
    }

    /// The sum of all entries' hashes; work only for those changed since it was last asked for.
    pub fn sum(&mut self) -> Sum {
        let Table { name, map, changed, is_looked_through, sum } = self;
        let mut bytes = Vec::new();
        if std::mem::take(is_looked_through) {
            for (key, entry) in map.iter_mut() {
                entry.renew(name, key, sum, &mut bytes);
            }
        } else {
            for key in changed.drain(..) {
                if let Some(entry) = map.get_mut(&key) {
                    entry.renew(name, &key, sum, &mut bytes);
                }
            }
        }
        *changed = Vec::new();
        *sum
    }

    /// Whether the key of an entry that is marked now has to be remembered.
    fn names(&mut self) -> bool {
        if self.is_looked_through {
            return false;
        }
        if self.changed.len() < ROOM_MIN.max(self.map.len() / ENTRIES_PER_KEY) {
            return true;
        }
        self.changed = Vec::new();
        self.is_looked_through = true;
        false
    }
}

impl<V: Serialize> Entry<V> {
    /// Where it is marked, its hash is taken again, and the sum of all with it.
    fn renew<K: Serialize>(&mut self, table: &str, key: &K, sum: &mut Sum, bytes: &mut Vec<u8>) {
        if !std::mem::take(&mut self.is_marked) {
            return;
        }
        let new = Sum::of(table, key, &self.value, bytes);
        if let Some(old) = self.hash.replace(new) {
            sum.subtract(&old);
        }
        sum.add(&new);
    }
}

/// A 256-bit number that hashes are added to and taken from, wrapping; so that the order in
/// which entries came does not matter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum([u64; 4]);

impl Sum {
    /// `bytes` is room for the entry's own: hashing them at once costs a third of hashing them as
    /// they are written.
    fn of<K: Serialize, V: Serialize>(table: &str, key: &K, value: &V, bytes: &mut Vec<u8>) -> Sum {
        bytes.clear();
        ciborium::into_writer(&(table, key, value), &mut *bytes)
            .expect("entries are plain data and memory takes it");
        let bytes = *blake3::hash(bytes).as_bytes();
        let word = |i: usize| {
            let chunk = bytes[i * 8..i * 8 + 8].try_into().expect("eight bytes of thirty-two");
            u64::from_le_bytes(chunk)
        };
        Sum([word(0), word(1), word(2), word(3)])
    }

    /// Adds another.
    pub fn add(&mut self, other: &Sum) {
        let mut carry = false;
        for (word, other) in self.0.iter_mut().zip(other.0) {
            let (sum, first) = word.overflowing_add(other);
            let (sum, second) = sum.overflowing_add(u64::from(carry));
            (*word, carry) = (sum, first || second);
        }
    }

    /// Takes another away.
    pub fn subtract(&mut self, other: &Sum) {
        let mut borrow = false;
        for (word, other) in self.0.iter_mut().zip(other.0) {
            let (rest, first) = word.overflowing_sub(other);
            let (rest, second) = rest.overflowing_sub(u64::from(borrow));
            (*word, borrow) = (rest, first || second);
        }
    }

    /// Its 32 bytes.
    pub fn to_bytes(self) -> [u8; 32] {
        let mut bytes = [0; 32];
        for (chunk, word) in bytes.chunks_exact_mut(8).zip(self.0) {
            chunk.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }
}

#[cfg(test)]
mod tests;
