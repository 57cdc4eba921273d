//! Azure's liveness API on loopback, for development and tests.
