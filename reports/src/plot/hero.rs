//! The one plot for a README: latency by percentile on a ground of its own. Not here: the plots of the page.

use super::canvas::{Anchor, Canvas, Ink, SCALE};
use super::percentiles::{self, Frame};
use crate::error::{Error, Result};
use crate::format::plain;
use crate::view::{Conduct, View, Workload};

/// Room for the title above the plot.
const FRAME: Frame = Frame { width: 920, height: 520, top: 76, foot: 34, text: 14 };

/// Draws the workload named, else the first one that most models have numbers for.
///
/// # Errors
/// [`Error::Empty`] where there is nothing to draw; [`Error::Plot`].
pub fn draw(view: &View<'_>, workload: Option<&str>) -> Result<String> {
    let drawable = |w: &Workload<'_>| w.measured().filter(|r| r.latency.curve.len() > 1).count();
    let workload = match workload {
        Some(name) => view.workloads.iter().find(|w| w.name == name),
        None => view.workloads.iter().rev().max_by_key(|w| drawable(w)),
    };
    let workload = workload.filter(|w| drawable(w) > 0).ok_or(Error::Empty)?;
    let frame = FRAME.with_labels(drawable(workload));
    let mut canvas = Canvas::new(frame.width, frame.height);
    percentiles::draw(workload, &view.models, frame, &mut canvas)?;
    let left = 24 * SCALE;
    canvas.text((left, 26 * SCALE), "Latency by percentile", Ink::Text, Anchor::Start, 19, true);
    let title: String = plain(workload.title);
    canvas.text((left, 50 * SCALE), &title, Ink::Muted, Anchor::Start, 14, false);
    let foot = footnote(view, workload);
    canvas.text((left, (frame.height - 18) * SCALE), &foot, Ink::Muted, Anchor::Start, 12, false);
    Ok(canvas.finish_alone(&format!("Latency by percentile: {title}")))
}

/// What must be said beside the lines: how many trials, and what the marks mean.
fn footnote(view: &View<'_>, workload: &Workload<'_>) -> String {
    let trials = workload.measured().map(|r| r.tally().valid + r.tally().suspect);
    let (least, most) = trials.fold((usize::MAX, 0), |(a, b), n| (a.min(n), b.max(n)));
    let trials = if least == most { most.to_string() } else { format!("{least} to {most}") };
    let mut text = format!("{trials} trials a model, merged; shade: span of single trials");
    if workload
        .measured()
        .any(|r| matches!(view.models[r.model].conduct(&r.scenario.service), Conduct::Failed(..)))
    {
        text.push_str("; ✗ failed a conformance case");
    }
    format!("{text}. Linux {}, {}.", plain(&view.run.machine.kernel), plain(&view.run.machine.cpu_model))
}
