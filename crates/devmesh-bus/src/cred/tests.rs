//! Tests of keys, tokens and credentials.
