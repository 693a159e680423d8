//! What commands read from their words and print.

use anyhow::{Context, Result};
use std::time::Duration;

/// Reads a duration such as `500ms`, `30s`, `5m` or `2h`.
///
/// # Errors
/// When the text is no such duration.
pub fn duration(text: &str) -> Result<Duration> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number: u64 =
        text[..end].parse().with_context(|| format!("{text:?} is no duration such as 30s"))?;
    let millis = match &text[end..] {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => anyhow::bail!("{text:?} is no duration such as 500ms, 30s, 5m or 2h"),
    };
    number
        .checked_mul(millis)
        .map(Duration::from_millis)
        .with_context(|| format!("{text:?} is too long"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_with_their_unit_and_nothing_else() {
        assert_eq!(duration("20s").unwrap(), Duration::from_secs(20));
        assert_eq!(duration("1500ms").unwrap(), Duration::from_millis(1_500));
        assert_eq!(duration("2h").unwrap(), Duration::from_secs(7_200));
        for bad in ["", "20", "s", "-3s", "3 s", "1d", "99999999999999999999s"] {
            assert!(duration(bad).is_err(), "{bad:?}");
        }
    }
}
