//! `harness run`: plan, conformance, trials, report. Not here: one trial (`trial`), the drawing (crate `reports`).

use crate::cpus::Split;
use crate::interrupt::Interrupt;
use crate::output::{Output, OutputError};
use crate::plan::{Plan, PlanError, Planned, QUICK};
use crate::progress::Progress;
use crate::spawn::SpawnError;
use crate::trial::{Bench, Turn};
use crate::{conform, machine, order};
use record::run::Run;
use record::{Exit, Record, SCHEMA, VerdictState};
use service::Kind;
use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// What the conformance cases may take for one model.
const CONFORM_BUDGET: Duration = Duration::from_secs(8);

/// What they mostly take; for the time left.
const CONFORM_TAKES: Duration = Duration::from_secs(6);

/// What is asked of a run.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// Plan file; the quick plan without.
    pub plan: Option<PathBuf>,
    /// Models; those of the plan when empty.
    pub models: Vec<String>,
    /// Services; those of the plan when empty.
    pub services: Vec<String>,
    /// Output folder.
    pub out: Option<PathBuf>,
    /// Timed window, instead of every one in the plan.
    pub duration: Option<crate::plan::Time>,
    /// Trials of each scenario, instead of the plan's.
    pub trials: Option<u32>,
    /// Seed; by the clock without.
    pub seed: Option<u64>,
    /// Measure without checking conformance first.
    pub skip_conformance: bool,
}

/// Why a run could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// The plan.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The output.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// A process.
    #[error(transparent)]
    Spawn(#[from] SpawnError),
    /// Conformance could not be checked.
    #[error("{0:#}")]
    Conformance(anyhow::Error),
    /// The report.
    #[error("cannot make the report: {0}")]
    Report(#[from] reports::Error),
    /// The system.
    #[error("cannot {what}: {source}")]
    System {
        /// What was tried.
        what: &'static str,
        /// Why it failed.
        source: io::Error,
    },
}

impl RunError {
    /// The exit code that goes with it.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::Plan(_) | Self::Output(OutputError::Folder { .. } | OutputError::Taken(_)) => Exit::Usage,
            // A full disk, a folder that was taken away: the machine, not the tool.
            Self::Output(_) | Self::Report(_) => Exit::Unfit,
            // A model that does not become ready or does not answer.
            Self::Conformance(_) => Exit::Unfit,
            Self::Spawn(_) | Self::System { .. } => Exit::Broken,
        }
    }
}

/// What a run left.
#[derive(Debug)]
pub struct Finished {
    /// The report, ready to be shown.
    pub report: reports::Report,
    /// The folder.
    pub folder: PathBuf,
    /// How the command ends.
    pub exit: Exit,
}

/// Makes a run and writes its report.
///
/// # Errors
/// [`RunError`], one line each; what was measured before it is on disk.
pub fn run(request: &Request, interrupt: &Interrupt) -> Result<Finished, RunError> {
    let plan = plan(request)?;
    let scenarios = plan.scenarios()?;
    let system = |what| move |source| RunError::System { what, source };
    let exe = std::env::current_exe().map_err(system("find this program"))?;
    let cpus = Split::of_machine().map_err(system("read which processors may be used"))?;
    let start = Start::now(request.seed);
    let mut output = Output::make(request.out.as_deref(), &start.id)?;
    let mut run = describe(&plan, &scenarios, &cpus, &start);
    output.write_run(&run)?;

    let live: Vec<&Planned> = scenarios.iter().filter(|p| p.scenario.unsupported.is_none()).collect();
    let checks = if request.skip_conformance { Vec::new() } else { models_and_services(&live) };
    let order = order::interleaved(live.len(), plan.trials, start.seed);
    let bench = Bench {
        exe,
        stand_in: None,
        cpus: cpus.clone(),
        warm_up: plan.warm_up.0,
        duration: plan.duration.0,
        run_id: start.id.clone(),
    };
    let expected = CONFORM_TAKES * checks.len() as u32
        + order.iter().map(|(s, _)| bench.takes(live[*s])).sum::<Duration>();
    let mut progress = Progress::new(checks.len() + order.len(), expected);
    for (model, service) in &checks {
        if interrupt.asked() {
            break;
        }
        progress.next(&format!("conformance of {model}"));
        run.conformance.push(
            conform::check_model(&bench.exe, model, *service, CONFORM_BUDGET)
                .map_err(RunError::Conformance)?,
        );
        output.write_run(&run)?;
        progress.done(CONFORM_TAKES);
    }
    // The harness observes; it must not take time from the servers.
    sys::affinity::pin_self(&cpus.load).map_err(system("stay off the servers' processors"))?;
    let records = trials(&bench, &live, &order, start.seed, &mut output, &mut progress, interrupt)?;
    progress.clear();

    run.cut_short = records.len() < order.len();
    run.elapsed_ns = u64::try_from(start.at.elapsed().as_nanos()).unwrap_or(u64::MAX);
    output.write_run(&run)?;
    let exit = exit(&run, &records);
    let report = reports::Report::new(run, records);
    report.write(output.folder())?;
    Ok(Finished { report, folder: output.folder().to_path_buf(), exit })
}

