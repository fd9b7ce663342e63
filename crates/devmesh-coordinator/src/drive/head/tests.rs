//! The file that holds the head.

use super::*;
use devmesh_protocol::Digest;

#[test]
fn a_head_is_read_back_and_half_a_one_is_damaged() {
    let dir = tempfile::tempdir().unwrap();
    let path = path(dir.path());
    assert_eq!(read(&path).unwrap(), Kept::Nothing);
    let chain = Chain { stream_seq: 3, seq: 9, epoch: 2, h: Digest::of(b"x") };
    write(&path, &chain).unwrap();
    assert_eq!(read(&path).unwrap(), Kept::Head(chain));
    assert_eq!(known(&path).unwrap(), Some(chain));
    for damage in ["", "{\"stream_seq\":", "{}"] {
        fs::write(&path, damage).unwrap();
        assert!(matches!(read(&path).unwrap(), Kept::Damaged(_)), "{damage:?}");
        assert_eq!(known(&path).unwrap(), None, "the coordinator starts all the same");
    }
}
