//! Lines of the process table.

use super::*;

#[test]
fn a_name_with_brackets_and_spaces_does_not_shift_the_fields() {
    let stat = "42 (a) b (c) T 7 8 9 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 12345 1 2";
    let entry = parse(42, stat).unwrap();
    let wanted = Entry { pid: 42, parent: 7, session: 9, started: 12_345, state: State::Stopped };
    assert_eq!(entry, wanted);
}

#[test]
fn half_a_line_is_no_process() {
    assert_eq!(parse(42, "42 (sh) S 7 8"), None);
    assert_eq!(parse(42, "42 (sh"), None);
}
