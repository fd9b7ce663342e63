//! Times in both forms.

use super::At;

#[test]
fn json_is_rfc3339_and_cbor_is_an_integer() {
    let at = At(1_790_000_000_123);
    assert_eq!(serde_json::to_string(&at).unwrap(), "\"2026-09-21T14:13:20.123Z\"");
    let mut cbor = Vec::new();
    ciborium::into_writer(&at, &mut cbor).unwrap();
    assert_eq!(cbor.len(), 9, "a 64-bit integer with its head");
    assert_eq!(ciborium::from_reader::<At, _>(cbor.as_slice()).unwrap(), at);
    assert_eq!(serde_json::from_str::<At>("\"2026-09-21T16:13:20.123+02:00\"").unwrap(), at);
    assert_eq!(serde_json::from_str::<At>("1790000000123").unwrap(), at);
}

#[test]
fn nonsense_is_refused_and_the_far_future_does_not_panic() {
    for bad in ["\"yesterday\"", "-1", "1.5", "null", "\"1969-12-31T23:59:59Z\""] {
        assert!(serde_json::from_str::<At>(bad).is_err(), "{bad}");
    }
    assert_eq!(At(u64::MAX).to_string(), u64::MAX.to_string());
    assert_eq!(At(5) - 9, At(0));
    assert_eq!(At(u64::MAX) + 9, At(u64::MAX));
}
