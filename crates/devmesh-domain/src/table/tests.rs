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
