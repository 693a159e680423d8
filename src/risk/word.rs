//! The trading state as one word that every thread may read: what must be known at once, before
//! the record of it has come round.

use super::state::TradingState;

const FLATTENS: u32 = 1 << 8;

/// See the head of this file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TradingWord {
    /// The state.
    pub state: TradingState,
    /// Every position is to be closed.
    pub flattens: bool,
}

impl TradingWord {
    /// As published.
    pub const fn pack(self) -> u32 {
        self.state as u32 | if self.flattens { FLATTENS } else { 0 }
    }

    /// From what was published; a word that is none counts as killed.
    pub const fn unpack(word: u32) -> Self {
        let state = match TradingState::from_u8((word & 0xff) as u8) {
            Some(state) => state,
            None => TradingState::Killed,
        };
        Self { state, flattens: word & FLATTENS != 0 }
    }

    /// Nothing that adds risk may leave any more.
    pub const fn is_killed(self) -> bool {
        matches!(self.state, TradingState::Killed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_comes_back_as_it_went_and_what_is_no_word_counts_as_killed() {
        for number in 0..5 {
            let state = TradingState::from_u8(number).unwrap();
            for flattens in [false, true] {
                let word = TradingWord { state, flattens };
                assert_eq!(TradingWord::unpack(word.pack()), word);
            }
        }
        assert_eq!(TradingWord::unpack(0).state, TradingState::Reconciling);
        assert!(TradingWord::unpack(77).is_killed());
    }

    #[test]
    fn no_state_but_a_kill_is_one_whether_it_flattens_or_not() {
        for number in 0..5 {
            let state = TradingState::from_u8(number).unwrap();
            for flattens in [false, true] {
                let killed = TradingWord { state, flattens }.is_killed();
                assert_eq!(killed, state == TradingState::Killed, "{state:?}");
            }
        }
    }
}
