//! What a report shows, without a format: workloads, rows, findings, trials. Not here: words for numbers, colours, layout.

mod finding;
mod group;
mod latency;
mod measure;
mod rank;
mod row;
mod sharing;
mod trial;

pub use latency::{CurvePoint, Latency};
pub use measure::{Measure, Point, Span};
pub use row::{Outcome, Row, Tally};
pub use sharing::{Evenness, Sharing};
pub use trial::Trial;

use rayon::prelude::*;
use record::Record;
use record::VerdictState;
use record::conform::CaseVerdict;
use record::run::{ModelConformance, Run, Scenario};
use std::collections::HashSet;

/// What a report shows.
#[derive(Clone, Debug)]
pub struct View<'a> {
    /// The run.
    pub run: &'a Run,
    /// Models in the order of the plan; the place of a model is its colour everywhere.
    pub models: Vec<Model<'a>>,
    /// Workloads in the order of the plan.
    pub workloads: Vec<Workload<'a>>,
    /// Every trial in the order in which it was run.
    pub trials: Vec<Trial<'a>>,
    /// What the data says, in sentences; the first one is the headline. Claims only what no trial contradicts.
    pub findings: Vec<String>,
}

/// A model and how it behaved.
#[derive(Clone, Debug)]
pub struct Model<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its conformance, one entry a service it was checked with.
    pub conformance: Vec<&'a ModelConformance>,
}

/// One workload, and every model under it.
#[derive(Clone, Debug)]
pub struct Workload<'a> {
    /// `family/service/workload`, the id of a scenario without its model.
    pub id: String,
    /// Name within the plan.
    pub name: &'a str,
    /// The workload in a sentence.
    pub title: &'a str,
    /// Socket family.
    pub family: &'a str,
    /// Service.
    pub service: &'a str,
    /// Requests per second offered, for an open loop. Absent for a closed one, and where no trial tells.
    pub offered_per_s: Option<f64>,
    /// True when some trial tells that the loop was closed.
    pub closed: bool,
    /// One row a model, in the order of the plan.
    pub rows: Vec<Row<'a>>,
    /// What the data says about this workload, in sentences.
    pub findings: Vec<String>,
}

/// How a model's conformance is told beside its speed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Conduct {
    /// It was not checked in this run.
    Unchecked,
    /// No case failed; the badge counts them.
    Conformant(String),
    /// Cases failed: the badge, and their ids.
    Failed(String, Vec<String>),
}

impl Model<'_> {
    /// Conformance for a service; a case that failed with another service counts too, since it is the same server.
    #[must_use]
    pub fn conduct(&self, service: &str) -> Conduct {
        let Some(entry) =
            self.conformance.iter().find(|c| c.service == service).or_else(|| self.conformance.first())
        else {
            return Conduct::Unchecked;
        };
        let mut failed: Vec<String> = Vec::new();
        for (id, verdict, _) in self.conformance.iter().flat_map(|c| &c.cases) {
            if *verdict == CaseVerdict::Failed && !failed.contains(id) {
                failed.push(id.clone());
            }
        }
        if failed.is_empty() {
            Conduct::Conformant(entry.badge())
        } else {
            Conduct::Failed(entry.badge(), failed)
        }
    }
}

impl<'a> View<'a> {
    /// Derives what is shown from a run and its records.
    #[must_use]
    pub fn new(run: &'a Run, records: &'a [Record]) -> Self {
        let scenarios = scenarios(run, records);
        let models = models(run, &scenarios);
        let rows: Vec<Row<'a>> =
            scenarios.par_iter().map(|s| Row::new(s, &models, records, run.trials_planned)).collect();
        let mut workloads: Vec<Workload<'a>> = Vec::new();
        for row in rows {
            let id = workload_id(row.scenario);
            match workloads.iter_mut().find(|w| w.id == id) {
                Some(workload) => workload.rows.push(row),
                None => workloads.push(Workload::new(id, row)),
            }
        }
        for workload in &mut workloads {
            workload.settle(&models);
        }
        let mut trials: Vec<Trial<'a>> =
            workloads.iter().flat_map(|w| &w.rows).flat_map(|r| r.trials.iter().cloned()).collect();
        trials.sort_by_key(|t| t.record.order);
        let mut view = Self { run, models, workloads, trials, findings: Vec::new() };
        view.findings = finding::of_run(&view);
        view
    }

    /// Trials by what was concluded: valid, suspect, invalid.
    #[must_use]
    pub fn tally(&self) -> Tally {
        Tally::of(self.trials.iter().map(|t| t.state))
    }

    /// Every conformance case that was run, in the order of first appearance.
    #[must_use]
    pub fn cases(&self) -> Vec<&'a str> {
        let mut ids: Vec<&str> = Vec::new();
        for (id, ..) in self.run.conformance.iter().flat_map(|c| &c.cases) {
            if !ids.contains(&id.as_str()) {
                ids.push(id);
            }
        }
        ids
    }
}

impl<'a> Workload<'a> {
    fn new(id: String, row: Row<'a>) -> Self {
        let s = row.scenario;
        Self {
            id,
            name: &s.workload,
            title: &s.title,
            family: &s.family,
            service: &s.service,
            offered_per_s: None,
            closed: false,
            rows: vec![row],
            findings: Vec::new(),
        }
    }

    /// Fills in what needs all the rows.
    fn settle(&mut self, models: &[Model<'_>]) {
        let mut loads = self.rows.iter().flat_map(|r| &r.trials).filter_map(|t| t.record.load.as_ref());
        if let Some(load) = loads.next() {
            self.closed = load.config.rate_per_s.is_none();
            self.offered_per_s = load.config.rate_per_s;
        }
        rank::rank(self);
        self.findings = finding::of_workload(self, models);
    }

    /// Rows that have numbers.
    pub fn measured(&self) -> impl Iterator<Item = &Row<'a>> {
        self.rows.iter().filter(|r| r.outcome == Outcome::Measured)
    }
}

fn workload_id(s: &Scenario) -> String {
    format!("{}/{}/{}", s.family, s.service, s.workload)
}

/// The plan's scenarios, then those that only records know.
fn scenarios<'a>(run: &'a Run, records: &'a [Record]) -> Vec<&'a Scenario> {
    let mut known: HashSet<&str> = HashSet::new();
    let of_records = records.iter().map(|r| &r.scenario);
    run.scenarios.iter().chain(of_records).filter(|s| known.insert(&s.id)).collect()
}

fn models<'a>(run: &'a Run, scenarios: &[&'a Scenario]) -> Vec<Model<'a>> {
    let mut names: Vec<&str> = Vec::new();
    for name in
        scenarios.iter().map(|s| s.model.as_str()).chain(run.conformance.iter().map(|c| c.model.as_str()))
    {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let conformance = |name| run.conformance.iter().filter(|c| c.model == name).collect();
    names.into_iter().map(|name| Model { name, conformance: conformance(name) }).collect()
}

/// The word of a state.
#[must_use]
pub const fn state_word(state: VerdictState) -> &'static str {
    match state {
        VerdictState::Valid => "valid",
        VerdictState::Suspect => "suspect",
        VerdictState::Invalid => "invalid",
    }
}
