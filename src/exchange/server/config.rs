//! The exchange's configuration file as settings. Unknown keys are errors; all errors are told at
//! once.

use super::{ClockMode, DEFAULT_LEVERAGE, Limits, ServerSettings};
use crate::base::settings::section::Section;
use crate::base::settings::{SettingsError, parse_document};
use crate::base::{Money, Nanos};
use crate::exchange::account::{AccountSettings, Credential};
use crate::exchange::spec::SymbolSpec;
use crate::exchange::wire::limits::LimitSettings;
use std::net::SocketAddr;
use toml::Table;

/// What a file says: settings, and the fault script it names.
#[derive(Clone, Debug, PartialEq)]
pub struct FileSettings {
    /// Settings.
    pub server: ServerSettings,
    /// Path of the fault script; empty for none.
    pub faults: String,
    /// Time at the opening on a stepped clock.
    pub start: Nanos,
}

/// Reads a configuration.
///
/// # Errors
/// Every key at fault.
pub fn parse(text: &str) -> Result<FileSettings, Vec<SettingsError>> {
    let table = parse_document(text).map_err(|error| vec![error])?;
    let mut errors = Vec::new();
    let mut section = Section::new("", table, &mut errors);
    let (rest_addr, ws_addr) = (addr(&mut section, "rest"), addr(&mut section, "ws"));
    let allow_remote = section.flag("allow_remote", false);
    let sim_token = section.text_opt("sim_token").filter(|token| !token.is_empty());
    let seed = section.integer("seed", 0..=i64::MAX).unsigned_abs();
    let symbols = symbols(&mut section);
    let rate = section.number("rate", 10.0..=200_000.0);
    let deposit = section.money("deposit");
    let (clock, start) = clock(&mut section);
    let faults = section.text_opt("faults").unwrap_or_default();
    let (limits_path, limits_table) = section.table("limits");
    let account_tables = section.tables("account");
    section.finish();
    let (limits, request_limits) = limits(&limits_path, limits_table, &mut errors);
    let accounts =
        account_tables.into_iter().map(|(path, table)| account(&path, table, &mut errors));
    let accounts = accounts.collect();
    if !errors.is_empty() {
        return Err(errors);
    }
    let server = ServerSettings {
        rest_addr,
        ws_addr,
        allow_remote,
        sim_token,
        seed,
        symbols,
        rate,
        accounts,
        deposit,
        clock,
        limits,
        request_limits,
        ..ServerSettings::default()
    };
    Ok(FileSettings { server, faults, start })
}

/// The time a text such as `2026-01-01T00:00:00Z` names.
///
/// # Errors
/// In words.
pub fn instant(text: &str) -> Result<Nanos, String> {
    let time: jiff::Timestamp = text.parse().map_err(|error| format!("{text:?}: {error}"))?;
    i64::try_from(time.as_nanosecond()).map(Nanos).map_err(|_| format!("{text:?} is too far away"))
}

fn addr(section: &mut Section<'_>, key: &str) -> SocketAddr {
    let text = section.text(key);
    text.parse().unwrap_or_else(|_| {
        if !text.is_empty() {
            section.fail(key, format!("{text:?} is no address such as 127.0.0.1:9080"));
        }
        SocketAddr::from(([127, 0, 0, 1], 0))
    })
}

fn symbols(section: &mut Section<'_>) -> Vec<SymbolSpec> {
    let named = section.symbols("symbols");
    if named.is_empty() {
        section.fail("symbols", "at least one contract is needed");
    }
    let spec = |symbol: &crate::base::Symbol| {
        let spec = SymbolSpec::by_symbol(symbol.as_str());
        if spec.is_none() {
            section.fail("symbols", format!("{symbol} is not simulated"));
        }
        spec
    };
    named.iter().filter_map(spec).collect()
}

/// The clock, and where a stepped one starts.
fn clock(section: &mut Section<'_>) -> (ClockMode, Nanos) {
    let stepped = section.choice("clock", &[("real", false), ("stepped", true)], false);
    let text = section.text_opt("start").unwrap_or_else(|| "2026-01-01T00:00:00Z".to_owned());
    let start = instant(&text).unwrap_or_else(|what| {
        section.fail("start", what);
        Nanos::ZERO
    });
    (if stepped { ClockMode::Stepped { start } } else { ClockMode::Real }, start)
}

fn limits(path: &str, table: Table, errors: &mut Vec<SettingsError>) -> (Limits, LimitSettings) {
    let mut section = Section::new(path, table, errors);
    let calls = request_limits(&mut section);
    let usual = Limits::default();
    let mut size = |key: &str, range, unit: usize, usual: usize| {
        let value = section.u32_opt(key, range);
        value.map_or(usual, |value| value as usize * unit)
    };
    let connections_max = size("connections_max", 1..=100_000, 1, usual.connections_max);
    let head_bytes_max = size("head_kib_max", 1..=1_024, 1_024, usual.head_bytes_max);
    let body_bytes_max = size("body_kib_max", 1..=65_536, 1_024, usual.body_bytes_max);
    let message_bytes_max = size("message_kib_max", 1..=65_536, 1_024, usual.message_bytes_max);
    let backlog_bytes_max = size("backlog_kib_max", 64..=1 << 20, 1_024, usual.backlog_bytes_max);
    let mut time = |key: &str, max: i64, usual: Nanos| {
        section.integer_opt(key, 1..=max).map_or(usual, Nanos::from_millis)
    };
    let request_time_max = time("request_time_ms_max", 3_600_000, usual.request_time_max);
    let idle_max = time("idle_ms_max", 86_400_000, usual.idle_max);
    let ping_every = time("ping_every_ms", 86_400_000, usual.ping_every);
    let pong_within = time("pong_within_ms", 86_400_000, usual.pong_within);
    let life_max = time("life_ms_max", 864_000_000, usual.life_max);
    section.finish();
    let limits = Limits {
        connections_max,
        head_bytes_max,
        body_bytes_max,
        message_bytes_max,
        backlog_bytes_max,
        request_time_max,
        idle_max,
        ping_every,
        pong_within,
        life_max,
    };
    (limits, calls)
}

