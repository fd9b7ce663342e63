//! What is kept is kept whole, and for its owner alone.

use std::os::unix::fs::PermissionsExt;

use super::*;

#[tokio::test]
async fn a_kept_file_is_for_its_owner_alone_whatever_was_there_before() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("kept");
    for leftover in [&path, &dir.path().join("kept.new")] {
        std::fs::write(leftover, "old").unwrap();
        std::fs::set_permissions(leftover, PermissionsExt::from_mode(0o644)).unwrap();
    }
    replace(&path, b"new").await.unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), b"new");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
}
