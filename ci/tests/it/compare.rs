//! Verdicts and exit codes of whole comparisons.

use crate::fixture::{Scenario, write};
use ci::cli::{Cli, run};
use ci::{Comparison, Metric, Policy, Verdict, compare, markdown, text};
use clap::Parser as _;
use record::Exit;
use reports::Report;

/// Compares two made-up runs with the policy that is the default.
fn of(base: &[Scenario], head: &[Scenario]) -> Comparison {
    let folder = tempfile::tempdir().unwrap();
    write(&folder.path().join("base"), "b", base);
    write(&folder.path().join("head"), "h", head);
    let load = |name| Report::load(folder.path().join(name)).unwrap();
    compare(&load("base"), &load("head"), Policy::default())
}

fn verdict(c: &Comparison, metric: Metric) -> Verdict {
    c.gates.iter().find(|g| g.metric == metric).unwrap().verdict
}

const ID: &str = "epoll/tcp/echo/c64";

#[test]
fn the_same_numbers_are_no_change_and_fine() {
    let c = of(&[Scenario::about(ID, 10, 1_000.0)], &[Scenario::about(ID, 10, 1_000.0)]);
    assert!(c.gates.iter().all(|g| g.verdict == Verdict::NoChangeSeen && g.ratio == 1.0));
    assert_eq!(c.exit(), Exit::Fine);
    assert!(c.gating().all(|g| g.detectable.is_some_and(|d| d < 0.10)), "it says what it could have seen");
    assert!(c.warnings[0].contains("two sessions"));
}

#[test]
fn a_head_slower_by_a_fifth_is_slower() {
    let c = of(&[Scenario::about(ID, 10, 1_000.0)], &[Scenario::about(ID, 10, 800.0)]);
    assert_eq!(verdict(&c, Metric::ThroughputPerS), Verdict::Slower);
    assert_eq!(verdict(&c, Metric::CpuNsPerRequest), Verdict::Slower, "more time for a request is slower");
    assert_eq!(c.exit(), Exit::Found);
    let (text, page) = (text(&c), markdown(&c));
    assert!(text.contains("-20.0 %") && text.contains("2 gates: 2 slower"), "{text}");
    assert!(
        page.starts_with("<!-- server-models:compare -->\n### Server models: Something got worse"),
        "{page}"
    );
}

#[test]
fn a_head_faster_by_a_fifth_is_faster_and_fine() {
    let c = of(&[Scenario::about(ID, 10, 1_000.0)], &[Scenario::about(ID, 10, 1_250.0)]);
    assert!(c.gating().all(|g| g.verdict == Verdict::Faster));
    assert_eq!(c.exit(), Exit::Fine);
}

#[test]
fn a_real_change_below_the_threshold_is_not_one() {
    let c = of(&[Scenario::about(ID, 12, 1_000.0)], &[Scenario::about(ID, 12, 970.0)]);
    let gate = &c.gates[0];
    assert!(gate.p_corrected < 0.01 && gate.verdict == Verdict::NoChangeSeen, "{gate:?}");
    assert_eq!(c.exit(), Exit::Fine);
}

#[test]
fn with_too_few_trials_nothing_is_concluded_and_it_is_said() {
    let c = of(&[Scenario::about(ID, 4, 1_000.0)], &[Scenario::about(ID, 4, 500.0)]);
    assert!(c.gates.iter().all(|g| g.verdict == Verdict::TooFewTrials && g.detectable.is_none()));
    assert_eq!(
        (c.exit(), c.trials_needed),
        (Exit::Unfit, Some(6)),
        "a gate that cannot see is not a green light"
    );
    assert!(text(&c).contains("need 6 valid trials on each side"), "{}", text(&c));
}

#[test]
fn the_median_latency_never_gates() {
    let c = of(&[Scenario::about(ID, 10, 1_000.0)], &[Scenario::about(ID, 10, 800.0)]);
    assert!(c.gating().all(|g| g.metric != Metric::LatencyP50Ns));
    assert_eq!(verdict(&c, Metric::LatencyP50Ns), Verdict::Slower);
    assert!(text(&c).contains("(slower)"));
}

