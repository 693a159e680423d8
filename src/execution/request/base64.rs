//! Base64 with padding, as keys come and Ed25519 signatures go.

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Writes `bytes` at the head of `out`; the length of the text.
pub(crate) fn encode(out: &mut [u8], bytes: &[u8]) -> usize {
    let mut at = 0;
    for group in bytes.chunks(3) {
        let mut word = [0; 4];
        word[1..=group.len()].copy_from_slice(group);
        let bits = u32::from_be_bytes(word);
        for digit in 0..4 {
            // One byte makes two digits, two make three.
            let value = (bits >> (18 - 6 * digit)) & 0x3f;
            out[at] = if digit <= group.len() { DIGITS[value as usize] } else { b'=' };
            at += 1;
        }
    }
    at
}

/// The bytes of a text; `None` for one that is none.
pub(crate) fn decode(text: &[u8]) -> Option<Vec<u8>> {
    if text.is_empty() || !text.len().is_multiple_of(4) {
        return None;
    }
    let padding = text.iter().rev().take_while(|&&byte| byte == b'=').count();
    let digits = text.get(..text.len() - padding).filter(|_| padding <= 2)?;
    let mut out = Vec::with_capacity(text.len() / 4 * 3);
    for group in digits.chunks(4) {
        let mut bits = 0_u32;
        for byte in group {
            let value = DIGITS.iter().position(|digit| digit == byte)?;
            bits = bits << 6 | u32::try_from(value).ok()?;
        }
        bits <<= 6 * (4 - group.len());
        // Four digits hold three bytes, three hold two, two hold one.
        out.extend(&bits.to_be_bytes()[1..group.len()]);
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_those_of_the_standard_and_read_back() {
        // RFC 4648, section 10.
        for (plain, text) in [
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            let mut out = [0; 8];
            let len = encode(&mut out, plain.as_bytes());
            assert_eq!(std::str::from_utf8(&out[..len]).unwrap(), text);
            assert_eq!(decode(text.as_bytes()).unwrap(), plain.as_bytes());
        }
        for text in ["", "Zg", "Zg=", "Z===", "Zm9v!m8=", "Zm9vZm9"] {
            assert_eq!(decode(text.as_bytes()), None, "{text}");
        }
    }
}
