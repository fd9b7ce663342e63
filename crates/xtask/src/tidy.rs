//! The rules of the tree that neither rustc nor clippy can hold, checked on every source.

use std::fmt;

use crate::cargo::root;
use crate::error::{Error, Result};

mod crates;
mod function;
mod layout;
mod name;
mod purity;
mod readme;
mod share;
mod source;
mod tree;
mod views;

#[cfg(test)]
mod tests;

use tree::Tree;

/// A place that breaks a rule.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Breach {
    /// Relative to the root.
    path: String,
    /// From 1; 0 where the file as a whole is meant.
    line: usize,
    /// What is wrong and, where it is short, what to do.
    what: String,
}

impl Breach {
    fn new(path: &str, line: usize, what: impl Into<String>) -> Breach {
        Breach { path: path.to_owned(), line, what: what.into() }
    }
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.path, self.what),
            line => write!(f, "{}:{line}: {}", self.path, self.what),
        }
    }
}

/// Checks the whole tree, prints every breach, then how much of each crate is tests.
pub(crate) fn tidy() -> Result<()> {
    let tree = Tree::read(&root())?;
    let breaches = breaches(&tree);
    for breach in &breaches {
        println!("{breach}");
    }
    for line in share::report(&tree.files) {
        eprintln!("{line}");
    }
    if breaches.is_empty() { Ok(()) } else { Err(Error::Untidy(breaches.len())) }
}

fn breaches(tree: &Tree) -> Vec<Breach> {
    let mut found = crates::check(&tree.packages);
    found.extend(layout::check(&tree.files));
    for file in &tree.files {
        found.extend(name::in_path(&file.path));
        found.extend(source::check_text(file));
        if file.is_rust() {
            let views = views::Views::of(&file.text);
            found.extend(source::check_rust(file, &views));
            found.extend(name::in_code(&file.path, &views.code));
            found.extend(purity::check(file, &views));
        }
    }
    if let Some(readme) = tree.file("README.md") {
        found.extend(readme::check(&readme.text, &devmesh_protocol::Mode::table()));
    }
    found.sort();
    found
}