fn plan(request: &Request) -> Result<Plan, PlanError> {
    let mut plan = match &request.plan {
        Some(path) => Plan::read(path)?,
        None => Plan::parse(QUICK)?,
    };
    if !request.models.is_empty() {
        plan.models = Some(request.models.clone());
    }
    if let Some(trials) = request.trials {
        plan.trials = trials;
    }
    if let Some(duration) = request.duration {
        plan.duration = duration;
        for workload in &mut plan.workloads {
            workload.duration = None;
        }
    }
    plan.keep_services(&request.services)?;
    // What was changed is checked by the same rules as the file.
    Plan::parse(&plan.to_toml())
}

struct Start {
    at: Instant,
    id: String,
    rfc3339: String,
    seed: u64,
}

impl Start {
    fn now(seed: Option<u64>) -> Self {
        let now = jiff::Timestamp::now();
        let seed = seed.unwrap_or_else(|| now.as_nanosecond() as u64 & 0xFFFF_FFFF);
        Self {
            at: Instant::now(),
            id: now.strftime("%Y%m%dT%H%M%SZ").to_string(),
            rfc3339: format!("{now:.0}"),
            seed,
        }
    }
}

fn describe(plan: &Plan, scenarios: &[Planned], cpus: &Split, start: &Start) -> Run {
    Run {
        schema: SCHEMA,
        id: start.id.clone(),
        started_at: start.rfc3339.clone(),
        elapsed_ns: 0,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        plan_name: plan.name.clone(),
        plan: plan.to_toml(),
        seed: start.seed,
        trials_planned: plan.trials,
        // Until the end is reached: a harness that is killed leaves a run that says so.
        cut_short: true,
        machine: machine::read(),
        server_cpus: cpus.server.clone(),
        load_cpus: cpus.load.clone(),
        scenarios: scenarios.iter().map(|p| p.scenario.clone()).collect(),
        conformance: Vec::new(),
    }
}

/// Each model once, with the service that the conformance cases can use best among those that it is measured with: requests and
/// large replies before echo, echo before the rest.
fn models_and_services(live: &[&Planned]) -> Vec<(String, Kind)> {
    let use_of = |kind: Kind| match kind {
        Kind::Sized => 0,
        Kind::Echo => 1,
        Kind::Http => 2,
        Kind::Greeting => 3,
    };
    let mut list: Vec<(String, Kind)> = Vec::new();
    for planned in live {
        match list.iter_mut().find(|(model, _)| *model == planned.scenario.model) {
            None => list.push((planned.scenario.model.clone(), planned.kind)),
            Some((_, chosen)) if use_of(planned.kind) < use_of(*chosen) => *chosen = planned.kind,
            Some(_) => {}
        }
    }
    list
}

fn trials(
    bench: &Bench,
    live: &[&Planned],
    order: &[(usize, u32)],
    seed: u64,
    output: &mut Output,
    progress: &mut Progress,
    interrupt: &Interrupt,
) -> Result<Vec<Record>, RunError> {
    let mut records = Vec::with_capacity(order.len());
    for (place, &(scenario, trial)) in (1..).zip(order) {
        if interrupt.asked() {
            break;
        }
        let planned = live[scenario];
        progress.next(&planned.scenario.id);
        // The same arrivals for every model within a trial: what differs is the server.
        let turn = Turn { trial, order: place, seed: seed.wrapping_add(u64::from(trial)) };
        let Some(record) = bench.run(planned, turn, interrupt)? else { break };
        output.add(&record)?;
        records.push(record);
        progress.done(bench.takes(planned));
    }
    Ok(records)
}

fn exit(run: &Run, records: &[Record]) -> Exit {
    let faulty = records.iter().any(|r| !r.server.faults.list().is_empty());
    let failed = run.conformance.iter().any(|c| !c.conformant());
    let invalid = records.iter().any(|r| r.verdict.state == VerdictState::Invalid);
    if faulty || failed {
        Exit::Found
    } else if run.scenarios.iter().all(|s| s.unsupported.is_some()) {
        // The report says why of each; a check that measures nothing must not pass for one that found nothing.
        Exit::Usage
    } else if invalid || run.cut_short {
        Exit::Unfit
    } else {
        Exit::Fine
    }
}
