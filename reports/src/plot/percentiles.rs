//! Latency by percentile: one line a model, as far as its values allow, the span of its trials behind it. Not here: other quantities.

use super::axis::Axis;
use super::canvas::{Anchor, Area, Canvas, Ink, SCALE, text_width};
use crate::error::{Error, Result};
use crate::format::duration;
use crate::view::{Conduct, CurvePoint, Model, Row, Workload, state_word};
use plotters::prelude::*;
use record::VerdictState;

/// Where the plot lies within its drawing, in pixels of the page.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frame {
    pub(crate) width: i32,
    pub(crate) height: i32,
    pub(crate) top: i32,
    pub(crate) foot: i32,
    pub(crate) text: i32,
}

/// For a wide page.
pub(crate) const WIDE: Frame = Frame { width: 920, height: 400, top: 12, foot: 0, text: 13 };
/// For a phone.
pub(crate) const NARROW: Frame = Frame { width: 380, height: 340, top: 10, foot: 0, text: 12 };

impl Frame {
    /// The frame, made higher where that many labels need it.
    pub(crate) fn with_labels(self, labels: usize) -> Self {
        let needed =
            self.top + self.foot + 40 + (self.text + 5) * i32::try_from(labels.min(1_000)).unwrap_or(0);
        Self { height: self.height.max(needed), ..self }
    }
}

/// A label at the end of a line, and where that end is.
struct Label {
    text: String,
    ink: Ink,
    end: (i32, i32),
}

/// Draws the plot of a workload; `None` where no row has a distribution.
///
/// # Errors
/// [`Error::Plot`] of plotters.
pub(crate) fn draw(
    workload: &Workload<'_>,
    models: &[Model<'_>],
    frame: Frame,
    canvas: &mut Canvas,
) -> Result<bool> {
    let rows: Vec<&Row<'_>> = workload.measured().filter(|r| r.latency.curve.len() > 1).collect();
    if rows.is_empty() {
        return Ok(false);
    }
    let points = || rows.iter().flat_map(|r| &r.latency.curve);
    let x = Axis::nines(points().map(|p| p.nines).fold(0.0, f64::max), frame.width < 500);
    let y = Axis::log_ns(points().flat_map(|p| {
        let (low, high) = p.trials.unwrap_or((p.ns, p.ns));
        [p.ns, low, high].map(|v| v as f64)
    }));
    let names: Vec<String> = rows.iter().map(|r| name(r, models)).collect();
    let margin = names.iter().map(|n| text_width(n, frame.text)).max().unwrap_or(0) + 34;
    let spots = canvas.draw(|area| chart(area, &rows, &x, &y, frame, margin))?;
    let mut labels = Vec::new();
    for ((row, spots), text) in rows.iter().zip(spots).zip(names) {
        let ink = Ink::Model(row.model);
        for (at, point) in &spots.marks {
            let percent = 100.0 * (1.0 - 10_f64.powf(-point.nines));
            let tip =
                format!("{}: {percent:.4} % within {}", models[row.model].name, duration(point.ns as f64));
            canvas.mark(*at, ink, 4, row.tally().state() != VerdictState::Valid, &tip);
        }
        labels.push(Label { text, ink, end: spots.end });
    }
    place(canvas, labels, frame, margin);
    Ok(true)
}

/// The name of a row in a plot, with what must be said beside its speed.
pub(crate) fn name(row: &Row<'_>, models: &[Model<'_>]) -> String {
    let Some(model) = models.get(row.model) else { return String::new() };
    let failed = matches!(model.conduct(&row.scenario.service), Conduct::Failed(..));
    let state = row.tally().state();
    let mut name = crate::format::plain(model.name);
    if failed {
        name.push_str(" ✗");
    }
    if state != VerdictState::Valid {
        name.push_str(&format!(" ({})", state_word(state)));
    }
    name
}

/// Where a row's marks and the end of its line came to lie.
struct Spots {
    marks: Vec<((i32, i32), CurvePoint)>,
    end: (i32, i32),
}

