//! Latency over the time of a window: median and 99th percentile of each interval, a pair of lines a trial. Not here: claims; the
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

/// Axes shared by the panels of a workload, so that they can be compared.
#[derive(Clone, Debug)]
pub(crate) struct Axes {
    x: Axis,
    y: Axis,
}

/// The axes over all rows of a workload; `None` where no trial has two intervals.
pub(crate) fn axes(workload: &Workload<'_>) -> Option<Axes> {
    let all = || workload.rows.iter().flat_map(intervals);
    if all().all(|(_, i)| i.len() < 2) {
        return None;
    }
    let values = all().flat_map(|(_, i)| i).flat_map(|i| [i.p50_ns, i.p99_ns]).flatten().map(|v| v as f64);
    let end = all().flat_map(|(_, i)| i).map(|i| seconds(i.start_ns + i.length_ns)).fold(0.0, f64::max);
    Some(Axes {
        x: Axis::from_zero(end, decimal_step, |v| format!("{} s", short(v))),
        y: Axis::log_ns(values),
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
    let label = format!(
        "{name}: median (heavy) and 99th percentile (light) of latency in each interval, every trial"
    );
    Ok(Some(canvas.finish("time", &label)))
}

fn chart(area: &Area<'_>, row: &Row<'_>, axes: &Axes) -> Result<()> {
    let fail = |e: DrawingAreaErrorKind<std::io::Error>| Error::Plot(e.to_string());
    let Axes { x, y } = axes;
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
        let line = |pick: fn(&Interval) -> Option<u64>| -> Vec<(f64, f64)> {
            let point =
                |i: &Interval| pick(i).map(|v| (seconds(i.start_ns + i.length_ns / 2), y.log(v as f64)));
            list.iter().filter_map(point).map(|(t, v)| (t.min(x.high), v)).collect()
        };
        let light = ink.stand_in().mix(0.6).stroke_width(9);
        chart.draw_series(LineSeries::new(line(|i| i.p99_ns), light)).map_err(fail)?;
        let heavy = ink.stand_in().mix(0.9).stroke_width(17);
        chart.draw_series(LineSeries::new(line(|i| i.p50_ns), heavy)).map_err(fail)?;
    }
    Ok(())
}
