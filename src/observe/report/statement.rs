//! A statement of a period: profit, fees, funding, slippage, latency, by instrument and in all; as
//! Markdown, and as one page of HTML that asks for nothing from elsewhere.

use super::figures::{Figures, Line};
use super::fills::{AllExecutions, Executions};
use super::read::Period;
use crate::base::Money;
use crate::observe::latency::readable_ns;
use crate::observe::{Hop, LatencyView};
use serde::Serialize;
use std::fmt::Write;

/// Width and height of the curve of a page.
const CURVE: (f64, f64) = (640.0, 160.0);
/// Points of the curve that a page draws at most.
const POINTS_MAX: usize = 640;
const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;\
                     padding:0 1rem;color:#24292f}table{border-collapse:collapse;margin:1rem 0}\
                     th,td{border:1px solid #d0d7de;padding:.2rem .6rem;text-align:right}\
                     th:first-child,td:first-child{text-align:left}\
                     svg{border:1px solid #d0d7de;max-width:100%}polyline{fill:none;\
                     stroke:#1962c4;stroke-width:1.5}";

/// See the head of this file.
#[derive(Clone, Debug, Serialize)]
pub struct Statement {
    /// The sessions' name.
    pub session: String,
    /// What it tells of.
    #[serde(skip)]
    pub period: Period,
    /// What position records say.
    #[serde(flatten)]
    pub figures: Figures,
    /// What fills say.
    pub executions: AllExecutions,
    /// Latency of each hop; empty where the journals have no stamps.
    #[serde(rename = "latency_ns")]
    pub latency: LatencyView,
}

/// A table: its title, its columns, its rows.
struct Table {
    title: &'static str,
    columns: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

impl Statement {
    /// As Markdown.
    pub fn markdown(&self) -> String {
        let mut text = format!("# {}\n", cell(&self.title()));
        for table in self.tables() {
            let _ = write!(text, "\n## {}\n\n", table.title);
            let rule: Vec<&str> = std::iter::once("---")
                .chain(table.columns.iter().skip(1).map(|_| "---:"))
                .collect();
            let _ = writeln!(text, "| {} |", table.columns.join(" | "));
            let _ = writeln!(text, "|{}|", rule.join("|"));
            for row in table.rows {
                let cells: Vec<String> = row.iter().map(|text| cell(text)).collect();
                let _ = writeln!(text, "| {} |", cells.join(" | "));
            }
        }
        text
    }

    /// As one page of HTML.
    pub fn html(&self) -> String {
        let title = escaped(&self.title());
        let mut text = format!(
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
             <title>{title}</title><style>{STYLE}</style></head>\n<body><h1>{title}</h1>\n{}",
            self.curve()
        );
        for table in self.tables() {
            let _ = write!(text, "<h2>{}</h2>\n<table><tr>", table.title);
            for column in table.columns {
                let _ = write!(text, "<th>{}</th>", escaped(column));
            }
            text.push_str("</tr>\n");
            for row in table.rows {
                text.push_str("<tr>");
                for field in row {
                    let _ = write!(text, "<td>{}</td>", escaped(&field));
                }
                text.push_str("</tr>\n");
            }
            text.push_str("</table>\n");
        }
        text.push_str("</body></html>\n");
        text
    }

    fn title(&self) -> String {
        let day = |ns: i64| {
            let at = jiff::Timestamp::from_nanosecond(i128::from(ns)).unwrap_or_default();
            at.strftime("%Y-%m-%d").to_string()
        };
        let Period { from, to } = self.period;
        let (first, last) = (day(from), day(to - 1));
        let when = match (from, to) {
            (0, i64::MAX) => "everything there is".to_owned(),
            _ if first == last => format!("{first} (UTC)"),
            _ => format!("{first} to {last} (UTC)"),
        };
        format!("Statement of {}: {when}", self.session)
    }

    fn tables(&self) -> Vec<Table> {
        let mut tables = vec![self.whole(), self.by_instrument(), self.by_execution()];
        tables.extend((!self.latency.is_empty()).then(|| self.by_hop()));
        tables
    }

    fn whole(&self) -> Table {
        let (figures, all) = (&self.figures, &self.executions.all);
        let percent = |part: f64| format!("{:.2} %", part * 100.0);
        let or_none = |text: Option<String>| text.unwrap_or("–".to_owned());
        let row = |name: &str, value: String| vec![name.to_owned(), value];
        let rows = vec![
            row("profit after fees and funding", figures.profit.to_string()),
            row("equity at the beginning", figures.equity_start.to_string()),
            row("equity at the end", figures.equity_end.to_string()),
            row("fees", figures.fees.to_string()),
            row("funding received", figures.funding.to_string()),
            row("slippage against the decision", all.slippage.to_string()),
            row("slippage, basis points", or_none(all.slippage_bps.map(|b| format!("{b:.2}")))),
            row("fills", all.fills.to_string()),
            row("round trips", figures.round_trips.to_string()),
            row("won", or_none(figures.win_rate().map(percent))),
            row("largest fall", percent(figures.fall_max)),
            row("Sharpe ratio", or_none(figures.sharpe.map(|sharpe| format!("{sharpe:.2}")))),
            row("sessions", figures.sessions.to_string()),
        ];
        Table { title: "In all", columns: vec!["", "quote currency"], rows }
    }

    fn by_instrument(&self) -> Table {
        let columns = vec!["instrument", "realised", "fees", "funding", "unrealised", "net"];
        let row = |name: &str, line: &Line| {
            let parts = [line.realised, line.fees, line.funding, line.unrealised, line.net()];
            std::iter::once(name.to_owned()).chain(parts.map(|part| part.to_string())).collect()
        };
        let mut all = Line::default();
        for line in self.figures.instruments.values() {
            all.realised += line.realised;
            all.fees += line.fees;
            all.funding += line.funding;
            all.unrealised += line.unrealised;
        }
        let lines = self.figures.instruments.iter().map(|(symbol, line)| row(symbol, line));
        let rows = lines.chain([row("all", &all)]).collect();
        Table { title: "Profit", columns, rows }
    }

    fn by_execution(&self) -> Table {
        let columns =
            vec!["instrument", "fills", "maker", "volume", "fees", "slippage", "bps", "undecided"];
        let row = |name: &str, own: &Executions| {
            vec![
                name.to_owned(),
                own.fills.to_string(),
                own.maker.to_string(),
                own.volume.to_string(),
                own.fees.to_string(),
                own.slippage.to_string(),
                own.slippage_bps.map_or("–".to_owned(), |bps| format!("{bps:.2}")),
                own.undecided.to_string(),
            ]
        };
        let lines = self.executions.instruments.iter().map(|(symbol, own)| row(symbol, own));
        let rows = lines.chain([row("all", &self.executions.all)]).collect();
        Table { title: "Executions", columns, rows }
    }

    fn by_hop(&self) -> Table {
        let columns = vec!["hop", "count", "p50", "p99", "p99.9", "p99.99", "max"];
        let passed = Hop::ALL.into_iter().map(|hop| (hop, self.latency.hop(hop)));
        let rows = passed
            .filter(|(_, view)| view.count > 0)
            .map(|(hop, view)| {
                let ranks = [view.p50, view.p99, view.p999, view.p9999, view.max];
                let heads = [hop.name().to_owned(), view.count.to_string()];
                heads.into_iter().chain(ranks.map(readable_ns)).collect()
            })
            .collect();
        Table { title: "Latency", columns, rows }
    }

    /// The equity as a line; nothing where there is none.
    fn curve(&self) -> String {
        let curve = &self.figures.curve;
        let step = curve.len().div_ceil(POINTS_MAX).max(1);
        // The first point stands at the period's begin, which may lie far before anything ran.
        let (Some(first), Some(last)) = (curve.get(1), curve.last()) else { return String::new() };
        let values = curve.iter().map(|(_, equity)| *equity);
        let (low, high) = (values.clone().min().unwrap_or(0), values.max().unwrap_or(0));
        let (wide, tall) = CURVE;
        let mut points = String::new();
        let drawn = curve.iter().step_by(step).chain((curve.len() % step != 1).then_some(last));
        for (ts, equity) in drawn {
            let along = (ts - first.0) as f64 / (last.0 - first.0).max(1) as f64;
            let up = (equity - low) as f64 / (high - low).max(1) as f64;
            let (x, y) = (along.clamp(0.0, 1.0) * wide, (1.0 - up) * (tall - 8.0) + 4.0);
            let _ = write!(points, "{x:.1},{y:.1} ");
        }
        let (low, high) = (Money(low), Money(high));
        format!(
            "<svg viewBox=\"0 0 {wide} {tall}\" width=\"{wide}\" height=\"{tall}\" role=\"img\">\
             <title>equity, from {low} to {high}</title><polyline points=\"{}\"/></svg>\n",
            points.trim_end()
        )
    }
}

/// Text that stays within a cell of a table, and is no markup.
fn cell(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            c if c.is_control() => out.push(' '),
            '|' | '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '#' | '!' => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
    }
    out
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}
