//! Fixed-point numbers. One scale for all of them: 1 unit = 1e-8 ([`SCALE`]), the finest step the
//! venue quotes. The range is ±92 233 720 368.54775807, checked on every parse and multiplication.

use std::fmt;
use std::ops::{Add, AddAssign, Neg, Sub, SubAssign};

/// Units per 1.0.
pub const SCALE: i64 = 100_000_000;
/// Decimal digits after the point.
pub const DECIMALS: u32 = 8;

/// Why a decimal text is not a fixed-point number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseUnitError {
    /// No digits, or a character that is not part of a plain decimal.
    #[error("not a plain decimal number")]
    NotDecimal,
    /// Outside ±92 233 720 368.54775807.
    #[error("outside the fixed-point range of ±92233720368")]
    OutOfRange,
    /// More than eight decimals that are not zero.
    #[error("finer than 1e-8")]
    TooFine,
}

/// Parses a plain decimal (`-12.3400`) into 1e-8 units. Exponents, signs other than a leading `-`
/// and blanks are refused; zeros beyond the eighth decimal are accepted.
pub fn parse_fixed(text: &[u8]) -> Result<i64, ParseUnitError> {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        _ => (false, text),
    };
    let mut value: i64 = 0;
    let mut decimals: Option<u32> = None;
    let mut seen = 0_u32;
    for &byte in digits {
        match byte {
            b'0'..=b'9' => {
                seen += 1;
                let digit = i64::from(byte - b'0');
                match &mut decimals {
                    Some(n) if *n == DECIMALS => {
                        if digit != 0 {
                            return Err(ParseUnitError::TooFine);
                        }
                        continue;
                    }
                    Some(n) => *n += 1,
                    None => {}
                }
                value = value
                    .checked_mul(10)
                    .and_then(|v| v.checked_add(digit))
                    .ok_or(ParseUnitError::OutOfRange)?;
            }
            b'.' if decimals.is_none() && seen > 0 => decimals = Some(0),
            _ => return Err(ParseUnitError::NotDecimal),
        }
    }
    if seen == 0 || text.last() == Some(&b'.') {
        return Err(ParseUnitError::NotDecimal);
    }
    let missing = DECIMALS - decimals.unwrap_or(0);
    let value = value.checked_mul(10_i64.pow(missing)).ok_or(ParseUnitError::OutOfRange)?;
    Ok(if negative { -value } else { value })
}

/// Writes 1e-8 units as a decimal without trailing zeros.
fn fmt_fixed(value: i64, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let sign = if value < 0 { "-" } else { "" };
    let magnitude = value.unsigned_abs();
    let whole = magnitude / SCALE.unsigned_abs();
    let fraction = magnitude % SCALE.unsigned_abs();
    if fraction == 0 {
        return write!(f, "{sign}{whole}");
    }
    let text = format!("{fraction:08}");
    write!(f, "{sign}{whole}.{}", text.trim_end_matches('0'))
}

macro_rules! fixed_point {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(transparent)]
        pub struct $name(pub i64);

        impl $name {
            /// Zero.
            pub const ZERO: Self = Self(0);
            /// The largest value.
            pub const MAX: Self = Self(i64::MAX);

            /// A whole number of units of 1.0.
            ///
            /// # Panics
            /// When `whole` is outside the range of the type.
            pub const fn whole(whole: i64) -> Self {
                Self(whole * SCALE)
            }

            /// From a plain decimal text such as `61800.30`.
            ///
            /// # Errors
            /// [`ParseUnitError`] when the text is no plain decimal of the type's range.
            pub fn parse(text: &str) -> Result<Self, ParseUnitError> {
                parse_fixed(text.as_bytes()).map(Self)
            }

            /// As a float, for features and display only.
            pub fn to_f64(self) -> f64 {
                self.0 as f64 / SCALE as f64
            }

            /// True above zero.
            pub const fn is_positive(self) -> bool {
                self.0 > 0
            }

            /// Magnitude.
            pub const fn abs(self) -> Self {
                Self(self.0.abs())
            }

            /// Sum, or `None` beyond the range.
            pub const fn checked_add(self, other: Self) -> Option<Self> {
                match self.0.checked_add(other.0) {
                    Some(sum) => Some(Self(sum)),
                    None => None,
                }
            }

            /// Rounds toward negative infinity to a multiple of `step` (`step` above zero).
            pub const fn floor_to(self, step: Self) -> Self {
                Self(self.0.div_euclid(step.0) * step.0)
            }

            /// Rounds toward positive infinity to a multiple of `step` (`step` above zero).
            pub const fn ceil_to(self, step: Self) -> Self {
                Self(-((-self.0).div_euclid(step.0)) * step.0)
            }

            /// True when the value is a whole multiple of `step` (`step` above zero).
            pub const fn is_multiple_of(self, step: Self) -> bool {
                self.0 % step.0 == 0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt_fixed(self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "("))?;
                fmt_fixed(self.0, f)?;
                write!(f, ")")
            }
        }

        impl Add for $name {
            type Output = Self;
            fn add(self, other: Self) -> Self {
                Self(self.0 + other.0)
            }
        }

        impl Sub for $name {
            type Output = Self;
            fn sub(self, other: Self) -> Self {
                Self(self.0 - other.0)
            }
        }

        impl Neg for $name {
            type Output = Self;
            fn neg(self) -> Self {
                Self(-self.0)
            }
        }

        impl AddAssign for $name {
            fn add_assign(&mut self, other: Self) {
                self.0 += other.0;
            }
        }

        impl SubAssign for $name {
            fn sub_assign(&mut self, other: Self) {
                self.0 -= other.0;
            }
        }
    };
}

