//! Bodies of control events (kinds 32 to 47).

use super::{BODY_BYTES, Body};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

body!(
    /// What the session runs with. Replay refuses other hashes.
    SessionStart {
        /// SHA-256 of the effective configuration text.
        config_sha256: [u8; 32],
        /// Hash of the feature schema.
        schema_hash: u64,
        /// Seed of everything random.
        seed: u64,
        /// Order-id epoch of this start.
        epoch: u32,
        /// 0 backtest, 1 paper, 2 testnet, 3 live.
        mode: u32,
        /// Version of the event layout: [`super::EVENT_VERSION`].
        event_version: u32,
        /// Number of [`Instrument`] events that follow.
        instrument_count: u32,
        /// Hash of the account's name at the venue; 0 on paper.
        account: u64,
        /// Zero.
        reserved: [u64; 3],
    }
);
body!(
    /// One instrument's contract facts.
    Instrument {
        /// Symbol, padded with zeros.
        symbol: [u8; 32],
        /// Price step, 1e-8.
        tick_size: i64,
        /// Quantity step, 1e-8.
        lot_size: i64,
        /// Least order quantity, 1e-8.
        min_qty: i64,
        /// Largest order quantity, 1e-8.
        max_qty: i64,
        /// Least order value, 1e-8.
        min_notional: i64,
        /// Maker fee rate, 1e-8 (negative: rebate).
        maker_fee: i64,
        /// Taker fee rate, 1e-8.
        taker_fee: i64,
        /// Zero.
        reserved: [u64; 1],
    }
);
body!(
    /// The model that decides from this point of the river on.
    ModelLoaded {
        /// SHA-256 of the ONNX file.
        sha256: [u8; 32],
        /// Version name, padded with zeros.
        version: [u8; 32],
        /// Hash of the feature schema it was trained on.
        schema_hash: u64,
        /// 1 native plan, 2 tract.
        executor: u32,
        /// Zero.
        pad: u32,
        /// Zero.
        reserved: [u64; 2],
    }
);
body!(
    /// From here on the models that decide are others. Whatever it names is at its place before the
    /// event enters the river.
    ModelSwap {
        /// SHA-256 of the ONNX file; zero where it is not known.
        sha256: [u8; 32],
        /// Version name, padded with zeros.
        version: [u8; 32],
        /// 0 refused: nothing changes; 1 champion; 2 canary: decides a share beside the champion;
        /// 3 own: alone decides the event's instrument, to the end.
        role: u8,
        /// Place of the model in the inference stage.
        slot: u8,
        /// Why: a [`crate::base::Reason`] number.
        reason: u16,
        /// Share of a canary in basis points; 0 ends the trial.
        share_bps: u16,
        /// Zero.
        pad: u16,
        /// Length of the blocks of time that are dealt to champion and canary, milliseconds.
        block_ms: u32,
        /// User id that asked; [`u32::MAX`] for the session itself.
        actor: u32,
        /// Seed of the deal.
        seed: u64,
        /// First eight bytes of the SHA-256 of its card.
        card: u64,
    }
);
body!(
    /// Time passed; the time is `ts_recv`.
    Timer {
        /// Milliseconds between timers.
        interval_ms: u64,
        /// Zero.
        reserved: [u64; 11],
    }
);
/// The verb of a [`Command`] about models: it tells who asked and why; what changes says the
/// [`ModelSwap`] behind it.
pub const COMMAND_MODEL: u32 = 6;
/// Longest reason of a [`Command`], in bytes.
pub const COMMAND_REASON_BYTES: usize = 84;

