//! Tests of provisioning.
