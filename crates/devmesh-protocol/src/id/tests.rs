//! What is an identifier and what is not.

use super::*;

#[test]
fn names_that_could_forge_a_subject_are_refused() {
    let long = "a".repeat(64);
    let bad = [
        "",
        "A",
        "-a",
        "_a",
        "a.b",
        "a*",
        ">",
        "a b",
        "a/b",
        "a\0",
        "ä",
        "a\n",
        "a\u{202e}",
        &long,
    ];
    for text in bad {
        assert!(ActorId::new(text).is_err(), "{text:?}");
        assert!(SessionId::new(text).is_err(), "{text:?}");
        assert!(RepoId::new(text).is_err(), "{text:?}");
        assert!(HostId::new(text).is_err(), "{text:?}");
    }
    for text in ["a", "0", "codex-1", "a_b", &long[..63]] {
        assert!(ActorId::new(text).is_ok(), "{text:?}");
    }
    assert!(MeshId::new("a_output").is_err(), "a mesh's stream would be another's");
    assert!(MeshId::new(&"a".repeat(32)).is_err());
}

#[test]
fn any_text_is_brought_into_the_alphabet() {
    for (text, name) in [
        ("box", "box"),
        ("My Box.local", "my-box-local"),
        ("--x--", "x"),
        ("\u{fc}n\u{ef}x", "n-x"),
        ("_a_b_", "a_b"),
        ("...", ""),
    ] {
        assert_eq!(plain(text), name, "{text:?}");
    }
    assert!(ActorId::new(&plain(&"a ".repeat(200))).is_ok());
}

#[test]
fn every_byte_outside_the_alphabet_is_refused() {
    for byte in 0..=255_u8 {
        let text = format!("a{}", byte as char);
        let allowed = byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte);
        assert_eq!(ActorId::new(&text).is_ok(), allowed, "{byte:#x}");
    }
}

#[test]
fn numbers_have_one_spelling() {
    assert_eq!("t-17".parse(), Ok(TaskId(17)));
    for bad in ["17", "t-", "t-017", "t--1", "t-1x", "T-1", "t-99999999999999999999", "t-+1"] {
        assert!(bad.parse::<TaskId>().is_err(), "{bad}");
    }
    assert_eq!("l-41-0".parse(), Ok(LeaseId { seq: 41, index: 0 }));
    for bad in ["l-41", "l-41-", "l-41-00", "l-41-0-0", "l-41-4294967296"] {
        assert!(bad.parse::<LeaseId>().is_err(), "{bad}");
    }
}

#[test]
fn ids_are_text_in_json_and_numbers_in_cbor() {
    let lease = LeaseId { seq: 41, index: 3 };
    assert_eq!(serde_json::to_string(&lease).unwrap(), "\"l-41-3\"");
    let mut cbor = Vec::new();
    ciborium::into_writer(&lease, &mut cbor).unwrap();
    assert_eq!(cbor, [0x82, 0x18, 41, 3]);
    assert_eq!(ciborium::from_reader::<LeaseId, _>(cbor.as_slice()).unwrap(), lease);
}

#[test]
fn a_uuid_v7_tells_its_time() {
    let id = CommandId::new("019a9b3c-1d2e-7abc-8def-0123456789ab").unwrap();
    assert_eq!(id.uuid_v7_ms(), Some(0x019a_9b3c_1d2e));
    assert_eq!(CommandId::new("my-own-id").unwrap().uuid_v7_ms(), None);
    let v4 = CommandId::new("019a9b3c-1d2e-4abc-8def-0123456789ab").unwrap();
    assert_eq!(v4.uuid_v7_ms(), None);
}

#[test]
fn numbers_follow_from_the_text() {
    let number = |text: &str| CommandId::new(text).unwrap().number();
    assert_eq!(number("019a9b3c-1d2e-7abc-8def-0123456789ab"), 0x019a_9b3c_1d2e_7abc);
    assert!(number("019a9b3c-1d2f-7000-8def-0123456789ab") > 0x019a_9b3c_1d2e_7abc);
    assert_ne!(number("my-own-id"), number("my-own-ie"));
    assert_ne!(ActorId::new("p1").unwrap().number(), ActorId::new("p2").unwrap().number());
}
