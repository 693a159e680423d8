use super::*;

const GOOD: &str = r#"
mode = "paper"
[session]
state_dir = "state"
seed = 7
[instruments]
symbols = ["BTCUSDT"]
[features]
bar_interval_ms = 1000
market_age_ms_max = 1000
slow_age_ms_max = 60000
[model]
dir = "models_saved"
[policy]
decision_interval_ms = 100
enter_edge = 0.3
exit_edge = 0.0
position_notional = "500"
[exits]
hold_ms_max = 5000
[risk]
starting_equity = "2000"
"#;

fn parse_text(text: &str) -> Result<Settings, Vec<SettingsError>> {
    parse(parse_document(text).unwrap())
}

fn keys_at_fault(text: &str) -> Vec<String> {
    let mut keys: Vec<String> = parse_text(text).unwrap_err().into_iter().map(|e| e.key).collect();
    keys.sort();
    keys
}

#[test]
fn a_complete_file_is_accepted_and_unset_limits_stay_unset() {
    let settings = parse_text(GOOD).unwrap();
    assert_eq!(settings.instruments.symbols.len(), 1);
    assert_eq!(settings.policy.position_notional, Money::whole(500));
    assert_eq!(settings.risk.order_notional_max, None);
}

#[test]
fn symbols_that_sleep_stand_behind_the_others_and_each_symbol_stands_once() {
    let with = |asleep: &str| {
        GOOD.replace(
            "symbols = [\"BTCUSDT\"]",
            &format!("symbols = [\"BTCUSDT\"]\nasleep = {asleep}"),
        )
    };
    let settings = parse_text(&with("[\"solusdt\", \"ETHUSDT\"]")).unwrap();
    let all: Vec<String> = settings.instruments.all().map(|symbol| symbol.to_string()).collect();
    assert_eq!(all, ["BTCUSDT", "SOLUSDT", "ETHUSDT"]);
    assert!(parse_text(GOOD).unwrap().instruments.asleep.is_empty());
    for wrong in ["[\"BTCUSDT\"]", "[\"ETHUSDT\", \"ETHUSDT\"]", "[1]", "\"ETHUSDT\""] {
        assert_eq!(keys_at_fault(&with(wrong)), ["instruments.asleep"], "{wrong}");
    }
}

#[test]
fn a_model_of_its_own_is_a_version_for_a_symbol_of_the_session() {
    let with = |own: &str| {
        let listed = "symbols = [\"BTCUSDT\"]";
        GOOD.replace(listed, &format!("{listed}\nasleep = [\"ETHUSDT\"]"))
            .replace("[model]", &format!("[model]\nown = {own}"))
    };
    let own = |text: &str| parse_text(text).unwrap().model.own;
    let named = own(&with("{ btcusdt = \"btc-1\", ETHUSDT = \"eth-3\" }"));
    let named: Vec<_> =
        named.iter().map(|(symbol, version)| format!("{symbol} {version}")).collect();
    assert_eq!(named, ["BTCUSDT btc-1", "ETHUSDT eth-3"]);
    assert!(own(GOOD).is_empty() && own(&with("{}")).is_empty());
    let many: Vec<String> = (0..=60).map(|n| format!("S{n}USDT = \"v\"")).collect();
    let many = format!("{{ {} }}", many.join(", "));
    for wrong in [
        "{ SOLUSDT = \"sol-1\" }",
        "{ ETHUSDT = \"champion\" }",
        "{ ETHUSDT = \"\" }",
        "{ ETHUSDT = 3 }",
        "{ \"a b\" = \"eth-3\" }",
        "{ ETHUSDT = \"eth-3\", ethusdt = \"eth-4\" }",
        "[\"ETHUSDT\"]",
        "\"ETHUSDT\"",
        &many,
    ] {
        let keys = keys_at_fault(&with(wrong));
        assert!(!keys.is_empty() && keys.iter().all(|key| key == "model.own"), "{wrong}: {keys:?}");
    }
}

