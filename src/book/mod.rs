//! Depth of market. Does not know why a level changed.
