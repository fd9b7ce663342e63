//! How the position of a delivery is read.

use super::delivery;

#[test]
fn positions_are_read_from_both_forms_of_the_reply_subject() {
    assert_eq!(delivery("$JS.ACK.S.C.1.41.7.1700000000.9"), Some((41, 7, 9)));
    assert_eq!(delivery("$JS.ACK._.HASH.S.C.1.41.7.1700000000.9"), Some((41, 7, 9)));
    assert_eq!(delivery("$JS.ACK._.HASH.S.C.1.41.7.1700000000.9.TOKEN"), Some((41, 7, 9)));
}

#[test]
fn other_subjects_have_no_position() {
    for reply in ["", "_INBOX.x", "$JS.ACK.S.C.1", "$JS.ACK.S.C.1.x.7.1.0"] {
        assert_eq!(delivery(reply), None, "{reply}");
    }
}