#[test]
fn a_scenario_that_vanished_is_a_finding_and_one_that_appeared_is_said() {
    let (a, b, c) = ("epoll/tcp/echo/c64", "fork/tcp/echo/c64", "async/tcp/echo/c64");
    let about = |id| Scenario::about(id, 10, 1_000.0);
    let result = of(&[about(a), about(b)], &[about(a), about(c)]);
    assert_eq!(
        (result.vanished.as_slice(), result.appeared.as_slice()),
        (&[b.to_owned()][..], &[c.to_owned()][..])
    );
    assert_eq!(result.exit(), Exit::Found);
    let result = of(&[about(a)], &[about(a), about(c)]);
    assert_eq!(result.exit(), Exit::Fine);
    assert_eq!(of(&[about(a)], &[about(c)]).exit(), Exit::Usage, "nothing in common");
}

#[test]
fn invalid_trials_are_not_counted_and_none_valid_is_unfit() {
    let mut spoiled = Scenario::about(ID, 10, 1_000.0);
    spoiled.invalid = 2;
    spoiled.rates[..2].fill(1.0);
    let c = of(&[Scenario::about(ID, 10, 1_000.0)], &[spoiled]);
    assert_eq!((c.gates[0].trials, c.gates[0].verdict), ((10, 8), Verdict::NoChangeSeen));
    let mut lost = Scenario::about(ID, 10, 1_000.0);
    lost.invalid = 10;
    let c = of(&[Scenario::about(ID, 10, 1_000.0)], &[lost]);
    assert_eq!((c.exit(), c.unfit[0].head), (Exit::Unfit, (0, 10)));
}

#[test]
fn a_fault_that_only_the_head_has_is_a_finding() {
    let mut killed = Scenario::about(ID, 10, 1_000.0);
    killed.killed = true;
    let c = of(&[Scenario::about(ID, 10, 1_000.0)], &[killed]);
    assert_eq!(c.new_faults, ["epoll/tcp/echo/c64: killed by SIGPIPE"]);
    assert_eq!(c.exit(), Exit::Found);
}

#[test]
fn many_gates_need_more_trials() {
    let ids = ["a/t/e/w", "b/t/e/w", "c/t/e/w", "d/t/e/w", "e/t/e/w", "f/t/e/w", "g/t/e/w", "h/t/e/w"];
    let about = |rate: f64| ids.map(|id| Scenario::about(id, 6, rate));
    let c = of(&about(1_000.0), &about(1_000.0));
    assert_eq!((c.gating().count(), c.trials_needed), (16, Some(7)));
    assert!(c.blind());
}

#[test]
fn the_command_writes_its_files_and_returns_the_code() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    write(&folder.path().join("base"), "b", &[Scenario::about(ID, 10, 1_000.0)]);
    write(&folder.path().join("head"), "h", &[Scenario::about(ID, 10, 800.0)]);
    let (base, head, json, page) = (path("base"), path("head"), path("out.json"), path("out.md"));
    let call = |args: &[&str]| run(&Cli::try_parse_from([&["ci", "compare"], args].concat()).unwrap());
    assert_eq!(call(&[&base, &base]), Exit::Fine);
    assert_eq!(call(&[&base, &head, "--json", &json, "--markdown", &page]), Exit::Found);
    let text = std::fs::read_to_string(&json).unwrap();
    assert!(text.contains("\"exit_code\": 1") && text.contains("\"verdict\": \"slower\""), "{text}");
    assert!(std::fs::read_to_string(&page).unwrap().contains("| slower |"));
    assert_eq!(call(&[&base, &head, "--threshold", "50%"]), Exit::Fine);
    assert_eq!(call(&[&base, &path("missing")]), Exit::Usage);
    assert_eq!(call(&[&base, &head, "--json", &path("no/such/folder.json")]), Exit::Broken);
    assert!(Cli::try_parse_from(["ci", "compare", "a", "b", "--alpha", "2"]).is_err());
}

#[test]
fn hostile_names_stay_text_in_markdown() {
    let id = "<img src=x>|@all/tcp/echo/w";
    let page = markdown(&of(&[Scenario::about(id, 10, 1_000.0)], &[Scenario::about(id, 10, 800.0)]));
    assert!(
        !page.contains("<img") && !page.contains("@all") && page.contains("&lt;img src=x&gt;\\|"),
        "{page}"
    );
}
