//! A quantity by model: every trial a dot, a bar from the least to the greatest, a tick at the median. Not here: distributions.

use super::axis::Axis;
use super::canvas::{Anchor, Area, Canvas, Ink, SCALE, text_width};
use super::percentiles::name;
use crate::error::{Error, Result};
use crate::view::{Measure, Model, Outcome, Row, Workload, state_word};
use plotters::prelude::*;
use record::VerdictState;
use record::run::Lack;

/// A quantity to draw.
#[derive(Clone, Copy)]
pub(crate) struct Quantity {
    /// What it is, for the label that a screen reader says.
    pub(crate) name: &'static str,
    /// Picks it from a row.
    pub(crate) of: for<'r> fn(&'r Row<'_>) -> &'r Measure,
    /// Writes a value, in full.
    pub(crate) say: fn(f64) -> String,
    /// Writes a value on the axis.
    pub(crate) tick: fn(f64) -> String,
    /// Chooses the step between ticks from the greatest value.
    pub(crate) step: fn(f64) -> f64,
}

/// Width of the drawing in pixels; its height follows from the rows.
const WIDTH: i32 = 450;
/// Height of a row.
const ROW: i32 = 30;
/// Height of the axis below.
const FOOT: i32 = 28;
/// Size of the text.
const TEXT: i32 = 13;

/// Draws a quantity of a workload; `None` where no row has it.
///
/// # Errors
/// [`Error::Plot`] of plotters.
pub(crate) fn draw(
    workload: &Workload<'_>,
    models: &[Model<'_>],
    quantity: &Quantity,
) -> Result<Option<String>> {
    let most = |r: &Row<'_>| (quantity.of)(r).points.iter().map(|p| p.value).fold(0.0, f64::max);
    let greatest = workload.rows.iter().map(most).fold(0.0, f64::max);
    if workload.rows.iter().all(|r| (quantity.of)(r).points.is_empty()) {
        return Ok(None);
    }
    let axis = Axis::from_zero(greatest, quantity.step, quantity.tick);
    let names: Vec<String> = workload.rows.iter().map(|r| name_of(r, models)).collect();
    let left = names.iter().map(|n| text_width(n, TEXT)).max().unwrap_or(0).clamp(50, 170) + 10;
    let values: Vec<String> = workload.rows.iter().map(|r| value(r, quantity)).collect();
    let right = values.iter().map(|v| text_width(v, TEXT)).max().unwrap_or(0).clamp(40, 100) + 12;
    let height = ROW * workload.rows.len() as i32 + FOOT + 6;
    let mut canvas = Canvas::new(WIDTH, height);
    let spots = canvas.draw(|area| chart(area, &workload.rows, quantity, &axis, (left, right)))?;
    for ((((index, row), spot), name), value) in
        workload.rows.iter().enumerate().zip(&spots).zip(names).zip(values)
    {
        let middle = (6 + ROW * index as i32 + ROW / 2) * SCALE;
        canvas.text(((left - 8) * SCALE, middle), &name, Ink::Text, Anchor::End, TEXT, false);
        if value.is_empty() {
            let why = absence(row);
            let at = clear_of(spot, left * SCALE, WIDTH * SCALE, (text_width(why, TEXT) + 8) * SCALE);
            canvas.text((at + 8 * SCALE, middle), why, Ink::Muted, Anchor::Start, TEXT, false);
        } else {
            canvas.text(((WIDTH - right + 10) * SCALE, middle), &value, Ink::Text, Anchor::Start, TEXT, true);
        }
        points(&mut canvas, row, quantity, spot, middle);
    }
    Ok(Some(canvas.finish("dots", &label(workload, models, quantity))))
}

/// Where a text of this width, drawn between `left` and `right`, meets none of a row's points; at the left where there is no such place.
fn clear_of(spot: &Spot, left: i32, right: i32, width: i32) -> i32 {
    let gap = 8 * SCALE;
    let free = |at: i32| spot.points.iter().all(|x| *x + gap < at || *x - gap > at + width);
    let behind = spot.points.iter().map(|x| x + gap + 1);
    std::iter::once(left).chain(behind).find(|at| free(*at) && at + width <= right).unwrap_or(left)
}

fn name_of(row: &Row<'_>, models: &[Model<'_>]) -> String {
    if row.outcome == Outcome::Measured {
        name(row, models)
    } else {
        models.get(row.model).map_or_else(String::new, |m| crate::format::plain(m.name))
    }
}

