//! Signed texts and decisions: what is believed, and what is not.

mod decision;
mod seal;

use super::seal::{PublicKey, SigningKey};
use std::path::Path;

/// A key of its own, in `dir`.
fn key(dir: &Path, name: &str) -> (SigningKey, PublicKey) {
    let path = dir.join(name);
    let public = SigningKey::create(&path).unwrap();
    (SigningKey::read(&path).unwrap(), public)
}
