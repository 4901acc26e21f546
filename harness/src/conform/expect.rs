//! Expectation files: which verdicts of a subject are known and why. Not here: verdicts.
//!
//! ```toml
//! [[expect]]
//! case = "sigpipe/fin"        # id or number
//! verdict = "FAILED"
//! reason = "dies by SIGPIPE; fixed in 2.1"
//! link = "https://…"          # optional
//! until = "2027-01-31"        # optional: from the day after, nothing is expected any more
//! sometimes = true            # optional: a race, which OK does not refute
//! ```
//!
//! An expected failure that passes fails the run, so that the file does not outlive the fault; one that comes sometimes does not.

use super::cases::ALL;
use jiff::civil::Date;
use record::conform::{CaseResult, CaseVerdict, Expected, Met};
use serde::Deserialize;

/// One expectation.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// Id or number.
    pub case: String,
    /// The verdict.
    pub verdict: CaseVerdict,
    /// Why.
    pub reason: String,
    /// Where it is discussed.
    pub link: Option<String>,
    /// The last day on which it is expected.
    pub until: Option<Date>,
    /// A race in the server: OK is as good.
    #[serde(default)]
    pub sometimes: bool,
}

/// A file of expectations for one subject.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    expect: Vec<Expect>,
}

/// Reads a file's text.
///
/// # Errors
/// In a sentence: no TOML of this form, an unknown case, a case named twice, no reason.
pub fn parse(text: &str) -> Result<Vec<Expect>, String> {
    let file: File = toml::from_str(text).map_err(|e| e.to_string())?;
    check(&file.expect)?;
    Ok(file.expect)
}

/// Finds what cannot be meant.
///
/// # Errors
/// In a sentence.
pub fn check(all: &[Expect]) -> Result<(), String> {
    let mut seen = Vec::new();
    for expect in all {
        let Some(case) = ALL.iter().find(|c| c.id == expect.case || c.number == expect.case) else {
            return Err(format!("expects something of `{}`, which is no case; see --list", expect.case));
        };
        if expect.reason.trim().is_empty() {
            return Err(format!("the expectation of `{}` needs a reason", expect.case));
        }
        if seen.contains(&case.id) {
            return Err(format!("says two things of `{}`", case.id));
        }
        seen.push(case.id);
    }
    Ok(())
}

/// Writes into the result what was expected of it on the day `today`.
pub fn apply(all: &[Expect], today: Date, result: &mut CaseResult) {
    let named = |e: &&Expect| e.case == result.id || e.case == result.number;
    let Some(expect) = all.iter().find(named) else { return };
    if expect.until.is_some_and(|until| today > until) {
        result.actual = format!("{} (expected until {} only)", result.actual, last_day(expect));
        return;
    }
    let undecided =
        matches!(result.verdict, CaseVerdict::Skipped | CaseVerdict::Inconclusive | CaseVerdict::Broken);
    let met = match result.verdict {
        verdict if verdict == expect.verdict => Met::Yes,
        CaseVerdict::Ok if expect.sometimes => Met::Undecided,
        _ if undecided => Met::Undecided,
        _ => Met::No,
    };
    result.expected = Some(Expected {
        verdict: expect.verdict,
        reason: expect.reason.clone(),
        link: expect.link.clone(),
        met,
    });
}

fn last_day(expect: &Expect) -> String {
    expect.until.map(|day| day.to_string()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(verdict: CaseVerdict) -> CaseResult {
        super::super::fixture::result("5.1", "sigpipe/fin", verdict)
    }

    fn applied(text: &str, verdict: CaseVerdict) -> CaseResult {
        let mut result = result(verdict);
        apply(&parse(text).unwrap(), "2026-06-15".parse().unwrap(), &mut result);
        result
    }

    const FAILS: &str = "[[expect]]\ncase = '5.1'\nverdict = 'FAILED'\nreason = 'known'\n";

    #[test]
    fn an_expected_failure_is_no_failure_and_an_expected_failure_that_passes_is_one() {
        for (verdict, met, against) in [
            (CaseVerdict::Failed, Met::Yes, false),
            (CaseVerdict::Ok, Met::No, true),
            (CaseVerdict::NonStrict, Met::No, true),
            (CaseVerdict::Skipped, Met::Undecided, false),
            (CaseVerdict::Inconclusive, Met::Undecided, false),
        ] {
            let result = applied(FAILS, verdict);
            assert_eq!(result.expected.as_ref().unwrap().met, met);
            assert_eq!(result.counts_against(), against, "{verdict:?}");
        }
        assert!(result(CaseVerdict::Failed).counts_against() && !result(CaseVerdict::Ok).counts_against());
    }

    #[test]
    fn a_failure_that_comes_sometimes_may_stay_away_and_is_no_other() {
        let sometimes = format!("{FAILS}sometimes = true\n");
        for (verdict, met, against) in [
            (CaseVerdict::Failed, Met::Yes, false),
            (CaseVerdict::Ok, Met::Undecided, false),
            (CaseVerdict::NonStrict, Met::No, true),
        ] {
            let result = applied(&sometimes, verdict);
            assert_eq!((result.expected.as_ref().unwrap().met, result.counts_against()), (met, against));
        }
    }

    #[test]
    fn an_expectation_ends_on_its_day() {
        let until = |day: &str| format!("{FAILS}until = '{day}'\n");
        assert!(!applied(&until("2026-06-15"), CaseVerdict::Failed).counts_against());
        let over = applied(&until("2026-06-14"), CaseVerdict::Failed);
        assert!(over.counts_against() && over.actual.contains("until 2026-06-14"), "{over:?}");
    }

    #[test]
    fn what_cannot_be_meant_is_said() {
        for (text, says) in [
            ("[[expect]]\ncase = 'no/such'\nverdict = 'OK'\nreason = 'x'\n", "no case"),
            ("[[expect]]\ncase = '5.1'\nverdict = 'OK'\nreason = ' '\n", "needs a reason"),
            ("[[expect]]\ncase = '5.1'\nverdict = 'ok'\nreason = 'x'\n", "unknown variant"),
            ("[[expects]]\n", "unknown field"),
            (&format!("{FAILS}{}", FAILS.replace("5.1", "sigpipe/fin")), "two things"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(says), "{error}");
        }
    }
}