fixed_point!(
    /// A price in quote currency per unit of base, scale 1e-8.
    Px
);
fixed_point!(
    /// A quantity of the base asset, scale 1e-8. Positions are signed: long above zero.
    Qty
);
fixed_point!(
    /// An amount of quote currency (USDT), scale 1e-8.
    Money
);
fixed_point!(
    /// A dimensionless rate such as a funding or fee rate, scale 1e-8 (0.0001 is 10 000 units).
    Rate
);

/// `qty × px`, rounded toward zero; `None` beyond the range of [`Money`].
#[inline]
pub fn notional(qty: Qty, px: Px) -> Option<Money> {
    let product = per_unit(i128::from(qty.0) * i128::from(px.0));
    i64::try_from(product).ok().map(Money)
}

/// `value / SCALE`, rounded toward zero.
#[inline]
pub fn per_unit(value: i128) -> i128 {
    // A quotient by more than two fits.
    let quotient = per_unit_of(value.unsigned_abs()) as i128;
    if value.is_negative() { -quotient } else { quotient }
}

/// `size / SCALE`, rounded down. Up to values of 400 000 it is one division of 64 bits, and beyond
/// long division by a constant, in digits of 32 bits: the general division of 128 bits costs a
/// multiple, and every order needs a dozen.
#[inline]
pub fn per_unit_of(size: u128) -> u128 {
    const UNIT: u64 = SCALE as u64;
    // Shifting by the unit's twos first loses nothing that a whole quotient could tell.
    const TWOS: u32 = UNIT.trailing_zeros();
    if let Ok(size) = u64::try_from(size >> TWOS) {
        return u128::from(size / (UNIT >> TWOS));
    }
    let (high, low) = ((size >> 64) as u64, size as u64);
    // What is left of a digit is below 2^27, so that the next one fits beside it.
    let middle = (high % UNIT) << 32 | low >> 32;
    let bottom = (middle % UNIT) << 32 | low & u64::from(u32::MAX);
    u128::from(high / UNIT) << 64 | u128::from(middle / UNIT) << 32 | u128::from(bottom / UNIT)
}

/// `value / by`, rounded toward zero; `by` is above zero. Money nearly always fits 64 bits, where a
/// division costs a quarter of what it costs with 128.
#[inline]
pub fn quotient(value: i128, by: i128) -> i128 {
    match (i64::try_from(value), i64::try_from(by)) {
        // The least value over minus one is the one that 64 bits do not hold.
        (Ok(value), Ok(by)) if by.is_positive() => i128::from(value / by),
        _ => value / by,
    }
}

/// `value × times / by`, rounded toward zero; `by` is above zero. The same as [`quotient`] of the
/// product, and without 128 bits where the product alone needs them.
#[inline]
pub fn part_of(value: i128, times: i64, by: i128) -> i128 {
    if let (Ok(value), Ok(by)) = (i64::try_from(value), i64::try_from(by))
        && by.is_positive()
    {
        // The whole quotient, and what is left: both of the sign of the value.
        let (whole, rest) = (value / by, value % by);
        if let Some(rest) = rest.checked_mul(times) {
            return i128::from(whole) * i128::from(times) + i128::from(rest / by);
        }
    }
    value * i128::from(times) / by
}

/// `amount × rate`, rounded away from zero when `rate` is a cost (above zero) and toward zero when
/// it is a rebate, so that a fee is never under-stated. `None` beyond the range of [`Money`].
pub fn fee(amount: Money, rate: Rate) -> Option<Money> {
    let product = i128::from(amount.0.abs()) * i128::from(rate.0);
    let up = if product.is_positive() { i128::from(SCALE - 1) } else { 0 };
    i64::try_from(per_unit(product + up)).ok().map(Money)
}

/// `px × (1 + bps / 10 000)`, rounded toward zero; `bps` may be negative.
pub fn shift_bps(px: Px, bps: i64) -> Option<Px> {
    let moved = i128::from(px.0) * (10_000 + i128::from(bps)) / 10_000;
    i64::try_from(moved).ok().map(Px)
}

#[cfg(test)]
mod tests;
