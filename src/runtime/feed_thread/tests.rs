use super::*;

#[test]
fn fault_p12_a_clock_that_jumps_either_way_or_a_pause_is_noticed_once() {
    let began = Instant::now();
    let at = |mono_ms: u64, wall_ms: i64| Now {
        mono: began + Duration::from_millis(mono_ms),
        wall: Nanos::from_millis(1_000_000 + wall_ms),
    };
    let mut due = Due::at(began);
    let turns = [
        (at(0, 0), false),
        (at(900, 900), false),
        // The process was stopped; the machine was paused; the clock was set forth and back.
        (at(2_000, 2_000), true),
        (at(2_010, 9_000), true),
        (at(2_020, 4_000), true),
        (at(2_030, 4_010), false),
    ];
    for (i, (now, slept)) in turns.into_iter().enumerate() {
        assert_eq!(due.has_slept(now), slept, "turn {i}");
    }
}
