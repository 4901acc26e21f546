//! What is shown: merging, withholding, ranks, states, sentences.

use crate::fixture::{Dice, TRIALS, latencies, one, run, run_and_records};
use record::histogram::{decode, encode, new, percentile, summary};
use record::run::Run;
use record::{Record, Verdict, VerdictState};
use reports::Report;
use reports::view::{Conduct, Outcome, Row, View};

fn row<'v, 'a>(view: &'v View<'a>, model: &str, workload: &str) -> &'v Row<'a> {
    let rows = view.workloads.iter().filter(|w| w.name == workload).flat_map(|w| &w.rows);
    rows.into_iter().find(|r| r.scenario.model == model).unwrap()
}

/// A report of records alone: the plan knows just their scenarios.
fn of(records: Vec<Record>) -> Report {
    Report::new(bare(&records), records)
}

fn bare(records: &[Record]) -> Run {
    let mut scenarios: Vec<_> = records.iter().map(|r| r.scenario.clone()).collect();
    scenarios.dedup_by(|a, b| a.id == b.id);
    run(scenarios)
}

#[test]
fn percentiles_are_those_of_one_merged_histogram() {
    let (run, records) = run_and_records();
    let report = Report::new(run, records.clone());
    let view = report.view();
    let shown = &row(&view, "epoll", "c64-closed").latency;
    let mut whole = new().unwrap();
    for record in records.iter().filter(|r| r.scenario.id == "epoll/tcp/echo/c64-closed") {
        whole.add(decode(&record.load.as_ref().unwrap().histograms.latency).unwrap()).unwrap();
    }
    assert_eq!(shown.count, whole.len());
    assert_eq!(shown.p99, percentile(&whole, 99.0));
    assert_eq!(shown.p99_9, percentile(&whole, 99.9));
    let exact_max = records
        .iter()
        .filter(|r| r.scenario.id == "epoll/tcp/echo/c64-closed")
        .filter_map(|r| r.load.as_ref().unwrap().latency_ns.max)
        .max();
    assert_eq!(shown.max, exact_max);
}

#[test]
fn a_percentile_with_few_values_above_it_is_withheld() {
    let report = of(vec![one(4, 0, 1)]);
    let view = report.view();
    let latency = &view.workloads[0].rows[0].latency;
    assert_eq!((latency.p99.is_some(), latency.p99_9), (true, None), "21 000 values allow p99, not p99.9");
    assert!(latency.curve.last().unwrap().nines < 3.0);
}

#[test]
fn what_a_model_cannot_hold_is_neither_a_failure_nor_a_zero() {
    let (run, records) = run_and_records();
    let report = Report::new(run, records);
    let view = report.view();
    let shown = row(&view, "iterative", "c64-closed");
    assert!(matches!(&shown.outcome, Outcome::CannotHold(_, reason) if reason.contains("63 of 64")));
    assert_eq!((shown.throughput_per_s.span, shown.rank, shown.tally().total()), (None, None, 0));
    assert!(view.findings.iter().all(|f| !f.contains("iterative failed")));
}

#[test]
fn invalid_trials_are_listed_and_never_counted() {
    let (run, records) = run_and_records();
    let report = Report::new(run, records);
    let view = report.view();
    let shown = row(&view, "async", "c64-open");
    assert_eq!(shown.tally().invalid, 1);
    assert_eq!(shown.throughput_per_s.points.len(), TRIALS as usize);
    assert_eq!(shown.throughput_per_s.span.unwrap().trials, 4);
    assert!(
        shown.throughput_per_s.span.unwrap().min > 15_000.0,
        "the invalid trial’s rate is not the minimum"
    );
    assert_eq!(shown.latency.count, 4 * 21_000);
    assert_eq!(shown.tally().state(), VerdictState::Suspect, "one trial had to be left out");
    assert!(shown.reasons()[0].starts_with("trial 4: the generator was late"));
}

#[test]
fn a_trial_without_a_load_is_invalid_and_its_faults_stay() {
    let (run, records) = run_and_records();
    let report = Report::new(run, records);
    let view = report.view();
    let shown = row(&view, "fork", "c64-closed");
    assert_eq!((shown.tally().valid, shown.tally().invalid), (4, 1));
    assert_eq!(shown.fault_list(), ["12 zombies (trial 5)"]);
}

#[test]
fn a_model_none_of_whose_trials_counts_has_no_numbers() {
    let (run, records) = run_and_records();
    let report = Report::new(run, records);
    let view = report.view();
    let shown = row(&view, "select", "aborts-5pct");
    assert_eq!(shown.outcome, Outcome::NoneCounts);
    assert_eq!((shown.throughput_per_s.span, shown.latency.count, shown.rank), (None, 0, None));
    assert_eq!(shown.fault_list(), ["killed by SIGPIPE (trials 1–5)"]);
    assert_eq!(shown.counts.collateral, 35, "errors of invalid trials are not dropped");
}

#[test]
fn a_failed_case_is_told_with_every_service() {
    let (run, records) = run_and_records();
    let report = Report::new(run, records);
    let view = report.view();
    let select = view.models.iter().find(|m| m.name == "select").unwrap();
    for service in ["sized", "echo", "anything"] {
        assert!(matches!(select.conduct(service), Conduct::Failed(_, cases) if cases.len() == 2));
    }
    let epoll = view.models.iter().find(|m| m.name == "epoll").unwrap();
    assert!(matches!(epoll.conduct("echo"), Conduct::Conformant(_)));
}

