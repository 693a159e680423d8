mod requests;

use super::number::{decimals_of, write_fixed};
use super::*;
use crate::base::event::side_flag;
use crate::base::limits::OPEN_ORDERS_MAX;
use crate::base::settings::{Mode, RiskSettings};
use crate::base::units::parse_fixed;
use crate::base::{InstrumentId, Money, OrderType, Purpose, Px, Rate, Side, Symbol, TimeInForce};
use crate::ledger::Ledger;
use crate::policy::{Intent, Wanted};
use crate::risk::{Actor, Gate, GateSession, Trading, TradingState, Verdict};
use proptest::prelude::*;

const ID: ClientOrderId = ClientOrderId::pack(1, 0, 0, 1);
const BTC: InstrumentId = InstrumentId(0);

/// Rows: state before. Columns: accepted, part fill, last fill, cancelled, rejected, expired, lost,
/// unknown, cancel sent, cancel refused, cancel missed. Letters: N pending new, W working,
/// P partially filled, C pending cancel, F filled, X cancelled, R rejected, E expired, U unknown,
/// L lost; `~` after the end, `!` out of state.
const UNFILLED: [(char, &str); 10] = [
    ('N', "W  P  F  X  R  E  N! U  C  N! U"),
    ('W', "W  P  F  X  W! E  W! U  C  W! U"),
    ('P', "P  P  F  X  P! E  P! U  C  P! U"),
    ('C', "C  C  F  X  R  E  C! U  C  W  U"),
    ('F', "F  F~ F  F~ F~ F~ F~ F~ F~ F  F"),
    ('X', "X  X~ F~ X  X~ X~ X~ X~ X~ X  X"),
    ('R', "U! P! F! R~ R  R~ R~ R~ R~ R  R"),
    ('E', "E  E~ F~ E~ E~ E  E~ E~ E~ E  E"),
    ('U', "W  P  F  X  R  E  L  U  U  U  U"),
    ('L', "W! P! F! X! L~ E! L  L~ L~ L  L"),
];

/// The rows that differ once something was filled.
const FILLED: [(char, &str); 3] = [
    ('C', "C  C  F  X  C! E  C! U  C  P  U"),
    ('U', "P  P  F  X  U! E  U! U  U  U  U"),
    ('L', "P! P! F! X! L~ E! L  L~ L~ L  L"),
];

fn letter(state: OrderState) -> char {
    b"NWPCFXREUL"[state as usize - 1] as char
}

#[test]
fn every_state_moves_on_every_signal_as_the_table_says() {
    for filled in [false, true] {
        for (from, row) in OrderState::ALL.into_iter().zip(UNFILLED) {
            assert_eq!(letter(from), row.0);
            let changed = FILLED.iter().find(|(state, _)| filled && *state == row.0);
            let cells = changed.map_or(row.1, |(_, cells)| *cells);
            let mut cells = cells.split_whitespace();
            for signal in Signal::ALL {
                let taken = step(from, signal, filled);
                let mark = match taken.note {
                    Reason::None => "",
                    Reason::ReportAfterTerminal => "~",
                    _ => "!",
                };
                let cell = format!("{}{mark}", letter(taken.to));
                assert_eq!(Some(&*cell), cells.next(), "{from:?} on {signal:?}, filled {filled}");
            }
        }
    }
}

#[test]
fn a_state_s_number_is_its_own_and_no_other_number_is_a_state() {
    for number in 0..=u8::MAX {
        let named = OrderState::ALL.into_iter().find(|state| *state as u8 == number);
        assert_eq!(OrderState::from_u8(number), named, "{number}");
    }
}

fn report_of(kind: Kind, change: impl Fn(&mut OrderReport)) -> Event {
    let mut body = OrderReport { client_id: ID.0, ..OrderReport::default() };
    change(&mut body);
    Event::new(kind, BTC, &body)
}

fn fill_of(trade_id: u64, qty: i64, cum: i64) -> Event {
    report_of(Kind::OrderFilled, |body| {
        (body.trade_id, body.last_qty, body.cum_qty) = (trade_id, qty, cum);
    })
}

