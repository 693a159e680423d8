//! Locks that side threads share.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Holds the lock. For what nobody panics while changing: a broken lock holds a whole value too.
pub fn held<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}