#[test]
fn every_error_of_a_file_is_reported_at_once_with_its_path() {
    let text = GOOD
        .replace("seed = 7", "seed = \"seven\"\nsede = 7")
        .replace("enter_edge = 0.3", "enter_edge = 3.0")
        .replace("symbols = [\"BTCUSDT\"]", "symbols = []")
        .replace("position_notional = \"500\"", "position_notional = 500.5")
        .replace("dir = \"models_saved\"", "");
    assert_eq!(
        keys_at_fault(&text),
        [
            "instruments.symbols",
            "model.dir",
            "policy.enter_edge",
            "policy.position_notional",
            "session.sede",
            "session.seed"
        ]
    );
}

#[test]
fn an_unknown_section_is_refused() {
    assert_eq!(keys_at_fault(&format!("{GOOD}\n[rsik]\nx = 1\n")), ["rsik"]);
}

#[test]
fn percent_written_for_a_fraction_is_refused() {
    let text = GOOD.replace("symbols =", "taker_fee = \"5\"\nsymbols =");
    assert_eq!(keys_at_fault(&text), ["instruments.taker_fee"]);
}

#[test]
fn an_environment_override_changes_exactly_its_key() {
    let mut document = parse_document(GOOD).unwrap();
    let variables = [
        ("PEREGRINE__POLICY__ENTER_EDGE".to_owned(), "0.5".to_owned()),
        ("PEREGRINE__SESSION__STATE_DIR".to_owned(), "elsewhere".to_owned()),
        ("HOME".to_owned(), "ignored".to_owned()),
    ];
    merge_overrides(&mut document, variables.into_iter()).unwrap();
    let changed = parse(document).unwrap();
    let mut expected = parse_text(GOOD).unwrap();
    expected.policy.enter_edge = 0.5;
    expected.session.state_dir = "elsewhere".to_owned();
    assert_eq!(changed, expected);
}

#[test]
fn an_override_through_a_plain_key_is_refused_by_name() {
    let mut document = parse_document(GOOD).unwrap();
    let variables = [("PEREGRINE__MODE__X".to_owned(), "1".to_owned())];
    let errors = merge_overrides(&mut document, variables.into_iter()).unwrap_err();
    assert_eq!(errors[0].key, "PEREGRINE__MODE__X");
}

#[test]
fn the_effective_text_parses_to_the_same_settings() {
    let document = parse_document(GOOD).unwrap();
    let text = effective_text(&document);
    assert_eq!(parse_text(&text).unwrap(), parse_text(GOOD).unwrap());
}

#[test]
fn paper_trading_without_starting_equity_is_refused() {
    let text = GOOD.replace("starting_equity = \"2000\"", "");
    assert_eq!(keys_at_fault(&text), ["risk.starting_equity"]);
}

#[test]
fn fault_x12_paper_mode_sends_orders_to_no_venue_beyond_this_machine_and_names_the_key() {
    let venue =
        |lines: &str| GOOD.replace("[instruments]", &format!("[venue]\n{lines}\n[instruments]"));
    let near = "orders = \"venue\"\nrest_url = \"http://127.0.0.1:80\"";
    let settings = parse_text(&venue(near)).unwrap();
    assert_eq!(settings.venue.orders, OrderRoute::Venue);
    for key in ["rest_url", "wallet_url", "public_url", "market_url", "private_url", "api_url"] {
        let far = format!("orders = \"venue\"\n{key} = \"https://fapi.binance.com\"");
        assert_eq!(keys_at_fault(&venue(&far)), [format!("venue.{key}")]);
        // Market data of a real venue is fine as long as the paper venue fills.
        let paper = far.replace("\"venue\"", "\"paper\"");
        assert_eq!(parse_text(&venue(&paper)).unwrap().venue.orders, OrderRoute::Paper);
    }
    assert_eq!(keys_at_fault(&venue("orders = \"both\"")), ["venue.orders"]);
}

