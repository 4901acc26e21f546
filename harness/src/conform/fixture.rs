//! A result of a case, for the unit tests of what is made of results. Not here: results that were measured.

use record::conform::{CaseResult, CaseVerdict};

/// A case that was seen once, with nothing said of it beside its verdict.
pub(super) fn result(number: &str, id: &str, verdict: CaseVerdict) -> CaseResult {
    CaseResult {
        id: id.to_owned(),
        number: number.to_owned(),
        verdict,
        aftermath: super::aftermath::CLEAN.to_owned(),
        requirement: String::new(),
        acceptable: String::new(),
        actual: "seen".to_owned(),
        elapsed_ns: 0,
        level: "MUST".to_owned(),
        needs: "address".to_owned(),
        again: String::new(),
        expected: None,
        evidence: Vec::new(),
    }
}
