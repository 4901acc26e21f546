//! JUnit, TAP and the matrix page: what a verdict becomes in each, tested with failing subjects. Not here: running cases.

use quick_junit::{NonSuccessKind, Report, TestCaseStatus};
use record::conform::{CaseResult, CaseVerdict, Conformance, Expected, Met};

fn case(number: &str, id: &str, verdict: CaseVerdict) -> CaseResult {
    CaseResult {
        id: id.into(),
        number: number.into(),
        verdict,
        aftermath: "clean".into(),
        requirement: "A server lives (MUST)".into(),
        acceptable: "it lives".into(),
        actual: "seen <b>&amp; \u{1b}[31m#1\nsecond line".into(),
        elapsed_ns: 1_500_000_000,
        level: "MUST".into(),
        needs: "address".into(),
        again: "harness conform x --case y".into(),
        expected: None,
        evidence: vec!["0.000 s #1 connect".into()],
    }
}

fn expected(mut case: CaseResult, verdict: CaseVerdict, met: Met) -> CaseResult {
    case.expected =
        Some(Expected { verdict, reason: "known".into(), link: Some("https://example.org/7".into()), met });
    case
}

fn runs() -> Vec<Conformance> {
    let cases = vec![
        case("1.1", "life/ready", CaseVerdict::Ok),
        case("2.1", "accept/a", CaseVerdict::NonStrict),
        case("5.1", "sigpipe/fin", CaseVerdict::Failed),
        case("5.3", "sigpipe/rst", CaseVerdict::Info),
        case("6.1", "fair/a", CaseVerdict::Skipped),
        case("7.1", "leak/fd", CaseVerdict::Inconclusive),
        case("7.2", "leak/zombies", CaseVerdict::Broken),
        expected(case("10.1", "stop/a", CaseVerdict::Failed), CaseVerdict::Failed, Met::Yes),
        expected(case("10.2", "stop/b", CaseVerdict::Ok), CaseVerdict::Failed, Met::No),
        expected(case("10.3", "stop/c", CaseVerdict::Inconclusive), CaseVerdict::Failed, Met::Undecided),
    ];
    let run = |subject: &str, cases, unfit: Option<&str>| Conformance {
        schema: record::SCHEMA,
        subject: subject.into(),
        service: "echo".into(),
        url: "tcp://127.0.0.1:7".into(),
        facts: "serial: one connection at a time".into(),
        unfit: unfit.map(str::to_owned),
        cases,
    };
    vec![run("one & <two>", cases, None), run("gone", Vec::new(), Some("`x` is not installed"))]
}

#[test]
fn junit_reads_back_with_each_verdict_in_its_place() {
    let text = reports::conform::junit(&runs()).unwrap();
    let report = Report::deserialize_from_str(&text).unwrap();
    let suite = &report.test_suites[0];
    assert_eq!(suite.name.as_str(), "one & <two>");
    assert_eq!((suite.tests, suite.failures, suite.errors), (10, 2, 3));
    let kind = |i: usize| match &suite.test_cases[i].status {
        TestCaseStatus::Success { .. } => "passed",
        TestCaseStatus::NonSuccess { kind: NonSuccessKind::Failure, .. } => "failure",
        TestCaseStatus::NonSuccess { kind: NonSuccessKind::Error, .. } => "error",
        TestCaseStatus::Skipped { .. } => "skipped",
    };
    let kinds: Vec<_> = (0..10).map(kind).collect();
    assert_eq!(
        kinds,
        ["passed", "passed", "failure", "passed", "skipped", "error", "error", "skipped", "failure", "error"]
    );
    let failed = &suite.test_cases[2];
    assert_eq!(
        (failed.name.as_str(), failed.classname.as_ref().unwrap().as_str()),
        ("sigpipe/fin", "one & <two>")
    );
    let TestCaseStatus::NonSuccess { description: Some(text), .. } = &failed.status else {
        panic!("{failed:?}")
    };
    assert!(text.as_str().contains("again:      harness conform") && text.as_str().contains("#1 connect"));
    assert!(!text.as_str().contains('\u{1b}'), "no control characters in XML");
    let gone = &report.test_suites[1];
    assert_eq!((gone.tests, gone.errors), (1, 1), "a subject that is not there is no success");
    assert_eq!((report.tests, report.failures, report.errors), (11, 2, 4));
}

