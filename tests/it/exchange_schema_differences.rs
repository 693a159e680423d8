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
        &["$.avgPrice: missing", "$.cumQuote: missing"],
        "left the answers to order requests on 2026-07-15",
    ),
    (
        &[
            "trade--rest-api--Cancel-Multiple-Orders",
            "trade--rest-api--Modify-Multiple-Orders",
            "trade--rest-api--Place-Multiple-Orders",
        ],
        &["$[].avgPrice: missing", "$[].cumQuote: missing"],
        "left the answers to order requests on 2026-07-15",
    ),
    (
        &[
            "trade--rest-api",
            "trade--websocket-api",
            "nautilus/py-adapter/http_futures_account_orders",
        ],
        &[
            "$.activatePrice: missing",
            "$.priceRate: missing",
            "$[].activatePrice: missing",
            "$[].priceRate: missing",
            "$.result.activatePrice: missing",
            "$.result.priceRate: missing",
        ],
        "only trailing stops have them, and those went to the algo service on 2025-12-09; an order \
         that came out of one has them",
    ),
    (
        &["trade--rest-api--Query-Order", "trade--websocket-api--Query-Order"],
        &[
            "$.priceMatch: extra",
            "$.selfTradePreventionMode: extra",
            "$.goodTillDate: extra",
            "$.result.priceMatch: extra",
            "$.result.selfTradePreventionMode: extra",
            "$.result.goodTillDate: extra",
            "$.rateLimits: extra",
        ],
        "the example is older than those of openOrder, openOrders and allOrders, which have them; \
         the general page says that every answer tells the limits",
    ),
    (
        &["account--rest-api--Account-Information-V2"],
        &["$.canTrade: extra"],
        "one of the page's two examples forgot it",
    ),
    (
        &["account--rest-api--Futures-Trading-Quantitative-Rules-Indicators"],
        &[
            "$.indicators.BTCUSDT: missing",
            "$.indicators.ETHUSDT: missing",
            "$.indicators.ACCOUNT: missing",
        ],
        "a rule that nobody violates is not listed",
    ),
    (
        &["account--rest-api--Notional-and-Leverage-Brackets"],
        &["$[].notionalCoef: missing", "$.notionalCoef: missing"],
        "told only to accounts whose brackets were adjusted",
    ),
    (
        &["account--websocket-api--Account-Information"],
        &[
            "$.result.positions[].breakEvenPrice: missing",
            "$.result.assets[].marginAvailable: missing",
        ],
        "in one of the page's two examples only, and not in REST's example of the same answer",
    ),
    (
        &["nautilus/rust-adapter/http_json/account_info_v2"],
        &["$.feeBurn: extra"],
        "documented since; the fixture is older",
    ),
    (
        &["nautilus/rust-adapter/http_json/open_algo_orders"],
        &[
            "$[].type: missing",
            "$[].orderType: extra",
            "$[].actualOrderId: extra",
            "$[].actualPrice: extra",
            "$[].closePosition: extra",
            "$[].goodTillDate: extra",
            "$[].icebergQuantity: extra",
            "$[].price: extra",
            "$[].priceMatch: extra",
            "$[].priceProtect: extra",
            "$[].selfTradePreventionMode: extra",
            "$[].slPrice: extra",
            "$[].slTriggerPrice: extra",
            "$[].tpOrderType: extra",
            "$[].tpPrice: extra",
            "$[].tpTriggerPrice: extra",
            "$[].triggerTime: extra",
        ],
        "a shortened fixture; the documentation calls the type orderType",
    ),
    (
        &["nautilus/py-adapter/http_futures_account_orders"],
        &["$[].goodTillDate: extra", "$[].priceMatch: extra", "$[].selfTradePreventionMode: extra"],
        "fields that came in 2023",
    ),
    (
        &["nautilus/py-adapter/http_futures_account_positions"],
        &["$[].breakEvenPrice: extra", "$[].isolatedWallet: extra", "$[].notional: extra"],
        "fields that came in 2021 and 2023",
    ),
    (
        &["nautilus/py-adapter/http_futures_account_trades"],
        &["$[].marginAsset: missing"],
        "the documentation of USD-M does not have it",
    ),
    (
        &["nautilus/py-adapter/http_futures_wallet_commission_rate"],
        &["$.rpiCommissionRate: extra"],
        "came with retail price improvement on 2025-11-18",
    ),
    (
        &[
            "nautilus/rust-adapter/user_data_json/order_update",
            "nautilus/py-adapter/ws_futures_order",
        ],
        &["$.o.AP: missing", "$.o.cr: missing"],
        "the documentation: pushed with trailing stops only",
    ),
    (
        &[
            "nautilus/rust-adapter/user_data_json/order_update",
            "nautilus/py-adapter/ws_futures_order",
        ],
        &["$.o.pm: extra", "$.o.gtd: extra", "$.o.er: extra"],
        "price match and GTD came in 2023, the reason of expiry on 2025-10-23",
    ),
    (
        &["nautilus/rust-adapter/user_data_json/order_update_calculated_pending"],
        &["$.o.N: extra", "$.o.n: extra"],
        "the documentation's example of a new order has both",
    ),
    (
        &["nautilus/rust-adapter/user_data_json/algo_update"],
        &["$.o.rm: missing"],
        "told only where the venue refused or ended the order; these copy the documentation",
    ),
    (
        &["nautilus/py-adapter/ws_futures_order"],
        &[
            "$.o.W: missing",
            "$.o.V: words where the venue has null",
            "$.o.N: words where the venue has null",
            "$.o.n: number in quotes where the venue has null",
            "$.o.sp: number in quotes where the venue has null",
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
