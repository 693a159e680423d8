//! A TOML document to [`Settings`]: one function per section, in the order of the file.

use super::route::usual_wallet;
use super::section::Section;
use super::{
    CanarySettings, Dialect, ExitSettings, FeatureSettings, HttpSettings, InstrumentList,
    InstrumentSettings, JournalSettings, KillSettings, Layout, Mode, ModelSettings, OrderEntry,
    OrderRoute, PaperSettings, PolicySettings, RiskSettings, SessionSettings, Settings,
    SettingsError, SizingSettings, StandbySettings, TopologySettings, VenueSettings, Wait,
    WatchSettings,
};
use crate::base::ids::Symbol;
use crate::base::limits::{EVENTS_PER_FRAME_MAX, INFERENCE_SHARDS_MAX};
use crate::base::units::{Money, Px, Qty, Rate};
use toml::{Table, Value};

/// Prefix of environment overrides.
const OVERRIDE_PREFIX: &str = "PEREGRINE__";

/// Reads a document's text.
///
/// # Errors
/// One error with the line and column where the text is no TOML.
pub fn parse_document(text: &str) -> Result<Table, SettingsError> {
    text.parse::<Table>().map_err(|error| SettingsError {
        key: "document".to_owned(),
        what: error.to_string().trim().replace('\n', " "),
    })
}

/// Lays `PEREGRINE__SECTION__KEY=value` variables over a document. A value is read as TOML where it
/// is TOML, otherwise as a text. Variables without the prefix are ignored.
///
/// # Errors
/// Every variable whose path crosses a key that is no table.
pub fn merge_overrides(
    document: &mut Table,
    variables: impl Iterator<Item = (String, String)>,
) -> Result<(), Vec<SettingsError>> {
    let mut errors = Vec::new();
    let mut sorted: Vec<(String, String)> =
        variables.filter(|(name, _)| name.starts_with(OVERRIDE_PREFIX)).collect();
    sorted.sort();
    for (name, text) in sorted {
        let path: Vec<String> =
            name[OVERRIDE_PREFIX.len()..].split("__").map(str::to_lowercase).collect();
        let value = format!("v = {text}")
            .parse::<Table>()
            .ok()
            .and_then(|mut t| t.remove("v"))
            .unwrap_or(Value::String(text));
        if let Err(what) = set(document, &path, value) {
            errors.push(SettingsError { key: name, what });
        }
    }
    if errors.is_empty() { Ok(()) } else { Err(errors) }
}

fn set(table: &mut Table, path: &[String], value: Value) -> Result<(), String> {
    match path {
        [] => Err("names no key".to_owned()),
        [key] if key.is_empty() => Err("names no key".to_owned()),
        [key] => {
            table.insert(key.clone(), value);
            Ok(())
        }
        [section, rest @ ..] => {
            let entry = table.entry(section.clone()).or_insert_with(|| Value::Table(Table::new()));
            match entry {
                Value::Table(inner) => set(inner, rest, value),
                _ => Err(format!("{section} is no section")),
            }
        }
    }
}

/// The document as text, for the journal: what a replay needs to run the session again.
pub fn effective_text(document: &Table) -> String {
    toml::to_string(document).unwrap_or_default()
}

/// The tables of a document, in the order in which they are read.
const TABLES: [&str; 23] = [
    "session",
    "venue",
    "instruments",
    "features",
    "model",
    "canary",
    "shadow",
    "rollback",
    "policy",
    "sizing",
    "exits",
    "risk",
    "portfolio",
    "stage",
    "kill",
    "breakers",
    "watch",
    "paper",
    "topology",
    "journal",
    "http",
    "alerts",
    "standby",
];

