//! Candles of every interval out of four layers of them.
//!
//! ```text
//!   1m  ▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁ 7 600   1m 3m 5m
//!   15m ▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂ 3 100   15m 30m
//!   1h  ▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃ 18 100  1h 2h 4h 6h 8h 12h
//!   1d  ▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄ 4 600   1d 3d 1w 1M
//! ```
//! So the 1 500 candles that the venue gives at most are there up to one day; longer ones go back
//! as far as there are days.

use super::interval::Interval;
use crate::base::Nanos;
use std::collections::VecDeque;

/// Candles a request may have.
pub const CANDLES_MAX: usize = 1_500;
/// Length of a layer's candles in minutes, and how many it keeps.
pub const LAYERS: [(i64, usize); 4] = [(1, 7_600), (15, 3_100), (60, 18_100), (1_440, 4_600)];
/// The longest candles of a layer, 5m, 30m, 12h and 3d, hold so many of its own, and its oldest may
/// be only a part of one.
const _: () = {
    assert!(LAYERS[0].1 >= CANDLES_MAX * 5 + 5, "1 500 candles of 5m are kept");
    assert!(LAYERS[1].1 >= CANDLES_MAX * 2 + 2, "1 500 candles of 30m are kept");
    assert!(LAYERS[2].1 >= CANDLES_MAX * 12 + 12, "1 500 candles of 12h are kept");
    assert!(LAYERS[3].1 >= CANDLES_MAX * 3 + 3, "1 500 candles of 3d are kept");
};

/// What a candle of any sort does.
pub trait Span: Clone {
    /// When it begins.
    fn opened(&self) -> Nanos;
    /// The one after it, before anything has happened in it.
    fn follow(&self, opened: Nanos) -> Self;
    /// Takes in the one after it.
    fn absorb(&mut self, later: &Self);
}

/// Candles of one sort.
#[derive(Clone, Debug)]
pub struct Layers<T> {
    layers: [VecDeque<T>; LAYERS.len()],
}

/// Which candles are wanted.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    /// Length.
    pub interval: Interval,
    /// Beginning at this time or later; `None`: the last ones.
    pub from: Option<Nanos>,
    /// Beginning at this time or earlier.
    pub to: Nanos,
    /// So many at most.
    pub limit: usize,
}

impl<T: Span> Layers<T> {
    /// Each layer in order of time, none empty.
    pub fn new(mut layers: [VecDeque<T>; LAYERS.len()]) -> Self {
        assert!(layers.iter().all(|layer| !layer.is_empty()), "each layer has a forming candle");
        for (layer, (_, keep)) in layers.iter_mut().zip(LAYERS) {
            layer.reserve_exact(keep.saturating_sub(layer.len()));
        }
        Self { layers }
    }

    /// Begins the candles that hold `ts`.
    pub fn roll(&mut self, ts: Nanos) {
        for (layer, (minutes, keep)) in self.layers.iter_mut().zip(LAYERS) {
            let length = Nanos::from_secs(minutes * 60);
            while let Some(last) = layer.back().filter(|last| last.opened() + length <= ts) {
                let next = last.follow(last.opened() + length);
                super::push(layer, keep, next);
            }
        }
    }

    /// The forming candle of every layer.
    pub fn forming(&mut self) -> impl Iterator<Item = &mut T> {
        self.layers.iter_mut().filter_map(VecDeque::back_mut)
    }

    /// Candles in order of time.
    pub fn list(&self, wanted: &Wanted) -> Vec<T> {
        let Wanted { interval, from, to, limit } = *wanted;
        let layer = self.layer_of(interval);
        let end = to.min(layer.back().map_or(to, Span::opened));
        let last = interval.start_of(end);
        let from = from.unwrap_or_else(|| interval.step(last, 1 - limit.max(1) as i64));
        let mut at = layer.partition_point(|span| span.opened() < from);
        // A candle of which the beginning is no longer known is not shown.
        if at == 0 && !begins(interval, &layer[0]) {
            at = first_whole(interval, layer);
        }
        let mut all: Vec<T> = Vec::new();
        for span in layer.range(at..) {
            let start = interval.start_of(span.opened());
            if start > to {
                break;
            }
            let count = all.len();
            match all.last_mut() {
                Some(open) if open.opened() == start => open.absorb(span),
                _ if start < from => {}
                _ if count == limit => break,
                _ => all.push(span.clone()),
            }
        }
        all
    }

    /// The candle of an interval that forms now.
    pub fn last(&self, interval: Interval) -> Option<T> {
        let layer = self.layer_of(interval);
        let start = interval.start_of(layer.back()?.opened());
        let wanted = Wanted { interval, from: Some(start), to: start, limit: 1 };
        self.list(&wanted).pop()
    }

    /// One-minute candles that begin at `from` or later.
    pub fn minutes_since(&self, from: Nanos) -> impl Iterator<Item = &T> {
        let layer = &self.layers[0];
        layer.range(layer.partition_point(|span| span.opened() < from)..)
    }

    /// When the oldest candle begins.
    pub fn oldest(&self) -> Option<Nanos> {
        self.layers[LAYERS.len() - 1].front().map(Span::opened)
    }

    /// The shortest candle that is still kept and holds `ts`.
    pub fn holding(&self, ts: Nanos) -> Option<&T> {
        let reaches = |layer: &&VecDeque<T>| layer.front().is_some_and(|span| span.opened() <= ts);
        let layer = self.layers.iter().find(reaches)?;
        layer.get(layer.partition_point(|span| span.opened() <= ts) - 1)
    }

    fn layer_of(&self, interval: Interval) -> &VecDeque<T> {
        let minutes = match interval {
            Interval::Fixed { length, .. } => length.0 / Nanos::from_secs(60).0,
            Interval::Week | Interval::Month => LAYERS[3].0,
        };
        let shorter = LAYERS.iter().rposition(|&(own, _)| own <= minutes);
        &self.layers[shorter.unwrap_or(0)]
    }
}

fn begins<T: Span>(interval: Interval, span: &T) -> bool {
    interval.start_of(span.opened()) == span.opened()
}

fn first_whole<T: Span>(interval: Interval, layer: &VecDeque<T>) -> usize {
    layer.iter().position(|span| begins(interval, span)).unwrap_or(layer.len())
}
