//! The table `[breakers]`: what trips after the fact, at which level, and how it comes back.

use super::SettingsError;
use super::section::Section;
use crate::base::limits::REJECTS_WINDOW_MAX;
use toml::Table;

/// Levels of the breakers. Every key has a default, the value of the control table; no breaker can
/// be switched off, and nothing raises a limit while a session runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BreakerSettings {
    /// RC-22: loss of the UTC day over the equity at its start that warns, in basis points.
    pub day_loss_warn_bps: u32,
    /// RC-22: that loss that halts.
    pub day_loss_halt_bps: u32,
    /// RC-22: that loss that kills and flattens.
    pub day_loss_kill_bps: u32,
    /// RC-23: fall from the highest equity that reduces, in basis points of it.
    pub drawdown_reduce_bps: u32,
    /// RC-23: that fall that halts.
    pub drawdown_halt_bps: u32,
    /// RC-24: losing round trips in a row from which entries have half their size.
    pub losses_half: u32,
    /// RC-24: losses from which they have a quarter.
    pub losses_quarter: u32,
    /// RC-24: losses that halt.
    pub losses_halt: u32,
    /// RC-25: a fill worse than its decision's price by more than this reduces, in basis points.
    pub slippage_bps: u32,
    /// RC-25: a fee, or rebate, beyond this share of the fill's value halts, in basis points.
    pub fee_bps: u32,
    /// RC-28: refusals of one class in a row that halt.
    pub rejects_in_a_row: u32,
    /// RC-28: share of one class among the newest outcomes that halts, in percent.
    pub rejects_percent: u32,
    /// RC-28: how many outcomes that share is of.
    pub rejects_window: u32,
    /// RC-15: age of an instrument's market data from which it is degraded, in milliseconds.
    pub stale_degraded_ms: u32,
    /// RC-15: age from which it is stale: trading reduces, resting entries are cancelled.
    pub stale_ms: u32,
    /// RC-15: good ticks in a row after which it is live again, and may be entered.
    pub stale_good_ticks: u32,
    /// RC-39: spread that reduces, in basis points of the mid.
    pub spread_trip_bps: u32,
    /// RC-39: spread below which that ends.
    pub spread_clear_bps: u32,
    /// RC-39: average true range over its own long average that reduces, in percent.
    pub range_trip_percent: u32,
    /// RC-39: share below which that ends.
    pub range_clear_percent: u32,
    /// RC-39: move of the mid within one bar that reduces, in basis points.
    pub jump_trip_bps: u32,
    /// RC-39: move below which that ends, over a whole bar.
    pub jump_clear_bps: u32,
    /// RC-39: length of that bar in seconds.
    pub jump_bar_s: u32,
    /// RC-40: 99th percentile from bytes in memory to order bytes that reduces, in microseconds.
    pub tick_to_gate_us: u32,
    /// RC-40: 95th percentile of the same that reduces, in microseconds.
    pub tick_to_gate_p95_us: u32,
    /// RC-40: 99th percentile from approval to the venue's word that reduces, in milliseconds.
    pub send_to_ack_ms: u32,
    /// RC-40: 95th percentile of the same that reduces, in milliseconds.
    pub send_to_ack_p95_ms: u32,
    /// RC-40: fill of the market ring that reduces, in percent.
    pub ring_percent: u32,
    /// RC-41: hours of journal, beyond the next segments, the disk must have room for.
    pub disk_reserve_hours: u32,
    /// RC-41: resident memory that reduces, in MiB.
    pub memory_mib: u32,
    /// RC-41: open files over the process's limit that reduce, in percent.
    pub files_percent: u32,
    /// RC-41: a pinned thread's longest time without a turn that reduces, in milliseconds.
    pub core_stall_ms: u32,
    /// RC-16: answers or features that are no numbers, per minute, that reduce.
    pub invalid_outputs: u32,
    /// Seconds that all must be well before a reduction ends.
    pub cool_down_s: u32,
    /// Size of entries after a halt was armed again, in percent.
    pub restart_first_percent: u32,
    /// Size in the step after that one.
    pub restart_second_percent: u32,
    /// Round trips without a loss that end a step, together with its time.
    pub restart_round_trips: u32,
    /// Least seconds of a step.
    pub restart_step_s: u32,
}

