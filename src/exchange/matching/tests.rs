use super::*;
use proptest::prelude::*;

const ANN: Owner = Owner(1);
const BOB: Owner = Owner(2);

fn taker(owner: Owner, side: Side, limit: i64, lots: i64) -> Taker {
    Taker { owner, side, limit: Some(limit), lots, self_trade: SelfTrade::ExpireMaker }
}

/// Asks at 101: crowd 4, Ann 3 (#1), crowd 2, Bob 5 (#2); at 102: Ann 7 (#3).
fn book() -> Book {
    let mut book = Book::default();
    book.set_crowd(Side::Sell, 101, 4);
    book.rest(Side::Sell, 101, ANN, 1, 3);
    book.set_crowd(Side::Sell, 101, 6);
    book.rest(Side::Sell, 101, BOB, 2, 5);
    book.rest(Side::Sell, 102, ANN, 3, 7);
    book
}

fn trade(maker: Owner, order: u64, tick: i64, lots: i64) -> Hit {
    Hit::Trade { maker, order, tick, lots }
}

#[test]
fn the_better_price_is_served_first_and_within_a_price_the_earlier_order() {
    let mut hits = Vec::new();
    let left = book().take(&taker(Owner::CROWD, Side::Buy, 102, 16), &mut hits);
    let crowd = Owner::CROWD;
    let expected = [
        trade(crowd, 0, 101, 4),
        trade(ANN, 1, 101, 3),
        trade(crowd, 0, 101, 2),
        trade(BOB, 2, 101, 5),
        trade(ANN, 3, 102, 2),
    ];
    assert_eq!((left, hits), (0, expected.to_vec()));
}

#[test]
fn a_limit_is_never_passed() {
    let (mut book, mut hits) = (book(), Vec::new());
    let left = book.take(&taker(Owner::CROWD, Side::Buy, 101, 100), &mut hits);
    assert_eq!(left, 100 - 14);
    assert_eq!(book.top().ask, (102, 7));
}

#[test]
fn the_crowd_leaves_from_the_back_and_clients_keep_their_place() {
    let mut book = book();
    book.set_crowd(Side::Sell, 101, 3);
    assert_eq!(book.ahead(Side::Sell, 101, 1), Some(3));
    assert_eq!(book.ahead(Side::Sell, 101, 2), Some(6));
    assert_eq!((book.lots(Side::Sell, 101), book.crowd(Side::Sell, 101)), (11, 3));
}

#[test]
fn a_cut_keeps_the_place_and_a_cut_to_nothing_leaves_the_queue() {
    let mut book = book();
    assert_eq!(book.cut(Side::Sell, 101, 1, 1), Some(3));
    assert_eq!(book.ahead(Side::Sell, 101, 2), Some(7));
    assert_eq!(book.cut(Side::Sell, 101, 1, 0), Some(1));
    assert_eq!(book.cut(Side::Sell, 101, 1, 0), None);
    assert_eq!(book.ahead(Side::Sell, 101, 2), Some(6));
}

#[test]
fn each_self_trade_mode_ends_the_orders_it_names() {
    for (mode, left, maker_gone, stopped) in [
        (SelfTrade::ExpireTaker, 6, false, true),
        (SelfTrade::ExpireMaker, 0, true, false),
        (SelfTrade::ExpireBoth, 6, true, true),
        (SelfTrade::Allow, 0, false, false),
    ] {
        let (mut book, mut hits) = (book(), Vec::new());
        let order = Taker { self_trade: mode, ..taker(ANN, Side::Buy, 101, 10) };
        assert_eq!(book.take(&order, &mut hits), left, "{mode:?}");
        let gone = hits.contains(&Hit::MakerExpired { order: 1, tick: 101, lots: 3 });
        assert_eq!(gone, maker_gone, "{mode:?}");
        assert_eq!(hits.last() == Some(&Hit::TakerExpired), stopped, "{mode:?}");
        assert_eq!(hits.contains(&trade(ANN, 1, 101, 3)), mode == SelfTrade::Allow, "{mode:?}");
    }
}

