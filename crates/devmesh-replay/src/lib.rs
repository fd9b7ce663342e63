//! Folds the log into SQLite: audit, time travel, verify, why.
