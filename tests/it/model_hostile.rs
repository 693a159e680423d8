//! Damaged and hostile model files: an error or a working model, never a panic that escapes,
//! never memory without bound.

use crate::model_fixtures::{onnx, vectors};
use peregrine::model::{Executor, ModelError, ModelOutput, executors};
use peregrine::runtime::measures::memory_bytes;

/// Loads, and runs what loads.
fn try_out(file: &[u8], features: usize) -> Result<(), ModelError> {
    let (native, mut tract) = executors(file, features)?;
    let row = vec![0.5; features];
    let mut out = ModelOutput::default();
    let _ = tract.run(&row, &mut out);
    if let Ok(mut native) = native {
        let _ = native.run(&row, &mut out);
    }
    Ok(())
}

/// Highest resident memory so far, KiB.
fn peak_memory() -> u64 {
    memory_bytes(std::process::id(), "VmHWM").expect("this process has not ended") >> 10
}

fn attack(name: &str, damage: impl Fn(&[u8], usize) -> Vec<u8>, attempts: usize) {
    let file = onnx(name);
    let features = vectors(name)[0].input.len();
    let before = peak_memory();
    let (mut loaded, mut refused, mut contained) = (0, 0, 0);
    for attempt in 0..attempts {
        match try_out(&damage(&file, attempt), features) {
            Ok(()) => loaded += 1,
            Err(ModelError::Panicked { .. }) => contained += 1,
            Err(error) => {
                assert!(!error.to_string().contains('\n'), "{error:?}");
                refused += 1;
            }
        }
    }
    println!("{name}: {loaded} loaded, {refused} refused, {contained} panics contained");
    assert!(refused > 0, "{name}: nothing was refused");
    let grown = peak_memory().saturating_sub(before);
    assert!(grown < 512 << 10, "{name}: memory grew by {grown} KiB");
}

const TARGETS: &[&str] = &["fused", "sklearn_mlp", "lstm_node", "sklearn_gbc_pipeline", "shapes"];

#[test]
fn a_file_cut_short_anywhere_is_refused() {
    for name in TARGETS {
        let len = onnx(name).len();
        attack(name, |file, at| file[..at * len / 200].to_vec(), 200);
    }
}

#[test]
fn a_file_with_a_flipped_bit_is_refused_or_works() {
    for name in TARGETS {
        let flip = |file: &[u8], at: usize| {
            let mut file = file.to_vec();
            // Half of the flips near the ends, where the structure is dense.
            let spread = at.wrapping_mul(2_654_435_761) % file.len();
            let place = if at.is_multiple_of(2) {
                spread
            } else {
                file.len() - 1 - spread % 400.min(file.len())
            };
            file[place] ^= 1 << (at / 7 % 8);
            file
        };
        attack(name, flip, 300);
    }
}

#[test]
fn a_file_with_bytes_overwritten_is_refused_or_works() {
    for name in TARGETS {
        let smear = |file: &[u8], at: usize| {
            let mut file = file.to_vec();
            let place = at.wrapping_mul(40_503) % (file.len() - 8);
            let fill = [0xff, 0x00, 0x7f, 0x80][at % 4];
            file[place..place + 1 + at % 8].fill(fill);
            file
        };
        attack(name, smear, 150);
    }
}
