//! Connections renewed without a gap (row F-W08), over a venue of this file: it publishes numbered
//! events, and each connection gets them later by a delay of its own, in order, until it is cut.

use peregrine::base::InstrumentId;
use peregrine::venue::ages::StreamName;
use peregrine::venue::line::{Line, LinePlan};
use peregrine::venue::ports::StreamPort;
use peregrine::venue::stream::Polled;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

const MS: fn(u64) -> Duration = Duration::from_millis;

/// What was published: at which millisecond, and the frame.
#[derive(Default)]
struct Venue {
    published: Vec<(u64, String)>,
    connections: u64,
    /// Streams that a connection does not deliver though the venue publishes them.
    dead: Vec<(u64, &'static str)>,
    /// Connections are refused.
    is_closed: bool,
}

/// One end of a line.
struct End {
    venue: Rc<RefCell<Venue>>,
    start: Instant,
    delay: u64,
    open: bool,
    /// Place of the next frame, and number of the connection.
    at: Option<(usize, u64)>,
    spoke: bool,
    quiet: bool,
    retry: u64,
    cut: Rc<RefCell<bool>>,
}

impl End {
    fn is_up(&self) -> bool {
        self.at.is_some() && (self.spoke || self.quiet)
    }
}

impl StreamPort for End {
    fn poll(&mut self, now: Instant, on_frame: &mut dyn FnMut(&[u8])) -> Polled {
        let ms = (now - self.start).as_millis() as u64;
        let was_up = self.is_up();
        let mut polled = Polled::default();
        let is_cut = std::mem::take(&mut *self.cut.borrow_mut());
        if !self.open || is_cut {
            self.at = None;
            self.spoke = false;
            self.retry = ms + 30;
            polled.went_down = was_up;
            return polled;
        }
        let mut venue = self.venue.borrow_mut();
        let Some((place, number)) = &mut self.at else {
            if ms >= self.retry && !venue.is_closed {
                venue.connections += 1;
                self.at = Some((venue.published.len(), venue.connections));
            }
            drop(venue);
            polled.came_up = self.is_up();
            return polled;
        };
        while let Some((at, frame)) = venue.published.get(*place) {
            if at + self.delay > ms {
                break;
            }
            *place += 1;
            let is_dead = |(of, what): &&(u64, &str)| *of == *number && frame.contains(what);
            if venue.dead.iter().find(is_dead).is_some() {
                continue;
            }
            self.spoke = true;
            polled.frames += 1;
            on_frame(frame.as_bytes());
        }
        drop(venue);
        polled.came_up = !was_up && self.is_up();
        polled
    }

    fn move_to(&mut self, _url: String) {}

    fn set_open(&mut self, open: bool) {
        self.open = open;
    }

    fn last_error(&self) -> Option<&str> {
        None
    }
}

struct Rig {
    venue: Rc<RefCell<Venue>>,
    line: Line<End>,
    cuts: [Rc<RefCell<bool>>; 2],
    random: ChaCha8Rng,
    start: Instant,
    ms: u64,
    ids: BTreeMap<&'static str, u64>,
    river: Vec<String>,
    ups: usize,
    downs: usize,
    silent: Vec<(u16, bool)>,
}

const STREAMS: [&str; 8] = [
    "btcusdt@depth@100ms",
    "btcusdt@bookTicker",
    "btcusdt@aggTrade",
    "btcusdt@markPrice@1s",
    "ethusdt@depth@100ms",
    "ethusdt@bookTicker",
    "ethusdt@aggTrade",
    "ethusdt@forceOrder",
];

impl Rig {
    fn new(seed: u64, age_s: u64, delays: [u64; 2], names: &[&str]) -> Self {
        let venue = Rc::new(RefCell::new(Venue::default()));
        let start = Instant::now();
        let cuts = [Rc::default(), Rc::default()];
        let end = |i: usize| End {
            venue: Rc::clone(&venue),
            start,
            delay: delays[i],
            open: true,
            at: None,
            spoke: false,
            quiet: names.is_empty(),
            retry: 0,
            cut: Rc::clone(&cuts[i]),
        };
        let name = |name: &&str| StreamName {
            name: (*name).to_owned(),
            instrument: InstrumentId(u16::from(name.starts_with("eth"))),
        };
        let names = names.iter().map(name).collect();
        let plan = LinePlan { names, age_max: Duration::from_secs(age_s), seed };
        Self {
            line: Line::new([end(0), end(1)], &plan),
            venue,
            cuts,
            random: ChaCha8Rng::seed_from_u64(seed),
            start,
            ms: 0,
            ids: BTreeMap::new(),
            river: Vec::new(),
            ups: 0,
            downs: 0,
            silent: Vec::new(),
        }
    }

