//! Faults of whole processes: the real program, killed and frozen by signals, over real servers
//! with credentials.

mod agree;
mod begin;
mod freeze;
mod full;
mod history;
mod kill;
mod load;
mod mesh;
mod race;
mod two;
