//! Requests out of bytes, cut where the first byte says.
#![no_main]

use libfuzzer_sys::fuzz_target;
use peregrine::exchange::Limits;
use peregrine::exchange::server::http1::{Parser, Progress};

fuzz_target!(|bytes: &[u8]| {
    let limits = Limits { head_bytes_max: 2_048, body_bytes_max: 2_048, ..Limits::default() };
    let cut = bytes.first().map_or(1, |byte| usize::from(*byte).max(1));
    let mut parser = Parser::default();
    for part in bytes.chunks(cut) {
        parser.feed(part);
        loop {
            match parser.step(&limits) {
                Progress::Whole(incoming) => {
                    assert!(incoming.request.body.len() <= limits.body_bytes_max);
                }
                Progress::Continue => {}
                Progress::Wanting | Progress::Refused(_) => break,
            }
        }
    }
});
