//! The waits of the account's stream.

use super::*;
use crate::venue::stream::Polled;

struct Nothing;

impl StreamPort for Nothing {
    fn poll(&mut self, _: Instant, _: &mut dyn FnMut(&[u8])) -> Polled {
        Polled::default()
    }
    fn move_to(&mut self, _: String) {}
    fn set_open(&mut self, _: bool) {}
    fn last_error(&self) -> Option<&str> {
        None
    }
}

#[test]
fn a_stream_that_is_silent_again_and_again_is_replaced_ever_more_rarely() {
    let began = Instant::now();
    let waits = |seed: u64, apart: Duration| -> Vec<Duration> {
        let mut link = PrivateLink::new(Nothing, "ws://127.0.0.1:1", began).seeded(seed);
        (1..=12).map(|turn| link.wait_longer(began + apart * turn)).collect()
    };
    let often = waits(3, Duration::from_secs(5));
    let sum = |waits: &[Duration]| waits.iter().sum::<Duration>();
    assert!(often[0] <= Duration::from_millis(100), "the first one is replaced at once");
    assert!(sum(&often[8..]) > 20 * sum(&often[..4]), "{often:?}");
    assert_ne!(often, waits(4, Duration::from_secs(5)), "two sessions do not wait alike");
    let seldom = waits(3, STEADY + Duration::from_secs(1));
    assert!(seldom.iter().all(|wait| *wait <= Duration::from_millis(100)), "{seldom:?}");
}
