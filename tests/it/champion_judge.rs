//! Each cause of `[rollback]` on a journal made for it, and it alone.