fn table() -> OrderTable {
    let mut table = OrderTable::new();
    table.insert(ID, BTC, Qty(100), Nanos(0)).unwrap();
    table
}

fn reason_of(event: Option<Event>) -> Option<Reason> {
    event.and_then(|e| Reason::from_u16(e.body::<event::OrderState>().reason))
}

#[test]
fn fills_acks_and_cancels_end_alike_in_whatever_order_they_come() {
    let accepted = report_of(Kind::OrderAccepted, |body| body.venue_id = 5);
    let cancelled = report_of(Kind::OrderCancelled, |body| body.cum_qty = 70);
    let events = [accepted, fill_of(1, 30, 30), fill_of(2, 40, 70), cancelled, fill_of(1, 30, 30)];
    let mut orders = vec![vec![]];
    for at in 0..events.len() {
        // Every permutation: insert each event at every place of every shorter one.
        orders = orders
            .into_iter()
            .flat_map(|order: Vec<usize>| {
                (0..=order.len()).map(move |place| {
                    let mut longer = order.clone();
                    longer.insert(place, at);
                    longer
                })
            })
            .collect();
    }
    assert_eq!(orders.len(), 120);
    for order in orders {
        let mut table = table();
        for &at in &order {
            table.on_report(&events[at]);
        }
        let end = table.find(ID).unwrap();
        assert_eq!(end.state, OrderState::Cancelled, "{order:?}");
        assert_eq!((end.filled, end.reported, end.venue_id), (Qty(70), Qty(70), 5), "{order:?}");
    }
}

#[test]
fn a_repeated_fill_moves_nothing_and_an_overfill_is_named() {
    let mut table = table();
    assert_eq!(reason_of(table.on_report(&fill_of(1, 60, 60))), Some(Reason::None));
    assert!(table.on_report(&fill_of(1, 60, 60)).is_none());
    assert_eq!(reason_of(table.on_report(&fill_of(2, 60, 120))), Some(Reason::Overfill));
    let end = table.find(ID).unwrap();
    assert_eq!((end.state, end.filled), (OrderState::Filled, Qty(120)));
}

#[test]
fn a_late_fill_after_a_cancel_counts() {
    let mut table = table();
    table.on_report(&report_of(Kind::OrderCancelled, |_| {}));
    let late = table.on_report(&fill_of(1, 30, 30));
    assert_eq!(reason_of(late), Some(Reason::ReportAfterTerminal));
    assert_eq!(table.find(ID).unwrap().filled, Qty(30));
}

#[test]
fn only_an_unknown_order_can_be_lost() {
    let absent = report_of(Kind::OrderExpired, |body| body.reason = Reason::UnknownOrder as u16);
    let mut table = table();
    assert_eq!(reason_of(table.on_report(&absent)), Some(Reason::ReportOutOfState));
    table.on_report(&report_of(Kind::OrderUnknown, |_| {}));
    table.on_report(&absent);
    assert_eq!(table.find(ID).unwrap().state, OrderState::Lost);
}

#[test]
fn a_full_table_gives_up_the_order_that_ended_first_and_never_a_live_one() {
    let mut table = OrderTable::new();
    for id in 1..=OPEN_ORDERS_MAX as u64 {
        table.insert(ClientOrderId(id), BTC, Qty(1), Nanos(0)).unwrap();
    }
    let insert =
        |table: &mut OrderTable, id| table.insert(ClientOrderId(id), BTC, Qty(1), Nanos(0));
    assert_eq!(insert(&mut table, 1_000), Err(Reason::OrderTableFull));
    for id in [9, 4] {
        table.on_report(&report_of(Kind::OrderRejected, |body| body.client_id = id));
    }
    assert_eq!(insert(&mut table, 5), Err(Reason::DuplicateOrder));
    assert_eq!(insert(&mut table, 1_000), Ok(()));
    assert!(table.find(ClientOrderId(9)).is_none() && table.find(ClientOrderId(4)).is_some());
}

