//! Which limits each control has: the settings as ladders.

use super::ladder::{Rung, Rungs};
use crate::base::settings::{BreakerSettings, RiskSettings};
use crate::base::{Control, Level};
use crate::risk::checks::UNKNOWN_ORDERS_MAX;
use crate::risk::limits::{amount, count};

/// Value at which [`Control::Disk`] halts: the next segments cannot be made.
pub(super) const NO_SEGMENT: i64 = 1_000;

/// The rungs of a control, and whether it stands for each instrument.
pub(super) fn rungs_of(
    control: Control,
    settings: &BreakerSettings,
    risk: &RiskSettings,
) -> (Rungs, bool) {
    use Control as C;
    use Level::{Halt, Kill, Reduce, Warn};
    let s = settings;
    let at = i64::from;
    let per_instrument = matches!(control, C::Staleness | C::Spread | C::Range | C::Jump);
    let one = |rung: Rung| Rungs::new(&[rung]);
    let rungs = match control {
        C::DayLoss => Rungs::new(&[
            Rung::sharp(Warn, at(s.day_loss_warn_bps)),
            Rung::sharp(Halt, at(s.day_loss_halt_bps)),
            Rung::sharp(Kill, at(s.day_loss_kill_bps)),
        ]),
        C::DayLossAmount => match amount(risk.daily_loss_max) {
            Some(most) => one(Rung::sharp(Halt, most.0)),
            None => Rungs::default(),
        },
        C::Drawdown => {
            let halt = tighter(s.drawdown_halt_bps, risk.drawdown_bps_max);
            Rungs::new(&[
                Rung::soft(Reduce, at(s.drawdown_reduce_bps.min(halt))),
                Rung::sharp(Halt, at(halt)),
            ])
        }
        C::LossesInARow => {
            let halt = tighter(s.losses_halt, risk.losses_in_a_row_max);
            Rungs::new(&[
                Rung::sharp(Warn, at(s.losses_half.min(halt))),
                Rung::sharp(Halt, at(halt)),
            ])
        }
        // Found rounded up: what is above the limit is at least one more.
        C::Slippage => one(Rung::sharp(Reduce, at(s.slippage_bps) + 1)),
        C::Fee => one(Rung::sharp(Halt, at(s.fee_bps) + 1)),
        C::LedgerFault | C::OrderBalance => one(Rung::sharp(Halt, 1)),
        C::StateSeal => one(Rung::sharp(Kill, 1)),
        C::UnknownOrders => one(Rung::sharp(Warn, at(UNKNOWN_ORDERS_MAX))),
        C::RejectsInARow => one(Rung::sharp(Halt, at(s.rejects_in_a_row))),
        C::RejectRate => one(Rung::sharp(Halt, at(s.rejects_percent))),
        C::Staleness => Rungs::new(&[
            Rung::sharp(Warn, at(s.stale_degraded_ms)),
            Rung::sharp(Reduce, at(s.stale_ms)),
        ]),
        C::Spread => one(Rung::pair(Reduce, at(s.spread_trip_bps), at(s.spread_clear_bps))),
        C::Range => one(Rung::pair(Reduce, at(s.range_trip_percent), at(s.range_clear_percent))),
        C::Jump => one(Rung::pair(Reduce, at(s.jump_trip_bps), at(s.jump_clear_bps))),
        C::TickToGate => one(Rung::soft(Reduce, at(s.tick_to_gate_us))),
        C::SendToAck => one(Rung::soft(Reduce, at(s.send_to_ack_ms))),
        C::TickToGateP95 => one(Rung::soft(Reduce, at(s.tick_to_gate_p95_us))),
        C::SendToAckP95 => one(Rung::soft(Reduce, at(s.send_to_ack_p95_ms))),
        C::RingDepth => one(Rung::soft(Reduce, at(s.ring_percent))),
        C::Disk => Rungs::new(&[Rung::soft(Reduce, 100), Rung::sharp(Halt, NO_SEGMENT)]),
        C::Memory => one(Rung::soft(Reduce, at(s.memory_mib))),
        C::Files => one(Rung::soft(Reduce, at(s.files_percent))),
        C::CoreStall => one(Rung::sharp(Reduce, at(s.core_stall_ms))),
        C::InvalidOutputs => one(Rung::sharp(Reduce, at(s.invalid_outputs))),
    };
    (rungs, per_instrument)
}

/// The lower of two limits, of which the second may be unset.
fn tighter(limit: u32, other: Option<u32>) -> u32 {
    count(other).map_or(limit, |other| limit.min(other))
}
