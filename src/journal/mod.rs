//! Lanes: append before act. Format, append, read, recover, keep. Never interprets what it stores.
