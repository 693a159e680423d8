//! Pictures of a validation as SVG, without fonts or anything else of the system.

use crate::statistics::calibration::Bin;
use anyhow::{Result, anyhow};
use plotters::coord::Shift;
use plotters::prelude::*;

/// Width and height of a picture in pixels.
const SIZE: (u32, u32) = (900, 420);
/// Features shown at most.
const FEATURES_SHOWN: usize = 24;

fn refused(error: impl std::fmt::Display) -> anyhow::Error {
    anyhow!("a picture cannot be drawn: {error}")
}

type Canvas<'c> = DrawingArea<SVGBackend<'c>, Shift>;

fn drawn(draw: impl FnOnce(&Canvas<'_>) -> Result<()>) -> Result<String> {
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        root.fill(&WHITE).map_err(refused)?;
        draw(&root)?;
        root.present().map_err(refused)?;
    }
    Ok(svg)
}

/// A line over periods.
pub fn line(title: &str, values: &[f64]) -> Result<String> {
    let low = values.iter().copied().fold(f64::INFINITY, f64::min).min(0.0);
    let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max).max(0.0);
    let room = ((high - low) * 0.05).max(1e-6);
    drawn(|root| {
        let mut chart = ChartBuilder::on(root)
            .margin(12)
            .x_label_area_size(40)
            .y_label_area_size(70)
            .build_cartesian_2d(0.0..values.len().max(1) as f64, low - room..high + room)
            .map_err(refused)?;
        chart
            .configure_mesh()
            .x_desc("period")
            .y_desc(title)
            .y_label_formatter(&|share| format!("{:.2} %", share * 100.0))
            .draw()
            .map_err(refused)?;
        let points = values.iter().enumerate().map(|(at, &value)| (at as f64, value));
        chart.draw_series(LineSeries::new(points, BLUE.stroke_width(2))).map_err(refused)?;
        Ok(())
    })
}

/// Shares by name, the largest first.
pub fn importance(names: &[String], shares: &[f64]) -> Result<String> {
    let mut order: Vec<usize> = (0..names.len()).collect();
    order.sort_by(|&a, &b| shares[b].total_cmp(&shares[a]).then(a.cmp(&b)));
    order.truncate(FEATURES_SHOWN);
    let count = order.len().max(1);
    let most = order.first().map_or(1.0, |&at| shares[at]).max(1e-6);
    // The first is on top.
    let label = |place: &SegmentValue<usize>| match place {
        SegmentValue::CenterOf(place) | SegmentValue::Exact(place) => {
            let at = count.checked_sub(place + 1).and_then(|at| order.get(at));
            at.map_or(String::new(), |&at| names[at].clone())
        }
        SegmentValue::Last => String::new(),
    };
    drawn(|root| {
        let mut chart = ChartBuilder::on(root)
            .margin(12)
            .x_label_area_size(40)
            .y_label_area_size(150)
            .build_cartesian_2d(0.0..most * 1.05, (0..count.max(2) - 1).into_segmented())
            .map_err(refused)?;
        chart
            .configure_mesh()
            .disable_y_mesh()
            .y_labels(count)
            .y_label_formatter(&label)
            .x_desc("share of splits")
            .x_label_formatter(&|share| format!("{:.1} %", share * 100.0))
            .draw()
            .map_err(refused)?;
        let bars = order.iter().enumerate().map(|(place, &at)| {
            let row = count - 1 - place;
            let ends = (SegmentValue::Exact(row), SegmentValue::Exact(row + 1));
            let mut bar =
                Rectangle::new([(0.0, ends.0), (shares[at], ends.1)], BLUE.mix(0.6).filled());
            bar.set_margin(2, 2, 0, 0);
            bar
        });
        chart.draw_series(bars).map_err(refused)?;
        Ok(())
    })
}

/// What was said against what came, by class, beside the line of those who know.
pub fn calibration(classes: &[(&str, Vec<Bin>)]) -> Result<String> {
    drawn(|root| {
        let mut chart = ChartBuilder::on(root)
            .margin(12)
            .x_label_area_size(40)
            .y_label_area_size(60)
            .build_cartesian_2d(0.0..1.0, 0.0..1.0)
            .map_err(refused)?;
        chart.configure_mesh().x_desc("said").y_desc("came true").draw().map_err(refused)?;
        let straight = [(0.0, 0.0), (1.0, 1.0)];
        chart.draw_series(LineSeries::new(straight, BLACK.mix(0.4))).map_err(refused)?;
        for (place, (class, bins)) in classes.iter().enumerate() {
            let colour = Palette99::pick(place).to_rgba();
            let points = bins.iter().filter(|bin| bin.rows > 0).map(|bin| (bin.said, bin.came));
            chart
                .draw_series(LineSeries::new(points, colour.stroke_width(2)))
                .map_err(refused)?
                .label(*class)
                .legend(move |(x, y)| PathElement::new(vec![(x, y), (x + 18, y)], colour));
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperLeft)
            .background_style(WHITE.mix(0.85))
            .border_style(BLACK.mix(0.3))
            .draw()
            .map_err(refused)?;
        Ok(())
    })
}
