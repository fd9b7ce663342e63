//! What counts as a store that takes nothing.

use devmesh_bus::log::AppendError;

use super::*;

fn silence() -> AppendError {
    AppendError::Unknown { code: None, what: "no answer".into() }
}

fn code(code: u32) -> AppendError {
    AppendError::Unknown { code: Some(code), what: String::new() }
}

#[test]
fn silence_counts_twice_in_a_row_and_a_full_disk_at_once() {
    let check = |errors: &[AppendError], refuses: bool| {
        let mut store = Store::default();
        for error in errors {
            store.failed(error);
        }
        assert_eq!(store.refuses(), refuses, "{errors:?}");
    };
    let away = || AppendError::NotStored("nobody answers".into());
    let conflict = || AppendError::Conflict("wrong last sequence".into());
    check(&[silence()], false);
    check(&[silence(), silence()], true);
    check(&[silence(), away(), silence()], false);
    check(&[silence(), conflict(), silence()], true);
    check(&[code(10077)], true);
    check(&[code(10008), silence()], false);
    check(&[silence(), silence(), away()], false);
}

#[test]
fn it_is_told_once_and_over_when_something_is_stored() {
    let mut store = Store::default();
    assert!(!store.failed(&silence()));
    assert!(store.failed(&silence()));
    assert!(!store.failed(&silence()));
    assert!(store.takes());
    assert!(!store.takes());
    assert!(!store.failed(&silence()));
}

#[test]
fn the_refusal_names_the_folder_and_what_is_free() {
    let mut store = Store::default();
    assert!(store.why().ends_with("free space where nats-server keeps its store"));
    store.weighed(Some(Room { dir: "/s/nats".into(), free: Some(5_000) }));
    let Reply::Err { seq: None, error } = store.refusal(7) else { panic!("it is recorded") };
    assert!(error.message.contains("free space in /s/nats, where 4 KiB are free"), "{error}");
    assert_eq!((error.code, error.retry_after_ms), (Code::StoreRefuses, Some(7)));
    assert_eq!(error.details["free_bytes"], 5_000);
}