body!(
    /// An operator's command, or that of something which kills.
    Command {
        /// 1 pause, 2 graceful kill, 3 immediate kill, 4 arm, 5 clear, [`COMMAND_MODEL`].
        verb: u32,
        /// User id that gave it; `u32::MAX` for a signal, [`super::ACTOR_UNATTENDED`] for paper
        /// trading's own setting.
        actor: u32,
        /// How it came in: a `risk::Origin` number.
        origin: u32,
        /// Why, padded with zeros.
        reason: [u8; COMMAND_REASON_BYTES],
    }
);
body!(
    /// The event's instrument is traded, being left, or asleep from here on. Without one of it an
    /// instrument is traded.
    SymbolChange {
        /// A [`crate::base::SymbolState`] number.
        state: u8,
        /// 1 where the position is to be left at once, while it is being left.
        flat: u8,
        /// Zero.
        pad: [u8; 2],
        /// User id that asked; [`super::ACTOR_UNATTENDED`] for the configuration.
        actor: u32,
        /// Why, padded with zeros.
        reason: [u8; COMMAND_REASON_BYTES],
        /// Zero.
        reserved: [u8; 4],
    }
);
body!(
    /// One round of a kill: what the venue was asked to end, and what it then told is there. A
    /// count that could not be had is `u32::MAX`.
    KillRound {
        /// Number of the round, from 1.
        round: u32,
        /// Plain orders open on the session's contracts.
        orders: u32,
        /// Conditional orders that could open a position.
        algo_entries: u32,
        /// Conditional orders that can only close one.
        stops: u32,
        /// Contracts with a position.
        positions: u32,
        /// Rounds in a row, this one included, that found what had to be gone to be gone.
        empty: u32,
        /// Milliseconds since the kill began.
        elapsed_ms: u64,
        /// 2 graceful, 3 immediate: as in [`Command`].
        mode: u32,
        /// A [`crate::base::Reason`] number where the round is worth an alert: not empty in time,
        /// still not empty, empty.
        reason: u16,
        /// Zero.
        pad: u16,
        /// Zero.
        reserved: [u64; 7],
    }
);
body!(
    /// Our books and the venue's agree; what was found there.
    Reconciled {
        /// Orders open at the venue.
        open_orders: u64,
        /// Instruments with a position.
        positions: u64,
        /// Venue time from which on funding is still to be asked for, overlap included; 0 on paper.
        funding_since: i64,
        /// Zero.
        reserved: [u64; 9],
    }
);
body!(
    /// A position that an earlier session left. The ledger starts from it.
    PositionCarried {
        /// Signed position, 1e-8.
        qty: i64,
        /// What the position cost, 1e-8, as the ledger keeps it.
        cost: i64,
        /// Realised profit, before fees and funding, 1e-8.
        realised: i64,
        /// Fees, 1e-8; above zero is paid.
        fees: i64,
        /// Funding, 1e-8; above zero is received.
        funding: i64,
        /// Number from which on the venue's trades are still to be asked for: everything before it
        /// was known at the last clean look. 0 where its list was never read.
        trades_from: u64,
        /// Event time of the first fill of the open position; 0 when flat.
        ts_opened: i64,
        /// Profit of the round trip under way, before it is closed, 1e-8.
        round_trip: i64,
        /// Average true range at the entry, 1e-8; 0 where not known.
        atr_px: i64,
        /// Distance from the entry price at which the profit is taken, 1e-8; 0 where not known.
        target_px: i64,
        /// Best price the position could have been left at, 1e-8; 0 while flat.
        best_px: i64,
        /// Zero.
        reserved: [u64; 1],
    }
);
body!(
    /// An order that an earlier session left open, or of unknown outcome.
    OrderCarried {
        /// Our [`crate::base::ClientOrderId`].
        client_id: u64,
        /// The venue's number; 0 while not known.
        venue_id: u64,
        /// Limit or trigger price, 1e-8; 0 for a market order.
        px: i64,
        /// Quantity, 1e-8.
        qty: i64,
        /// Booked fills, 1e-8.
        filled: i64,
        /// Most that the venue said was filled, 1e-8.
        reported: i64,
        /// Event time of its approval.
        ts_sent: i64,
        /// A [`crate::base::OrderType`] number.
        order_type: u8,
        /// A [`crate::base::TimeInForce`] number.
        time_in_force: u8,
        /// A [`crate::base::Purpose`] number.
        purpose: u8,
        /// State the earlier session knew, as in `execution::OrderState`.
        state: u8,
        /// Zero.
        pad: [u8; 4],
        /// Average true range an entry was decided with, 1e-8.
        atr_px: i64,
        /// Distance from the entry price at which an entry takes its profit, 1e-8; 0 for none.
        target_px: i64,
        /// Zero.
        reserved: [u64; 2],
    }
);
body!(
    /// What else an earlier session left; all zero but `starting_equity` where there was none.
    SessionCarried {
        /// Equity at the start of the first session of the chain, 1e-8.
        starting_equity: i64,
        /// Highest equity seen, 1e-8.
        peak_equity: i64,
        /// Equity at the start of the UTC day `day`, 1e-8.
        day_start_equity: i64,
        /// UTC day, counted from the epoch.
        day: i64,
        /// Order-id epoch of the session that left it; 0 for none.
        epoch: u32,
        /// Round trips in a row that ended with a loss.
        losses_in_a_row: u32,
        /// Entries on the UTC day `day`.
        entries_today: u32,
        /// Trading state it was left in, as in `risk::TradingState`.
        state: u8,
        /// 1 where part of its journal was lost.
        lossy: u8,
        /// Why the trading state was what it was: a [`crate::base::Reason`] number.
        reason: u16,
        /// Receive time of the newest event of that session.
        ts_last: i64,
        /// Venue time from which on funding is still to be asked for: as of the last clean look, or
        /// the start of the chain's first session where there was none.
        funding_since: i64,
        /// Size of entries while it comes back from a halt, in percent; 0 where it does not.
        restart_percent: u32,
        /// Round trips without a loss since that step began.
        restart_trips: u32,
        /// Event time at which the step began.
        ts_restart: i64,
        /// Zero.
        reserved: [u64; 2],
    }
);
body!(
    /// Something measured outside of the river, by threads that have a clock.
    Measured {
        /// A [`crate::base::Measure`] number.
        measure: u16,
        /// Zero.
        pad: [u16; 3],
        /// The value in the measure's unit.
        value: i64,
        /// Zero.
        reserved: [u64; 10],
    }
);
body!(
    /// Of one instrument: what was booked behind the last clean look. The venue's lists, asked from
    /// that look on, tell it again, and it must not count twice.
    BookedCarried {
        /// Numbers of trades at or above `trades_from` of the position; 0 for none.
        trade_ids: [u64; 4],
        /// Venue times of funding payments; 0 for none.
        ts_funding: [i64; 4],
        /// Their amounts, 1e-8.
        funding: [i64; 4],
    }
);
