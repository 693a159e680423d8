use crate::observe::Hop;
use crate::observe::hlog::{HlogError, read_log, write_log};
use crate::observe::latency::HopTotals;
use std::time::{Duration, UNIX_EPOCH};

fn two_intervals() -> Vec<u8> {
    let mut bytes = Vec::new();
    let start = UNIX_EPOCH + Duration::from_millis(1_700_000_000_250);
    write_log(&mut bytes, start, |log| {
        let mut first = HopTotals::new();
        (1..=1_000).for_each(|ns| first.record_n(Hop::Inference, ns, 1));
        log.interval(&first, Duration::ZERO, Duration::from_secs(1))?;
        let mut second = HopTotals::new();
        second.record_n(Hop::Inference, 50_000, 3);
        second.record_n(Hop::Wire, 2_000_000, 1);
        log.interval(&second, Duration::from_secs(1), Duration::from_secs(1))
    })
    .unwrap();
    bytes
}

#[test]
fn a_log_reads_back_as_what_was_written() {
    let view = read_log(&two_intervals()).unwrap().view();
    let inference = view.hop(Hop::Inference);
    assert_eq!(inference.count, 1_003);
    assert!((500..=505).contains(&inference.p50), "{inference:?}");
    assert!((50_000..=50_500).contains(&inference.max), "{inference:?}");
    assert_eq!(view.hop(Hop::Wire).count, 1);
    assert_eq!(view.hop(Hop::Risk).count, 0);
}

#[test]
fn a_log_has_the_head_other_readers_need() {
    let bytes = two_intervals();
    let text = std::str::from_utf8(&bytes).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0].trim_start_matches('#').trim(), "[Histogram log format version 1.3]");
    for time in ["#[StartTime: 1700000000.250 ", "#[BaseTime: 1700000000.250 "] {
        assert!(lines.iter().any(|line| line.starts_with(time)), "no {time} in {text}");
    }
    let tagged: Vec<&&str> = lines.iter().filter(|line| line.starts_with("Tag=")).collect();
    assert_eq!(tagged.len(), 3, "{text}");
    assert!(tagged[0].starts_with("Tag=inference,0.000,1.000,"), "{}", tagged[0]);
    assert!(tagged[2].starts_with("Tag=wire,1.000,1.000,"), "{}", tagged[2]);
}

#[test]
fn a_damaged_log_is_refused_with_the_place_of_the_damage() {
    let text = String::from_utf8(two_intervals()).unwrap();
    let foreign = text.replace("Tag=wire", "Tag=dinner");
    // Start and base time are entries 1 and 2.
    assert!(matches!(read_log(foreign.as_bytes()), Err(HlogError::Tag { entry: 5 })));
    let untagged = text.replace("Tag=wire,", "");
    assert!(matches!(read_log(untagged.as_bytes()), Err(HlogError::Tag { entry: 5 })));
    let cut = &text[..text.len() - 9];
    assert!(matches!(read_log(cut.as_bytes()), Err(HlogError::Line { .. })));
    let end = text.rfind(',').unwrap();
    for payload in ["HISTogram*", "HISTFAAA", "AAAA", "A"] {
        let broken = format!("{},{payload}\n", &text[..end]);
        let read = read_log(broken.as_bytes());
        assert!(matches!(read, Err(HlogError::Histogram { entry: 5, .. })), "{payload}");
    }
    assert!(read_log(b"").unwrap().view().is_empty());
}