#[test]
fn the_signature_is_that_of_the_venue_s_documentation() {
    // Key, text and signature as published for USD-M futures.
    let signer = Signer::new(b"2b5eb11e18796d12d88f13dc27dbbd02c2cc51ff7059765ed9821957d82bb4d9");
    let text = b"symbol=BTCUSDT&side=BUY&type=LIMIT&quantity=1&price=9000&timeInForce=GTC\
                 &recvWindow=5000&timestamp=1591702613943";
    let expected = b"3c661234138461fcc7a7d8746c6558c9842d4e10870d2ecbedf7777cad694af9";
    assert_eq!(&signer.sign(text)[..], expected);
    assert_eq!(format!("{signer:?}"), "Signer(secret)");
}

fn btc() -> InstrumentSettings {
    InstrumentSettings {
        symbol: Symbol::new(b"BTCUSDT").unwrap(),
        tick_size: Px::parse("0.10").unwrap(),
        lot_size: Qty::parse("0.001").unwrap(),
        min_qty: Qty::parse("0.001").unwrap(),
        max_qty: Qty::whole(1_000),
        min_notional: Money::whole(5),
        maker_fee: Rate(20_000),
        taker_fee: Rate(50_000),
    }
}

/// An order through a real gate: nothing else can make an approved one.
fn approve(wanted: &Wanted, ts_ms: i64) -> Approved {
    let settings = RiskSettings {
        starting_equity: Some(Money::whole(1_000_000)),
        allow: vec![btc().symbol],
        ..RiskSettings::default()
    };
    let session = GateSession { epoch: 1, strategy: 0, model: 0, mode: Mode::Paper };
    let mut gate = Gate::new(&settings, &[btc()], session, Trading::new()).unwrap();
    let mut ledger = Ledger::new(1, Money::whole(1_000_000));
    let bid = Px(wanted.px.0 - 10_000_000);
    ledger.on_touch(BTC, bid, wanted.px, Nanos::from_millis(ts_ms));
    let held = OrderReport {
        client_id: 9,
        last_qty: wanted.qty.0,
        last_px: wanted.px.0,
        ..OrderReport::default()
    };
    let held = Event::new(Kind::OrderFilled, BTC, &held);
    ledger.on_event(&held.with_flags(side_flag(wanted.side.opposite())));
    let mut cause = Event::EMPTY;
    cause.ts_recv = Nanos::from_millis(ts_ms).0;
    gate.request(&cause, TradingState::Halted, Reason::Operator, Actor::System).unwrap();
    match gate.admit(&cause, &Intent::Exit(*wanted), &mut ledger) {
        Some(Verdict::Approved(approved)) => approved,
        other => panic!("{other:?}"),
    }
}

fn wanted(qty: &str, px: &str) -> Wanted {
    Wanted {
        instrument: BTC,
        side: Side::Sell,
        qty: Qty::parse(qty).unwrap(),
        px: Px::parse(px).unwrap(),
        order_type: OrderType::Limit,
        time_in_force: TimeInForce::Ioc,
        purpose: Purpose::ExitStop,
        reference_px: Px::ZERO,
        model_tag: 0,
        plan: crate::policy::Plan::default(),
    }
}