#[test]
fn live_trading_knows_the_wallet_s_host_and_no_other_mode_asks_one_that_nobody_named() {
    let of = |mode: &str, line: &str| {
        let text = GOOD.replace("mode = \"paper\"", &format!("mode = \"{mode}\""));
        let venue = format!("[venue]\norders = \"venue\"\n{line}\n[instruments]");
        text.replace("[instruments]", &venue)
    };
    let testnet = |line: &str| parse_text(&of("testnet", line)).unwrap().venue.wallet_url;
    assert_eq!(testnet(""), "");
    assert_eq!(testnet("wallet_url = \"https://h\""), "https://h");
    assert_eq!(parse_text(&of("paper", "")).unwrap().venue.wallet_url, "");
    let faults = |line: &str| keys_at_fault(&of("live", line)).contains(&"venue.wallet_url".into());
    assert!(faults("wallet_url = \"\""), "no key trades live whose rights are not read");
    assert!(faults("wallet_url = \"http://api.binance.com\""), "in the open");
    for lawful in ["", "wallet_url = \"https://h\"", "wallet_url = \"http://127.0.0.1:1\""] {
        assert!(!faults(lawful), "{lawful}");
    }
    assert_eq!(super::route::usual_wallet(Mode::Live), "https://api.binance.com");
}

#[test]
fn live_trading_has_no_default_for_a_size_and_not_without_a_stop_at_the_venue() {
    let live = GOOD.replace("mode = \"paper\"", "mode = \"live\"");
    let of = |text: &str, tables: [&str; 2]| {
        let faults = keys_at_fault(text).into_iter();
        let kept = faults.filter(|key| tables.iter().any(|table| key.starts_with(table)));
        kept.collect::<Vec<String>>()
    };
    assert_eq!(
        of(&live, ["sizing.", "exits."]),
        [
            "exits.protective_stop_bps",
            "exits.protective_stop_bps",
            "exits.stop_atr",
            "exits.take_profit_r",
            "sizing.kelly_fraction",
            "sizing.min_edge_bps",
            "sizing.notional_min",
            "sizing.risk_bps",
            "sizing.share_bps",
            "sizing.slippage_bps",
        ]
    );
    let sizing = "[sizing]\nrisk_bps = 200\nshare_bps = 2000\nkelly_fraction = 0.25\n\
        notional_min = \"10\"\nmin_edge_bps = 10\nslippage_bps = 5\n";
    let exits = "hold_ms_max = 5000\nstop_atr = 1.5\ntake_profit_r = 2\n\
        protective_stop_bps = 50";
    let whole = live.replace("hold_ms_max = 5000", exits) + sizing;
    assert_eq!(of(&whole, ["sizing.", "exits."]), [""; 0]);
    for (lawful, not, key) in [
        ("kelly_fraction = 0.25", "kelly_fraction = 0", "sizing.kelly_fraction"),
        ("kelly_fraction = 0.25", "kelly_fraction = 0.51", "sizing.kelly_fraction"),
        ("min_edge_bps = 10", "min_edge_bps = -1", "sizing.min_edge_bps"),
        ("protective_stop_bps = 50", "protective_stop_bps = 0", "exits.protective_stop_bps"),
        ("risk_bps = 200", "risk_bps = 501", "sizing.risk_bps"),
    ] {
        let faults = of(&whole.replace(lawful, not), ["sizing.", "exits."]);
        assert_eq!(faults.first().map(String::as_str), Some(key), "{not}");
    }
}

#[test]
fn exits_that_contradict_each_other_are_refused() {
    let with = |lines: &str| GOOD.replace("[exits]", &format!("[exits]\n{lines}"));
    let narrow = with("stop_bps_min = 200\nstop_bps_max = 100");
    assert_eq!(keys_at_fault(&narrow), ["exits.stop_bps_min"]);
    assert_eq!(keys_at_fault(&with("volatility_high = 0.9")), ["exits.volatility_high"]);
    assert!(parse_text(&with("volatility_high = 0")).is_ok());
}

/// Of the inverse dialect, recorded and not traded.
#[cfg(feature = "coin-m")]
fn inverse(venue: &str) -> String {
    let lines = format!("[venue]\ndialect = \"coin-m\"\n{venue}\n[instruments]");
    GOOD.replace("[instruments]", &lines).replace("BTCUSDT", "BTCUSD_PERP")
}

