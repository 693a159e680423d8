//! Bytes to events: scanners, sequence continuity, book synchronisation. Sans-IO; allocates nothing after start.