#[test]
fn tap_says_todo_and_skip_and_how_to_repeat() {
    let text = reports::conform::tap(&runs());
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[..2], ["TAP version 14", "1..11"]);
    let points: Vec<&str> =
        lines.iter().copied().filter(|l| l.starts_with("ok ") || l.starts_with("not ok ")).collect();
    assert_eq!(points.len(), 11);
    for (i, point) in points.iter().enumerate() {
        assert!(point.split(' ').any(|word| word == (i + 1).to_string()), "{point}");
    }
    assert_eq!(points[0], "ok 1 - one & <two> life/ready");
    assert_eq!(points[2], "not ok 3 - one & <two> sigpipe/fin");
    assert!(
        points[4].starts_with("ok 5 - one & <two> fair/a # SKIP ") && points[4].ends_with("\\#1 second line")
    );
    assert!(
        points[7].starts_with("not ok 8 - one & <two> stop/a # TODO expected (known, https://example.org/7)")
    );
    assert_eq!(points[8], "not ok 9 - one & <two> stop/b");
    assert!(points[10].starts_with("not ok 11 - gone ready"));
    assert!(text.contains("    again:      harness conform x --case y"));
    // Every YAML block that is opened is closed.
    let count = |wanted| lines.iter().filter(|line| **line == wanted).count();
    assert!(count("  ---") == 6 && count("  ---") == count("  ..."), "{text}");
}

#[test]
fn the_page_holds_everything_and_escapes_it() {
    let page = reports::conform::html(&runs()).unwrap();
    assert!(page.contains("one &#38; &#60;two&#62;") || page.contains("one &amp; &lt;two&gt;"));
    assert!(!page.contains("<b>&amp;amp;") && !page.contains("seen <b>"), "what servers say is no markup");
    for outside in ["src=", "<script", "http://", "@import"] {
        assert!(!page.contains(outside), "{outside}");
    }
    for case in &runs()[0].cases {
        let anchor = format!("c0-{}", case.number.replace('.', "-"));
        assert!(page.contains(&format!("href=\"#{anchor}\"")) && page.contains(&format!("id=\"{anchor}\"")));
    }
    assert!(page.contains("10.1 stop/a") && page.find("2.1 accept/a") < page.find("10.1 stop/a"));
    assert!(page.contains("not conformant 3/10 · serial · 2 failed"), "the badge");
    assert!(page.contains("not ready 0/0"));
}

#[test]
fn of_many_subjects_the_matrix_comes_first_and_each_is_described_once() {
    let few = reports::conform::html(&runs()).unwrap();
    let many: Vec<_> = runs().into_iter().cycle().take(8).collect();
    let page = reports::conform::html(&many).unwrap();
    let at = |text: &str| page.find(text).unwrap_or_else(|| panic!("{text} is not in the page"));
    assert!(
        at("<section id=\"matrix\"") < at("subjects-title") && at("subjects-title") < at("findings-title")
    );
    assert!(
        few.find("findings-title") < few.find("<section id=\"matrix\"") && !few.contains("subjects-title")
    );
    assert!(page.contains("<table class=\"matrix many\">") && few.contains("<table class=\"matrix\">"));
    assert_eq!(page.matches("class=\"facts\"").count(), many.len());
}

#[test]
fn badges_count_what_ended_well() {
    let mut run = runs().remove(0);
    assert_eq!(
        run.badge(),
        "not conformant 3/10 · serial · 2 failed · 1 non-strict · 1 skipped · 2 inconclusive · 1 broken"
    );
    run.cases.retain(|c| matches!(c.verdict, CaseVerdict::Ok | CaseVerdict::Skipped));
    assert_eq!(run.badge(), "conformant 2/3 · serial · 1 skipped");
}