/// Templates are reused: each text is compared with one written out by hand, and its signature with
/// one over the whole text, for the templates hash in two parts.
#[test]
fn requests_read_as_written_by_hand_and_carry_the_signature_of_their_whole_text() {
    let signer = Signer::new(b"secret");
    let mut templates = Templates::new(&btc(), 5_000, &signer);
    let cases = [
        ("0.010", "61800.3", 1_591_702_613_943, "0.010", "61800.3"),
        ("12.345", "7", 1_700_000_000_000, "12.345", "7.0"),
        ("1", "123456.7", 999, "1.000", "123456.7"),
    ];
    for (qty, px, ts_ms, qty_text, px_text) in cases {
        let approved = approve(&wanted(qty, px), ts_ms);
        let text = templates.order(approved.event()).unwrap();
        let unsigned = format!(
            "symbol=BTCUSDT&side=SELL&type=LIMIT&timeInForce=IOC&reduceOnly=true\
             &newOrderRespType=ACK&selfTradePreventionMode=EXPIRE_MAKER&recvWindow=5000\
             &newClientOrderId=pg1-0000100000000001&timestamp={ts_ms:013}\
             &quantity={qty_text}&price={px_text}"
        );
        assert_eq!(std::str::from_utf8(text.unsigned).unwrap(), unsigned);
        let signature = signer.sign(unsigned.as_bytes());
        let signature = std::str::from_utf8(&signature).unwrap();
        let signed = format!("{unsigned}&signature={signature}");
        assert_eq!(std::str::from_utf8(text.signed).unwrap(), signed);
        let cancel = templates.cancel(approved.event()).unwrap();
        let unsigned = format!(
            "symbol=BTCUSDT&recvWindow=5000&origClientOrderId=pg1-0000100000000001\
             &timestamp={ts_ms:013}"
        );
        assert_eq!(std::str::from_utf8(cancel.unsigned).unwrap(), unsigned);
        let signature = signer.sign(unsigned.as_bytes());
        assert!(cancel.signed.ends_with(&signature));
    }
}

#[test]
fn every_kind_of_order_finds_its_own_template() {
    let mut templates = Templates::new(&btc(), 5_000, &Signer::new(b"secret"));
    let tifs = [(1, "GTC"), (2, "IOC"), (3, "FOK"), (4, "GTX")];
    for sell in [false, true] {
        for reduce in [false, true] {
            for (order_type, tif, text) in tifs
                .map(|(tif, text)| (1, tif, format!("&type=LIMIT&timeInForce={text}&")))
                .into_iter()
                .chain([(2, 2, "&type=MARKET&reduce".to_owned())])
            {
                let body = Order {
                    client_id: ID.0,
                    px: if order_type == 1 { Px::whole(1).0 } else { 0 },
                    qty: Qty::whole(1).0,
                    order_type,
                    time_in_force: tif,
                    ..Order::default()
                };
                let bits = (u8::from(sell) * flags::SELL) | (u8::from(reduce) * flags::REDUCE_ONLY);
                let event = Event::new(Kind::OrderApproved, BTC, &body).with_flags(bits);
                let query = templates.order(&event).unwrap().unsigned;
                let query = std::str::from_utf8(query).unwrap();
                assert!(query.contains(&text), "{query}");
                assert!(query.contains(if sell { "side=SELL&" } else { "side=BUY&" }));
                assert!(query.contains(&format!("reduceOnly={reduce}&")));
                assert_eq!(query.contains("&price="), order_type == 1);
            }
        }
    }
}

#[test]
fn a_number_that_the_steps_cannot_express_is_refused() {
    let mut templates = Templates::new(&btc(), 5_000, &Signer::new(b"secret"));
    let order = |qty, px| {
        let mut body = Order { qty, px, order_type: 1, time_in_force: 1, ..Order::default() };
        body.client_id = ID.0;
        Event::new(Kind::OrderApproved, BTC, &body)
    };
    let refused = |text: Result<Text<'_>, Reason>| text.map(|_| ()).unwrap_err();
    let (lot, tick) = (btc().lot_size.0, btc().tick_size.0);
    assert_eq!(refused(templates.order(&order(lot + 1, tick))), Reason::LotSize);
    assert_eq!(refused(templates.order(&order(-lot, tick))), Reason::LotSize);
    assert_eq!(refused(templates.order(&order(lot, tick + 1))), Reason::TickSize);
    assert!(templates.order(&order(lot, tick)).is_ok());
}

