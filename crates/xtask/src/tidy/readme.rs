//! What the README repeats from the code must be what the code says.

use super::Breach;

/// Checks that the README holds the table of lock modes exactly as the protocol prints it.
pub(crate) fn check(readme: &str, modes: &str) -> Option<Breach> {
    if readme.contains(modes) {
        return None;
    }
    let what = format!("the table of lock modes is not the protocol's; put there:\n{modes}");
    Some(Breach::new("README.md", 0, what))
}
