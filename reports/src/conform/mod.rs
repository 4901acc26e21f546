//! What a run of the conformance suite looks like: JUnit XML, TAP, a page with a matrix. Not here: running cases, and the matrix in
//! the report of a comparison (see `export::html`).

mod junit;
mod page;
mod tap;

pub use junit::junit;
pub use page::html;
pub use tap::tap;

use record::conform::{CaseResult, CaseVerdict, Met};

/// What a result means to a tool that knows passed, failed, error and skipped only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Plain {
    Passed,
    Failed,
    /// No verdict could be had.
    Error,
    Skipped,
}

/// An expectation that was met turns a failure into something skipped; one that was not met is a failure, whatever came instead.
fn plain(case: &CaseResult) -> Plain {
    match (case.expected.as_ref().map(|e| e.met), case.verdict) {
        (Some(Met::No), _) => Plain::Failed,
        (Some(Met::Yes), CaseVerdict::Failed | CaseVerdict::NonStrict) => Plain::Skipped,
        (_, CaseVerdict::Failed) => Plain::Failed,
        (_, CaseVerdict::Broken | CaseVerdict::Inconclusive) => Plain::Error,
        (_, CaseVerdict::Skipped) => Plain::Skipped,
        (_, CaseVerdict::Ok | CaseVerdict::NonStrict | CaseVerdict::Info) => Plain::Passed,
    }
}

/// What stands beside a result that is not simply OK.
fn message(case: &CaseResult) -> String {
    let expected = case.expected.as_ref().map(|e| {
        let link = e.link.as_ref().map(|l| format!(", {l}")).unwrap_or_default();
        match e.met {
            Met::Yes => format!("expected ({}{link}): ", e.reason),
            Met::No => format!(
                "expected {} ({}{link}), but it is {}: ",
                e.verdict.name(),
                e.reason,
                case.verdict.name()
            ),
            Met::Undecided => format!("expected {}, undecided ({}): ", e.verdict.name(), case.verdict.name()),
        }
    });
    format!("{}{}", expected.unwrap_or_default(), case.seen())
}

/// The whole of a failure, as the terminal has it.
fn details(case: &CaseResult) -> String {
    let mut text = format!(
        "required:   {}\nacceptable: {}\nactual:     {}\naftermath:  {}\nagain:      {}\n",
        case.requirement, case.acceptable, case.actual, case.aftermath, case.again
    );
    for line in &case.evidence {
        text.push_str(line);
        text.push('\n');
    }
    text
}
