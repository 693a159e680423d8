//! The four stage steps and the fused step. No I/O, no clock, no threads.
