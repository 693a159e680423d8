//! Numbers, digit by digit.

use super::super::cursor::Cursor;
use super::super::member::decimal;
use super::oracle;
use proptest::prelude::*;

/// Decimals of every length on both sides of the point, and things that only look like one.
fn number() -> impl Strategy<Value = String> {
    prop_oneof![
        "[0-9]{1,20}",
        "[0-9]{1,12}\\.[0-9]{1,12}",
        "0{0,3}[0-9]{1,11}\\.[0-9]{0,8}0{0,6}",
        "-?[0-9]{0,4}\\.?[0-9]{0,4}([eE][-+]?[0-9]{0,3})?",
        "[-+.eE0-9 \"\\\\]{0,12}",
    ]
}

fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(cases(20_000))]

    #[test]
    fn a_decimal_read_by_hand_is_the_decimal_written(
        text in number(), behind in "[,}\\]\"0-9]{0,20}",
    ) {
        let frame = format!("{text}\"{behind}");
        let mut cursor = Cursor::new(frame.as_bytes());
        if let Some(value) = cursor.fixed_then_quote() {
            let consumed = frame.len() - cursor.rest().len();
            let read = &frame[..consumed - 1];
            prop_assert!(!read.contains('"'));
            prop_assert_eq!(Some(value), oracle::fixed(read), "{}", read);
        }
    }

    #[test]
    fn usual_decimals_are_never_declined(
        whole in 0_u64..9_999_999, digits in 1_usize..9, fraction in 0_u64..100_000_000,
    ) {
        let fraction = &format!("{fraction:08}")[..digits];
        let frame = format!("{whole}.{fraction}\",\"a\":1700000000000}}");
        let value = Cursor::new(frame.as_bytes()).fixed_then_quote();
        prop_assert_eq!(value, oracle::fixed(&format!("{whole}.{fraction}")));
        prop_assert!(value.is_some());
    }

    #[test]
    fn the_tolerant_decimal_is_exact_or_refused(text in number()) {
        prop_assert_eq!(decimal(text.as_bytes()).ok(), oracle::fixed(&text), "{}", text);
    }

    #[test]
    fn an_integer_read_by_hand_is_the_integer_written(
        text in "[0-9]{1,22}", behind in "[,}\\]][,}\\]\"0-9]{0,20}",
    ) {
        let frame = format!("{text}{behind}");
        let mut cursor = Cursor::new(frame.as_bytes());
        let lawful = text.len() <= 18 && (text.len() == 1 || !text.starts_with('0'));
        let expected = lawful.then(|| text.parse::<u64>().unwrap());
        prop_assert_eq!(cursor.uint(), expected, "{}", frame);
        if lawful {
            prop_assert_eq!(cursor.rest(), behind.as_bytes());
        }
    }
}

#[test]
fn published_examples_of_prices_become_these_integers() {
    let cases = [
        ("61800.30", 6_180_030_000_000),
        ("0.00001", 1_000),
        ("0.00000001", 1),
        ("92233720368.54775807", i64::MAX),
        ("1e-8", 1),
        ("-2.5E1", -2_500_000_000),
    ];
    for (text, value) in cases {
        assert_eq!(decimal(text.as_bytes()), Ok(value), "{text}");
    }
}
