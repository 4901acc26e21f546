//! The same cases again and again: which verdicts stand, and which hang on chance. Not here: how a run is made.
//!
//! A case that is run three times in a row and judged alike says something of the server; one that is judged otherwise each time says
//! something of the server too (a race), or of the suite.

use record::conform::{CaseResult, CaseVerdict, Conformance};
use std::fmt::Write as _;

/// One run made of several: of each case the worst result, which says in how many runs it was so. And the cases that were not judged alike,
/// a line each. `None` without a run.
pub(super) fn worst(runs: Vec<Conformance>) -> Option<(Conformance, Vec<String>)> {
    let times = runs.len();
    let mut runs = runs.into_iter();
    let mut all = runs.next()?;
    let others: Vec<Conformance> = runs.collect();
    let mut unsteady = Vec::new();
    for case in &mut all.cases {
        let mut of_case = vec![case.clone()];
        of_case.extend(others.iter().filter_map(|run| run.cases.iter().find(|c| c.id == case.id)).cloned());
        let verdicts: Vec<CaseVerdict> = of_case.iter().map(|c| c.verdict).collect();
        let Some(mut chosen) = of_case.into_iter().max_by_key(|c| rank(c.verdict)) else { continue };
        // Cases that an interrupt left out are in fewer runs.
        let alike = verdicts.iter().filter(|verdict| **verdict == chosen.verdict).count();
        if alike < verdicts.len() {
            unsteady.push(line(&chosen, &verdicts));
            let _ = write!(chosen.actual, " (so in {alike} of {times} runs)");
        }
        *case = chosen;
    }
    Some((all, unsteady))
}

/// What each run said.
fn line(case: &CaseResult, verdicts: &[CaseVerdict]) -> String {
    let names: Vec<_> = verdicts.iter().map(|verdict| verdict.name()).collect();
    format!("{} {}: {}", case.number, case.id, names.join(", "))
}

/// The worse, the higher.
fn rank(verdict: CaseVerdict) -> u8 {
    match verdict {
        CaseVerdict::Skipped => 0,
        CaseVerdict::Info => 1,
        CaseVerdict::Ok => 2,
        CaseVerdict::Inconclusive => 3,
        CaseVerdict::NonStrict => 4,
        CaseVerdict::Failed => 5,
        CaseVerdict::Broken => 6,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(verdicts: &[CaseVerdict]) -> Conformance {
        let case = |(i, verdict): (usize, &CaseVerdict)| {
            super::super::fixture::result(&format!("1.{i}"), &format!("group/{i}"), *verdict)
        };
        Conformance {
            schema: record::SCHEMA,
            subject: "s".to_owned(),
            service: "echo".to_owned(),
            url: String::new(),
            facts: String::new(),
            unfit: None,
            cases: verdicts.iter().enumerate().map(case).collect(),
        }
    }

    #[test]
    fn the_worst_counts_and_says_how_often() {
        use CaseVerdict::{Failed, Info, Ok};
        let (all, unsteady) = worst(vec![run(&[Ok, Info]), run(&[Failed, Info]), run(&[Ok, Info])]).unwrap();
        assert_eq!((all.cases[0].verdict, all.cases[1].verdict), (Failed, Info));
        assert_eq!(all.cases[0].actual, "seen (so in 1 of 3 runs)");
        assert_eq!(all.cases[1].actual, "seen");
        assert_eq!(unsteady, ["1.0 group/0: OK, FAILED, OK"]);
    }

    #[test]
    fn a_run_that_was_cut_short_takes_nothing_away() {
        let (all, unsteady) = worst(vec![run(&[CaseVerdict::Ok; 2]), run(&[CaseVerdict::Ok])]).unwrap();
        assert_eq!((all.cases.len(), unsteady.len()), (2, 0));
        assert!(worst(Vec::new()).is_none());
    }
}
