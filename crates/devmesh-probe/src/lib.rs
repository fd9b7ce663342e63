//! Measures the host and reports it.