impl Default for BreakerSettings {
    fn default() -> Self {
        let mut errors = Vec::new();
        read(("breakers".to_owned(), Table::new()), &mut errors)
    }
}

/// Pairs of keys of which the first must lie below the second.
const RISING: [(&str, &str); 11] = [
    ("day_loss_warn_bps", "day_loss_halt_bps"),
    ("day_loss_halt_bps", "day_loss_kill_bps"),
    ("drawdown_reduce_bps", "drawdown_halt_bps"),
    ("losses_half", "losses_quarter"),
    ("losses_quarter", "losses_halt"),
    ("stale_degraded_ms", "stale_ms"),
    ("spread_clear_bps", "spread_trip_bps"),
    ("range_clear_percent", "range_trip_percent"),
    ("jump_clear_bps", "jump_trip_bps"),
    ("restart_first_percent", "restart_second_percent"),
    ("rejects_in_a_row", "rejects_window"),
];

/// The 95th percentile is never above the 99th: a limit above that one's would be none. Absent, it
/// is that one's.
const PERCENTILES: [(&str, &str); 2] =
    [("tick_to_gate_p95_us", "tick_to_gate_us"), ("send_to_ack_p95_ms", "send_to_ack_ms")];

/// Reads the table; an absent one gives every default.
pub(super) fn read(
    (path, table): (String, Table),
    errors: &mut Vec<SettingsError>,
) -> BreakerSettings {
    let mut s = Section::new(&path, table, errors);
    let mut seen: Vec<(&str, u32)> = Vec::new();
    let mut key = |name: &'static str, most: u32, default: u32| {
        let value = s.u32_opt(name, 1..=most).unwrap_or(default);
        seen.push((name, value));
        value
    };
    let (bps, any) = (10_000, u32::MAX);
    let tick_to_gate_us = key("tick_to_gate_us", 10_000_000, 1_000);
    let send_to_ack_ms = key("send_to_ack_ms", 600_000, 500);
    let settings = BreakerSettings {
        day_loss_warn_bps: key("day_loss_warn_bps", bps, 200),
        day_loss_halt_bps: key("day_loss_halt_bps", bps, 300),
        day_loss_kill_bps: key("day_loss_kill_bps", bps, 500),
        drawdown_reduce_bps: key("drawdown_reduce_bps", bps, 1_500),
        drawdown_halt_bps: key("drawdown_halt_bps", bps, 2_000),
        losses_half: key("losses_half", any, 3),
        losses_quarter: key("losses_quarter", any, 4),
        losses_halt: key("losses_halt", any, 5),
        slippage_bps: key("slippage_bps", bps, 50),
        fee_bps: key("fee_bps", bps, 20),
        rejects_in_a_row: key("rejects_in_a_row", REJECTS_WINDOW_MAX - 1, 5),
        rejects_percent: key("rejects_percent", 100, 20),
        rejects_window: key("rejects_window", REJECTS_WINDOW_MAX, 50),
        stale_degraded_ms: key("stale_degraded_ms", 3_600_000, 1_000),
        stale_ms: key("stale_ms", 3_600_000, 5_000),
        stale_good_ticks: key("stale_good_ticks", 100_000, 20),
        spread_trip_bps: key("spread_trip_bps", bps, 50),
        spread_clear_bps: key("spread_clear_bps", bps, 20),
        range_trip_percent: key("range_trip_percent", 100_000, 250),
        range_clear_percent: key("range_clear_percent", 100_000, 150),
        jump_trip_bps: key("jump_trip_bps", 100_000, 1_000),
        jump_clear_bps: key("jump_clear_bps", 100_000, 500),
        jump_bar_s: key("jump_bar_s", 86_400, 60),
        tick_to_gate_us,
        tick_to_gate_p95_us: key("tick_to_gate_p95_us", 10_000_000, tick_to_gate_us),
        send_to_ack_ms,
        send_to_ack_p95_ms: key("send_to_ack_p95_ms", 600_000, send_to_ack_ms),
        ring_percent: key("ring_percent", 100, 50),
        disk_reserve_hours: key("disk_reserve_hours", 8_760, 24),
        memory_mib: key("memory_mib", any, 8_192),
        files_percent: key("files_percent", 100, 80),
        core_stall_ms: key("core_stall_ms", 600_000, 100),
        invalid_outputs: key("invalid_outputs", any, 10),
        cool_down_s: key("cool_down_s", 86_400, 5),
        restart_first_percent: key("restart_first_percent", 99, 50),
        restart_second_percent: key("restart_second_percent", 99, 75),
        restart_round_trips: key("restart_round_trips", 1_000_000, 3),
        restart_step_s: key("restart_step_s", 31_536_000, 600),
    };
    let value = |name: &str| seen.iter().find(|pair| pair.0 == name).map_or(0, |pair| pair.1);
    let disordered: Vec<_> =
        RISING.into_iter().filter(|(low, high)| value(low) >= value(high)).collect();
    let percentiles = PERCENTILES.into_iter().filter(|(low, high)| value(low) > value(high));
    let percentiles: Vec<_> = percentiles.collect();
    for (low, high) in disordered {
        s.fail(low, format!("must be below {high}"));
    }
    for (low, high) in percentiles {
        s.fail(low, format!("must be below {high}, or as much"));
    }
    s.finish();
    settings
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The settings as a table: field names are keys.
    fn table(settings: &BreakerSettings) -> Table {
        let text = format!("{settings:?}");
        let inner = text.trim_start_matches("BreakerSettings { ").trim_end_matches(" }");
        let pairs = inner.split(", ").map(|pair| pair.split_once(": ").unwrap());
        let value = |text: &str| toml::Value::Integer(text.parse().unwrap());
        pairs.map(|(key, text)| (key.to_owned(), value(text))).collect()
    }

    fn parse(table: Table) -> (BreakerSettings, Vec<SettingsError>) {
        let mut errors = Vec::new();
        (read(("breakers".to_owned(), table), &mut errors), errors)
    }

    #[test]
    fn every_key_is_read_under_its_own_name_and_zero_switches_nothing_off() {
        let all = table(&BreakerSettings::default());
        for key in all.keys() {
            let mut moved = all.clone();
            let raised = all[key].as_integer().unwrap() + 1;
            moved.insert(key.clone(), toml::Value::Integer(raised));
            let (read, errors) = parse(moved.clone());
            let lawful = errors.iter().all(|error| error.what.starts_with("must be below"));
            assert!(lawful, "{errors:?}");
            assert_eq!(table(&read), moved, "{key}");
            moved.insert(key.clone(), toml::Value::Integer(0));
            let (_, errors) = parse(moved);
            assert!(errors.iter().any(|error| error.key == format!("breakers.{key}")), "{key}");
        }
    }

    #[test]
    fn levels_in_the_wrong_order_are_refused_by_name() {
        for (low, high) in RISING {
            let mut moved = table(&BreakerSettings::default());
            moved.insert(low.to_owned(), moved[high].clone());
            let (_, errors) = parse(moved);
            let key = format!("breakers.{low}");
            assert!(errors.iter().any(|e| e.key == key && e.what.contains(high)), "{errors:?}");
        }
        for (low, high) in PERCENTILES {
            let mut moved = table(&BreakerSettings::default());
            let limit = moved[high].as_integer().unwrap();
            let _ = moved.remove(low);
            assert_eq!(table(&parse(moved.clone()).0)[low], moved[high], "absent");
            moved.insert(low.to_owned(), toml::Value::Integer(limit + 1));
            let (_, errors) = parse(moved);
            let key = format!("breakers.{low}");
            assert!(errors.iter().any(|e| e.key == key && e.what.contains(high)), "{errors:?}");
        }
    }
}
