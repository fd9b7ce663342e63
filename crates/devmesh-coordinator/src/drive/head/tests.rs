//! The file that holds the head.

use super::*;
use devmesh_protocol::Digest;

#[test]
fn a_head_is_read_back_and_half_a_one_is_none() {
    let dir = tempfile::tempdir().unwrap();
    let path = path(dir.path());
    assert_eq!(read(&path).unwrap(), None);
    let chain = Chain { stream_seq: 3, seq: 9, epoch: 2, h: Digest::of(b"x") };
    write(&path, &chain).unwrap();
    assert_eq!(read(&path).unwrap(), Some(chain));
    fs::write(&path, b"{\"stream_seq\":").unwrap();
    assert_eq!(read(&path).unwrap(), None);
}