fn value(row: &Row<'_>, quantity: &Quantity) -> String {
    (quantity.of)(row).median().map_or_else(String::new, quantity.say)
}

/// Why a row has no value.
const fn absence(row: &Row<'_>) -> &'static str {
    match row.outcome {
        Outcome::CannotHold(Lack::Nature, _) => "cannot hold this workload",
        Outcome::CannotHold(..) => "unsupported",
        Outcome::NotRun => "not run",
        Outcome::NoneCounts => "no trial counts",
        Outcome::Measured => "not observed",
    }
}

/// Positions along the axis of a row's median, if it has one, and of each of its points.
struct Spot {
    median: Option<i32>,
    points: Vec<i32>,
}

fn chart(
    area: &Area<'_>,
    rows: &[Row<'_>],
    quantity: &Quantity,
    x: &Axis,
    sides: (i32, i32),
) -> Result<Vec<Spot>> {
    let fail = |e: DrawingAreaErrorKind<std::io::Error>| Error::Plot(e.to_string());
    let count = rows.len() as f64;
    let mut chart = ChartBuilder::on(area)
        .margin_top(6 * SCALE)
        .margin_left(sides.0 * SCALE)
        .margin_right(sides.1 * SCALE)
        .x_label_area_size(FOOT * SCALE)
        .build_cartesian_2d(x.clone(), count..0.0)
        .map_err(fail)?;
    let font = ("sans-serif", f64::from(12 * SCALE) * 1.24).into_font();
    chart
        .configure_mesh()
        .disable_y_mesh()
        .disable_y_axis()
        .bold_line_style(Ink::Grid.stand_in().stroke_width(10))
        .light_line_style(Ink::Grid.stand_in().mix(0.0))
        .axis_style(Ink::Grid.stand_in().stroke_width(10))
        .set_all_tick_mark_size(0)
        .label_style(font.color(&Ink::Muted.stand_in()))
        .draw()
        .map_err(fail)?;
    for (index, row) in rows.iter().enumerate() {
        let Some(span) = (quantity.of)(row).span else { continue };
        let (ink, y) = (Ink::Model(row.model).stand_in(), index as f64);
        let bar = |from: f64, to: f64, half: f64, alpha: f64| {
            Rectangle::new([(from, y + 0.5 - half), (to, y + 0.5 + half)], ink.mix(alpha).filled())
        };
        let bars = [bar(0.0, span.median, 0.3, 0.16), bar(span.min, span.max, 0.075, 0.55)];
        chart.draw_series(bars).map_err(fail)?;
    }
    let place = |value: f64| chart.backend_coord(&(value.clamp(x.low, x.high), 0.0)).0;
    let spot = |row: &Row<'_>| {
        let measure = (quantity.of)(row);
        Spot {
            median: measure.median().map(place),
            points: measure.points.iter().map(|p| place(p.value)).collect(),
        }
    };
    Ok(rows.iter().map(spot).collect())
}

fn points(canvas: &mut Canvas, row: &Row<'_>, quantity: &Quantity, spot: &Spot, middle: i32) {
    let ink = Ink::Model(row.model);
    if let Some(x) = spot.median {
        canvas.line((x, middle - 10 * SCALE), (x, middle + 10 * SCALE), ink, 26);
    }
    for (point, x) in (quantity.of)(row).points.iter().zip(&spot.points) {
        let tip =
            format!("trial {}: {} ({})", point.trial, (quantity.say)(point.value), state_word(point.state));
        if point.state == VerdictState::Invalid {
            canvas.cross((*x, middle), 4, &tip);
        } else {
            canvas.mark((*x, middle), ink, 3, point.state == VerdictState::Suspect, &tip);
        }
    }
}

/// The plot in a sentence.
fn label(workload: &Workload<'_>, models: &[Model<'_>], quantity: &Quantity) -> String {
    let parts: Vec<String> = workload
        .measured()
        .filter_map(|r| {
            (quantity.of)(r).median().map(|v| format!("{} {}", name(r, models), (quantity.say)(v)))
        })
        .collect();
    format!("{} by model, median of the trials: {}", quantity.name, parts.join(", "))
}