    /// One event of a market stream.
    fn publish(&mut self, name: &'static str) {
        let step = self.random.random_range(1..40);
        let previous = *self.ids.entry(name).or_insert(1_000);
        let id = if name.ends_with("aggTrade") { previous + 1 } else { previous + step };
        let id = if name.contains("mark") || name.contains("force") { self.ms + 1 } else { id };
        self.ids.insert(name, id);
        let time = self.ms;
        let data = match name.split_once('@').unwrap().1 {
            "bookTicker" => format!("{{\"e\":\"bookTicker\",\"u\":{id},\"s\":\"X\"}}"),
            "aggTrade" => format!("{{\"e\":\"aggTrade\",\"E\":{time},\"a\":{id},\"s\":\"X\"}}"),
            "markPrice@1s" => format!("{{\"e\":\"markPriceUpdate\",\"E\":{id},\"s\":\"X\"}}"),
            "forceOrder" => format!("{{\"e\":\"forceOrder\",\"E\":{id},\"o\":{{}}}}"),
            _ => format!(
                "{{\"e\":\"depthUpdate\",\"E\":{time},\"T\":{time},\"s\":\"X\",\"U\":{},\"u\":{id},\
                 \"pu\":{previous},\"b\":[],\"a\":[]}}",
                previous + 1
            ),
        };
        let frame = format!("{{\"stream\":\"{name}\",\"data\":{data}}}");
        self.venue.borrow_mut().published.push((self.ms, frame));
    }

    fn step(&mut self) {
        self.ms += 1;
        for name in STREAMS {
            let every = match name.split_once('@').unwrap().1 {
                "depth@100ms" => 100,
                "markPrice@1s" => 1_000,
                "forceOrder" => 7_000,
                _ => 0,
            };
            let due = if every > 0 {
                self.ms.is_multiple_of(every)
            } else {
                self.random.random_range(0..40) == 0
            };
            if due {
                self.publish(name);
            }
        }
        self.turn();
    }

    fn turn(&mut self) {
        let now = self.start + MS(self.ms);
        let river = &mut self.river;
        let polled = self.line.poll(now, &mut |frame| {
            river.push(String::from_utf8(frame.to_vec()).unwrap());
        });
        while let Some(edge) = self.line.silent(now) {
            self.silent.push((edge.carries, edge.is_silent));
        }
        self.ups += usize::from(polled.came_up);
        self.downs += usize::from(polled.went_down);
    }

    /// What of a stream was published, and what came of it, from the first that came.
    fn of(&self, name: &str) -> (Vec<String>, Vec<String>) {
        let mine = |frame: &&String| frame.contains(name);
        let came: Vec<String> = self.river.iter().filter(mine).cloned().collect();
        let venue = self.venue.borrow();
        let all = venue.published.iter().map(|(_, frame)| frame).filter(mine);
        let all = all.skip_while(|frame| came.first() != Some(frame)).cloned().collect();
        (all, came)
    }

