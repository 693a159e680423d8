use super::*;
use proptest::prelude::*;

/// The same rule said with whole strings: pad the fraction to eight digits and read one integer.
fn parse_by_padding(text: &str) -> Option<i64> {
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |d| (-1, d));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let fraction = format!("{fraction:0<8}");
    let (kept, rest) = fraction.split_at(8);
    if rest.contains(|c| c != '0') {
        return None;
    }
    format!("{whole}{kept}").parse::<i128>().ok().and_then(|v| i64::try_from(sign * v).ok())
}

proptest! {
    #[test]
    fn parsing_equals_reading_the_padded_digits(text in "-?[0-9]{1,14}(\\.[0-9]{1,10})?") {
        prop_assert_eq!(parse_fixed(text.as_bytes()).ok(), parse_by_padding(&text));
    }

    #[test]
    fn parsing_never_panics_and_accepts_only_plain_decimals(
        bytes in prop::collection::vec(any::<u8>(), 0..24),
    ) {
        if parse_fixed(&bytes).is_ok() {
            let plain = bytes.iter().all(|b| b.is_ascii_digit() || *b == b'.' || *b == b'-');
            prop_assert!(plain && bytes.iter().filter(|b| **b == b'.').count() <= 1);
        }
    }

    #[test]
    fn a_number_reads_back_as_it_was_written(value in any::<i32>(), shift in 0_u32..9) {
        let px = Px(i64::from(value) * 10_i64.pow(shift));
        prop_assert_eq!(Px::parse(&px.to_string()), Ok(px));
    }

    #[test]
    fn rounding_to_a_step_brackets_the_value(
        value in -1_000_000_i64..1_000_000,
        step in 1_i64..5_000,
    ) {
        let (low, high) = (Qty(value).floor_to(Qty(step)), Qty(value).ceil_to(Qty(step)));
        prop_assert!(low.is_multiple_of(Qty(step)) && high.is_multiple_of(Qty(step)));
        prop_assert!(low.0 <= value && value <= high.0 && high.0 - low.0 <= step);
    }

    #[test]
    fn a_fee_is_never_understated(amount in 0_i64..10_i64.pow(15), rate in -100_000_i64..100_000) {
        let exact = i128::from(amount) * i128::from(rate);
        let charged = i128::from(fee(Money(amount), Rate(rate)).unwrap().0) * i128::from(SCALE);
        prop_assert!(charged >= exact && charged - exact < i128::from(SCALE));
    }
}

#[test]
fn finer_than_the_scale_is_refused_but_trailing_zeros_are_not() {
    assert_eq!(parse_fixed(b"1.000000000000"), Ok(SCALE));
    assert_eq!(parse_fixed(b"1.000000001"), Err(ParseUnitError::TooFine));
}

#[test]
fn numbers_beyond_the_range_are_refused() {
    assert_eq!(parse_fixed(b"92233720368.54775807"), Ok(i64::MAX));
    assert_eq!(parse_fixed(b"92233720368.54775808"), Err(ParseUnitError::OutOfRange));
}

#[test]
fn notional_of_a_recorded_trade_is_exact() {
    let value = notional(Qty::parse("0.006").unwrap(), Px::parse("61800.30").unwrap()).unwrap();
    assert_eq!(value.to_string(), "370.8018");
}

#[test]
fn a_quotient_is_what_the_general_division_says_at_the_edges_of_both_ways() {
    let edges = [i128::from(i64::MIN), -1, 0, 1, 7, i128::from(i64::MAX), i128::MAX, i128::MIN + 2];
    for value in edges.iter().flat_map(|edge| [edge.saturating_sub(1), *edge]) {
        for by in edges.iter().filter(|by| **by != 0) {
            assert_eq!(quotient(value, *by), value / by, "{value} / {by}");
        }
    }
}

#[test]
fn a_part_of_a_value_is_what_the_general_division_says_at_the_edges_of_both_ways() {
    let (least, most) = (i128::from(i64::MIN), i128::from(i64::MAX));
    let edges = [least - 1, least, -10_001, -1, 0, 1, 9_999, 10_000, most / 10_000, most, most + 1];
    for value in edges.iter().flat_map(|edge| [edge - 1, *edge, edge + 1]) {
        for by in edges.iter().filter(|by| **by != 0) {
            for times in [1, 7, 10_000] {
                let expected = value * i128::from(times) / by;
                assert_eq!(part_of(value, times, *by), expected, "{value} {times} {by}");
            }
        }
    }
}

