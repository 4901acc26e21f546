//! JUnit XML, as CI systems read it. Not here: what a verdict means to them (see the module above).
//!
//! One `testsuite` a subject, one `testcase` a case, `name` the id and `classname` the subject. FAILED is a `failure`; BROKEN and
//! INCONCLUSIVE are an `error`, since nothing is known; SKIPPED, and a failure that was expected, are `skipped`; the verdict itself
//! stands in the output of each: strict readers know no properties of a `testcase`.

use super::{Plain, details, message, plain};
use crate::error::{Error, Result};
use quick_junit::{NonSuccessKind, Property, Report, TestCase, TestCaseStatus, TestSuite};
use record::conform::{CaseResult, Conformance};
use std::time::Duration;

/// The results as JUnit XML.
///
/// # Errors
/// [`Error::Junit`] where the text cannot be made.
pub fn junit(runs: &[Conformance]) -> Result<String> {
    let mut report = Report::new("conformance");
    let mut total = Duration::ZERO;
    for run in runs {
        let mut suite = TestSuite::new(run.subject.as_str());
        let mut time = Duration::ZERO;
        for (name, value) in [("service", &run.service), ("url", &run.url), ("facts", &run.facts)] {
            suite.add_property(Property::new(name, value.as_str()));
        }
        suite.add_property(Property::new("badge", run.badge()));
        if let Some(why) = &run.unfit {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
            status.set_message(why.as_str());
            let mut ready = TestCase::new("ready", status);
            ready.set_classname(run.subject.as_str()).set_time(Duration::ZERO);
            suite.add_test_case(ready);
        }
        for case in &run.cases {
            time += Duration::from_nanos(case.elapsed_ns);
            suite.add_test_case(test_case(case, &run.subject));
        }
        suite.set_time(time);
        total += time;
        report.add_test_suite(suite);
    }
    report.set_time(total);
    report.to_string().map(strict).map_err(|e| Error::Junit(e.to_string()))
}

/// The sum of what was skipped stands in each suite; of all suites strict readers do not know it.
fn strict(text: String) -> String {
    let Some((head, rest)) = text.split_once("<testsuites ") else { return text };
    let Some((tag, body)) = rest.split_once('>') else { return text };
    let kept: Vec<&str> =
        tag.split_inclusive("\" ").filter(|attribute| !attribute.starts_with("skipped=")).collect();
    format!("{head}<testsuites {}>{body}", kept.concat().trim_end())
}

fn test_case(case: &CaseResult, subject: &str) -> TestCase {
    let status = match plain(case) {
        Plain::Passed => TestCaseStatus::success(),
        Plain::Failed => faulty(NonSuccessKind::Failure, case),
        Plain::Error => faulty(NonSuccessKind::Error, case),
        Plain::Skipped => {
            let mut status = TestCaseStatus::skipped();
            status.set_message(message(case));
            status
        }
    };
    let mut test = TestCase::new(case.id.as_str(), status);
    test.set_classname(subject);
    test.set_time(Duration::from_nanos(case.elapsed_ns));
    let (verdict, number, level) = (case.verdict.name(), &case.number, &case.level);
    test.set_system_out(format!("{verdict} {number} ({level}): {}", case.actual));
    test
}

fn faulty(kind: NonSuccessKind, case: &CaseResult) -> TestCaseStatus {
    let mut status = TestCaseStatus::non_success(kind);
    status.set_type(case.verdict.name());
    status.set_message(message(case));
    status.set_description(details(case));
    status
}
