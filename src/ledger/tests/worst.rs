//! What a position may come to at worst, in 64 bits and in 128.

use crate::base::Qty;
use crate::ledger::Position;

#[test]
fn the_worst_of_64_bits_is_the_worst_there_is_wherever_it_fits() {
    let edges = [i64::MIN, i64::MIN + 1, -7, 0, 7, i64::MAX - 7, i64::MAX];
    let sums = [0, 7, i64::MAX - 14, i64::MAX - 7, i64::MAX];
    for held in edges {
        for (buys, sells) in sums.iter().flat_map(|buy| sums.map(|sell| (*buy, sell))) {
            let position = Position {
                qty: Qty(held),
                buy_leaves: Qty(buys),
                sell_leaves: Qty(sells),
                ..Position::default()
            };
            for (buy, sell) in [(0, 0), (7, 0), (0, 7), (i64::MAX, 0), (0, i64::MAX)] {
                let (buy, sell) = (Qty(buy), Qty(sell));
                let worst = position.worst_qty(buy, sell);
                let told = position.worst_of_64_bits(buy, sell);
                assert_eq!(told, i64::try_from(worst).ok(), "{held} {buys} {sells}");
            }
        }
    }
}
