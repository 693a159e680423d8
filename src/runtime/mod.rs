//! The roof: topology, pinning, start, stop, the command line. No trading logic.
