//! The kept hash is the hash of the contents, whatever the way to them.

use proptest::prelude::*;

use super::*;

fn fresh(map: &BTreeMap<u8, u8>) -> Sum {
    let mut table = Table::new("t");
    for (key, value) in map {
        table.insert(*key, *value);
    }
    table.sum()
}

#[test]
fn tables_of_other_names_differ() {
    let mut one = Table::new("one");
    let mut two = Table::new("two");
    one.insert(1_u8, 1_u8);
    two.insert(1_u8, 1_u8);
    assert_ne!(one.sum(), two.sum());
    one.remove(&1);
    assert_eq!(one.sum(), Sum::default());
}

proptest! {
    #[test]
    fn the_way_does_not_matter(
        steps in proptest::collection::vec((0..4_u8, any::<u8>(), 0..4_u8), 0..60),
    ) {
        let mut table: Table<u8, u8> = Table::new("t");
        let mut map = BTreeMap::new();
        for (key, value, what) in steps {
            match what {
                0 => { table.remove(&key); map.remove(&key); }
                1 => {
                    if let Some(v) = table.get_mut(&key) {
                        *v = value;
                        map.insert(key, value);
                    }
                }
                2 => { prop_assert_eq!(table.sum(), fresh(&map)); }
                _ => { table.insert(key, value); map.insert(key, value); }
            }
        }
        prop_assert_eq!(table.sum(), fresh(&map));
    }
}

#[test]
fn what_went_is_not_remembered() {
    let mut table: Table<u32, u32> = Table::new("t");
    table.insert(0, 0);
    for n in 0..20_000 {
        table.insert(1 + n % 3, n);
        table.remove(&(1 + n % 3));
        table.insert(0, n);
        *table.get_mut(&0).unwrap() = n + 1;
    }
    assert!(table.changed.len() <= ROOM_MIN, "{} keys of one entry", table.changed.len());
    let mut other = Table::new("t");
    other.insert(0, 20_000);
    assert_eq!(table.sum(), other.sum());
}

#[test]
fn what_is_still_there_is_remembered_beyond_the_room() {
    let (mut there, mut back) = (Table::new("t"), Table::new("t"));
    for n in 0..3 * ROOM_MIN as u32 {
        there.insert(n, n);
        there.insert(n, n + 1);
    }
    for n in (0..3 * ROOM_MIN as u32).rev() {
        back.insert(n, n + 1);
    }
    assert_eq!(there.sum(), back.sum());
    there.remove(&7);
    assert_ne!(there.sum(), back.sum());
}

/// Of what changes a little, only that is looked at again: each key is named once, and all are
/// looked through only where so many have changed that it costs no more.
#[test]
fn what_has_changed_is_named_once() {
    let mut table: Table<u32, u32> = Table::new("t");
    let entries = 2 * ENTRIES_PER_KEY * ROOM_MIN;
    for n in 0..entries as u32 {
        table.insert(n, n);
    }
    let named = |table: &Table<u32, u32>| (table.changed.len(), table.is_looked_through);
    assert_eq!(named(&table), (0, true));
    table.sum();
    assert_eq!(named(&table), (0, false));
    for _ in 0..3 {
        *table.get_mut(&7).unwrap() += 1;
        *table.get_or_insert_with(&8, || 0) += 1;
        table.insert(9, 9);
    }
    assert_eq!(named(&table), (3, false));
    // There is room for one key to so many entries.
    for n in 0..2 * ROOM_MIN as u32 {
        table.insert(n, 0);
    }
    assert_eq!(named(&table), (2 * ROOM_MIN, false));
    table.insert(u32::MAX / 2, 0);
    assert_eq!(named(&table), (0, true));
    *table.get_mut(&7).unwrap() += 1;
    assert_eq!(named(&table), (0, true));
}