#[test]
fn a_symbol_that_is_not_ascii_is_escaped_and_the_longest_fits() {
    let mut facts = btc();
    facts.symbol = Symbol::new("币安人生USDT".as_bytes()).unwrap();
    let signer = Signer::new(b"secret");
    let mut templates = Templates::new(&facts, 5_000, &signer);
    let event = approve(&wanted("1", "7"), 0);
    let text = templates.cancel(event.event()).unwrap().unsigned;
    let head = "symbol=%E5%B8%81%E5%AE%89%E4%BA%BA%E7%94%9FUSDT&recvWindow";
    assert!(text.starts_with(head.as_bytes()));
    facts.symbol = Symbol::new("币".repeat(10).as_bytes()).unwrap();
    (facts.tick_size, facts.lot_size) = (Px(1), Qty(1));
    let mut templates = Templates::new(&facts, u32::MAX, &signer);
    let most = Order {
        client_id: u64::MAX,
        px: i64::MAX,
        qty: i64::MAX,
        order_type: 1,
        time_in_force: 1,
        ..Order::default()
    };
    let mut event = Event::new(Kind::OrderApproved, BTC, &most);
    event.ts_recv = i64::MAX;
    assert!(templates.order(&event).unwrap().signed.len() <= REQUEST_BYTES_MAX);
}

#[test]
fn an_approved_order_leaves_once_with_its_records_and_a_cancel_moves_it() {
    let mut execution = Execution::new(&[btc()], 5_000, &Signer::new(b"secret"));
    let approved = approve(&wanted("1", "7"), 42);
    assert_eq!(Execution::intent(&approved).kind(), Some(Kind::OrderIntent));
    let event = *approved.event();
    let outgoing = execution.write(approved).unwrap();
    let fields = outgoing.query().split(|&b| b == b'&').count();
    let sent: &Sent = outgoing.sent.body();
    let text = &outgoing.query()[..sent.request_bytes as usize];
    assert_eq!((sent.client_id, sent.request, fields), (ID.0, 1, 13));
    assert_eq!(sent.request_hash, xxh3_64(text));
    assert!(text.ends_with(b"&price=7.0"));
    let state: event::OrderState = *outgoing.state.unwrap().body();
    assert_eq!((state.from, state.to), (0, OrderState::PendingNew as u8));
    let again = approve(&wanted("1", "7"), 42);
    let refused = execution.write(again).map(|_| ()).unwrap_err();
    assert_eq!(refused.reason, Reason::DuplicateOrder);
    assert_eq!(refused.report.kind(), Some(Kind::OrderRejected));
    let mut cancelled = Ledger::new(1, Money::ZERO);
    let session = GateSession { epoch: 1, strategy: 0, model: 0, mode: Mode::Paper };
    let settings = RiskSettings::default();
    let mut gate = Gate::new(&settings, &[btc()], session, Trading::new()).unwrap();
    let cancel = gate.admit_cancel(&event, BTC, ID, &mut cancelled);
    assert_eq!(Execution::intent(&cancel).kind(), Some(Kind::CancelIntent));
    let outgoing = execution.write(cancel).unwrap();
    assert_eq!(outgoing.kind, RequestKind::Cancel);
    let state: event::OrderState = *outgoing.state.unwrap().body();
    assert_eq!(state.to, OrderState::PendingCancel as u8);
}

#[test]
fn an_instrument_off_the_table_is_refused_and_said_so_to_the_river() {
    let mut execution = Execution::new(&[], 5_000, &Signer::new(b"secret"));
    let refused = execution.write(approve(&wanted("1", "7"), 42)).map(|_| ()).unwrap_err();
    assert_eq!(refused.reason, Reason::UnknownInstrument);
    assert_eq!(refused.report.body::<OrderReport>().client_id, ID.0);
}

#[test]
fn a_request_without_an_answer_becomes_an_unknown_outcome() {
    let mut execution = Execution::new(&[btc()], 5_000, &Signer::new(b"secret"));
    execution.write(approve(&wanted("1", "7"), 42)).unwrap();
    let patience = Nanos::from_millis(500);
    assert!(execution.overdue(Nanos::from_millis(541), patience).is_none());
    let unknown = execution.overdue(Nanos::from_millis(542), patience).unwrap();
    assert_eq!(unknown.kind(), Some(Kind::OrderUnknown));
    execution.on_report(&unknown).unwrap();
    assert_eq!(execution.order(ID).unwrap().state, OrderState::Unknown);
    assert!(execution.overdue(Nanos::from_millis(9_999), patience).is_none(), "said once");
}

