//! What a reading of the contracts says of one whose sort or bounds have changed.

use super::super::*;
use crate::base::{Px, Qty};
use crate::venue::capture::untold;
use crate::venue::listing::BTC;

/// Limits of ours: 500 basis points from the mark price, 200 orders.
const OWN: OwnBounds =
    OwnBounds { collar_mark_bps: 500, collar_bps: 300, open_orders: 200, stops: 1 };

/// What the watch tells once the venue lists this.
fn told(entry: &str) -> ContractStatus {
    let settings = WatchSettings { filters_every_s: 1, ..WatchSettings::asking_nothing() };
    let facts = untold(Symbol::new(b"BTCUSDT").unwrap(), Px(1), Qty(1));
    let mut watch = VenueWatch::over(settings, &[facts], OWN, 0);
    let now = Nanos::from_secs(1);
    assert_eq!(watch.question(now, true), Some(Ask::Contracts));
    let body = format!(r#"{{"symbols":[{entry}]}}"#);
    let seen = Ask::Contracts.read(body.as_bytes()).unwrap();
    watch.on_answer(&Ask::Contracts, Some(&seen), now);
    *watch.event().unwrap().body()
}

#[test]
fn a_contract_of_another_sort_or_with_narrower_bounds_than_ours_trades_no_more() {
    let sound = told(BTC);
    assert_eq!(sound.trading, 1);
    assert_eq!(sound.max_qty, Qty::parse("120").unwrap().0, "a market order's");
    for (is, other) in [
        ("\"PERPETUAL\"", "\"CURRENT_QUARTER\""),
        ("\"marginAsset\":\"USDT\"", "\"marginAsset\":\"USDC\""),
        ("\"0.9500\"", "\"0.9501\""),
        ("\"limit\":200", "\"limit\":199"),
        ("\"limit\":200", "\"limit\":null"),
    ] {
        assert!(BTC.contains(is));
        let changed = told(&BTC.replace(is, other));
        assert_eq!(changed.trading, 0, "{other}");
        // The rest is told as before: a position there is left by these steps.
        assert_eq!((changed.tick_size, changed.state), (sound.tick_size, sound.state), "{other}");
    }
}
