//! What is kept of a session that does not end is bounded, and every sum stays exact.

use super::super::client::{Account, ENDED_ALGOS_MAX, ENDED_ORDERS_MAX, TRADES_MAX};
use super::super::ledger::{POSTINGS_MAX, Totals};
use super::super::order::{Algo, AlgoStatus, NewAlgo, Status, WorkingType};
use super::*;
use crate::base::Rate;

fn account() -> Account {
    Account::new("key".to_owned(), &SymbolSpec::default_pair(), 20, START)
}

#[test]
fn the_oldest_ended_orders_go_and_what_they_came_to_stays() {
    let mut held = account();
    let mut fed = [(0_u64, 0_i64, Money::ZERO); 2];
    let last = 3 * ENDED_ORDERS_MAX as u64;
    for id in 1..=last {
        let contract = (id % 2) as usize;
        let name = format!("order-{id}");
        let new = NewOrder { contract, ..buy("60000", "0.010") };
        let mut order = new.order(id, name.clone(), START);
        (order.filled, order.fee) = (Qty(id as i64 % 7), Money(id as i64 % 5));
        order.status = Status::Canceled;
        let (orders, filled, fee) = fed[contract];
        fed[contract] = (orders + 1, filled + order.filled.0, fee + order.fee);
        held.slots[contract].names.insert(name, id);
        held.orders.insert(id, order);
        held.keep_ended(id);
    }
    assert_eq!((held.orders.len(), held.ended.len()), (ENDED_ORDERS_MAX, ENDED_ORDERS_MAX));
    assert_eq!(held.slots.iter().map(|slot| slot.names.len()).sum::<usize>(), ENDED_ORDERS_MAX);
    let kept = last - ENDED_ORDERS_MAX as u64 + 1;
    assert_eq!(held.orders.first_key_value().map(|(id, _)| *id), Some(kept));
    let name = OrderName { id: None, client_id: Some(format!("order-{}", kept - 1)) };
    assert_eq!(held.find((kept - 1) as usize % 2, &name), None);
    for (contract, fed) in fed.into_iter().enumerate() {
        let orders = held.orders.values().filter(|order| order.contract == contract);
        let lost = held.slots[contract].forgotten;
        let sum = orders.fold((lost.orders, lost.filled, lost.fee), |(count, filled, fee), own| {
            (count + 1, filled + own.filled.0, fee + own.fee)
        });
        assert_eq!(sum, fed);
    }
}

#[test]
fn ended_conditional_orders_and_fills_are_bounded_and_the_newest_stay() {
    let mut held = account();
    let asked = NewAlgo {
        order: NewOrder { kind: OrderKind::StopMarket, px: None, ..sell("1", "0.010") },
        trigger_px: px("50000"),
        working: WorkingType::Contract,
        close_position: false,
        price_protect: false,
        activate_px: Px::ZERO,
        callback: Rate::ZERO,
    };
    let last = 3 * ENDED_ALGOS_MAX as u64;
    for id in 1..=last {
        let client_id = format!("stop-{id}");
        held.algo_names.insert(client_id.clone(), id);
        let algo = Algo {
            id,
            client_id,
            asked: asked.clone(),
            status: AlgoStatus::Canceled,
            order: None,
            activated: false,
            best_px: Px::ZERO,
            reason: "",
            created: START,
            updated: START,
            triggered_at: Nanos::ZERO,
        };
        held.algos.insert(id, algo);
        held.keep_ended_algo(id);
    }
    let counts = [held.algos.len(), held.algo_names.len(), held.ended_algos.len()];
    assert_eq!(counts, [ENDED_ALGOS_MAX; 3]);
    assert!(held.algos.contains_key(&last));

    for trade_id in 1..=3 * TRADES_MAX as i64 {
        held.keep_trade(UserTrade {
            contract: BTC,
            trade_id,
            order: 1,
            side: Side::Buy,
            position_side: PositionSide::Both,
            px: px("60000"),
            qty: qty("0.001"),
            quote: usdt("60"),
            fee: Money::ZERO,
            realized: Money::ZERO,
            maker: true,
            ts: START,
        });
        assert!(held.trades.len() <= TRADES_MAX && held.trades.capacity() < 2 * TRADES_MAX);
    }
    assert!(held.trades.len() >= TRADES_MAX / 2);
    assert_eq!(held.trades.last().map(|trade| trade.trade_id), Some(3 * TRADES_MAX as i64));
}

#[test]
fn a_ledger_that_forgot_its_oldest_postings_still_adds_up_to_the_last_unit() {
    let mut ledger = Ledger::new(2);
    let mut sums = [Totals::default(); 2];
    let last = 3 * POSTINGS_MAX as u64;
    for n in 0..last {
        let wallet = (n % 2) as usize;
        let amount = Money(n as i64 % 1_000 + 1);
        let (from, cause, sum) = match n % 3 {
            0 => (Place::Outside, Cause::Deposit, &mut sums[wallet].deposit),
            1 => (Place::Positions, Cause::RealizedPnl, &mut sums[wallet].realized),
            _ => (Place::Funding, Cause::FundingFee, &mut sums[wallet].funding),
        };
        *sum += amount;
        let to = Place::Wallet(wallet);
        let (contract, trade_id) = (None, 0);
        ledger.post(Posting { id: 0, ts: START, from, to, amount, cause, contract, trade_id });
        assert!(ledger.postings().len() <= POSTINGS_MAX);
    }
    assert_eq!(ledger.postings().last().map(|posting| posting.id), Some(last));
    assert!(ledger.is_balanced());
    for (wallet, sum) in sums.iter().enumerate() {
        assert_eq!(ledger.totals(wallet), sum);
        assert_eq!(ledger.balance(Place::Wallet(wallet)), sum.wallet());
    }
}

#[test]
fn the_report_tells_what_forgotten_orders_came_to() {
    let mut floor = Floor::new();
    floor.go_long("60000", "0.010");
    let told =
        |floor: &Floor| floor.accounts.report(&floor.market, floor.now)["accounts"][ANN].take();
    let before = told(&floor);
    let order = &before["orders"][0];
    assert_eq!(
        (order["filled"].as_i64(), before["forgotten"].as_array()),
        (Some(1_000_000), Some(&vec![]))
    );
    // As many others end after it as are kept.
    let held = &mut floor.accounts.list[ANN];
    (0..ENDED_ORDERS_MAX).for_each(|_| held.keep_ended(0));
    let after = told(&floor);
    assert_eq!(after["orders"].as_array().map(Vec::len), Some(0));
    let lost = &after["forgotten"][0];
    assert_eq!((&lost["symbol"], lost["orders"].as_u64()), (&order["symbol"], Some(1)));
    assert_eq!((&lost["filled"], &lost["fee"]), (&order["filled"], &order["fee"]));
    for same in ["wallet", "fees", "realized", "positions"] {
        assert_eq!(after[same], before[same], "{same}");
    }
    assert!(floor.accounts.is_consistent(&floor.market));
}
