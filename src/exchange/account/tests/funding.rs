use super::*;
use crate::exchange::account::ledger::Place;
use crate::exchange::tape::frames::Mark;

fn rate(floor: &mut Floor, rate: i64) {
    let mark = Mark { rate, ..*floor.market.mark(BTC) };
    floor.market.at_mut(BTC).set_mark(mark);
}

#[test]
fn longs_pay_shorts_at_the_mark_price_when_the_rate_is_above_zero() {
    for (units, long, short) in [(10_000, "-6.12345", "6.12345"), (-10_000, "6.12345", "-6.12345")]
    {
        let mut floor = Floor::new();
        floor.go_long("60000", "1");
        floor.mark(BTC, "61234.5");
        rate(&mut floor, units);
        floor.accounts.take_notices();
        let due = floor.accounts.next_due();
        assert_eq!(due, floor.market.spec(BTC).next_funding(START));
        floor.accounts.on_due(&mut floor.market, due);
        let paid = |account| floor.accounts.ledger().totals(account).funding;
        assert_eq!((paid(ANN), paid(BOB), paid(CAT)), (usdt(long), usdt(short), Money::ZERO));
        assert_eq!(floor.accounts.ledger().balance(Place::Funding), Money::ZERO);
        assert!(floor.accounts.is_consistent(&floor.market));
        assert!(floor.accounts.next_due() > due);
        let news = floor.news(ANN);
        let [News::Account { reason, contract, change, positions, .. }] = &news[..] else {
            panic!("{news:?}")
        };
        assert_eq!((*reason, *contract, *change), ("FUNDING_FEE", Some(BTC), usdt(long)));
        assert!(positions.is_empty(), "a cross position is not told of");
    }
}

#[test]
fn an_isolated_position_pays_out_of_its_own_margin_and_is_told_of() {
    let mut floor = Floor::new();
    floor.accounts.set_isolated(ANN, BTC, true).unwrap();
    floor.go_long("60000", "1");
    let cross = floor.balance(ANN).cross_wallet;
    floor.accounts.take_notices();
    let due = floor.accounts.next_due();
    floor.accounts.on_due(&mut floor.market, due);
    // 60 000 × 0.0001 = 6.
    assert_eq!(floor.position(ANN, BTC).news.isolated_wallet, usdt("2994"));
    assert_eq!(floor.balance(ANN).cross_wallet, cross);
    let news = floor.news(ANN);
    let [News::Account { positions, .. }] = &news[..] else { panic!("{news:?}") };
    assert_eq!(positions[0].isolated_wallet, usdt("2994"));
}

#[test]
fn what_rounding_leaves_is_nobodys_gain() {
    let mut floor = Floor::new();
    floor.go_long("60000", "0.001");
    floor.mark(BTC, "60000.01");
    // 0.001 × 60 000.01 × 0.00000333 = 0.0001998000333: rounded toward zero on both sides.
    rate(&mut floor, 333);
    let due = floor.accounts.next_due();
    floor.accounts.on_due(&mut floor.market, due);
    let paid = |account| floor.accounts.ledger().totals(account).funding;
    assert_eq!((paid(ANN), paid(BOB)), (usdt("-0.0001998"), usdt("0.0001998")));
    assert!(floor.accounts.ledger().is_balanced());
}
