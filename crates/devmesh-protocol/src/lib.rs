//! Nouns: ids, commands, events, records, reports, queries, subjects and versions.
