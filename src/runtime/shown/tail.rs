//! The journal's newest records that tell what was decided and what happened, as its dump renders
//! them: market data, timers, measures, predictions and mere valuations are left out.
//!
//! ```text
//!  lane 0  ── tap ──────────► kinds that tell ─┐
//!  lane 2  ── LaneFollower ─► all but          ├─► by input and lane, newest last, bounded
//!  lane 3  ── LaneFollower ─► valuations ──────┘
//! ```

use crate::base::event::{Event, Kind, Position};
use crate::journal::fields::InstrumentNames;
use crate::journal::render::render;
use crate::journal::{Followed, LaneFollower, RecordIndex};
use serde_json::Value;
use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;

/// Records shown.
pub const TAIL_RECORDS_MAX: usize = 100;
/// Records of a lane taken at one look, so that a look ends.
const RECORDS_PER_LOOK: u32 = 4_096;
/// Lanes followed.
const LANES_FOLLOWED: [usize; 2] = [2, 3];

/// A record's place among all lanes.
type Place = (u64, usize, u64);

/// See the head of this file.
pub struct Tail {
    names: InstrumentNames,
    followers: Vec<LaneFollower>,
    rows: VecDeque<(Place, Arc<Value>)>,
    /// Newest quantity of each instrument.
    held: Vec<i64>,
}

impl Tail {
    /// Follows the journal in `dir` from its beginning. Where it cannot be read there is less to
    /// show, and no harm.
    pub fn new(dir: &Path) -> Self {
        let open = |lane| LaneFollower::open(dir, lane, RecordIndex(0)).ok();
        Self {
            names: InstrumentNames::default(),
            followers: LANES_FOLLOWED.into_iter().filter_map(open).collect(),
            rows: VecDeque::with_capacity(TAIL_RECORDS_MAX + 1),
            held: Vec::new(),
        }
    }

    /// A record of lane 0.
    pub fn note_input(&mut self, event: &Event) {
        self.names.learn(event);
        let tells = match event.kind() {
            Some(Kind::Gap | Kind::Malformed | Kind::StreamStatus) => true,
            Some(Kind::Timer | Kind::Measured) | None => false,
            Some(_) => (32..64).contains(&event.kind),
        };
        if tells && event.seq > 0 {
            // Every input gets the next number and the next place, and numbers begin at 1.
            self.add(0, RecordIndex(event.seq - 1), event);
        }
    }

    /// Takes in what was appended since the last look.
    pub fn look(&mut self) {
        let mut followers = std::mem::take(&mut self.followers);
        followers.retain_mut(|follower| {
            let lane = follower.lane();
            for _ in 0..RECORDS_PER_LOOK {
                match follower.read() {
                    Ok(Followed::Record(record, event)) => {
                        if self.tells(&event) {
                            self.add(lane, record, &event);
                        }
                    }
                    Ok(Followed::Retired(..)) => {}
                    Ok(Followed::Nothing) => return true,
                    // Damage has its own alarm; here there is nothing more to show of the lane.
                    Err(_) => return false,
                }
            }
            true
        });
        self.followers = followers;
    }

    /// False for a position whose quantity is what it was: a valuation.
    fn tells(&mut self, event: &Event) -> bool {
        if event.kind() != Some(Kind::Position) {
            return true;
        }
        let (place, qty) = (usize::from(event.instrument), event.body::<Position>().qty);
        if place >= self.held.len() {
            self.held.resize(place + 1, 0);
        }
        std::mem::replace(&mut self.held[place], qty) != qty
    }

    fn add(&mut self, lane: usize, record: RecordIndex, event: &Event) {
        let place = (event.seq, lane, record.0);
        let at = self.rows.partition_point(|(known, _)| *known < place);
        if at == 0 && self.rows.len() >= TAIL_RECORDS_MAX {
            return;
        }
        let row = Arc::new(render(lane, record, event, &self.names));
        self.rows.insert(at, (place, row));
        if self.rows.len() > TAIL_RECORDS_MAX {
            self.rows.pop_front();
        }
    }

    /// The rows, newest last.
    pub fn rows(&self) -> VecDeque<Arc<Value>> {
        self.rows.iter().map(|(_, row)| Arc::clone(row)).collect()
    }
}
