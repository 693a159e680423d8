//! What the exchange words otherwise than a sample, and why. The venue's documentation and captures
//! are of several years; where they contradict one another the newest state is followed.

/// One or more files by the beginning of their names, differences, why.
pub const DIFFERENCES: &[(&[&str], &[&str], &str)] = &[
    (
        &[
            "trade--rest-api",
            "trade--rest-api--Cancel-Order",
            "trade--rest-api--Modify-Order",
            "trade--rest-api--New-Order-Test",
        ],
        &[".avgPrice: missing", ".cumQuote: missing"],
        "left the answers to order requests on 2026-07-15",
    ),
    (
        &[
            "trade--rest-api--Cancel-Multiple-Orders",
            "trade--rest-api--Modify-Multiple-Orders",
            "trade--rest-api--Place-Multiple-Orders",
        ],
        &["[].avgPrice: missing", "[].cumQuote: missing"],
        "left the answers to order requests on 2026-07-15",
    ),
    (
        &[
            "trade--rest-api",
            "trade--websocket-api",
            "nautilus/py-adapter/http_futures_account_orders",
        ],
        &[
            ".activatePrice: missing",
            ".priceRate: missing",
            "[].activatePrice: missing",
            "[].priceRate: missing",
            ".result.activatePrice: missing",
            ".result.priceRate: missing",
        ],
        "only trailing stops have them, and those went to the algo service on 2025-12-09; an order \
         that came out of one has them",
    ),
    (
        &["trade--rest-api--Query-Order", "trade--websocket-api--Query-Order"],
        &[
            ".priceMatch: added",
            ".selfTradePreventionMode: added",
            ".goodTillDate: added",
            ".result.priceMatch: added",
            ".result.selfTradePreventionMode: added",
            ".result.goodTillDate: added",
            ".rateLimits: added",
        ],
        "the example is older than those of openOrder, openOrders and allOrders, which have them; \
         the general page says that every answer tells the limits",
    ),
    (
        &["account--rest-api--Account-Information-V2"],
        &[".canTrade: added"],
        "one of the page's two examples forgot it",
    ),
    (
        &["account--rest-api--Futures-Trading-Quantitative-Rules-Indicators"],
        &[
            ".indicators.BTCUSDT: missing",
            ".indicators.ETHUSDT: missing",
            ".indicators.ACCOUNT: missing",
        ],
        "a rule that nobody violates is not listed",
    ),
    (
        &["account--rest-api--Notional-and-Leverage-Brackets"],
        &["[].notionalCoef: missing", ".notionalCoef: missing"],
        "told only to accounts whose brackets were adjusted",
    ),
    (
        &["trade--rest-api--Modify-Isolated-Position-Margin"],
        &[".amount: {Fraction} instead of {Whole}"],
        "an amount of money has a fraction, which this example's happens not to show",
    ),
    (
        &["trade--rest-api--Position-ADL-Quantile-Estimation"],
        &["[].adlQuantile.BOTH: missing"],
        "HEDGE in hedge mode, BOTH in one-way mode; the example has a row of each",
    ),
    (
        &["account--websocket-api--Account-Information"],
        &[
            ".result.positions[].breakEvenPrice: missing",
            ".result.assets[].marginAvailable: missing",
        ],
        "in one of the page's two examples only, and not in REST's example of the same answer",
    ),
    (
        &["nautilus/rust-adapter/http_json/account_info_v2"],
        &[".feeBurn: added"],
        "documented since; the fixture is older",
    ),
    (
        &["nautilus/rust-adapter/http_json/open_algo_orders"],
        &[
            "[].type: missing",
            "[].orderType: added",
            "[].actualOrderId: added",
            "[].actualPrice: added",
            "[].closePosition: added",
            "[].goodTillDate: added",
            "[].icebergQuantity: added",
            "[].price: added",
            "[].priceMatch: added",
            "[].priceProtect: added",
            "[].selfTradePreventionMode: added",
            "[].slPrice: added",
            "[].slTriggerPrice: added",
            "[].tpOrderType: added",
            "[].tpPrice: added",
            "[].tpTriggerPrice: added",
            "[].triggerTime: added",
        ],
        "a shortened fixture; the documentation calls the type orderType",
    ),
    (
        &["nautilus/py-adapter/http_futures_account_orders"],
        &["[].goodTillDate: added", "[].priceMatch: added", "[].selfTradePreventionMode: added"],
        "fields that came in 2023",
    ),
    (
        &["nautilus/py-adapter/http_futures_account_positions"],
        &["[].breakEvenPrice: added", "[].isolatedWallet: added", "[].notional: added"],
        "fields that came in 2021 and 2023",
    ),
    (
        &["nautilus/py-adapter/http_futures_account_trades"],
        &["[].marginAsset: missing"],
        "the documentation of USD-M does not have it",
    ),
    (
        &["nautilus/py-adapter/http_futures_wallet_commission_rate"],
        &[".rpiCommissionRate: added"],
        "came with retail price improvement on 2025-11-18",
    ),
    (
        &[
            "nautilus/rust-adapter/user_data_json/order_update",
            "nautilus/py-adapter/ws_futures_order",
        ],
        &[".o.AP: missing", ".o.cr: missing"],
        "the documentation: pushed with trailing stops only",
    ),
    (
        &[
            "nautilus/rust-adapter/user_data_json/order_update",
            "nautilus/py-adapter/ws_futures_order",
        ],
        &[".o.pm: added", ".o.gtd: added", ".o.er: added"],
        "price match and GTD came in 2023, the reason of expiry on 2025-10-23",
    ),
    (
        &["nautilus/rust-adapter/user_data_json/order_update_calculated_pending"],
        &[".o.N: added", ".o.n: added"],
        "the documentation's example of a new order has both",
    ),
    (
        &["nautilus/rust-adapter/user_data_json/algo_update"],
        &[".o.rm: missing"],
        "told only where the venue refused or ended the order; these copy the documentation",
    ),
    (
        &["nautilus/py-adapter/ws_futures_order"],
        &[
            ".o.W: missing",
            ".o.V: {Word} instead of {Null}",
            ".o.N: {Word} instead of {Null}",
            ".o.n: {WholeText} instead of {Null}",
            ".o.sp: {WholeText} instead of {Null}",
        ],
        "the adapter's own spelling of what was not sent; W is of the spot market",
    ),
];