/// A record whose throughput and latency are given.
fn at(model: usize, trial: u32, throughput: f64, base_us: f64) -> Record {
    let mut record = one(model, 2, trial);
    let load = record.load.as_mut().unwrap();
    let (histogram, exact) = latencies(base_us, (0.001, 2.0), 2_000, &mut Dice(u64::from(trial)));
    load.throughput_per_s = throughput;
    load.latency_ns = summary(&histogram, Some(exact));
    load.histograms.latency = encode(&histogram).unwrap();
    record.server.cpu_ns_per_request = Some(1e9 / throughput);
    record
}

#[test]
fn models_whose_trials_overlap_are_not_told_apart() {
    let report = of((1..=5)
        .flat_map(|t| [at(4, t, 100.0 + f64::from(t), 500.0), at(5, t, 103.0 + f64::from(t), 500.0)])
        .collect());
    let view = report.view();
    assert!(view.workloads[0].rows.iter().all(|r| r.rank == Some(1)));
    assert!(
        view.workloads[0].findings[0].contains("cannot be told apart"),
        "{:?}",
        view.workloads[0].findings
    );
    assert!(view.findings[0].starts_with("In no workload"), "{:?}", view.findings);
}

#[test]
fn a_model_ahead_with_every_trial_leads_and_the_margin_is_said() {
    let report = of((1..=5)
        .flat_map(|t| [at(4, t, 200.0 + f64::from(t), 500.0), at(5, t, 100.0 + f64::from(t), 500.0)])
        .collect());
    let view = report.view();
    assert_eq!(view.workloads[0].rows.iter().map(|r| r.rank).collect::<Vec<_>>(), [Some(1), Some(2)]);
    let sentence = &view.workloads[0].findings[0];
    assert!(
        sentence.starts_with("epoll answered the most requests: 203/s") && sentence.contains("1.97 times"),
        "{sentence}"
    );
}

#[test]
fn two_trials_are_too_few_for_a_rank() {
    let report = of((1..=2).flat_map(|t| [at(4, t, 200.0, 500.0), at(5, t, 100.0, 500.0)]).collect());
    let view = report.view();
    assert!(view.workloads[0].rows.iter().all(|r| r.rank.is_none()));
    assert!(view.findings[0].starts_with("Too few trials"), "{:?}", view.findings);
}

#[test]
fn a_damaged_histogram_makes_its_trial_suspect_and_spares_the_rest() {
    let (mut good, mut bad) = (one(4, 0, 1), one(4, 0, 2));
    bad.load.as_mut().unwrap().histograms.latency = "not base64".to_owned();
    good.load.as_mut().unwrap().histograms.service = String::new();
    let report = of(vec![good, bad]);
    let view = report.view();
    let shown = &view.workloads[0].rows[0];
    assert_eq!(shown.latency.count, 21_000);
    assert!(
        shown.reasons()[0].starts_with("trial 2: the latency distribution cannot be read"),
        "{:?}",
        shown.reasons()
    );
    assert_eq!(view.tally().suspect, 1);
}

#[test]
fn a_generators_objection_counts_where_the_harness_made_none() {
    let mut record = one(4, 0, 1);
    let mut verdict = Verdict::valid();
    verdict.object(VerdictState::Invalid, "the generator was busy".to_owned());
    record.load.as_mut().unwrap().verdict = verdict;
    let report = of(vec![record]);
    assert_eq!(report.view().tally().invalid, 1);
}

#[test]
fn records_of_unknown_scenarios_are_shown_and_nothing_at_all_is_no_error() {
    let report = Report::new(run(Vec::new()), vec![one(4, 0, 1)]);
    assert_eq!(report.view().workloads.len(), 1);
    let report = Report::new(run(Vec::new()), Vec::new());
    let view = report.view();
    assert!(view.workloads.is_empty());
    assert_eq!(view.findings[0], "No trial left a record.");
}

#[test]
fn a_scenario_without_trials_was_not_run() {
    let record = one(4, 0, 1);
    let report = Report::new(bare(&[record]), Vec::new());
    assert_eq!(report.view().workloads[0].rows[0].outcome, Outcome::NotRun);
}

#[test]
fn keeping_up_is_judged_by_what_was_due_and_not_by_the_rate_that_chance_missed() {
    let sentences = |due: u64, answered: u64| -> String {
        let mut record = one(4, 3, 1);
        let load = record.load.as_mut().unwrap();
        assert!(load.config.rate_per_s.is_some(), "the fixture's fourth workload is an open loop");
        load.throughput_per_s = load.config.rate_per_s.unwrap() * 0.9;
        load.requests =
            record::load::Requests { scheduled: due, sent: due, completed: answered, ..Default::default() };
        let report = of(vec![record]);
        report.view().workloads[0].findings.join(" ")
    };
    assert!(!sentences(9_000, 9_000).contains("Not kept up"));
    assert!(sentences(9_000, 8_000).contains("89 % of it answered"));
}
