//! What happened over the time of a workload's windows: latency, and connections where some were lacking. Not here: the plots.

use super::mark_of;
use crate::error::Result;
use crate::plot::canvas::HUES;
use crate::plot::percentiles;
use crate::plot::time::{self, Shown};
use crate::view::{Model, Workload};

/// What happened over time: a panel a model, all of one scale.
pub(super) struct OverTime {
    pub(super) caption: &'static str,
    pub(super) lines: &'static str,
    pub(super) panels: Vec<Panel>,
}

/// A model's panel.
pub(super) struct Panel {
    pub(super) name: String,
    pub(super) hue: usize,
    pub(super) mark: &'static str,
    pub(super) svg: String,
}

/// Draws what there is.
///
/// # Errors
/// Those of the plots.
pub(super) fn over_time(workload: &Workload<'_>, models: &[Model<'_>]) -> Result<Vec<OverTime>> {
    let mut groups = Vec::new();
    for (shown, caption, lines) in [
        (Shown::Latency, "Latency over time", "Median (heavy) and 99th percentile (light) of latency"),
        (
            Shown::Connections,
            "Connections over time",
            "Connections that lived, on average (heavy), and that were wanted (light)",
        ),
    ] {
        let Some(axes) = time::axes(workload, shown) else { continue };
        let mut panels = Vec::new();
        for row in &workload.rows {
            let name = percentiles::name(row, models);
            if let Some(svg) = time::draw(row, &name, &axes)? {
                panels.push(Panel { name, hue: row.model % HUES, mark: mark_of(row.model), svg });
            }
        }
        groups.push(OverTime { caption, lines, panels });
    }
    Ok(groups)
}