/// Checks a whole document.
///
/// # Errors
/// Every unknown, missing, malformed or out-of-range key.
pub fn parse(document: Table) -> Result<Settings, Vec<SettingsError>> {
    let mut errors = Vec::new();
    if document.get("mode").and_then(Value::as_str) == Some("live") {
        super::live::require(&document, &mut errors);
    }
    let mut top = Section::new("", document, &mut errors);
    let mode = top.choice(
        "mode",
        &[("paper", Mode::Paper), ("testnet", Mode::Testnet), ("live", Mode::Live)],
        Mode::Paper,
    );
    let parts: Vec<(String, Table)> = TABLES.iter().map(|name| top.table(name)).collect();
    top.finish();

    let mut parts = parts.into_iter();
    let mut next = || parts.next().unwrap_or_default();
    let mut read = Reader { errors: &mut errors };
    let mut settings = Settings {
        mode,
        session: read.session(next(), mode),
        venue: read.venue(next(), mode),
        instruments: read.instruments(next()),
        features: read.features(next()),
        model: read.model(next()),
        canary: CanarySettings::read(next(), read.errors),
        shadow: super::ShadowSettings::read(next(), read.errors),
        rollback: super::RollbackSettings::read(next(), mode, read.errors),
        policy: PolicySettings::read(read.section(next())),
        sizing: SizingSettings::read(read.section(next()), mode),
        exits: ExitSettings::read(read.section(next()), mode),
        risk: read.risk([next(), next(), next()], mode),
        kill: KillSettings::read(next(), read.errors),
        breakers: super::breakers::read(next(), read.errors),
        watch: WatchSettings::read(read.section(next())),
        paper: PaperSettings::read(read.section(next())),
        topology: read.topology(next()),
        journal: read.journal(next()),
        http: read.http(next()),
        alerts: super::AlertSettings::read(read.section(next())),
        standby: None,
    };
    settings.standby = StandbySettings::read(next(), settings.venue.orders, &mut errors);
    super::dialect::check(&settings, &mut errors);
    check_shards(&settings, &mut errors);
    super::own::check(&settings, &mut errors);
    if errors.is_empty() { Ok(settings) } else { Err(errors) }
}

/// A shard without an instrument would be a thread, and a core, without work.
fn check_shards(settings: &Settings, errors: &mut Vec<SettingsError>) {
    let (shards, named) = (settings.topology.inference_shards, settings.instruments.all().count());
    if shards > 1 && shards as usize > named {
        let key = "topology.inference_shards".to_owned();
        let what = format!("{shards} shards for {named} symbols: one would have none");
        errors.push(SettingsError { key, what });
    }
}

/// One method per section; errors of all sections gather in one list.
struct Reader<'e> {
    errors: &'e mut Vec<SettingsError>,
}

