//! `index.html`: one file that holds everything, loads nothing, works without scripts. Not here: plots, numbers, style (templates/).

mod about;
mod conformance;
mod over_time;
mod section;
mod workers;

use super::File;
use crate::error::Result;
use crate::format::{list, span};
use crate::view::{Conduct, Model, View};
use about::{Fact, TrialLine};
use askama::Template;
use conformance::Matrix;
use rayon::prelude::*;
use record::words::plural;
use section::Section;

/// The page as its template sees it: text that is ready, nothing to compute.
#[derive(Template)]
#[template(path = "index.html")]
struct Page<'a> {
    title: &'a str,
    lede: String,
    cut_short: Option<String>,
    headline: Option<&'a String>,
    findings: &'a [String],
    chips: Vec<Chip>,
    sections: Vec<Section>,
    matrix: Option<Matrix>,
    troubled: Vec<&'a TrialLine>,
    trials: &'a [TrialLine],
    facts: Vec<Fact>,
    plan: &'a str,
    run_id: &'a str,
    version: &'a str,
}

/// A model in the legend at the head of the page.
struct Chip {
    name: String,
    hue: usize,
    mark: &'static str,
    conduct: Badge,
}

/// How a model's conformance is told in a table or legend.
pub(super) struct Badge {
    class: &'static str,
    text: String,
    tip: String,
}

impl Badge {
    fn of(conduct: &Conduct) -> Self {
        match conduct {
            Conduct::Unchecked => Self {
                class: "none",
                text: "not checked".to_owned(),
                tip: "no conformance case was run".to_owned(),
            },
            Conduct::Conformant(badge) => {
                Self { class: "good", text: badge.clone(), tip: "no conformance case failed".to_owned() }
            }
            Conduct::Failed(badge, cases) => Self {
                class: "bad",
                text: format!("✗ failed {} · {badge}", cases.len()),
                tip: format!("failed {}", cases.join(", ")),
            },
        }
    }
}

impl Badge {
    /// For a table: the cases held of those decided, the rest in the tooltip.
    fn short(conduct: &Conduct) -> Self {
        let full = Self::of(conduct);
        let first = |badge: &str| badge.split(" · ").next().unwrap_or_default().to_owned();
        match conduct {
            Conduct::Unchecked => full,
            Conduct::Conformant(badge) => {
                Self { text: first(badge), tip: format!("{}: {badge}", full.tip), ..full }
            }
            Conduct::Failed(badge, _) => Self { text: format!("✗ {}", first(badge)), ..full },
        }
    }
}

/// The letters of marks in plots, by the place of a model.
pub(super) fn mark_of(place: usize) -> &'static str {
    ["●", "■", "▲", "◆"][place % 4]
}

pub(super) fn make(view: &View<'_>) -> Result<Vec<File>> {
    let sections: Result<Vec<Section>> =
        view.workloads.par_iter().enumerate().map(|(i, w)| Section::new(i + 1, w, &view.models)).collect();
    let trials: Vec<TrialLine> = view.trials.iter().map(TrialLine::new).collect();
    let (headline, findings) = view.findings.split_first().map_or((None, &[][..]), |(h, f)| (Some(h), f));
    let page = Page {
        title: &view.run.plan_name,
        lede: lede(view),
        cut_short: view.run.cut_short.then(|| cut_short(view)),
        headline,
        findings,
        chips: view.models.iter().enumerate().map(|(i, m)| chip(i, m)).collect(),
        sections: sections?,
        matrix: Matrix::new(view),
        troubled: trials.iter().filter(|t| t.state != "valid" || !t.faults.is_empty()).collect(),
        trials: &trials,
        facts: about::facts(view.run),
        plan: &view.run.plan,
        run_id: &view.run.id,
        version: &view.run.version,
    };
    Ok(vec![File { name: "index.html".to_owned(), bytes: page.render()?.into_bytes() }])
}

fn chip(place: usize, model: &Model<'_>) -> Chip {
    Chip {
        name: model.name.to_owned(),
        hue: place % crate::plot::canvas::HUES,
        mark: mark_of(place),
        conduct: Badge::of(&model.conduct("")),
    }
}

/// The run and its machine in a sentence or two.
fn lede(view: &View<'_>) -> String {
    let run = view.run;
    let machine = &run.machine;
    let cpus = |list: &[usize]| {
        let text: Vec<String> = list.iter().map(usize::to_string).collect();
        format!("CPU{} {}", if list.len() == 1 { "" } else { "s" }, text.join(", "))
    };
    let place = match (run.server_cpus.is_empty(), run.load_cpus.is_empty()) {
        (false, false) => {
            format!(", servers on {}, load on {}", cpus(&run.server_cpus), cpus(&run.load_cpus))
        }
        _ => String::new(),
    };
    let kind = match machine.virtualised {
        Some(true) => "a virtual machine",
        Some(false) => "a physical machine",
        None => "a machine",
    };
    format!(
        "{} under {}, {} each, every trial with a fresh server process. Servers and load ran on {kind} with {} ({}), Linux {}{place}. It began {} and took {}.",
        plural(view.models.len(), "server model"),
        plural(view.workloads.len(), "workload"),
        plural(run.trials_planned as usize, "trial"),
        plural(machine.cpus.len(), "CPU"),
        machine.cpu_model,
        machine.kernel,
        run.started_at.replace('T', " "),
        span(run.elapsed_ns)
    )
}

fn cut_short(view: &View<'_>) -> String {
    let missing: Vec<&str> = view
        .workloads
        .iter()
        .filter(|w| {
            w.rows.iter().any(|r| r.scenario.unsupported.is_none() && r.trials.len() < r.planned as usize)
        })
        .map(|w| w.name)
        .collect();
    if missing.is_empty() {
        return "The run was interrupted. What had been measured by then is shown.".to_owned();
    }
    format!(
        "The run was interrupted. What had been measured by then is shown; trials are missing in {}.",
        list(&missing)
    )
}