#[test]
fn what_could_be_taken_leaves_out_the_takers_own_orders() {
    let book = book();
    assert_eq!(book.takeable(Side::Buy, Some(102), Owner::CROWD, 100), 21 - 6);
    assert_eq!(book.takeable(Side::Buy, Some(102), ANN, 100), 11);
    assert_eq!(book.takeable(Side::Buy, Some(101), BOB, 100), 9);
    assert_eq!(book.takeable(Side::Buy, Some(100), BOB, 100), 0);
}

/// A second book that knows nothing but a list of orders.
#[derive(Default)]
struct Naive(Vec<(i64, Owner, u64, i64)>);

impl Naive {
    fn set_crowd(&mut self, tick: i64, lots: i64) {
        let is = |slot: &&mut (i64, Owner, u64, i64)| slot.0 == tick && slot.1 == Owner::CROWD;
        let now: i64 = self.0.iter_mut().filter(is).map(|slot| slot.3).sum();
        if lots > now {
            self.0.push((tick, Owner::CROWD, 0, lots - now));
        }
        let mut leaving = now - lots;
        for slot in self.0.iter_mut().rev().filter(is) {
            let gone = slot.3.min(leaving.max(0));
            slot.3 -= gone;
            leaving -= gone;
        }
        self.0.retain(|slot| slot.3 > 0);
    }

    fn take(&mut self, limit: i64, mut lots: i64) -> Vec<(Owner, u64, i64, i64)> {
        let mut fills = Vec::new();
        while lots > 0 {
            // `min_by_key` keeps the first of equals: the earliest order at the best price.
            let Some(best) = self.0.iter_mut().min_by_key(|slot| slot.0) else { break };
            if best.0 > limit {
                break;
            }
            let filled = best.3.min(lots);
            best.3 -= filled;
            lots -= filled;
            fills.push((best.1, best.2, best.0, filled));
            self.0.retain(|slot| slot.3 > 0);
        }
        fills
    }
}

/// Neighbouring fills of the crowd at one price are one amount to it.
fn merged(fills: impl Iterator<Item = (Owner, u64, i64, i64)>) -> Vec<(Owner, u64, i64, i64)> {
    let mut out: Vec<(Owner, u64, i64, i64)> = Vec::new();
    for fill in fills {
        match out.last_mut() {
            Some(last) if (last.0, last.1, last.2) == (fill.0, fill.1, fill.2) => last.3 += fill.3,
            _ => out.push(fill),
        }
    }
    out
}

proptest! {
    #[test]
    fn any_run_of_orders_fills_as_a_plain_list_of_orders_does(
        acts in prop::collection::vec((0..4_u8, 100..106_i64, 1..9_i64), 1..60)
    ) {
        let (mut book, mut naive) = (Book::default(), Naive::default());
        for (i, (act, tick, lots)) in acts.into_iter().enumerate() {
            let order = i as u64 + 1;
            match act {
                0 => {
                    book.set_crowd(Side::Sell, tick, lots);
                    naive.set_crowd(tick, lots);
                }
                1 => {
                    let owner = Owner(1 + (i % 2) as u32);
                    book.rest(Side::Sell, tick, owner, order, lots);
                    naive.0.push((tick, owner, order, lots));
                }
                2 => {
                    let mut hits = Vec::new();
                    book.take(&taker(Owner::CROWD, Side::Buy, tick, lots), &mut hits);
                    let got = hits.iter().filter_map(|hit| match *hit {
                        Hit::Trade { maker, order, tick, lots } => Some((maker, order, tick, lots)),
                        _ => None,
                    });
                    prop_assert_eq!(merged(got), merged(naive.take(tick, lots).into_iter()));
                }
                _ => {
                    if let Some(slot) = naive.0.iter().position(|slot| slot.2 > 0) {
                        let (at, _, id, _) = naive.0.remove(slot);
                        prop_assert!(book.cut(Side::Sell, at, id, 0).is_some());
                    }
                }
            }
            let total: i64 = naive.0.iter().map(|slot| slot.3).sum();
            prop_assert_eq!(book.asks().map(|(_, lots)| lots).sum::<i64>(), total);
        }
    }
}