impl Reader<'_> {
    fn section(&mut self, (path, table): (String, Table)) -> Section<'_> {
        Section::new(&path, table, self.errors)
    }

    fn session(&mut self, part: (String, Table), mode: Mode) -> SessionSettings {
        let mut s = self.section(part);
        let settings = SessionSettings {
            state_dir: s.text("state_dir"),
            seed: s.integer("seed", 0..=i64::MAX).unsigned_abs(),
            timer_interval_ms: s.u32_opt("timer_interval_ms", 1..=60_000).unwrap_or(100),
            unattended: s.flag("unattended", false),
        };
        if settings.unattended && mode != Mode::Paper {
            s.fail("unattended", "only paper trading may arm itself");
        }
        s.finish();
        settings
    }

    fn venue(&mut self, part: (String, Table), mode: Mode) -> VenueSettings {
        let mut s = self.section(part);
        let routes = [
            ("paper", OrderRoute::Paper),
            ("venue", OrderRoute::Venue),
            ("none", OrderRoute::Nowhere),
        ];
        let entries = [("rest", OrderEntry::Rest), ("websocket", OrderEntry::WebSocket)];
        let settings = VenueSettings {
            dialect: s.choice("dialect", Dialect::ALL, Dialect::UsdM),
            orders: s.choice("orders", &routes, OrderRoute::Paper),
            rest_url: s.text_opt("rest_url").unwrap_or_default(),
            wallet_url: s.text_opt("wallet_url").unwrap_or_else(|| usual_wallet(mode)),
            api_url: s.text_opt("api_url").unwrap_or_default(),
            order_entry: s.choice("order_entry", &entries, OrderEntry::Rest),
            public_url: s.text_opt("public_url").unwrap_or_default(),
            market_url: s.text_opt("market_url").unwrap_or_default(),
            private_url: s.text_opt("private_url").unwrap_or_default(),
            public_streams: s.texts("public_streams"),
            market_streams: s.texts("market_streams"),
            snapshot_levels: s.u32_opt("snapshot_levels", 5..=1_000).unwrap_or(1_000),
            open_interest_every_s: s.u32_opt("open_interest_every_s", 0..=3_600).unwrap_or(0),
            silence_ms_max: s.u32_opt("silence_ms_max", 100..=600_000).unwrap_or(5_000),
            connection_age_s_max: s.u32_opt("connection_age_s_max", 1..=86_000).unwrap_or(82_800),
            reconcile_every_s: s.u32_opt("reconcile_every_s", 0..=3_600).unwrap_or(30),
            dead_man_ms: s.u32_opt("dead_man_ms", 0..=600_000).unwrap_or(0),
            start_patience_s: s.u32_opt("start_patience_s", 0..=150).unwrap_or(120),
        };
        for key in settings.keys_in_the_open(mode) {
            s.fail(key, "must be https:// or wss://; only a loopback address may do without");
        }
        if mode != Mode::Paper && settings.orders != OrderRoute::Venue {
            s.fail("orders", "only mode = \"paper\" does without a venue; say \"venue\"");
        }
        if mode == Mode::Live && settings.wallet_url.is_empty() {
            s.fail("wallet_url", "empty; live trading has to read what the key may do");
        }
        for key in settings.keys_beyond_loopback(mode) {
            s.fail(
                key,
                "is no loopback address such as 127.0.0.1; with mode = \"paper\", \
                 orders = \"venue\" goes to an exchange on this machine alone",
            );
        }
        s.finish();
        settings
    }

    fn instruments(&mut self, part: (String, Table)) -> InstrumentList {
        let mut s = self.section(part);
        let mut list = InstrumentList {
            symbols: s.symbols("symbols"),
            asleep: s.symbols("asleep"),
            discover: s.flag("discover", false),
            facts: Vec::new(),
            maker_fee: s.rate_opt("maker_fee").unwrap_or(Rate(20_000)),
            taker_fee: s.rate_opt("taker_fee").unwrap_or(Rate(50_000)),
        };
        if list.symbols.is_empty() && !list.discover {
            s.fail("symbols", "no symbol is named and discover is off");
        }
        if let Some(twice) = list.asleep.iter().find(|symbol| list.symbols.contains(symbol)) {
            s.fail("asleep", format!("{twice} stands in symbols, too"));
        }
        let tables = s.tables("facts");
        s.finish();
        for part in tables {
            list.facts.extend(self.facts(part, list.maker_fee, list.taker_fee));
        }
        list
    }

    fn facts(
        &mut self,
        part: (String, Table),
        maker_fee: Rate,
        taker_fee: Rate,
    ) -> Option<InstrumentSettings> {
        let mut s = self.section(part);
        let name = s.text("symbol");
        let symbol = Symbol::new(name.to_uppercase().as_bytes());
        if symbol.is_none() {
            s.fail("symbol", format!("{name:?} is no symbol"));
        }
        let tick_size = s.px_opt("tick_size");
        let lot_size = s.qty_opt("lot_size");
        if tick_size.is_none() {
            s.fail("tick_size", "missing or not above zero");
        }
        if lot_size.is_none() {
            s.fail("lot_size", "missing or not above zero");
        }
        let lot = lot_size.unwrap_or(Qty(1));
        let facts = InstrumentSettings {
            symbol: symbol.unwrap_or_default(),
            tick_size: tick_size.unwrap_or(Px(1)),
            lot_size: lot,
            min_qty: s.qty_opt("min_qty").unwrap_or(lot),
            max_qty: s.qty_opt("max_qty").unwrap_or(Qty::MAX),
            min_notional: s.money_opt("min_notional").unwrap_or(Money::whole(5)),
            maker_fee: s.rate_opt("maker_fee").unwrap_or(maker_fee),
            taker_fee: s.rate_opt("taker_fee").unwrap_or(taker_fee),
        };
        s.finish();
        symbol.map(|_| facts)
    }

    fn features(&mut self, part: (String, Table)) -> FeatureSettings {
        let mut s = self.section(part);
        let settings = FeatureSettings {
            bar_interval_ms: s.u32("bar_interval_ms", 100..=86_400_000),
            market_age_ms_max: s.u32("market_age_ms_max", 1..=3_600_000),
            slow_age_ms_max: s.u32("slow_age_ms_max", 1..=86_400_000),
        };
        s.finish();
        settings
    }

    fn model(&mut self, part: (String, Table)) -> ModelSettings {
        let mut s = self.section(part);
        let settings = ModelSettings {
            dir: s.text("dir"),
            version: s.text_opt("version").unwrap_or_else(|| "champion".to_owned()),
            own: super::own::read(&mut s),
            allow_tract: s.flag("allow_tract", false),
            budget_us: s.u32_opt("budget_us", 1..=1_000_000).unwrap_or(100),
        };
        s.finish();
        settings
    }

    fn risk(&mut self, parts: [(String, Table); 3], mode: Mode) -> RiskSettings {
        RiskSettings::read(parts, mode, self.errors)
    }

    fn topology(&mut self, part: (String, Table)) -> TopologySettings {
        // A ring holds at least the largest batch of one frame, or that batch could never pass.
        let depth = EVENTS_PER_FRAME_MAX as u32..=1_048_576;
        let mut s = self.section(part);
        let layouts = [
            ("auto", Layout::Auto),
            ("split", Layout::Split),
            ("paired", Layout::Paired),
            ("fused", Layout::Fused),
        ];
        let waits = [
            ("auto", Wait::Auto),
            ("spin", Wait::Spin),
            ("yield", Wait::Yield),
            ("park", Wait::Park),
        ];
        let mut cores = Vec::new();
        for text in s.texts("cores") {
            match text.parse::<u32>() {
                Ok(core) if core < 1_024 => cores.push(core),
                _ => s.fail("cores", format!("{text:?} is no core number below 1024")),
            }
        }
        let layout = s.choice("layout", &layouts, Layout::Auto);
        let shards = s.u32_opt("inference_shards", 1..=INFERENCE_SHARDS_MAX as u32).unwrap_or(1);
        if shards > 1 && layout != Layout::Split {
            let what =
                format!("{shards} are threads of their own: set topology.layout = \"split\"");
            s.fail("inference_shards", what);
        }
        let settings = TopologySettings {
            layout,
            inference_shards: shards,
            cores,
            wait: s.choice("wait", &waits, Wait::Auto),
            pin_required: s.flag("pin_required", false),
            feed_inference_events: s
                .u32_opt("feed_inference_events", depth.clone())
                .unwrap_or(16_384),
            inference_risk_events: s
                .u32_opt("inference_risk_events", depth.clone())
                .unwrap_or(16_384),
            risk_execution_events: s
                .u32_opt("risk_execution_events", depth.clone())
                .unwrap_or(4_096),
            execution_feed_events: s.u32_opt("execution_feed_events", depth).unwrap_or(4_096),
        };
        s.finish();
        settings
    }

    fn journal(&mut self, part: (String, Table)) -> JournalSettings {
        let mut s = self.section(part);
        let settings = JournalSettings {
            input_segment_mib: s.u32_opt("input_segment_mib", 1..=4_096).unwrap_or(64),
            output_segment_mib: s.u32_opt("output_segment_mib", 1..=4_096).unwrap_or(8),
            flush_interval_ms: s.u32_opt("flush_interval_ms", 1..=60_000).unwrap_or(10),
            keep_segments: s.u32_opt("keep_segments", 0..=1_000_000).unwrap_or(0),
        };
        s.finish();
        settings
    }

    fn http(&mut self, part: (String, Table)) -> HttpSettings {
        let mut s = self.section(part);
        let settings = HttpSettings {
            bind: s.text_opt("bind").unwrap_or_else(|| "127.0.0.1:9464".to_owned()),
            optional: s.flag("optional", false),
        };
        if !settings.bind.is_empty() && settings.bind.parse::<std::net::SocketAddr>().is_err() {
            s.fail("bind", format!("{:?} is no address such as 127.0.0.1:9464", settings.bind));
        }
        s.finish();
        settings
    }
}
