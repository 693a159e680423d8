//! Fixed-point numbers as decimal text into a caller's buffer, without formatting machinery.

use crate::base::units::DECIMALS;

/// Longest text: ten digits, a point, eight digits; the values are never below zero.
pub(super) const NUMBER_BYTES_MAX: usize = 20;

const POWERS: [u64; DECIMALS as usize + 1] =
    [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000];

/// Decimals that a multiple of `step` needs: 2 for 0.01, 1 for 0.50, 0 for 1 and 10.
pub(super) fn decimals_of(step: i64) -> u32 {
    let mut decimals = DECIMALS;
    let mut rest = step;
    while decimals > 0 && rest != 0 && rest % 10 == 0 {
        rest /= 10;
        decimals -= 1;
    }
    decimals
}

/// Writes `value` (1e-8 units) with exactly `decimals` decimals at `at`; the end of the text.
/// `None` for a value below zero, finer than the decimals, or longer than the room.
pub(super) fn write_fixed(out: &mut [u8], at: usize, value: i64, decimals: u32) -> Option<usize> {
    let value = u64::try_from(value).ok()?;
    let cut = *POWERS.get((DECIMALS.checked_sub(decimals)?) as usize)?;
    if value % cut != 0 {
        return None;
    }
    let mut text = [0_u8; NUMBER_BYTES_MAX];
    let mut start = NUMBER_BYTES_MAX;
    let mut rest = value / cut;
    let mut written = 0;
    loop {
        if written == decimals && decimals > 0 {
            start -= 1;
            text[start] = b'.';
        }
        start -= 1;
        text[start] = b'0' + (rest % 10) as u8;
        rest /= 10;
        written += 1;
        if rest == 0 && written > decimals {
            break;
        }
    }
    let end = at + (NUMBER_BYTES_MAX - start);
    out.get_mut(at..end)?.copy_from_slice(&text[start..]);
    Some(end)
}

/// Writes `value` as exactly as many digits as `out` has, with leading zeros; higher digits are
/// cut.
pub(super) fn write_digits(out: &mut [u8], value: u64) {
    let mut rest = value;
    for byte in out.iter_mut().rev() {
        *byte = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
}

/// Writes bytes as lower-case hex; `out` is twice as long as `bytes`.
pub(super) fn write_hex(out: &mut [u8], bytes: &[u8]) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    for (pair, byte) in out.chunks_exact_mut(2).zip(bytes) {
        pair[0] = HEX[usize::from(byte >> 4)];
        pair[1] = HEX[usize::from(byte & 0xf)];
    }
}
