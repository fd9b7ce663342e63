//! Test support: a real nats-server, a simulated world, scripted coding tools.
