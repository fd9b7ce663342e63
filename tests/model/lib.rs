//! The model check is the test beside this file; a package must have a target of its own.
