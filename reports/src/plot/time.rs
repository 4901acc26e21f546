//! What happened over the time of a window, interval by interval, a pair of lines a trial: latency, or connections. Not here: claims; the
//! intervals are for the eye, to show a warm-up, a stall or a drift.

use super::axis::{Axis, decimal_step};
use super::canvas::{Area, Canvas, Ink, SCALE};
use crate::error::{Error, Result};
use crate::format::short;
use crate::view::{Row, Workload};
use plotters::prelude::*;
use record::VerdictState;
use record::load::Interval;

const WIDTH: i32 = 300;
const HEIGHT: i32 = 170;

/// Share of the connections wanted that may be lacking in an interval before it is worth a picture.
const LACKING: f64 = 0.005;

/// What a panel shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shown {
    /// Median (heavy) and 99th percentile (light) of latency.
    Latency,
    /// Connections that lived (heavy) and that were wanted (light).
    Connections,
}

impl Shown {
    /// The light line and the heavy one.
    fn values(self, i: &Interval) -> [Option<f64>; 2] {
        match self {
            Self::Latency => [i.p99_ns, i.p50_ns].map(|ns| ns.map(|ns| ns as f64)),
            // Files of older versions know of neither.
            Self::Connections => i.living.map_or([None; 2], |living| [Some(i.wanted as f64), Some(living)]),
        }
    }

    /// True where a workload's intervals have something to show.
    fn tells<'i>(self, mut intervals: impl Iterator<Item = &'i Interval>) -> bool {
        match self {
            Self::Latency => true,
            Self::Connections => intervals.any(|i| {
                let wanted = i.wanted as f64;
                i.living.is_some_and(|living| (wanted - living).abs() > wanted * LACKING)
            }),
        }
    }

    const fn words(self) -> &'static str {
        match self {
            Self::Latency => "median (heavy) and 99th percentile (light) of latency",
            Self::Connections => "connections that lived (heavy) and that were wanted (light)",
        }
    }
}

/// Axes shared by the panels of a workload, so that they can be compared.
#[derive(Clone, Debug)]
pub(crate) struct Axes {
    shown: Shown,
    x: Axis,
    y: Axis,
}

impl Axes {
    /// Where a value stands.
    fn position(&self, value: f64) -> f64 {
        match self.shown {
            Shown::Latency => self.y.log(value),
            Shown::Connections => value.clamp(self.y.low, self.y.high),
        }
    }
}

/// The axes over all rows of a workload; `None` where no trial has two intervals, or they have nothing to show.
pub(crate) fn axes(workload: &Workload<'_>, shown: Shown) -> Option<Axes> {
    let lists = || workload.rows.iter().flat_map(intervals).map(|(_, list)| list);
    let all = || lists().flatten();
    if lists().all(|list| list.len() < 2) || !shown.tells(all()) {
        return None;
    }
    let values = all().flat_map(|i| shown.values(i)).flatten();
    let end = all().map(|i| seconds(i.start_ns + i.length_ns)).fold(0.0, f64::max);
    Some(Axes {
        shown,
        x: Axis::from_zero(end, decimal_step, |v| format!("{} s", short(v))),
        y: match shown {
            Shown::Latency => Axis::log_ns(values),
            Shown::Connections => Axis::from_zero(values.fold(0.0, f64::max), decimal_step, short),
        },
    })
}

fn intervals<'r>(row: &'r Row<'_>) -> impl Iterator<Item = (VerdictState, &'r [Interval])> {
    row.trials.iter().filter_map(|t| t.record.load.as_ref().map(|l| (t.state, l.intervals.as_slice())))
}

fn seconds(ns: u64) -> f64 {
    ns as f64 / 1e9
}

/// Draws a row's panel; `None` where it has nothing over time.
///
/// # Errors
/// [`Error::Plot`] of plotters.
pub(crate) fn draw(row: &Row<'_>, name: &str, axes: &Axes) -> Result<Option<String>> {
    if intervals(row).all(|(_, i)| i.len() < 2) {
        return Ok(None);
    }
    let mut canvas = Canvas::new(WIDTH, HEIGHT);
    canvas.draw(|area| chart(area, row, axes))?;
    let label = format!("{name}: {} in each interval, every trial", axes.shown.words());
    Ok(Some(canvas.finish("time", &label)))
}

fn chart(area: &Area<'_>, row: &Row<'_>, axes: &Axes) -> Result<()> {
    let fail = |e: DrawingAreaErrorKind<std::io::Error>| Error::Plot(e.to_string());
    let Axes { x, y, .. } = axes;
    let mut chart = ChartBuilder::on(area)
        .margin_top(6 * SCALE)
        .margin_right(16 * SCALE)
        .x_label_area_size(24 * SCALE)
        .y_label_area_size(54 * SCALE)
        .build_cartesian_2d(x.clone(), y.clone())
        .map_err(fail)?;
    let font = ("sans-serif", f64::from(11 * SCALE) * 1.24).into_font();
    chart
        .configure_mesh()
        .bold_line_style(Ink::Grid.stand_in().stroke_width(8))
        .light_line_style(Ink::Grid.stand_in().mix(0.0))
        .axis_style(Ink::Muted.stand_in().stroke_width(8))
        .set_all_tick_mark_size(3 * SCALE)
        .label_style(font.color(&Ink::Muted.stand_in()))
        .draw()
        .map_err(fail)?;
    for (state, list) in intervals(row) {
        let ink = if state == VerdictState::Invalid { Ink::Bad } else { Ink::Model(row.model) };
        let line = |which: usize| -> Vec<(f64, f64)> {
            let point = |i: &Interval| {
                let value = axes.shown.values(i)[which]?;
                Some((seconds(i.start_ns + i.length_ns / 2).min(x.high), axes.position(value)))
            };
            list.iter().filter_map(point).collect()
        };
        let light = ink.stand_in().mix(0.6).stroke_width(9);
        chart.draw_series(LineSeries::new(line(0), light)).map_err(fail)?;
        let heavy = ink.stand_in().mix(0.9).stroke_width(17);
        chart.draw_series(LineSeries::new(line(1), heavy)).map_err(fail)?;
    }
    Ok(())
}
