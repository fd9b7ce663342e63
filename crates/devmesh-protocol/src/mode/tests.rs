//! All sixteen pairs, written out.

use super::Mode::{self, CoWrite, Intent, Read, Write};

#[test]
fn all_sixteen_pairs() {
    let table = [
        (Read, [true, true, true, false]),
        (Intent, [true, false, false, false]),
        (CoWrite, [true, false, true, false]),
        (Write, [false, false, false, false]),
    ];
    for (row, cells) in table {
        for (column, expected) in Mode::ALL.into_iter().zip(cells) {
            assert_eq!(row.is_compatible(column), expected, "{row} beside {column}");
            assert_eq!(row.is_compatible(column), column.is_compatible(row), "symmetric");
        }
    }
}

#[test]
fn covering_needs_the_right_and_the_exclusion() {
    let covers = [
        (Read, vec![Read]),
        (Intent, vec![Read, Intent]),
        (CoWrite, vec![Read, CoWrite]),
        (Write, vec![Read, Intent, CoWrite, Write]),
    ];
    for (mode, covered) in covers {
        for other in Mode::ALL {
            assert_eq!(mode.covers(other), covered.contains(&other), "{mode} over {other}");
        }
    }
}
