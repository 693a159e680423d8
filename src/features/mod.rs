//! Incremental features, bars, the ordered schema and its hash. Never looks at positions, the future or a clock.
