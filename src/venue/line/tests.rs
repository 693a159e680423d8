//! Lines whose streams change, over ends that a test moves.

use super::*;
use std::cell::RefCell;
use std::rc::Rc;

/// What a test does to an end, and what the line did to it.
#[derive(Default)]
struct Told {
    url: String,
    open: bool,
    /// It is connected, to this URL, and has spoken.
    up: Option<String>,
    /// Connections of it that succeed from here on.
    refuses: bool,
    frames: Vec<String>,
}

struct End(Rc<RefCell<Told>>);

impl StreamPort for End {
    fn poll(&mut self, _: Instant, on_frame: &mut dyn FnMut(&[u8])) -> Polled {
        let mut told = self.0.borrow_mut();
        let was_up = told.up.is_some();
        if !told.open || told.up.as_ref().is_some_and(|url| *url != told.url) {
            told.up = None;
        } else if !told.refuses && !was_up {
            told.up = Some(told.url.clone());
        }
        let frames = std::mem::take(&mut told.frames);
        let is_up = told.up.is_some();
        drop(told);
        frames.iter().for_each(|frame| on_frame(frame.as_bytes()));
        let (came_up, went_down) = (!was_up && is_up, was_up && !is_up);
        Polled { frames: frames.len(), came_up, went_down }
    }

    fn move_to(&mut self, url: String) {
        self.0.borrow_mut().url = url;
    }

    fn set_open(&mut self, open: bool) {
        self.0.borrow_mut().open = open;
    }

    fn last_error(&self) -> Option<&str> {
        None
    }
}

struct World {
    line: Line<End>,
    ends: [Rc<RefCell<Told>>; 2],
    began: Instant,
    ms: u64,
    heard: Vec<String>,
    polled: Polled,
}

/// Trades of two instruments, whose streams say nothing of their own accord.
fn world() -> World {
    let name = |instrument: u16, name: &str| StreamName {
        name: name.to_owned(),
        instrument: InstrumentId(instrument),
    };
    let names = vec![name(0, "a@aggTrade"), name(1, "b@aggTrade")];
    let told = || Told { url: "a/b".to_owned(), open: true, ..Told::default() };
    let ends = [told(), told()].map(|told| Rc::new(RefCell::new(told)));
    let line = [End(Rc::clone(&ends[0])), End(Rc::clone(&ends[1]))];
    let line = Line::new(line, &LinePlan { names, age_max: Duration::from_secs(80_000), seed: 1 });
    let mut world = World {
        line,
        ends,
        began: Instant::now(),
        ms: 0,
        heard: Vec::new(),
        polled: Polled::default(),
    };
    world.pass(10);
    assert!(world.polled.came_up);
    world
}

fn trade(stream: &str, id: u64) -> String {
    format!(
        "{{\"stream\":\"{stream}@aggTrade\",\"data\":{{\"e\":\"aggTrade\",\"a\":{id},\"x\":0}}}}"
    )
}

impl World {
    fn now(&self) -> Instant {
        self.began + Duration::from_millis(self.ms)
    }

    fn pass(&mut self, ms: u64) {
        self.ms += ms;
        let (now, heard) = (self.now(), &mut self.heard);
        self.polled = self.line.poll(now, &mut |frame| {
            heard.push(String::from_utf8_lossy(frame).into_owned());
        });
    }

    /// The venue says something over a connection, where it is there.
    fn say(&self, end: usize, stream: &str, id: u64) {
        let mut told = self.ends[end].borrow_mut();
        if told.open {
            told.frames.push(trade(stream, id));
        }
    }

    fn carry(&mut self, url: Option<&str>, awake: &[u16]) {
        let now = self.now();
        self.line.carry(url.map(str::to_owned), &|id| awake.contains(&id.0), now);
    }

    fn urls(&self) -> [String; 2] {
        [0, 1].map(|end| self.ends[end].borrow().url.clone())
    }
}

