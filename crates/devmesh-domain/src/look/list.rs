//! Parts of lists: behind the last entry seen, at most so many, and never more than one message
//! holds.

use std::ops::Bound;
use std::str::FromStr;

use devmesh_protocol::Rejection;
use devmesh_protocol::query::{LIMIT, LIMIT_MAX, List};
use serde_json::Value;

/// Bytes of a list; the answer around it stays below the server's 1 MiB.
const LIST_BYTES_MAX: usize = 768 * 1024;

/// The rows behind this one.
pub(super) fn behind<K>(after: Option<K>) -> (Bound<K>, Bound<K>) {
    (after.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded)
}

/// The last entry seen, as the id that it is.
pub(super) fn after<K: FromStr>(query: &List) -> Result<Option<K>, Rejection>
where
    K::Err: std::fmt::Display,
{
    let read = |text: &String| text.parse().map_err(|e| Rejection::bad_field("after", e));
    query.after.as_ref().map(read).transpose()
}

/// The first entries, as many as are asked for and fit.
pub(super) fn page(views: impl Iterator<Item = Value>, limit: Option<u32>) -> Vec<Value> {
    let limit = limit.unwrap_or(LIMIT).clamp(1, LIMIT_MAX);
    let mut bytes = 0;
    let mut page = Vec::new();
    for view in views.take(limit as usize) {
        bytes += view.to_string().len();
        if bytes > LIST_BYTES_MAX && !page.is_empty() {
            break;
        }
        page.push(view);
    }
    page
}

#[cfg(test)]
mod tests;
