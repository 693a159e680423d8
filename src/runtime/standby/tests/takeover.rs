use super::*;
use crate::exchange::{ExchangeServer, ServerSettings};
use crate::execution::Signer;
use crate::runtime::config;
use crate::venue::account::{Credentials, whole_query};
use crate::venue::budget::{Budget, RateLimits};
use crate::venue::job::{Access, RestRequest};
use crate::venue::rest::agent_bounds;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

static STOP: AtomicBool = AtomicBool::new(false);

fn view(epoch: u32, risk: Option<SharedRisk>) -> View {
    View { epoch, risk: risk.map(SharedRisk::to_text), ..View::default() }
}

fn own(epoch: u32) -> Carried {
    let mut own = Carried { from: Some(PathBuf::from("x")), ..Carried::default() };
    (own.session.epoch, own.session.state) = (epoch, TradingState::Active as u8);
    own
}

#[test]
fn fault_h07_a_journal_behind_the_group_is_nothing_to_go_on_from() {
    assert!(goes_on(&own(5), 5), "it led last");
    assert!(!goes_on(&own(4), 5), "another one led after it");
    assert!(!goes_on(&Carried::default(), 5), "it has none");
    assert!(goes_on(&Carried::default(), 0), "nobody ever traded");
}

#[test]
fn fault_h10_a_group_that_is_older_than_the_venue_starts_halted_and_so_does_an_unreadable_one() {
    // What this node's journal, etcd and the venue know; whether etcd is the older one.
    for (journal, group, venue, older) in [
        (5, 5, 5, false),
        (5, 6, 4, false),
        (5, 5, 6, true),
        (6, 5, 0, true),
        (5, 0, 5, false),
        (0, 0, 0, false),
        (5, 0, 6, true),
        (0, 0, 1, true),
    ] {
        let found = is_older(&own(journal), &view(group, None), venue);
        assert_eq!(found, older, "{journal} {group} {venue}");
    }
    let state = |view: &View, is_older: bool| {
        let mut carried = own(5);
        worsen(&mut carried, view, is_older);
        carried.session.state
    };
    assert_eq!(state(&view(5, None), false), TradingState::Active as u8);
    assert_eq!(state(&view(5, None), true), TradingState::Halted as u8);
    let garbled = View { risk: Some("x".to_owned()), ..view(5, None) };
    assert_eq!(state(&garbled, false), TradingState::Halted as u8);
    let killed = SharedRisk { state: TradingState::Killed as u8, ..SharedRisk::default() };
    assert_eq!(state(&view(5, Some(killed)), true), TradingState::Killed as u8);
    let reduced = SharedRisk { state: TradingState::Reducing as u8, ..SharedRisk::default() };
    let mut carried = own(5);
    worsen(&mut carried, &view(5, Some(reduced)), false);
    assert!(carried.paused, "somebody took it off entries: it does not arm itself");
}

/// An exchange, and an account there.
struct Venue {
    exchange: ExchangeServer,
    credentials: Credentials,
    settings: Settings,
    budget: Budget,
    fence: Arc<Fence>,
    patience: Patience<'static>,
}

impl Venue {
    fn new() -> Self {
        let exchange = ExchangeServer::start(ServerSettings::default()).unwrap();
        let (key, secret) = (exchange.api_key().to_owned(), exchange.api_secret().to_owned());
        let text = include_str!("../../../../config/paper.toml");
        let mut settings = config::with_shipped_limits(text).settings;
        settings.venue.rest_url = exchange.rest_url();
        settings.venue.dead_man_ms = 60_000;
        let began = Instant::now();
        let fence = Arc::new(Fence::new(Duration::ZERO, began));
        fence.extend(Nanos(i64::MAX), began + Duration::from_secs(3_600));
        let credentials = Credentials::new(key, secret).unwrap().behind(Arc::clone(&fence));
        let budget = Budget::new(RateLimits::default());
        let patience = Patience::new(Duration::ZERO, &STOP);
        Self { exchange, credentials, settings, budget, fence, patience }
    }