#[test]
fn other_streams_come_by_a_second_connection_and_what_stays_is_heard_throughout() {
    let mut world = world();
    world.say(0, "a", 1);
    world.pass(10);
    world.carry(Some("a"), &[0]);
    for id in 2..8 {
        // The front still has the dropped one; the second has it not.
        world.say(0, "a", id);
        world.say(0, "b", id);
        world.say(1, "a", id);
        world.pass(500);
        assert!(!world.polled.went_down && !world.polled.came_up);
    }
    let all: Vec<String> = (1..8).map(|id| trade("a", id)).collect();
    assert_eq!(world.heard, all, "each once, and none of what was dropped");
    assert_eq!(world.line.renewals(), 1);
    assert_eq!(world.urls(), ["a", "a"], "whichever is opened next leads there");
    assert!(!world.ends[0].borrow().open && world.ends[1].borrow().up.is_some());
    // And back again.
    world.carry(Some("a/b"), &[0, 1]);
    world.heard.clear();
    for id in 8..15 {
        world.say(1, "a", id);
        world.say(0, "a", id);
        world.say(0, "b", id);
        world.pass(600);
    }
    assert_eq!(world.heard.iter().filter(|frame| frame.contains("b@agg")).count(), 7);
    assert_eq!((world.line.renewals(), world.urls()), (2, ["a/b", "a/b"].map(str::to_owned)));
}

#[test]
fn a_second_connection_that_cannot_be_had_is_tried_again_soon_and_the_first_one_stays() {
    let mut world = world();
    world.ends[1].borrow_mut().refuses = true;
    world.carry(Some("a"), &[0]);
    let mut opened = 0;
    for _ in 0..200 {
        let before = world.ends[1].borrow().open;
        world.pass(1_000);
        opened += usize::from(!before && world.ends[1].borrow().open);
        assert!(world.ends[0].borrow().up.is_some() && !world.polled.went_down);
    }
    assert!((2..=4).contains(&opened), "every minute or so: {opened}");
    world.ends[1].borrow_mut().refuses = false;
    (0..90).for_each(|_| world.pass(1_000));
    assert_eq!(world.line.renewals(), 1);
}

#[test]
fn a_first_connection_that_is_lost_meanwhile_comes_back_with_the_wanted_streams() {
    let mut world = world();
    world.ends[1].borrow_mut().refuses = true;
    world.carry(Some("a"), &[0]);
    world.pass(100);
    world.ends[0].borrow_mut().up = Some("elsewhere".to_owned());
    world.pass(100);
    assert!(world.polled.went_down);
    assert_eq!(world.urls(), ["a", "a"]);
    world.pass(100);
    assert_eq!(world.ends[0].borrow().up.as_deref(), Some("a"));
}

#[test]
fn a_line_that_carries_nobody_is_closed_and_opens_for_the_first_who_wakes() {
    let mut world = world();
    world.carry(None, &[]);
    world.pass(10);
    assert!(world.polled.went_down);
    (0..100).for_each(|_| world.pass(1_000));
    assert!(world.ends.iter().all(|end| end.borrow().up.is_none()));
    world.carry(Some("b"), &[1]);
    world.pass(10);
    assert!(world.polled.came_up);
    assert_eq!(world.ends[0].borrow().up.as_deref(), Some("b"));
}

#[test]
fn a_stream_that_nobody_wants_is_never_silent_and_one_that_wakes_has_its_time() {
    let name = |instrument: u16, name: &str| StreamName {
        name: name.to_owned(),
        instrument: InstrumentId(instrument),
    };
    let mut ages = Ages::new(&[name(0, "a@markPrice@1s"), name(1, "b@markPrice@1s")]);
    let began = Instant::now();
    let at = |ms: u64| began + Duration::from_millis(ms);
    let frame = |stream: &str| format!("{{\"stream\":\"{stream}@markPrice@1s\",\"data\":{{}}}}");
    ages.start(began);
    ages.wake(&|id| id.0 == 0, began);
    let mut edges = Vec::new();
    for ms in (0..30_000).step_by(500) {
        ages.note(frame("a").as_bytes(), at(ms));
        if ms == 20_000 {
            ages.wake(&|_| true, at(ms));
        }
        edges.extend(ages.edge(at(ms)).map(|edge| (ms, edge.instrument.0, edge.is_silent)));
    }
    assert_eq!(edges, [(25_500, 1, true)], "five seconds after it was wanted");
    ages.wake(&|id| id.0 == 0, at(30_000));
    assert_eq!(ages.edge(at(30_500)), None, "what nobody wants is not told of again");
    assert!(ages.is_unwanted(frame("b").as_bytes()) && !ages.is_unwanted(frame("a").as_bytes()));
}
