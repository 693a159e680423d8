//! Decimal texts as whole numbers of 1e-8, and back.

/// Units in one.
pub const ONE: i128 = 100_000_000;

/// The number of a decimal text; `None` for what is none, and for more than eight decimals.
pub fn parse(text: &str) -> Option<i128> {
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    let plain = |text: &str| text.len() <= 20 && text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !plain(whole) || !plain(part) {
        return None;
    }
    let (kept, cut) = part.split_at(part.len().min(8));
    if cut.bytes().any(|byte| byte != b'0') {
        return None;
    }
    let part: i128 = format!("{kept:0<8}").parse().ok()?;
    Some(sign * (whole.parse::<i128>().ok()? * ONE + part))
}

/// As the venue takes it: no exponent, no trailing zeros.
pub fn text(number: i128) -> String {
    let (whole, part) = (number.abs() / ONE, number.abs() % ONE);
    let part = format!("{part:08}");
    let part = part.trim_end_matches('0');
    let sign = if number < 0 { "-" } else { "" };
    if part.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{part}") }
}

/// The largest multiple of `step` not above `number`; `number` itself without a step.
pub fn floor(number: i128, step: i128) -> i128 {
    if step > 0 { number.div_euclid(step) * step } else { number }
}

/// The least multiple of `step` not below `number`.
pub fn ceil(number: i128, step: i128) -> i128 {
    -floor(-number, step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_come_back_as_they_went_and_what_is_no_number_is_none() {
        for plain in ["0", "1", "-1", "0.001", "-12.345", "60000.1", "0.00000001"] {
            assert_eq!(text(parse(plain).unwrap()), plain);
        }
        assert_eq!(parse("1.500000000000"), parse("1.5"));
        for wrong in ["", "-", "1e5", "1.000000001", ".5", "a", "1.2.3", "--1"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
        let one = |text: &str| parse(text).unwrap();
        assert_eq!(floor(one("1.29"), one("0.1")), one("1.2"));
        assert_eq!(ceil(one("1.21"), one("0.1")), one("1.3"));
        assert_eq!(ceil(one("1.2"), one("0.1")), one("1.2"));
    }
}
