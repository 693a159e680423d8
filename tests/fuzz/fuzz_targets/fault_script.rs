//! Fault scripts.
#![no_main]

use libfuzzer_sys::fuzz_target;
use peregrine::exchange::fault::script;

fuzz_target!(|text: &str| {
    if let Ok(faults) = script::parse(text) {
        faults.iter().for_each(|fault| drop(fault.to_json()));
    }
});
