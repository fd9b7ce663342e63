//! How much of a list one answer shows.

use devmesh_protocol::query::LIMIT_MAX;
use serde_json::Value;

use super::{LIST_BYTES_MAX, page};

/// A view of so many bytes, its quotes among them.
fn view(bytes: usize) -> Value {
    Value::String("x".repeat(bytes - 2))
}

#[test]
fn a_list_holds_what_fits_and_not_a_byte_more() {
    let shown = |sizes: &[usize]| page(sizes.iter().map(|bytes| view(*bytes)), None).len();
    let half = LIST_BYTES_MAX / 2;
    assert_eq!(shown(&[half, half]), 2);
    assert_eq!(shown(&[half, half + 1, 10]), 1, "and nothing comes out of its order");
    assert_eq!(shown(&[half, half, 2]), 2);
    assert_eq!(shown(&[LIST_BYTES_MAX + 1, 10]), 1, "one is shown, however large");
}

#[test]
fn a_list_has_as_many_as_are_asked_for() {
    let shown = |limit: u32| page((0..2_000).map(|_| view(10)), Some(limit)).len();
    assert_eq!((shown(0), shown(1), shown(7)), (1, 1, 7));
    let most = LIMIT_MAX as usize;
    assert_eq!((shown(LIMIT_MAX), shown(LIMIT_MAX + 1)), (most, most));
}