#[test]
fn decimals_follow_the_step() {
    for (step, decimals) in [("0.10", 1), ("0.001", 3), ("1", 0), ("10", 0), ("0.00000001", 8)] {
        assert_eq!(decimals_of(Px::parse(step).unwrap().0), decimals, "{step}");
    }
}

proptest! {
    #[test]
    fn a_written_number_reads_back_as_itself(value in 0_i64..=i64::MAX, decimals in 0_u32..=8) {
        let step = 10_i64.pow(8 - decimals);
        let value = value / step * step;
        let mut text = [0; 32];
        let end = write_fixed(&mut text, 3, value, decimals).unwrap();
        prop_assert_eq!(parse_fixed(&text[3..end]), Ok(value));
        let shown = std::str::from_utf8(&text[3..end]).unwrap();
        let after_point = shown.split_once('.').map_or(0, |(_, rest)| rest.len());
        prop_assert_eq!(after_point, decimals as usize);
    }
}

#[test]
fn an_order_that_an_earlier_session_left_is_unknown_until_the_venue_has_told() {
    let mut table = OrderTable::new();
    let left = crate::base::event::OrderCarried {
        client_id: 9,
        qty: 100,
        filled: 40,
        state: OrderState::Working as u8,
        ..Default::default()
    };
    let event = Event::new(Kind::OrderCarried, InstrumentId(0), &left);
    let state = table.carry(&event).unwrap();
    let body: &event::OrderState = state.body();
    assert_eq!((body.to, body.cum_qty, body.leaves_qty), (OrderState::Unknown as u8, 40, 60));
    let told = OrderReport { client_id: 9, cum_qty: 40, ..OrderReport::default() };
    table.on_report(&Event::new(Kind::OrderCancelled, InstrumentId(0), &told)).unwrap();
    assert_eq!(table.find(ClientOrderId(9)).unwrap().state, OrderState::Cancelled);
    assert!(table.carry(&event).is_none(), "an id is taken in once");
}

#[test]
fn the_order_that_ended_first_gives_way_and_one_that_came_alive_again_does_not() {
    use crate::base::limits::OPEN_ORDERS_MAX;
    let mut table = OrderTable::new();
    let id = |n: usize| ClientOrderId(n as u64 + 1);
    let tell = |table: &mut OrderTable, kind: Kind, n: usize| {
        let body = OrderReport { client_id: id(n).0, ..OrderReport::default() };
        table.on_report(&Event::new(kind, InstrumentId(0), &body));
    };
    for n in 0..OPEN_ORDERS_MAX {
        table.insert(id(n), InstrumentId(0), Qty(1), Nanos::ZERO).unwrap();
    }
    let full = table.insert(id(OPEN_ORDERS_MAX), InstrumentId(0), Qty(1), Nanos::ZERO);
    assert_eq!(full, Err(Reason::OrderTableFull));
    tell(&mut table, Kind::OrderRejected, 7);
    tell(&mut table, Kind::OrderCancelled, 3);
    tell(&mut table, Kind::OrderAccepted, 7);
    table.insert(id(OPEN_ORDERS_MAX), InstrumentId(0), Qty(1), Nanos::ZERO).unwrap();
    assert!(table.find(id(3)).is_none() && table.find(id(7)).is_some());
    for n in OPEN_ORDERS_MAX..4 * OPEN_ORDERS_MAX {
        tell(&mut table, Kind::OrderCancelled, n);
        table.insert(id(n + 1), InstrumentId(0), Qty(1), Nanos::ZERO).unwrap();
        assert_eq!(table.find(id(n + 1)).unwrap().id, id(n + 1));
        assert!(table.find(id(n)).is_none());
    }
}
