//! The breakers by number and name, their levels, and what is measured for them outside of the
//! river. Numbers are written into journals and are never reused.

/// How far a breaker has tripped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Level {
    /// Not at all.
    #[default]
    Clear = 0,
    /// Told, and nothing else.
    Warn = 1,
    /// Exits only; comes back by itself after a cool-down.
    Reduce = 2,
    /// Halted until an operator arms again.
    Halt = 3,
    /// Killed.
    Kill = 4,
}

impl Level {
    /// From its number; `None` for a number that is no level.
    pub const fn from_u8(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::Clear),
            1 => Some(Self::Warn),
            2 => Some(Self::Reduce),
            3 => Some(Self::Halt),
            4 => Some(Self::Kill),
            _ => None,
        }
    }

    /// The name used by tools and metrics.
    pub const fn name(self) -> &'static str {
        ["clear", "warn", "reduce", "halt", "kill"][self as usize]
    }
}

/// A control that acts after the fact. Its number is its place in [`Control::ALL`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u16)]
pub enum Control {
    /// RC-22: the day's loss over its starting equity; basis points.
    DayLoss = 0,
    /// RC-22: the day's loss as an amount; 1e-8 of the quote currency.
    DayLossAmount = 1,
    /// RC-23: fall from the highest equity; basis points.
    Drawdown = 2,
    /// RC-24: losing round trips in a row.
    LossesInARow = 3,
    /// RC-25: a fill's distance from its decision's price; basis points, rounded up.
    Slippage = 4,
    /// RC-25: a fee's share of its fill; basis points, rounded up.
    Fee = 5,
    /// The ledger's own faults, overfills among them; a reason's number.
    LedgerFault = 6,
    /// RC-26: orders that do not balance.
    OrderBalance = 7,
    /// RC-27: orders of unknown outcome.
    UnknownOrders = 8,
    /// RC-28: refusals of one class in a row.
    RejectsInARow = 9,
    /// RC-28: refusals of one class among the newest outcomes.
    RejectRate = 10,
    /// RC-15: age of the market data; milliseconds.
    Staleness = 11,
    /// RC-39: spread; basis points.
    Spread = 12,
    /// RC-39: average true range over its long average; percent.
    Range = 13,
    /// RC-39: move within one bar; basis points.
    Jump = 14,
    /// RC-40: tick to order bytes, 99th percentile; microseconds.
    TickToGate = 15,
    /// RC-40: approval to the venue's word, 99th percentile; milliseconds.
    SendToAck = 16,
    /// RC-40: fill of the market ring; percent.
    RingDepth = 17,
    /// RC-41: what the journal needs of the disk's free space; percent.
    Disk = 18,
    /// RC-41: resident memory; MiB.
    Memory = 19,
    /// RC-41: open files over the limit; percent.
    Files = 20,
    /// RC-41: longest time without a turn; milliseconds.
    CoreStall = 21,
    /// RC-16: answers that are no numbers, per minute.
    InvalidOutputs = 22,
    /// The risk state kept twice; 1 where the two differ.
    StateSeal = 23,
    /// RC-40: tick to order bytes, 95th percentile; microseconds.
    TickToGateP95 = 24,
    /// RC-40: approval to the venue's word, 95th percentile; milliseconds.
    SendToAckP95 = 25,
}

impl Control {
    /// Number of controls.
    pub const COUNT: usize = 26;

    /// Every control, in numeric order.
    pub const ALL: [Control; Self::COUNT] = [
        Self::DayLoss,
        Self::DayLossAmount,
        Self::Drawdown,
        Self::LossesInARow,
        Self::Slippage,
        Self::Fee,
        Self::LedgerFault,
        Self::OrderBalance,
        Self::UnknownOrders,
        Self::RejectsInARow,
        Self::RejectRate,
        Self::Staleness,
        Self::Spread,
        Self::Range,
        Self::Jump,
        Self::TickToGate,
        Self::SendToAck,
        Self::RingDepth,
        Self::Disk,
        Self::Memory,
        Self::Files,
        Self::CoreStall,
        Self::InvalidOutputs,
        Self::StateSeal,
        Self::TickToGateP95,
        Self::SendToAckP95,
    ];

    /// From its number; `None` for a number that is no control.
    pub fn from_u16(number: u16) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }

    /// The name used by tools and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::DayLoss => "day_loss",
            Self::DayLossAmount => "day_loss_amount",
            Self::Drawdown => "drawdown",
            Self::LossesInARow => "losses_in_a_row",
            Self::Slippage => "slippage",
            Self::Fee => "fee",
            Self::LedgerFault => "ledger_fault",
            Self::OrderBalance => "order_balance",
            Self::UnknownOrders => "unknown_orders",
            Self::RejectsInARow => "rejects_in_a_row",
            Self::RejectRate => "reject_rate",
            Self::Staleness => "staleness",
            Self::Spread => "spread",
            Self::Range => "range",
            Self::Jump => "jump",
            Self::TickToGate => "tick_to_gate",
            Self::SendToAck => "send_to_ack",
            Self::RingDepth => "ring_depth",
            Self::Disk => "disk",
            Self::Memory => "memory",
            Self::Files => "files",
            Self::CoreStall => "core_stall",
            Self::InvalidOutputs => "invalid_outputs",
            Self::StateSeal => "state_seal",
            Self::TickToGateP95 => "tick_to_gate_p95",
            Self::SendToAckP95 => "send_to_ack_p95",
        }
    }
}

const _: () = {
    let mut at = 0;
    while at < Control::COUNT {
        // A control's number indexes tables and is stored in records.
        assert!(Control::ALL[at] as usize == at);
        at += 1;
    }
};

/// What is measured outside of the river, by threads that have a clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u16)]
pub enum Measure {
    /// Bytes in memory to order bytes, 99th percentile since the last measure; microseconds.
    TickToGate = 0,
    /// Highest fill of the market ring since the last measure; percent.
    RingDepth = 1,
    /// What the journal needs in the reserve's hours over what is free; percent.
    DiskNeed = 2,
    /// What the journal's next segments need over what is free; percent.
    SegmentNeed = 3,
    /// Resident memory; MiB.
    Memory = 4,
    /// Open files over the process's limit; percent.
    Files = 5,
    /// Longest time a pinned thread went without a turn since the last measure; milliseconds.
    CoreStall = 6,
    /// Bytes in memory to order bytes, 95th percentile since the last measure; microseconds.
    TickToGateP95 = 7,
}

impl Measure {
    /// Number of measures.
    pub const COUNT: usize = 8;

    /// Every measure, in numeric order.
    pub const ALL: [Measure; Self::COUNT] = [
        Self::TickToGate,
        Self::RingDepth,
        Self::DiskNeed,
        Self::SegmentNeed,
        Self::Memory,
        Self::Files,
        Self::CoreStall,
        Self::TickToGateP95,
    ];

    /// From its number; `None` for a number that is no measure.
    pub fn from_u16(number: u16) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }

    /// The name used by tools.
    pub const fn name(self) -> &'static str {
        match self {
            Self::TickToGate => "tick_to_gate",
            Self::RingDepth => "ring_depth",
            Self::DiskNeed => "disk_need",
            Self::SegmentNeed => "segment_need",
            Self::Memory => "memory",
            Self::Files => "files",
            Self::CoreStall => "core_stall",
            Self::TickToGateP95 => "tick_to_gate_p95",
        }
    }
}