fn chart(
    area: &Area<'_>,
    rows: &[&Row<'_>],
    x: &Axis,
    y: &Axis,
    frame: Frame,
    margin: i32,
) -> Result<Vec<Spots>> {
    let fail = |e: DrawingAreaErrorKind<std::io::Error>| Error::Plot(e.to_string());
    let mut chart = ChartBuilder::on(area)
        .margin_top(frame.top * SCALE)
        .margin_bottom(frame.foot * SCALE)
        .margin_right(margin * SCALE)
        .x_label_area_size(26 * SCALE)
        .y_label_area_size(62 * SCALE)
        .build_cartesian_2d(x.clone(), y.clone())
        .map_err(fail)?;
    let font = ("sans-serif", f64::from(frame.text * SCALE) * 1.24).into_font();
    chart
        .configure_mesh()
        .bold_line_style(Ink::Grid.stand_in().stroke_width(10))
        .light_line_style(Ink::Grid.stand_in().mix(0.45).stroke_width(6))
        .axis_style(Ink::Muted.stand_in().stroke_width(10))
        .set_all_tick_mark_size(4 * SCALE)
        .label_style(font.color(&Ink::Muted.stand_in()))
        .draw()
        .map_err(fail)?;
    for row in rows {
        let ink = Ink::Model(row.model).stand_in();
        let banded: Vec<_> =
            row.latency.curve.iter().filter_map(|p| p.trials.map(|t| (p.nines, t))).collect();
        let below = banded.iter().map(|(n, t)| (*n, y.log(t.0 as f64)));
        let above = banded.iter().rev().map(|(n, t)| (*n, y.log(t.1 as f64)));
        let band: Vec<(f64, f64)> = below.chain(above).collect();
        chart.draw_series([Polygon::new(band, ink.mix(0.14))]).map_err(fail)?;
    }
    for row in rows {
        let ink = Ink::Model(row.model).stand_in();
        let line = row.latency.curve.iter().map(|p| (p.nines.min(x.high), y.log(p.ns as f64)));
        chart.draw_series(LineSeries::new(line, ink.stroke_width(22))).map_err(fail)?;
    }
    let place = |p: &CurvePoint| chart.backend_coord(&(p.nines.min(x.high), y.log(p.ns as f64)));
    Ok(rows
        .iter()
        .map(|row| {
            let curve = &row.latency.curve;
            let at_ticks = x.ticks.iter().skip(1).filter_map(|(tick, _)| {
                let last = curve.last().filter(|p| p.nines + 1e-9 >= *tick);
                last.and_then(|_| {
                    curve.iter().min_by(|a, b| (a.nines - tick).abs().total_cmp(&(b.nines - tick).abs()))
                })
            });
            let marks: Vec<_> = at_ticks.map(|p| (place(p), *p)).collect();
            let end = curve.last().map_or((0, 0), &place);
            Spots { marks, end }
        })
        .collect())
}

/// Puts the labels beside the ends of their lines, apart from each other, with a leader to each.
fn place(canvas: &mut Canvas, mut labels: Vec<Label>, frame: Frame, margin: i32) {
    let (line, top) = ((frame.text + 5) * SCALE, (frame.top + 4) * SCALE);
    let bottom = (frame.height - frame.foot - 30) * SCALE;
    labels.sort_by_key(|l| l.end.1);
    let mut heights: Vec<i32> = labels.iter().map(|l| l.end.1).collect();
    for i in 1..heights.len() {
        heights[i] = heights[i].max(heights[i - 1] + line);
    }
    let over = heights.last().map_or(0, |last| (last - bottom).max(0));
    if over > 0 {
        let mut limit = bottom;
        for height in heights.iter_mut().rev() {
            *height = (*height).min(limit);
            limit = *height - line;
        }
    }
    let at = (frame.width - margin) * SCALE;
    for (label, height) in labels.iter().zip(heights) {
        let height = height.max(top);
        canvas.line((label.end.0 + 2 * SCALE, label.end.1), (at + 22 * SCALE, height), label.ink, 12);
        canvas.text((at + 26 * SCALE, height), &label.text, Ink::Text, Anchor::Start, frame.text, true);
    }
}