/// Samples of what this exchange does not offer, and why.
pub const ABSENT: &[(&str, &str)] = &[
    ("account--rest-api--Get-Download-Id-For-Futures-Order-History", FILES),
    ("account--rest-api--Get-Download-Id-For-Futures-Trade-History", FILES),
    ("account--rest-api--Get-Download-Id-For-Futures-Transaction-History", FILES),
    ("account--rest-api--Get-Futures-Order-History-Download-Link-by-Id", FILES),
    ("account--rest-api--Get-Futures-Order-History-Download-Link-by-Id--2", FILES),
    ("account--rest-api--Get-Futures-Trade-Download-Link-by-Id", FILES),
    ("account--rest-api--Get-Futures-Trade-Download-Link-by-Id--2", FILES),
    ("account--rest-api--Get-Futures-Transaction-History-Download-Link-by-Id", FILES),
    ("account--rest-api--Get-Futures-Transaction-History-Download-Link-by-Id--2", FILES),
    ("user-data-streams--Event-STRATEGY-UPDATE", BOTS),
    ("user-data-streams--Event-GRID-UPDATE", BOTS),
    ("user-data-streams--Event-Conditional-Order-Trigger-Reject", "ended on 2025-12-15"),
];

const FILES: &str = "files by post: the same facts come from userTrades, income and allOrders";
const BOTS: &str = "the venue's own grid bots are not part of this exchange";
