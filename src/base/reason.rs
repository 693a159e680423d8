//! Every reason for refusing, dropping, denying or halting, numbered in blocks per room:
//! 1xx feed, 2xx book, 3xx features and model, 4xx risk, 5xx execution and venue, 9xx halts.
//! Numbers are written into journals and are never reused.

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $number:literal),* $(,)?) => {
        /// See the head of this file.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u16)]
        pub enum Reason { $($(#[$doc])* $name = $number),* }

        impl Reason {
            /// Every reason, in numeric order.
            pub const ALL: &[Reason] = &[$(Reason::$name),*];

            /// From its number; `None` for a number never given out.
            pub const fn from_u16(number: u16) -> Option<Self> {
                match number { $($number => Some(Self::$name),)* _ => None }
            }

            /// The name used by tools and metrics.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => stringify!($name)),* }
            }

            /// Dense index for tables of counters: its place in [`Reason::ALL`].
            pub const fn index(self) -> usize {
                let mut i = 0;
                while i < Self::ALL.len() {
                    if Self::ALL[i] as u16 == self as u16 { return i; }
                    i += 1;
                }
                0
            }
        }
    };
}

reasons! {
    /// No reason: the ordinary case.
    None = 0,

    /// The frame is not JSON of the expected outer shape.
    FrameNotJson = 101,
    /// A key the event needs is missing.
    FrameKeyMissing = 102,
    /// A value is not a number of the expected form.
    FrameNumber = 103,
    /// A number is outside the fixed-point range.
    FrameRange = 104,
    /// The event type is not one of ours; ignored.
    FrameUnknownType = 105,
    /// The symbol is not in the session's table.
    UnknownInstrument = 106,
    /// The frame is longer than the cap.
    FrameTooLong = 107,
    /// The trade is not a market trade (insurance fund, ADL…) and is no price.
    TradeNotMarket = 108,
    /// Price or quantity is zero or negative where it cannot be.
    FrameValue = 109,
    /// More levels than the cap.
    TooManyLevels = 110,
    /// A symbol that cannot be stored.
    SymbolInvalid = 111,
    /// The line of a capture is not of a known form.
    CaptureLine = 112,
    /// A key the event needs comes twice.
    FrameKeyTwice = 113,

    /// No snapshot yet.
    BookNotSynced = 201,
    /// `pu` is not the last applied `u`.
    BookGap = 202,
    /// The snapshot is older than the buffered changes.
    SnapshotTooOld = 203,
    /// Best bid at or above best ask.
    BookCrossed = 204,
    /// More levels than the book holds.
    BookFull = 205,
    /// The connection dropped.
    StreamDown = 206,
    /// The ring to the next stage was full and events were lost.
    RingFull = 207,
    /// One side has no levels.
    BookEmpty = 208,
    /// Too many changes wait for a snapshot.
    SyncBufferFull = 209,
    /// The book was made valid by a snapshot and its bridging change.
    BookSynced = 210,
    /// The connection is open, but this stream is silent while others talk.
    StreamSilent = 211,
    /// Trades are missing and could not be had later.
    TradeGap = 212,

    /// A feature has not seen enough history.
    FeatureWarmUp = 301,
    /// A feature's input never came.
    FeatureInputMissing = 302,
    /// A feature's input is older than allowed.
    FeatureInputStale = 303,
    /// A feature is not a finite number.
    FeatureNotFinite = 304,
    /// The model's schema hash is not the running one.
    SchemaMismatch = 305,
    /// The model's answer is not finite or no distribution.
    ModelOutput = 306,
    /// The model file's hash is not the registered one.
    ModelHashMismatch = 307,
    /// No model is loaded.
    ModelMissing = 308,
    /// The executor failed.
    ModelFailed = 309,
    /// Nothing is priced from an invalid book.
    BookInvalid = 310,
    /// The registry names another champion.
    ChampionMoved = 311,
    /// The model erred several times in a row.
    ModelErrors = 312,
    /// The canary lost more than it may.
    CanaryLoss = 313,
    /// The canary answers too slowly.
    CanarySlow = 314,
    /// The model could not be read, verified or proved.
    ModelRefused = 315,
    /// No gate decision and sign-off let the model trade real money.
    ModelUnsigned = 316,
    /// The champion's equity fell too far from its highest.
    ChampionDrawdown = 317,
    /// The champion lost too often in a row.
    ChampionLosses = 318,
    /// The champion's Sharpe ratio of a day stayed too low.
    ChampionSharpe = 319,
    /// The champion answers too slowly.
    ChampionSlow = 320,
    /// A row of features came out differently when it was worked out again.
    FeaturesMismatched = 321,
    /// The features are not those that the model was trained on.
    FeaturesDrifted = 322,
    /// The model is no longer as sure as it is right.
    CalibrationBroken = 323,
    /// The champion before has shown to be better.
    FormerBetter = 324,

    /// RC-01: a limit is unset, so nothing is allowed.
    LimitUnset = 401,
    /// The trading state forbids it.
    TradingState = 402,
    /// RC-12: the instrument is not on the allow-list.
    InstrumentNotAllowed = 403,
    /// RC-13: the price is no multiple of the tick, or not positive.
    TickSize = 404,
    /// RC-13: the quantity is no multiple of the lot.
    LotSize = 405,
    /// RC-13: below the least quantity.
    MinQty = 406,
    /// RC-02: above the largest quantity.
    MaxQty = 407,
    /// RC-13: below the least value.
    MinNotional = 408,
    /// RC-03: above the largest order value.
    MaxOrderNotional = 409,
    /// RC-04: outside the band around mark or touch.
    PriceCollar = 410,
    /// RC-04: there is no valid reference price.
    NoReferencePrice = 411,
    /// RC-05: the worst-case position exceeds the limit.
    MaxPosition = 412,
    /// RC-06: gross exposure exceeds the limit.
    MaxGrossExposure = 413,
    /// RC-06: leverage exceeds the limit.
    MaxLeverage = 414,
    /// RC-08: the same order again within the window.
    DuplicateOrder = 415,
    /// RC-09: too many messages in the window.
    OrderRate = 416,
    /// RC-10: too many entries today.
    MaxEntriesPerDay = 417,
    /// RC-14: an exit that would grow the position.
    ReduceOnlyWouldIncrease = 418,
    /// RC-15: the market data is stale.
    StaleMarket = 419,
    /// RC-11: would trade with our own resting order.
    SelfTrade = 420,
    /// RC-17: decided too late.
    DecisionLate = 421,
    /// RC-22: the day's loss is at the limit.
    DailyLoss = 422,
    /// RC-23: the drawdown is at the limit.
    Drawdown = 423,
    /// RC-27: an order of unknown outcome freezes the instrument.
    OrderOutcomeUnknown = 424,
    /// Too many orders working or in flight.
    MaxOpenOrders = 425,
    /// RC-24: too many losses in a row.
    ConsecutiveLosses = 426,
    /// A multiplication left the fixed-point range.
    Overflow = 427,
    /// RC-07: would use more capital than allowed.
    MaxCapital = 428,
    /// RC-04: too many denials by a collar within a minute.
    CollarRepeated = 429,
    /// RC-08: a decision that led to an order led to another one.
    DecisionTwice = 431,
    /// RC-09: too many denials by the message rate.
    RateRepeated = 432,
    /// RC-10: the same entry too often within a minute.
    IdenticalEntries = 433,
    /// RC-15: the market has not told enough since it was silent.
    MarketRecovering = 434,
    /// RC-16: the model says the same whatever it is shown.
    ModelConstant = 435,
    /// RC-16: the model says one side nearly always.
    ModelOneSided = 436,
    /// RC-17: too many decisions are late.
    DecisionsLate = 437,
    /// RC-19: the liquidation would be too near.
    LiquidationNear = 438,
    /// RC-04: our fills were worse than the market by more than allowed.
    CumulativeCollar = 439,
    /// RC-06: net exposure exceeds the limit.
    MaxNetExposure = 440,
    /// The symbol's own budget is spent.
    MaxSymbolBudget = 441,
    /// The budget that correlated instruments share is spent.
    MaxCorrelated = 442,
    /// Positions in as many instruments as allowed.
    MaxPositions = 443,

    /// RC-26: orders that came in and orders that went out do not balance.
    OrdersUnbalanced = 450,
    /// RC-28: too many refusals of one class in a row.
    RejectsInARow = 451,
    /// RC-28: too many refusals of one class among the newest outcomes.
    RejectRate = 452,
    /// RC-39: the spread is too wide.
    SpreadWide = 453,
    /// RC-39: the market moves far more than it used to.
    RangeWide = 454,
    /// RC-39: the price moved too far within one bar.
    PriceJump = 455,
    /// RC-15: an instrument's market data is stale.
    FeedStale = 456,
    /// RC-40: from tick to order takes too long.
    TickToGateSlow = 457,
    /// RC-40: the venue's word takes too long.
    SendToAckSlow = 458,
    /// RC-40: the market ring fills up.
    RingDeep = 459,
    /// RC-41: the journal's disk has too little room.
    DiskShort = 460,
    /// RC-41: the process holds too much memory.
    MemoryHigh = 461,
    /// RC-41: the process holds too many files.
    FilesHigh = 462,
    /// RC-41: a pinned thread did not turn for too long.
    CoreStalled = 463,
    /// RC-16: answers or features that are no numbers.
    OutputsInvalid = 464,
    /// The risk state is not what two ways of keeping it agree on.
    StateCorrupt = 465,
    /// RC-25: a fill far from its decision's price.
    FillSlippage = 466,
    /// RC-25: a fee out of range.
    FillFee = 467,
    /// What an entry is expected to earn does not pay its costs and the least edge.
    EdgeBelowCosts = 470,
    /// After its costs the bet has no growth to offer: its Kelly share is not above zero.
    KellyNotPositive = 471,
    /// The average true range that the stop needs is not warm.
    RangeUnknown = 472,
    /// There is no equity to risk.
    EquityNotPositive = 473,
    /// What may be traded is less than the least order.
    SizeBelowLeast = 474,

    /// The venue refused the order.
    VenueRejected = 501,
    /// A post-only order would have taken.
    PostOnlyWouldTake = 502,
    /// The order is not known.
    UnknownOrder = 503,
    /// The rest of an immediate order expired.
    ImmediateRest = 504,
    /// The request timed out; the outcome is unknown.
    RequestTimeout = 505,
    /// The order table is full.
    OrderTableFull = 506,
    /// A report for an order that is already terminal.
    ReportAfterTerminal = 507,
    /// More was filled than ordered.
    Overfill = 508,
    /// The same fill again.
    DuplicateFill = 509,
    /// A fill-or-kill that could not fill.
    FillOrKill = 510,
    /// A report that the order's state does not allow.
    ReportOutOfState = 511,
    /// An order at the venue that is not of this chain of sessions.
    ForeignOrder = 512,
    /// The venue's position is not the ledger's.
    PositionMismatch = 513,
    /// Over a request limit: nothing but cancels until it ends.
    RateLimited = 514,
    /// Banned by address: nothing may be asked until it ends.
    Banned = 515,
    /// Key, signature, address or permission was refused.
    CredentialsRefused = 516,
    /// Blocked in front of the venue.
    Blocked = 517,
    /// The request's time was too far from the venue's.
    ClockSkew = 518,
    /// The venue sheds load: entries are refused, exits and cancels are not.
    Overloaded = 519,
    /// Not enough margin or balance.
    MarginShort = 520,
    /// A reduce-only order that has nothing to reduce.
    ReduceOnlyRefused = 521,
    /// A stop whose trigger has been passed already.
    WouldTrigger = 522,
    /// The price is outside of the venue's own band.
    VenuePriceBand = 523,
    /// Price or quantity do not fit the contract's steps any more.
    FiltersChanged = 524,
    /// The contract does not trade.
    NotTrading = 525,
    /// The venue closed our position: liquidation, deleveraging, settlement.
    ClosedByVenue = 526,
    /// The venue warns that margin runs out.
    MarginCall = 527,
    /// The venue could not be asked what is true for too long.
    ReconcileFailed = 528,
    /// The account's stream is silent, lost or expired: what happens there is not seen.
    AccountStreamDown = 529,
    /// The request did not leave.
    NotSent = 530,
    /// The venue took the order with another price or quantity.
    VenueAdjusted = 531,
    /// Orders cannot be entered: no way to the venue.
    OrderEntryDown = 532,
    /// The id is that of an order which lives.
    DuplicateId = 533,
    /// Positive evidence: the order never came about.
    NeverArrived = 534,
    /// The account is not as the configuration needs it.
    AccountMode = 535,
    /// An order's outcome could not be found out in time.
    OutcomeUnresolved = 536,
    /// The position's protective stop triggered.
    StopTriggered = 537,
    /// A pinned thread does not turn: the venue's own timer may cancel our orders.
    ThreadStalled = 538,

    /// The clocks are apart by more than is worth a word.
    ClockOff = 540,
    /// RC-18: the clocks are apart so far that requests may soon be refused.
    ClockFar = 541,
    /// RC-18: the clocks are apart so far that no time can be believed.
    ClockBroken = 542,
    /// RC-18: the venue's time could not be had for too long.
    ClockUnread = 543,
    /// RC-13: the contracts' filters could not be had for too long.
    FiltersOld = 544,
    /// RC-13: the contract's filters are others, and those from here on.
    FiltersReloaded = 545,
    /// The contract stopped trading, or will be delivered soon: it is left.
    ContractEnding = 546,
    /// RC-07: the account could not be read for too long.
    AccountUnread = 547,
    /// RC-19: the mark price is near the liquidation price.
    MarginLow = 548,
    /// RC-19: the mark price is so near the liquidation price that the position is taken back.
    MarginCritical = 549,
    /// RC-19: the venue's liquidation price is not the one that its brackets give.
    MarginDisagrees = 550,
    /// RC-21: funding is about to be paid, or just was.
    FundingWindow = 551,
    /// The venue announced maintenance.
    Maintenance = 552,
    /// Mark price and touch are too far apart.
    MarkDiverged = 553,
    /// RC-30: the venue's own list of what we earned and paid is not ours.
    DropCopyDiffers = 554,
    /// RC-30: the venue's own list of what we earned and paid is ours.
    DropCopyAgrees = 555,
    /// RC-30: the venue's own list of what we earned and paid could not be had.
    DropCopyUnread = 556,
    /// The venue counts less equity than the ledger: something else of the account loses.
    EquityShort = 557,
    /// The rules of the contract's funding are others.
    FundingChanged = 558,
    /// RC-20: how the account is set up could not be had for too long.
    ModesUnread = 559,
    /// The lease of the leader is over or not known to last: another may trade.
    Fenced = 560,
    /// An operator dropped the symbol: it is left, or asleep.
    SymbolDropped = 561,

    /// An operator asked for it.
    Operator = 901,
    /// The session is ending.
    Shutdown = 902,
    /// The journal cannot be written.
    JournalFault = 903,
    /// Start-up: nothing is known yet.
    StartUp = 904,
    /// Reconciled with the venue.
    Reconciled = 905,
    /// A ring that must not drop was full.
    RingOverflow = 906,
    /// An invariant did not hold.
    InvariantBroken = 907,
    /// Left so by an earlier session.
    Latched = 908,
    /// Part of an earlier session's journal was lost.
    JournalLossy = 909,
    /// Arms itself: paper trading.
    Unattended = 910,
    /// A kill is under way and the venue is not empty in time: page somebody.
    KillNotEmpty = 911,
    /// A kill is under way and the venue is still not empty: page by the second channel.
    KillStuck = 912,
    /// A kill found the venue empty, twice.
    KillEmpty = 913,
    /// Left by a kill file in the state folder.
    KillFile = 914,
    /// A pinned thread did not turn for too long.
    DeadMan = 915,
}
