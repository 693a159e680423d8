//! The measured stretches of the river, and the stamps they are measured with.
//!
//! ```text
//!  bytes ─receive_decode─►│─feed_inference─►│─features─►│─inference─►│─inference_risk─►│─policy─►│
//!  ───risk───►│─risk_execution─►│─encode_send─► on the wire ───────wire───────► acknowledged
//!  bytes ────────────────────── tick_to_order ─────────────► on the wire
//! ```

/// One measured stretch, in the order of the river.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Hop {
    /// Bytes in memory to a decoded, sequenced event.
    ReceiveDecode = 0,
    /// The ring from feed to inference.
    FeedInference = 1,
    /// Event to feature vector.
    Features = 2,
    /// Feature vector to prediction.
    Inference = 3,
    /// The ring from inference to risk.
    InferenceRisk = 4,
    /// Prediction to intent.
    Policy = 5,
    /// Intent to approved order.
    Risk = 6,
    /// The ring from risk to execution.
    RiskExecution = 7,
    /// Approved order to bytes handed to the socket.
    EncodeSend = 8,
    /// Bytes in memory to order bytes ready: the hops above, and the journal appends between them.
    TickToOrder = 9,
    /// Order bytes handed over to the venue's acknowledgement: their part.
    Wire = 10,
}

impl Hop {
    /// Every hop, in the order of the river.
    pub const ALL: [Hop; 11] = [
        Hop::ReceiveDecode,
        Hop::FeedInference,
        Hop::Features,
        Hop::Inference,
        Hop::InferenceRisk,
        Hop::Policy,
        Hop::Risk,
        Hop::RiskExecution,
        Hop::EncodeSend,
        Hop::TickToOrder,
        Hop::Wire,
    ];

    /// Number of hops.
    pub const COUNT: usize = Self::ALL.len();

    /// The name used in metrics, JSON, tables and logs.
    pub const fn name(self) -> &'static str {
        match self {
            Hop::ReceiveDecode => "receive_decode",
            Hop::FeedInference => "feed_inference",
            Hop::Features => "features",
            Hop::Inference => "inference",
            Hop::InferenceRisk => "inference_risk",
            Hop::Policy => "policy",
            Hop::Risk => "risk",
            Hop::RiskExecution => "risk_execution",
            Hop::EncodeSend => "encode_send",
            Hop::TickToOrder => "tick_to_order",
            Hop::Wire => "wire",
        }
    }

    /// From [`Hop::name`]; `None` for any other text.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|hop| hop.name() == name)
    }
}

const _: () = {
    // Tables are indexed by the hop's number, so number and place must agree.
    let mut i = 0;
    while i < Hop::COUNT {
        assert!(Hop::ALL[i] as usize == i);
        i += 1;
    }
};

/// A raw reading of the cycle counter. Only differences mean anything, and only through
/// the clock that took them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stamp(pub u64);