    /// Everything came, once and in order; the newest may still be under way.
    fn assert_whole(&self, what: &str) {
        for name in STREAMS {
            let (all, came) = self.of(name);
            assert!(!came.is_empty(), "{what}: {name} never came");
            let differs = came.iter().zip(&all).position(|(came, all)| came != all);
            assert_eq!(differs, None, "{what}: {name}");
            assert!(came.len() <= all.len(), "{what}: {name}");
            assert!(all.len() - came.len() <= 30, "{what}: {name} stopped");
        }
    }
}

#[test]
fn fault_w08_connections_are_renewed_again_and_again_and_not_an_event_is_lost_or_repeated() {
    for seed in 0..6 {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        // The second may be faster or slower than the first by far.
        let delays = [random.random_range(0..120), random.random_range(0..120)];
        let mut rig = Rig::new(seed, 10, delays, &STREAMS);
        for _ in 0..70_000 {
            rig.step();
        }
        rig.assert_whole(&format!("seed {seed}, {delays:?}"));
        assert_eq!((rig.ups, rig.downs), (1, 0), "nobody is told");
        let renewals = rig.line.renewals();
        assert!((5..=8).contains(&renewals), "seed {seed}: {renewals} renewals");
        assert_eq!(rig.silent, []);
    }
}

#[test]
fn fault_w08_a_first_connection_cut_in_the_middle_of_the_renewal_loses_nothing() {
    for seed in 0..6 {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let delays = [random.random_range(0..80), random.random_range(0..80)];
        let mut rig = Rig::new(seed, 10, delays, &STREAMS);
        let mut cuts = 0;
        let mut renewing_for = 0;
        for _ in 0..60_000 {
            rig.step();
            renewing_for = if rig.line.is_renewing() { renewing_for + 1 } else { 0 };
            if renewing_for == 1_000 {
                // The front alternates with the renewals.
                *rig.cuts[(rig.line.renewals() % 2) as usize].borrow_mut() = true;
                cuts += 1;
            }
        }
        assert!(cuts >= 4, "{cuts}");
        rig.assert_whole(&format!("seed {seed}, {delays:?}"));
        assert_eq!((rig.ups, rig.downs), (1, 0));
    }
}

#[test]
fn fault_w08_a_storm_of_cuts_repeats_nothing_and_ends_up_whole() {
    for seed in 0..6 {
        let mut rig = Rig::new(seed, 5, [20, 45], &STREAMS);
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        for _ in 0..30_000 {
            if random.random_range(0..700) == 0 {
                *rig.cuts[random.random_range(0..2)].borrow_mut() = true;
            }
            rig.step();
        }
        for name in STREAMS {
            let (all, came) = rig.of(name);
            let known: BTreeMap<&String, usize> = all.iter().zip(0..).collect();
            let places: Vec<usize> = came.iter().map(|frame| known[frame]).collect();
            assert!(places.is_sorted_by(|a, b| a < b), "seed {seed}: {name} once and in order");
        }
        assert!(rig.ups >= rig.downs && rig.ups - rig.downs <= 1, "edges alternate");
        // The storm is over: from here on all is whole again, and renewed.
        rig.river.clear();
        let before = rig.line.renewals();
        for _ in 0..20_000 {
            rig.step();
        }
        rig.assert_whole(&format!("seed {seed} after the storm"));
        assert!(rig.line.renewals() > before);
    }
}

#[test]
fn fault_w08_an_announced_shutdown_renews_at_once() {
    let mut rig = Rig::new(1, 80_000, [5, 5], &STREAMS);
    for _ in 0..5_000 {
        rig.step();
    }
    assert_eq!(rig.line.renewals(), 0);
    let shutdown = "{\"e\":\"serverShutdown\",\"E\":5000}".to_owned();
    let ms = rig.ms;
    rig.venue.borrow_mut().published.push((ms, shutdown));
    for _ in 0..10_000 {
        rig.step();
    }
    assert_eq!(rig.line.renewals(), 1);
    assert!(rig.river.iter().all(|frame| !frame.contains("serverShutdown")));
    rig.assert_whole("after a shutdown");
}

#[test]
fn fault_w08_a_second_connection_that_lacks_a_stream_never_takes_over() {
    let mut rig = Rig::new(2, 10, [5, 5], &STREAMS);
    rig.venue.borrow_mut().dead.push((2, "btcusdt@bookTicker"));
    for _ in 0..75_000 {
        rig.step();
    }
    assert_eq!((rig.line.renewals(), rig.downs), (0, 0));
    rig.assert_whole("the first stays");
}

#[test]
fn fault_w11_a_silent_stream_is_told_within_three_seconds_and_cured_by_another_connection() {
    let mut rig = Rig::new(3, 80_000, [5, 5], &STREAMS);
    for _ in 0..10_000 {
        rig.step();
    }
    // The first connection does not bring the book of one symbol any more.
    rig.venue.borrow_mut().dead.push((1, "btcusdt@depth"));
    let mut told = None;
    for ms in 0..6_000_u64 {
        rig.step();
        if told.is_none() && !rig.silent.is_empty() {
            told = Some(ms);
        }
    }
    let depth = peregrine::base::event::carries::DEPTH;
    assert_eq!(rig.silent, [(depth, true), (depth, false)]);
    assert!(told.unwrap() < 2_300, "{told:?}");
    assert_eq!((rig.line.renewals(), rig.ups, rig.downs), (1, 1, 0));
    // Every other stream went on whole.
    for name in &STREAMS[1..] {
        let (all, came) = rig.of(name);
        assert!(came[..] == all[..came.len()], "{name}");
    }
}

#[test]
fn fault_w12_a_stream_that_never_delivers_is_told_after_its_first_payload_is_due() {
    let mut rig = Rig::new(4, 80_000, [5, 5], &STREAMS);
    rig.venue.borrow_mut().dead.push((1, "btcusdt@markPrice"));
    let mut told = None;
    for ms in 0..9_000_u64 {
        rig.step();
        if told.is_none() && !rig.silent.is_empty() {
            told = Some(ms);
        }
    }
    let mark = peregrine::base::event::carries::MARK;
    assert_eq!(rig.silent, [(mark, true), (mark, false)]);
    assert!((5_000..5_300).contains(&told.unwrap()), "{told:?}");
}

fn update(number: u64, sent: u64) -> String {
    format!(
        "{{\"e\":\"ORDER_TRADE_UPDATE\",\"E\":{sent},\"T\":{number},\"o\":{{\"s\":\"BTCUSDT\",\
         \"i\":{number},\"x\":\"TRADE\",\"t\":{number}}}}}"
    )
}

/// The account's stream on two connections with one key.
#[test]
fn fault_w08_reports_come_once_though_two_connections_bring_them_at_different_times() {
    let mut rig = Rig::new(5, 20, [5, 60], &[]);
    let mut number = 0;
    for _ in 0..100_000 {
        rig.ms += 1;
        if rig.random.random_range(0..300) == 0 {
            number += 1;
            let ms = rig.ms;
            rig.venue.borrow_mut().published.push((ms, update(number, ms)));
        }
        rig.turn();
    }
    assert!(rig.line.renewals() >= 3, "{}", rig.line.renewals());
    assert_eq!((rig.ups, rig.downs), (1, 0));
    let mut times: BTreeMap<String, usize> = BTreeMap::new();
    for frame in &rig.river {
        *times.entry(frame.clone()).or_default() += 1;
    }
    assert!(times.values().all(|times| *times == 1));
    assert!(times.len() as u64 >= number - 1, "{} of {number}", times.len());
}

#[test]
fn fault_w08_an_account_connection_lost_before_its_successor_proved_itself_is_told() {
    let mut rig = Rig::new(6, 20, [5, 5], &[]);
    while !rig.line.is_renewing() {
        rig.ms += 1;
        rig.turn();
    }
    for _ in 0..500 {
        rig.ms += 1;
        rig.turn();
    }
    // What fell between the two is not known: everybody has to look.
    *rig.cuts[0].borrow_mut() = true;
    for _ in 0..3 {
        rig.ms += 1;
        rig.turn();
    }
    assert_eq!((rig.ups, rig.downs), (2, 1));
}
