//! Verbs: the state, fold and decide; pure.