#[cfg(feature = "coin-m")]
#[test]
fn contracts_that_the_ledger_cannot_reckon_with_are_recorded_and_never_traded() {
    let settings = parse_text(&inverse("orders = \"none\"")).unwrap();
    assert_eq!(settings.venue.dialect, Dialect::CoinM);
    assert_eq!(settings.venue.orders, OrderRoute::Nowhere);
    // Not at the venue, not on paper, and not by saying nothing.
    for orders in ["orders = \"venue\"", "orders = \"paper\"", ""] {
        let errors = parse_text(&inverse(orders)).unwrap_err();
        let told: Vec<String> = errors.iter().map(ToString::to_string).collect();
        assert_eq!(errors[0].key, "venue.orders", "{told:?}");
        assert!(told[0].contains("must be \"none\" with dialect = \"coin-m\""), "{told:?}");
    }
    let candles = inverse("orders = \"none\"\nmarket_streams = [\"aggTrade\", \"kline_1m\"]");
    assert_eq!(keys_at_fault(&candles), ["venue.market_streams"]);
}

#[cfg(feature = "coin-m")]
#[test]
fn a_contract_of_one_dialect_is_none_of_another() {
    assert_eq!(parse_text(GOOD).unwrap().venue.dialect, Dialect::UsdM, "unless told otherwise");
    for (dialect, lawful, not) in [
        (Dialect::UsdM, ["BTCUSDT", "BTCUSDT_261225"], ["BTCUSD_PERP", "ETHUSD_261225"]),
        (Dialect::CoinM, ["BTCUSD_PERP", "ETHUSD_261225"], ["BTCUSDT", "BTCUSDT_261225"]),
    ] {
        let names = |name: &str| dialect.names(&Symbol::new(name.as_bytes()).unwrap());
        assert!(lawful.into_iter().all(names) && !not.into_iter().any(names), "{dialect:?}");
    }
    let inverse_named_linear = GOOD.replace("BTCUSDT", "BTCUSD_PERP");
    assert_eq!(keys_at_fault(&inverse_named_linear), ["instruments.symbols"]);
    let linear = inverse("orders = \"none\"").replace("BTCUSD_PERP", "BTCUSDT");
    assert_eq!(keys_at_fault(&linear), ["instruments.symbols"]);
    let facts = "\n[[instruments.facts]]\nsymbol = \"BTCUSD_PERP\"\ntick_size = \"0.1\"\n\
        lot_size = \"1\"\n";
    assert_eq!(keys_at_fault(&format!("{GOOD}{facts}")), ["instruments.facts"]);
}

#[test]
fn trading_nowhere_is_for_paper_mode_alone() {
    let nowhere = |mode: &str| {
        let text = GOOD.replace("[instruments]", "[venue]\norders = \"none\"\n[instruments]");
        text.replace("mode = \"paper\"", mode)
    };
    assert!(parse_text(&nowhere("mode = \"paper\"")).is_ok());
    assert!(keys_at_fault(&nowhere("mode = \"testnet\"")).contains(&"venue.orders".to_owned()));
}

#[test]
fn more_than_one_thread_of_inference_wants_the_split_layout_and_a_symbol_for_each() {
    let with = |lines: &str| format!("{GOOD}\n[topology]\n{lines}\n");
    let told = |lines: &str| {
        let errors = parse_text(&with(lines)).unwrap_err();
        errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    };
    for layout in ["", "layout = \"auto\"\n", "layout = \"paired\"\n", "layout = \"fused\"\n"] {
        let refused = told(&format!("{layout}inference_shards = 2"));
        assert!(refused.contains("topology.inference_shards"), "{refused}");
        assert!(refused.contains("topology.layout = \"split\""), "{refused}");
        assert!(parse_text(&with(&format!("{layout}inference_shards = 1"))).is_ok());
    }
    let split = |shards: u32| format!("layout = \"split\"\ninference_shards = {shards}");
    for not in [0, 9] {
        assert_eq!(keys_at_fault(&with(&split(not))), ["topology.inference_shards"], "{not}");
    }
    let text =
        with(&split(2)).replace("symbols = [\"BTCUSDT\"]", "symbols = [\"BTCUSDT\", \"ETHUSDT\"]");
    assert_eq!(parse_text(&text).unwrap().topology.inference_shards, 2);
    let refused = told(&split(8));
    assert!(refused.contains("topology.inference_shards: 8 shards for"), "{refused}");
}
