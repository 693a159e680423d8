//! The arithmetic of native plans. No allocation, no branches on data but where said.
//!
//! | file | holds |
//! |---|---|
//! | `dense` | a row times constant weights |
//! | `pointwise` | functions of one and two values, exp and tanh, softmax, norms |
//! | `trees` | eight trees walked at once |
//!
//! Every function is inlined into one of two copies of the plan's loop, one compiled for AVX2
//! and FMA, one for any machine. Both give the same bits: products are always fused
//! ([`f32::mul_add`]), sums are always taken in the same order, and no operation depends on the
//! width of a vector. Values may be read and written up to [`PAD`] elements beyond their end;
//! what stands there is never used.

pub(crate) mod dense;
pub(crate) mod pointwise;
pub(crate) mod trees;

/// Values start at multiples of this and have this many spare elements behind them.
pub(crate) const PAD: usize = 16;

/// The length rounded up to whole lanes.
#[inline(always)]
pub(crate) fn padded(len: usize) -> usize {
    len.next_multiple_of(PAD)
}