#[test]
fn a_value_per_unit_is_what_the_general_division_says() {
    let scale = i128::from(SCALE);
    let mut seed = 0x9e37_79b9_7f4a_7c15_u128;
    let mut values = vec![0, 1, scale - 1, scale, scale + 1, i128::MAX, i128::MIN, i128::MIN + 1];
    for shift in 0..127 {
        let power = 1_i128 << shift;
        values.extend([power - 1, power, power + 1, -power]);
        seed = seed.wrapping_mul(0x2360_ed05_1fc6_5da4_4385_df64_9fcc_f645) | 1;
        values.extend([(seed as i128) >> shift, ((seed as i128) >> shift) / scale * scale]);
    }
    for value in values {
        assert_eq!(per_unit(value), value / scale, "{value}");
    }
}

#[test]
fn a_number_is_written_as_people_write_it_and_told_apart_by_its_kind() {
    for (units, text) in [
        (0, "0"),
        (1, "0.00000001"),
        (-1, "-0.00000001"),
        (150_000_000, "1.5"),
        (-200_000_000, "-2"),
        (100_000_010, "1.0000001"),
        (i64::MIN, "-92233720368.54775808"),
    ] {
        assert_eq!((Px(units).to_string(), Money(units).to_string()), (text.into(), text.into()));
        assert_eq!(
            format!("{:?} {:?}", Qty(units), Rate(units)),
            format!("Qty({text}) Rate({text})")
        );
    }
}

#[test]
fn what_is_no_plain_decimal_is_no_number() {
    for text in ["", "-", ".", ".5", "-.5", "1.", "1.2.3", "+1", "1e3", " 1", "1 ", "--1", "/", ":"]
    {
        assert_eq!(parse_fixed(text.as_bytes()), Err(ParseUnitError::NotDecimal), "{text}");
    }
    for (text, units) in [("0", 0), ("-0.5", -SCALE / 2), ("9", 9 * SCALE), ("0.00000009", 9)] {
        assert_eq!(parse_fixed(text.as_bytes()), Ok(units), "{text}");
    }
}

#[test]
fn sums_differences_and_signs_are_those_of_the_units() {
    let mut sum = Money(7);
    sum += Money(5);
    assert_eq!((sum, Money(7) + Money(5), Money(7) - Money(5)), (Money(12), Money(12), Money(2)));
    sum -= Money(2);
    assert_eq!((sum, -sum, (-sum).abs()), (Money(10), Money(-10), Money(10)));
    assert_eq!([-1, 0, 1].map(|units| Qty(units).is_positive()), [false, false, true]);
    assert_eq!(
        [0, 5, 6, 10].map(|units| Qty(units).is_multiple_of(Qty(5))),
        [true, true, false, true]
    );
    assert_eq!(Money(1).checked_add(Money(2)), Some(Money(3)));
    assert_eq!(Money::MAX.checked_add(Money(1)), None);
}

#[test]
fn a_price_moves_by_a_ten_thousandth_of_itself_for_each_point() {
    for (px, bps, moved) in
        [(20_000, 1, 20_002), (20_000, -50, 19_900), (9_999, 1, 9_999), (7, 0, 7)]
    {
        assert_eq!(shift_bps(Px(px), bps), Some(Px(moved)), "{px} {bps}");
    }
    assert_eq!(shift_bps(Px::MAX, 1), None);
}

#[test]
fn a_fee_of_a_whole_unit_is_that_unit_and_a_rebate_is_never_overstated() {
    for (amount, rate, charged) in [
        (SCALE, 5, 5),
        (-SCALE, 5, 5),
        (SCALE + 1, 5, 6),
        (SCALE, -5, -5),
        (SCALE - 1, -5, -4),
        (1, -1, 0),
        (SCALE, 0, 0),
    ] {
        assert_eq!(fee(Money(amount), Rate(rate)), Some(Money(charged)), "{amount} {rate}");
    }
    assert_eq!(fee(Money::MAX, Rate(SCALE + 1)), None);
}

#[test]
fn a_fee_of_the_least_part_of_a_unit_is_a_unit_and_a_rebate_of_it_is_none() {
    assert_eq!(fee(Money(1), Rate(1)), Some(Money(1)));
    assert_eq!(fee(Money(1), Rate(-1)), Some(Money(0)));
    assert_eq!(fee(Money(SCALE), Rate(1)), Some(Money(1)), "what is whole is not raised");
}
