//! What one record holds.

use devmesh_protocol::event::lock::LockReleased;
use devmesh_protocol::event::mesh::SettingChanged;
use devmesh_protocol::{At, LeaseId};

use super::*;

fn record(events: Vec<Event>) -> Record {
    Record::new(1, At(1), None, events)
}

/// A record of so many bytes.
fn of_bytes(bytes: usize) -> Record {
    let of = |value: usize| {
        let value = Some("x".repeat(value));
        record(vec![SettingChanged { key: "k".into(), value }.into()])
    };
    let measure = |record: &Record| {
        let mut encoded = Vec::new();
        ciborium::into_writer(record, &mut encoded).unwrap();
        encoded.len()
    };
    let rest = measure(&of(bytes / 2)) - bytes / 2;
    // The length of a text of that size takes as many bytes as that of half of it.
    let found = of(bytes - rest);
    assert_eq!(measure(&found), bytes);
    found
}

#[test]
fn a_record_is_within_its_bytes() {
    assert!(fits(&of_bytes(RECORD_BYTES_MAX)));
    assert!(!fits(&of_bytes(RECORD_BYTES_MAX + 1)));
    // However small its parts are.
    let lease = LeaseId { seq: u64::MAX, index: u32::MAX };
    let released = |n: usize| record(vec![LockReleased { lease }.into(); n]);
    assert!(fits(&released(1)) && fits(&released(256)));
    assert!(!fits(&released(20_000)));
}
