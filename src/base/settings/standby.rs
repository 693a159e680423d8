//! `[standby]`: several nodes for one account, of which one trades.

use super::section::Section;
use super::{OrderRoute, SettingsError};
use std::time::Duration;
use toml::Table;

/// How long the venue may take to accept an order after the time it is signed with. What takes over
/// waits this long, so it is part of the safety of a group of nodes.
pub const ORDER_WINDOW_MS: u32 = 1_000;

const _: () = assert!(ORDER_WINDOW_MS <= 1_000, "a takeover waits for it: longer is too long");

/// Settings of a group of nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StandbySettings {
    /// Name of the group in etcd; the nodes of one account share it.
    pub group: String,
    /// Name of this node, another one for each.
    pub node: String,
    /// Addresses of etcd's members, `http://` or `https://`, without a path.
    pub endpoints: Vec<String>,
    /// Seconds a lease lasts.
    pub ttl_s: u32,
    /// Milliseconds between two renewals.
    pub renew_ms: u32,
    /// Milliseconds before the lease's end at which nothing leaves any more.
    pub margin_ms: u32,
    /// Milliseconds that the clocks of the nodes and of the venue may be apart.
    pub skew_ms_max: u32,
}

impl StandbySettings {
    /// `None` where the table is empty or missing: no group, one machine.
    pub(super) fn read(
        part: (String, Table),
        orders: OrderRoute,
        errors: &mut Vec<SettingsError>,
    ) -> Option<Self> {
        if part.1.is_empty() {
            return None;
        }
        let mut s = Section::new(&part.0, part.1, errors);
        let settings = Self {
            group: s.text("group"),
            node: s.text("node"),
            endpoints: s.texts("endpoints"),
            ttl_s: s.u32_opt("ttl_s", 2..=60).unwrap_or(5),
            renew_ms: s.u32_opt("renew_ms", 50..=10_000).unwrap_or(1_000),
            margin_ms: s.u32_opt("margin_ms", 10..=10_000).unwrap_or(500),
            skew_ms_max: s.u32_opt("skew_ms_max", 10..=5_000).unwrap_or(500),
        };
        let plain = |text: &str| {
            let letters = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
            !text.is_empty() && text.len() <= 64 && text.bytes().all(letters)
        };
        for (key, text) in [("group", &settings.group), ("node", &settings.node)] {
            if !plain(text) {
                s.fail(key, "must be 1 to 64 letters, digits, '-', '_' or '.'");
            }
        }
        let http = |url: &String| url.starts_with("http://") || url.starts_with("https://");
        if settings.endpoints.is_empty() || !settings.endpoints.iter().all(http) {
            s.fail("endpoints", "must name etcd's members, each http://… or https://…");
        }
        if settings.ttl_s * 1_000 < 4 * settings.renew_ms {
            s.fail("renew_ms", "must be a quarter of ttl_s at most: a renewal may fail");
        }
        if settings.ttl_s * 1_000 < 4 * settings.margin_ms {
            s.fail("margin_ms", "must be a quarter of ttl_s at most");
        }
        if orders != OrderRoute::Venue {
            s.fail(
                "group",
                "needs venue.orders = \"venue\": paper orders have no account to share",
            );
        }
        s.finish();
        Some(settings)
    }

    /// How long a lease lasts.
    pub fn ttl(&self) -> Duration {
        Duration::from_secs(u64::from(self.ttl_s))
    }

    /// What is kept before its end.
    pub fn margin(&self) -> Duration {
        Duration::from_millis(u64::from(self.margin_ms))
    }

    /// Time between two renewals, and between two looks of who stands by.
    pub fn renew(&self) -> Duration {
        Duration::from_millis(u64::from(self.renew_ms))
    }

    /// How long a new leader waits after the lease of the one before is gone: until its clock has
    /// said so too, and the venue accepts nothing that it signed.
    pub fn takeover_wait(&self) -> Duration {
        self.ttl() + Duration::from_millis(u64::from(ORDER_WINDOW_MS + self.skew_ms_max))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, orders: OrderRoute) -> (Option<StandbySettings>, Vec<String>) {
        let mut errors = Vec::new();
        let table = text.parse().unwrap();
        let settings = StandbySettings::read(("standby".to_owned(), table), orders, &mut errors);
        (settings, errors.iter().map(ToString::to_string).collect())
    }

    const NAMED: &str = "group = \"g\"\nnode = \"a\"\nendpoints = [\"http://127.0.0.1:2379\"]\n";

    #[test]
    fn without_the_table_there_is_no_group_and_with_it_every_key_is_read() {
        assert_eq!(read("", OrderRoute::Paper), (None, Vec::new()));
        let more = "ttl_s = 8\nrenew_ms = 200\nmargin_ms = 300\nskew_ms_max = 40\n";
        let (settings, errors) = read(&format!("{NAMED}{more}"), OrderRoute::Venue);
        let settings = settings.unwrap();
        assert_eq!(errors, [""; 0]);
        assert_eq!((settings.ttl_s, settings.renew_ms, settings.margin_ms), (8, 200, 300));
        // 8 s of lease, 1 s of window, 40 ms of clocks.
        assert_eq!(settings.takeover_wait(), Duration::from_millis(9_040));
        let usual = read(NAMED, OrderRoute::Venue).0.unwrap();
        assert_eq!(
            (usual.ttl_s, usual.renew_ms, usual.margin_ms, usual.skew_ms_max),
            (5, 1_000, 500, 500)
        );
    }

    #[test]
    fn the_shipped_table_says_what_is_usual() {
        let shipped: Table = include_str!("../../../config/standby.toml").parse().unwrap();
        let table = shipped["standby"].as_table().unwrap();
        let (settings, errors) = read(&table.to_string(), OrderRoute::Venue);
        assert_eq!(errors, [""; 0]);
        let named = "group = \"main\"\nnode = \"a\"\nendpoints = [\"http://127.0.0.1:2379\"]";
        assert_eq!(settings, read(named, OrderRoute::Venue).0);
        assert_eq!(table.len(), 7, "every key is shipped");
    }

    #[test]
    fn what_is_not_lawful_is_named() {
        for (text, key) in [
            ("node = \"a\"\nendpoints = [\"http://a\"]".to_owned(), "standby.group"),
            (
                "group = \"g/h\"\nnode = \"a\"\nendpoints = [\"http://a\"]".to_owned(),
                "standby.group",
            ),
            ("group = \"g\"\nnode = \"\"\nendpoints = [\"http://a\"]".to_owned(), "standby.node"),
            ("group = \"g\"\nnode = \"a\"\nendpoints = []".to_owned(), "standby.endpoints"),
            ("group = \"g\"\nnode = \"a\"\nendpoints = [\"a:1\"]".to_owned(), "standby.endpoints"),
            (format!("{NAMED}renew_ms = 1251"), "standby.renew_ms"),
            (format!("{NAMED}margin_ms = 1251"), "standby.margin_ms"),
            (format!("{NAMED}ttl_s = 1"), "standby.ttl_s"),
            (format!("{NAMED}of = 1"), "standby.of"),
        ] {
            let errors = read(&text, OrderRoute::Venue).1;
            assert!(errors.iter().any(|error| error.starts_with(key)), "{text}: {errors:?}");
        }
        let errors = read(NAMED, OrderRoute::Paper).1;
        assert!(errors.len() == 1 && errors[0].contains("venue.orders"), "{errors:?}");
    }
}
