//! The page: self-contained, well-formed, nothing unescaped, the same every time.

use crate::fixture::{one, run, run_and_records};
use record::conform::CaseVerdict;
use record::run::{ModelConformance, Run};
use record::{Record, VerdictState};
use reports::Report;
use reports::export::EXPORTERS;

/// The page of a report, without a file.
pub(crate) fn page(run: Run, records: Vec<Record>) -> String {
    let report = Report::new(run, records);
    let html = EXPORTERS.iter().find(|e| e.name == "html").unwrap();
    let files = (html.make)(&report.view()).unwrap();
    assert_eq!(files[0].name, "index.html");
    String::from_utf8(files[0].bytes.clone()).unwrap()
}

/// Panics at the first tag that does not close what is open. Scripts and styles are passed over.
pub(crate) fn assert_balanced(text: &str) {
    const VOID: [&str; 6] = ["meta", "br", "hr", "img", "input", "!doctype"];
    let mut open: Vec<&str> = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find('<') {
        let end =
            start + rest[start..].find('>').unwrap_or_else(|| panic!("an open `<` at {}", &rest[start..]));
        let tag = &rest[start + 1..end];
        let name = tag.trim_start_matches('/').split(|c: char| c.is_whitespace() || c == '/').next().unwrap();
        rest = &rest[end + 1..];
        if tag.starts_with('/') {
            let expected = open.pop();
            assert_eq!(
                expected,
                Some(name),
                "`</{name}>` closes {expected:?} before: {}",
                &rest[..rest.len().min(200)]
            );
        } else if !tag.ends_with('/') && !VOID.contains(&name) {
            open.push(name);
            if name == "script" || name == "style" {
                rest = &rest[rest.find(&format!("</{name}>")).unwrap()..];
            }
        }
        assert_eq!(tag.matches('"').count() % 2, 0, "an odd quotation mark in <{tag}>");
    }
    assert_eq!(open, Vec::<&str>::new(), "left open");
}

#[test]
fn it_holds_everything_and_loads_nothing() {
    let (run, records) = run_and_records();
    let html = page(run, records);
    for foreign in [
        "http://",
        "https://",
        "//cdn",
        "@import",
        "url(",
        "<link",
        "<img",
        "<iframe",
        "<object",
        "<script src",
    ] {
        assert!(!html.contains(foreign), "{foreign}");
    }
    for attribute in ["src=\"", "href=\""] {
        for value in html.split(attribute).skip(1).map(|rest| rest.split('"').next().unwrap()) {
            let local = value.starts_with('#') || value == "summary.csv" || value == "hlog/";
            assert!(local, "{attribute}{value}");
        }
    }
    assert!(html.contains("default-src 'none'"), "the page forbids itself to load");
    assert!(html.len() < 1_500_000, "{} bytes", html.len());
}

#[test]
fn it_is_well_formed_and_every_anchor_leads_somewhere() {
    let (run, records) = run_and_records();
    let html = page(run, records);
    assert_balanced(&html);
    for anchor in html.split("href=\"#").skip(1).map(|rest| rest.split('"').next().unwrap()) {
        assert_eq!(html.matches(&format!("id=\"{anchor}\"")).count(), 1, "#{anchor}");
    }
}

#[test]
fn it_says_what_must_be_said_beside_a_speed() {
    let (run, records) = run_and_records();
    let html = page(run, records);
    for text in [
        "Cut short.",
        "cannot hold: serves one connection to its end",
        "select ✗",
        "thread (suspect)",
        "killed by SIGPIPE",
        "the generator left no result",
        "What is not measured",
        "class=\"verdict bad\"",
        "prefers-color-scheme: dark",
        "@media print",
    ] {
        assert!(html.contains(text), "{text}");
    }
    assert!(html.matches("aria-label=").count() > 40, "every plot says what it shows");
}

#[test]
fn who_shared_what_is_told_where_there_were_several_workers_and_nowhere_else() {
    let (run, mut records) = run_and_records();
    let html = page(run.clone(), records.clone());
    let (caption, shares) = ("What woke the workers, and how they shared</h3>", "14–57 %");
    assert_eq!(html.matches(caption).count(), 5, "a table a workload");
    assert!(html.contains("0.778") && html.contains(shares) && html.contains("In vain/connection"));
    let alone: Vec<_> = records.iter().filter(|r| r.scenario.model == "epoll").cloned().collect();
    let html_alone = page(run.clone(), alone);
    assert!(html_alone.contains(">Wake-ups/req<") && !html_alone.contains(">Fairness, bytes<"));
    records.iter_mut().for_each(|r| r.server.workers = None);
    let html = page(run, records);
    assert!(
        !html.contains(caption) && !html.contains(">Wake-ups/req<"),
        "records of before have no empty columns"
    );
}

#[test]
fn connections_over_time_are_drawn_where_some_were_lacking_and_nowhere_else() {
    let drawn = |living: f64| {
        let mut record = one(0, 0, 1);
        for interval in &mut record.load.as_mut().unwrap().intervals {
            (interval.wanted, interval.living) = (64, Some(living));
        }
        let html = page(run(vec![record.scenario.clone()]), vec![record]);
        assert_balanced(&html);
        (html.contains("Latency over time"), html.contains("Connections over time"))
    };
    assert_eq!(drawn(64.0), (true, false));
    // What a mean of times leaves of a connection that was made anew is no lack.
    assert_eq!(drawn(63.9), (true, false));
    assert_eq!(drawn(51.5), (true, true));
}

#[test]
fn it_is_the_same_every_time() {
    let (run, records) = run_and_records();
    assert_eq!(page(run.clone(), records.clone()), page(run, records));
}

#[test]
fn hostile_text_stays_text() {
    const EVIL: &str = "</script><script>alert(\"1\")</script>' onload='x\u{1b}[31m";
    let mut record = one(4, 0, 1);
    record.scenario.model = EVIL.to_owned();
    record.scenario.id = format!("{EVIL}/tcp/sized/x");
    record.scenario.title = EVIL.to_owned();
    record.scenario.workload = EVIL.to_owned();
    record.server.faults.stderr = EVIL.to_owned();
    record.server.faults.killed_by = Some(EVIL.to_owned());
    record.verdict.object(VerdictState::Suspect, EVIL.to_owned());
    let mut run = run(vec![record.scenario.clone()]);
    run.plan_name = EVIL.to_owned();
    run.plan = EVIL.to_owned();
    run.machine.cpu_model = EVIL.to_owned();
    run.machine.sysctls.insert(EVIL.to_owned(), EVIL.to_owned());
    run.conformance = vec![ModelConformance {
        model: EVIL.to_owned(),
        service: EVIL.to_owned(),
        cases: vec![(EVIL.to_owned(), CaseVerdict::Failed, EVIL.to_owned())],
    }];
    let html = page(run, vec![record]);
    assert_eq!(html.matches("<script").count(), 1, "only the page’s own");
    assert!(!html.contains("onload='x"), "no attribute can be opened");
    assert_balanced(&html);
}

#[test]
fn a_run_with_nothing_in_it_is_still_a_page() {
    let html = page(run(Vec::new()), Vec::new());
    assert!(html.contains("Nothing was planned") && html.contains("No trial left a record."));
    assert_balanced(&html);
    let record = one(4, 0, 1);
    let html = page(run(vec![record.scenario]), Vec::new());
    assert!(html.contains("not run: the run ended before"));
    assert_balanced(&html);
}