    fn at_venue(&self) -> AtVenue<'_> {
        let url = self.exchange.rest_url();
        let account = AccountClient::new(&url, self.credentials.clone(), wall_now);
        let asking = Asking { account, budget: &self.budget, patience: &self.patience };
        AtVenue { settings: &self.settings, asking, fence: &self.fence, began: Instant::now() }
    }

    fn post(&self, path: &'static str, query: &str) {
        let query = query.to_owned();
        let request = RestRequest { method: "POST", path, query, access: Access::Signed };
        let signer: Signer = self.credentials.signer();
        let query = whole_query(&request, &signer, wall_now());
        let url = format!("{}{path}?{query}", self.exchange.rest_url());
        let longest = Duration::from_secs(10);
        let agent = agent_bounds(longest, longest).build().new_agent();
        let sent = agent.post(url).header("X-MBX-APIKEY", self.credentials.key()).send_empty();
        assert_eq!(sent.unwrap().status().as_u16(), 200, "{path}");
    }

    fn rest_order(&self, name: &str) {
        self.post(
            "/fapi/v1/order",
            &format!(
                "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.010&price=40000\
                 &newClientOrderId={name}"
            ),
        );
    }

    fn buy(&self, name: &str) {
        self.post(
            "/fapi/v1/order",
            &format!("symbol=BTCUSDT&side=BUY&type=MARKET&quantity=0.010&newClientOrderId={name}"),
        );
    }

    fn stop(&self, symbol: &str, name: &str) {
        self.post(
            "/fapi/v1/algoOrder",
            &format!(
                "symbol={symbol}&side=SELL&algoType=CONDITIONAL&type=STOP_MARKET\
                 &closePosition=true&workingType=MARK_PRICE&triggerPrice=1000&clientAlgoId={name}"
            ),
        );
    }

    fn open(&self) -> Vec<String> {
        let open = self.at_venue().orders(Question::OpenOrders { symbol: None }).unwrap();
        open.into_iter().map(|order| order.name).collect()
    }
}

#[test]
fn fault_h11_the_timer_of_the_leader_before_does_not_strike_at_what_the_next_one_opens() {
    let venue = Venue::new();
    venue.post("/fapi/v1/countdownCancelAll", "symbol=BTCUSDT&countdownTime=1500");
    venue.at_venue().take_timer().unwrap();
    venue.rest_order("pg1-0000500000000001");
    let began = Instant::now();
    while began.elapsed() < Duration::from_millis(2_500) {
        assert_eq!(venue.open(), ["pg1-0000500000000001"], "after {:?}", began.elapsed());
        std::thread::park_timeout(Duration::from_millis(100));
    }
}

#[test]
fn fault_h03_orders_of_earlier_leaders_go_their_stops_and_the_orders_of_others_stay() {
    let venue = Venue::new();
    venue.rest_order("pg1-0000400000000001");
    venue.rest_order("pg1-0000600000000002");
    venue.rest_order("by_hand");
    venue.buy("pg1-0000400000000003");
    venue.stop("BTCUSDT", "pg1-0000400000000004");
    venue.stop("ETHUSDT", "pg1-0000400000000005");
    let at_venue = venue.at_venue();
    assert_eq!(at_venue.cancel_orders().unwrap(), 6, "the highest epoch that was seen");
    assert_eq!(venue.open(), ["by_hand"]);
    let own = Carried { account: 77, ..own(4) };
    let carried = at_venue.carried(&own, 6, Money::whole(100)).unwrap();
    assert_eq!(carried.account, 77, "or the next session of this node would not go on from it");
    let (symbol, position) = &carried.positions[0];
    assert_eq!((symbol.as_str(), position.qty), ("BTCUSDT", 1_000_000));
    assert!(position.trades_from > 1, "its own fill is not told again");
    let cost = Money(position.cost);
    assert!(cost > Money::ZERO && cost < Money::whole(10_000), "{cost}");
    let stops: Vec<_> = carried.orders.iter().map(|(of, _, body)| (*of, body.client_id)).collect();
    assert_eq!(stops, [(*symbol, 0x0000_4000_0000_0004)], "the other one guards nothing");
    let (_, _, stop) = carried.orders[0];
    assert_eq!((stop.qty, stop.purpose), (1_000_000, Purpose::Protect as u8));
    let left = at_venue.orders(Question::OpenAlgoOrders { symbol: None }).unwrap();
    assert_eq!(left.len(), 1, "{left:?}");
    assert_eq!((carried.session.epoch, carried.session.starting_equity), (6, Money::whole(100).0));
}

#[test]
fn fault_h04_a_takeover_that_slept_past_its_lease_cancels_nothing_of_the_next_leader() {
    let venue = Venue::new();
    venue.rest_order("pg1-0000700000000001");
    venue.stop("BTCUSDT", "pg1-0000700000000002");
    venue.fence.extend(wall_now(), Instant::now());
    assert!(!venue.fence.is_closed(), "nobody has looked yet");
    let told = venue.at_venue().take_timer().unwrap_err().to_string();
    assert!(told.contains("the lease of the leader is over"), "{told}");
    let told = venue.at_venue().cancel_orders().unwrap_err().to_string();
    assert!(told.contains("the lease was over"), "{told}");
    assert!(venue.at_venue().carried(&own(7), 7, Money::whole(100)).is_err());
    assert_eq!(venue.open(), ["pg1-0000700000000001"]);
    let stops = venue.at_venue().orders(Question::OpenAlgoOrders { symbol: None }).unwrap();
    assert_eq!(stops.len(), 1);
    // What a person orders gone goes, and nothing but that.
    venue.fence.close_by_hand();
    let symbol = Symbol::new(b"BTCUSDT").unwrap();
    let asking = venue.at_venue().asking;
    asking.ask(RestJob::CancelAll { symbol }).unwrap();
    assert_eq!(venue.open(), [""; 0]);
    assert!(asking.ask(RestJob::Countdown { symbol, after_ms: 1_000 }).is_err());
}
