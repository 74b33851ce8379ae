//! Throughput and times to the first token against the offered rate, as SVG.

use std::path::Path;

use plotters::coord::Shift;
use plotters::prelude::*;

use crate::figures::StageFigures;
use crate::published::{Published, PublishedRun};
use crate::report::{Report, StrategyReport};

const SIZE: (u32, u32) = (960, 1_100);

/// Told apart also by those who do not see red and green as others do.
const COLOURS: [RGBColor; 7] = [
    RGBColor(0, 114, 178),
    RGBColor(230, 159, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(86, 180, 233),
    RGBColor(213, 94, 0),
    RGBColor(120, 120, 120),
];

/// A plot that was not written.
#[derive(Debug, thiserror::Error)]
#[error("the plot {file} was not written: {reason}; name a file in a folder that can be written")]
pub struct PlotError {
    file: String,
    reason: String,
}

/// One drawing of the plot.
struct Panel {
    title: &'static str,
    ours: fn(&StageFigures) -> f64,
    published: fn(&Published) -> f64,
    logarithmic: bool,
}

/// Writes the plot. Lines are measured; circles are published, where the load is.
///
/// # Errors
/// If the file cannot be written.
pub fn plot(report: &Report, file: &Path) -> Result<(), PlotError> {
    draw(report, file).map_err(|error| PlotError {
        file: file.display().to_string(),
        reason: error.to_string(),
    })
}

fn draw(report: &Report, file: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let panels = [
        Panel {
            title: "Output tokens per second",
            ours: |stage| stage.output_tokens_per_second,
            published: |stage| stage.output_tokens_per_second,
            logarithmic: false,
        },
        Panel {
            title: "Mean time to first token, s",
            ours: |stage| stage.ttft.mean,
            published: |stage| stage.ttft_mean,
            logarithmic: true,
        },
        Panel {
            title: "P90 time to first token, s",
            ours: |stage| stage.ttft.p90,
            published: |stage| stage.ttft_p90,
            logarithmic: true,
        },
    ];
    let area = SVGBackend::new(file, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    for (area, panel) in area.split_evenly((panels.len(), 1)).iter().zip(&panels) {
        draw_panel(area, report, panel)?;
    }
    area.present()?;
    Ok(())
}

fn draw_panel(
    area: &DrawingArea<SVGBackend<'_>, Shift>,
    report: &Report,
    panel: &Panel,
) -> Result<(), Box<dyn std::error::Error>> {
    let values = report.strategies.iter().flat_map(|of| ours(of, panel));
    let published = report.strategies.iter().flat_map(|of| theirs(of, panel));
    let points: Vec<(f64, f64)> = values.chain(published).collect();
    let most = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).fold(0.0, f64::max);
    let (right, top) = (most(|point| point.0) * 1.05, most(|point| point.1) * 1.1);
    let mut builder = ChartBuilder::on(area);
    builder
        .caption(panel.title, ("sans-serif", 18))
        .margin(10)
        .x_label_area_size(30)
        .y_label_area_size(60);
    // The two scales are of different types.
    macro_rules! drawn {
        ($y:expr) => {{
            let mut chart = builder.build_cartesian_2d(0.0..right, $y)?;
            chart
                .configure_mesh()
                .x_desc("requests per second")
                .draw()?;
            for (of, colour) in report.strategies.iter().zip(COLOURS.iter().cycle()) {
                chart
                    .draw_series(LineSeries::new(ours(of, panel), colour.stroke_width(2)))?
                    .label(of.strategy.name())
                    .legend(move |(x, y)| {
                        PathElement::new(vec![(x, y), (x + 16, y)], colour.stroke_width(2))
                    });
                let circles = theirs(of, panel).into_iter();
                chart.draw_series(circles.map(|point| Circle::new(point, 4, *colour)))?;
            }
            chart
                .configure_series_labels()
                .position(SeriesLabelPosition::UpperLeft)
                .background_style(WHITE.mix(0.8))
                .border_style(BLACK.mix(0.3))
                .draw()?;
        }};
    }
    if panel.logarithmic {
        drawn!((0.1..top.max(1.0)).log_scale());
    } else {
        drawn!(0.0..top.max(1.0));
    }
    Ok(())
}

fn ours(of: &StrategyReport, panel: &Panel) -> Vec<(f64, f64)> {
    let point = |stage: &StageFigures| (f64::from(stage.rate), (panel.ours)(stage));
    of.stages.iter().map(point).collect()
}

fn theirs(of: &StrategyReport, panel: &Panel) -> Vec<(f64, f64)> {
    if of.published.is_none() {
        return Vec::new();
    }
    let point = |stage: Published| (f64::from(stage.rate), (panel.published)(&stage));
    PublishedRun::of(of.strategy).stages().map(point).collect()
}
