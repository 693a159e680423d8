//! Percentiles drawn on one HTML page that needs nothing else: a picture, the table, the longest
//! passages. Both axes are logarithmic; the horizontal one counts nines.

use super::hop::Hop;
use super::latency::{HopTotals, readable_ns};
use super::worst::{WORST_KEPT, table};
use crate::base::event::Passage;
use plotters::prelude::*;
use std::fmt::Write as _;

/// Width and height of the picture in pixels.
const SIZE: (u32, u32) = (1_000, 560);
/// Steps of the percentile axis in each halving of the distance to 100 %.
const STEPS_PER_HALVING: u32 = 5;
/// One in so many is the last mark of the axis where fewer passed.
const ONE_IN_MIN: f64 = 100.0;

/// Why a page cannot be drawn.
#[derive(Debug, thiserror::Error)]
#[error("the percentile plot cannot be drawn: {0}")]
pub struct PlotError(String);

/// The page of everything counted in `totals` with its longest passages; `title` and `note` say of
/// what.
///
/// # Errors
/// [`PlotError`] when the picture cannot be drawn.
pub fn page(
    title: &str,
    note: &str,
    totals: &HopTotals,
    longest: &[Passage],
) -> Result<String, PlotError> {
    let view = totals.view();
    let worst = table(longest.iter().copied(), WORST_KEPT);
    let picture = if view.is_empty() { String::new() } else { picture(totals)? };
    let mut html = String::from("<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\">\n");
    let _ = writeln!(html, "<title>{}</title>", escaped(title));
    html.push_str(
        "<style>body{font:14px/1.5 system-ui,sans-serif;max-width:1000px;margin:2em auto;\
         padding:0 1em}svg{max-width:100%;height:auto}pre{overflow-x:auto}</style>\n",
    );
    let _ = writeln!(html, "<h1>{}</h1>\n<p>{}</p>", escaped(title), escaped(note));
    html.push_str(&picture);
    let _ = writeln!(html, "<pre>{}</pre>", escaped(&view.table()));
    let _ = writeln!(html, "<pre>{}</pre>\n</html>", escaped(&worst));
    Ok(html)
}

/// The points of one hop: one in how many took longer than this, nanoseconds.
fn points(totals: &HopTotals, hop: Hop) -> Vec<(f64, f64)> {
    let histogram = totals.histogram(hop);
    let most = histogram.len().max(1) as f64;
    let steps = histogram.iter_quantiles(STEPS_PER_HALVING);
    steps
        .map(|step| {
            let beyond = 1.0 - step.quantile_iterated_to();
            let one_in = if beyond > 0.0 { (1.0 / beyond).min(most) } else { most };
            (one_in, step.value_iterated_to() as f64)
        })
        .collect()
}

fn picture(totals: &HopTotals) -> Result<String, PlotError> {
    let lines: Vec<(Hop, Vec<(f64, f64)>)> = Hop::ALL
        .into_iter()
        .filter(|&hop| !totals.histogram(hop).is_empty())
        .map(|hop| (hop, points(totals, hop)))
        .collect();
    let all = || lines.iter().flat_map(|(_, points)| points);
    let right = all().map(|point| point.0).fold(ONE_IN_MIN, f64::max);
    let low = all().map(|point| point.1).fold(f64::INFINITY, f64::min).max(1.0);
    let high = all().map(|point| point.1).fold(low, f64::max);
    let mut svg = String::new();
    let root = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
    root.fill(&WHITE).map_err(refused)?;
    let mut chart = ChartBuilder::on(&root)
        .margin(12)
        .x_label_area_size(44)
        .y_label_area_size(72)
        .build_cartesian_2d((1.0..right * 1.2).log_scale(), (low / 1.2..high * 1.5).log_scale())
        .map_err(refused)?;
    chart
        .configure_mesh()
        .x_desc("percentile")
        .y_desc("took")
        .x_label_formatter(&|one_in| percentile(*one_in))
        .y_label_formatter(&|ns| readable_ns(*ns as u64))
        .draw()
        .map_err(refused)?;
    for (place, (hop, points)) in lines.iter().enumerate() {
        let colour = Palette99::pick(place).to_rgba();
        chart
            .draw_series(LineSeries::new(points.iter().copied(), colour.stroke_width(2)))
            .map_err(refused)?
            .label(hop.name())
            .legend(move |(x, y)| PathElement::new(vec![(x, y), (x + 18, y)], colour));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .background_style(WHITE.mix(0.85))
        .border_style(BLACK.mix(0.3))
        .draw()
        .map_err(refused)?;
    root.present().map_err(refused)?;
    drop(chart);
    drop(root);
    Ok(svg)
}

/// `99.9` for one in a thousand.
fn percentile(one_in: f64) -> String {
    format!("{}", ((1.0 - 1.0 / one_in) * 1e8).round() / 1e6)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn refused(error: impl std::fmt::Display) -> PlotError {
    PlotError(error.to_string())
}