/// What callers may ask for.
fn request_limits(section: &mut Section<'_>) -> LimitSettings {
    let usual = LimitSettings::default();
    let mut count = |key: &str, usual: u32| section.u32_opt(key, 1..=u32::MAX).unwrap_or(usual);
    LimitSettings {
        weight_minute: count("weight_1m_max", usual.weight_minute),
        orders_ten_seconds: count("orders_10s_max", usual.orders_ten_seconds),
        orders_minute: count("orders_1m_max", usual.orders_minute),
        ..usual
    }
}

fn account(path: &str, table: Table, errors: &mut Vec<SettingsError>) -> AccountSettings {
    let mut section = Section::new(path, table, errors);
    let api_key = section.text("api_key");
    let secret = section.text_opt("api_secret");
    let public = section.text_opt("ed25519");
    let deposit = section.money_opt("deposit").unwrap_or(Money::whole(10_000));
    let leverage = section.u32_opt("leverage", 1..=125).unwrap_or(DEFAULT_LEVERAGE);
    let credential = match (secret, public) {
        (Some(secret), None) => Credential::Hmac(secret),
        (None, Some(hex)) => match public_key(&hex) {
            Some(key) => Credential::Ed25519(key),
            None => {
                section.fail("ed25519", "must be 64 hexadecimal digits");
                Credential::Hmac(String::new())
            }
        },
        _ => {
            section.fail("api_secret", "either this or ed25519 must be there");
            Credential::Hmac(String::new())
        }
    };
    section.finish();
    AccountSettings { keys: vec![(api_key, credential)], deposit, leverage }
}

fn public_key(hex: &str) -> Option<[u8; 32]> {
    let mut key = [0; 32];
    let digits = hex.as_bytes();
    if digits.len() != 64 {
        return None;
    }
    for (byte, pair) in key.iter_mut().zip(digits.chunks(2)) {
        let pair = std::str::from_utf8(pair).ok().filter(|pair| !pair.starts_with('+'))?;
        *byte = u8::from_str_radix(pair, 16).ok()?;
    }
    Some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = include_str!("../../../config/exchange.toml");

    #[test]
    fn the_file_in_the_repository_says_the_built_in_limits() {
        let read = parse(FILE).unwrap();
        assert_eq!(read.server.limits, Limits::default());
        assert_eq!(read.server.request_limits, LimitSettings::default());
        assert_eq!(read.server.symbols, SymbolSpec::default_pair());
        assert_eq!((read.server.seed, read.server.clock), (7, ClockMode::Real));
        assert!(read.server.accounts.is_empty() && read.faults.is_empty());
    }

    #[test]
    fn every_key_at_fault_is_told_at_once() {
        let text = FILE
            .replace("seed = 7", "sed = 7")
            .replace("127.0.0.1:9081", "nowhere")
            .replace("\"ETHUSDT\"", "\"NOPEUSDT\"")
            .replace("2026-01-01T00:00:00Z", "yesterday")
            .replace("idle_ms_max = 60000", "idle_ms_max = 0")
            + "\n[[account]]\napi_key = \"k\"\ned25519 = \"12\"\n";
        let errors = parse(&text).unwrap_err();
        let keys = ["sed", "seed", "ws", "symbols", "start", "limits.idle_ms_max"];
        for key in keys.iter().chain(&["account[0].ed25519"]) {
            assert!(errors.iter().any(|error| error.key == *key), "{key}: {errors:?}");
        }
        assert_eq!(errors.len(), 7, "{errors:?}");
    }

    #[test]
    fn accounts_of_both_kinds_are_read() {
        let key = "2b5eb11e18796d12d88f13dc27dbbd02c2cc51ff7059765ed9821957d82bb4d9";
        let text = format!(
            "{FILE}\n[[account]]\napi_key = \"a\"\napi_secret = \"s\"\ndeposit = \"5\"\n\
             [[account]]\napi_key = \"b\"\ned25519 = \"{key}\"\nleverage = 3\n"
        );
        let accounts = parse(&text).unwrap().server.accounts;
        assert_eq!(accounts[0].keys[0].1, Credential::Hmac("s".to_owned()));
        assert_eq!((accounts[0].deposit, accounts[0].leverage), (Money::whole(5), 20));
        let Credential::Ed25519(bytes) = &accounts[1].keys[0].1 else { panic!("{accounts:?}") };
        assert_eq!((bytes[0], bytes[31], accounts[1].leverage), (0x2b, 0xd9, 3));
    }
}
