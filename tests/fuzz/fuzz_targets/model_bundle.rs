//! Bundles of models, and the tar inside of them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use peregrine::registry::Bundle;

fuzz_target!(|bytes: &[u8]| {
    let _ = Bundle::parse(bytes).map(|bundle| bundle.signer(None).is_ok());
});
