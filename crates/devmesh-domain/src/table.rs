//! An ordered map that knows the hash of its contents, kept as it changes.
//!
//! The hash is the wrapping sum, byte string by byte string read as a 256-bit number, of
//! BLAKE3(table, key, value) over all entries. A changed entry is only marked; its hash is taken
//! again when the sum is asked for, so that a fold pays for what stands at a checkpoint and not
//! for what came and went before it.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::ops::RangeBounds;

use serde::Serialize;

/// A named table of the state.
#[derive(Clone, Debug)]
pub struct Table<K, V> {
    name: &'static str,
    map: BTreeMap<K, V>,
    /// The hash of each entry as it stood when the sum was last taken.
    hashes: BTreeMap<K, Sum>,
    changed: Changed<K>,
    sum: Sum,
}

impl<K: Ord + Clone + Serialize, V: Serialize> Table<K, V> {
    /// An empty table. The name goes into every hash: equal entries of two tables differ.
    pub fn new(name: &'static str) -> Table<K, V> {
        let (map, hashes) = Default::default();
        Table { name, map, hashes, changed: Changed::default(), sum: Sum::default() }
    }

    /// The entry.
    pub fn get(&self, key: &K) -> Option<&V> {
        self.map.get(key)
    }

    /// The entry, to be changed.
    pub fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        let value = self.map.get_mut(key)?;
        self.changed.mark(key);
        Some(value)
    }

    /// The entry, made first if there is none.
    pub fn get_or_insert_with(&mut self, key: &K, make: impl FnOnce() -> V) -> &mut V {
        self.changed.mark(key);
        self.map.entry(key.clone()).or_insert_with(make)
    }

    /// Puts an entry, and returns what stood there.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        self.changed.mark(&key);
        self.map.insert(key, value)
    }

    /// Takes an entry out.
    pub fn remove(&mut self, key: &K) -> Option<V> {
        let value = self.map.remove(key)?;
        self.changed.mark(key);
        Some(value)
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
        self.map.iter()
    }

    /// All keys in order.
    pub fn keys(&self) -> impl DoubleEndedIterator<Item = &K> {
        self.map.keys()
    }

    /// All values in the order of their keys.
    pub fn values(&self) -> impl DoubleEndedIterator<Item = &V> {
        self.map.values()
    }

    /// The entries with keys in the range.
    pub fn range<R: RangeBounds<K>>(&self, range: R) -> impl DoubleEndedIterator<Item = (&K, &V)> {
        self.map.range(range)
    }

    /// The last entry.
    pub fn last(&self) -> Option<(&K, &V)> {
        self.map.last_key_value()
    }

    /// The sum of all entries' hashes; work only for those changed since it was last asked for.
    pub fn sum(&mut self) -> Sum {
        for key in self.changed.take() {
            if let Some(old) = self.hashes.remove(&key) {
                self.sum.subtract(&old);
            }
            if let Some(value) = self.map.get(&key) {
                let new = Sum::of(self.name, &key, value);
                self.sum.add(&new);
                self.hashes.insert(key, new);
            }
        }
        self.sum
    }
}

/// Keys that were marked. A mark is a push; that a key is there twice is found out only when
/// there are many, or when they are taken.
#[derive(Clone, Debug)]
struct Changed<K> {
    keys: Vec<K>,
    /// How many are let in before they are made distinct again.
    room: usize,
}

/// Below so many keys it is not worth making them distinct.
const ROOM_MIN: usize = 1024;

impl<K> Default for Changed<K> {
    fn default() -> Changed<K> {
        Changed { keys: Vec::new(), room: ROOM_MIN }
    }
}

impl<K: Ord + Clone> Changed<K> {
    fn mark(&mut self, key: &K) {
        if self.keys.last() == Some(key) {
            return;
        }
        if self.keys.len() == self.room {
            self.make_distinct();
            self.room = (self.keys.len() * 2).max(ROOM_MIN);
        }
        self.keys.push(key.clone());
    }

    fn make_distinct(&mut self) {
        self.keys.sort_unstable();
        self.keys.dedup();
    }

    fn take(&mut self) -> Vec<K> {
        self.make_distinct();
        std::mem::take(self).keys
    }
}

/// A 256-bit number that hashes are added to and taken from, wrapping; so that the order in
/// which entries came does not matter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum([u64; 4]);

impl Sum {
    fn of<K: Serialize, V: Serialize>(table: &str, key: &K, value: &V) -> Sum {
        let mut hasher = blake3::Hasher::new();
        ciborium::into_writer(&(table, key, value), &mut hasher)
            .expect("entries are plain data and a hasher takes any of it");
        let bytes = *hasher.finalize().as_bytes();
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
