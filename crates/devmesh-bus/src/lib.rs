//! The wire: everything devmesh knows of NATS.
