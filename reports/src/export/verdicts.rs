//! How verdicts look in every page: a letter, a class, a meaning. Not here: pages.

use record::conform::CaseVerdict;

/// Class, letter and meaning of a verdict.
pub(crate) const fn style(verdict: CaseVerdict) -> (&'static str, &'static str, &'static str) {
    match verdict {
        CaseVerdict::Ok => ("good", "✓", "as required"),
        CaseVerdict::NonStrict => ("warn", "N", "a SHOULD was not met"),
        CaseVerdict::Failed => ("bad", "F", "a MUST was not met"),
        CaseVerdict::Info => ("info", "i", "a measured property"),
        CaseVerdict::Skipped => ("none", "s", "what the case needs was not there"),
        CaseVerdict::Inconclusive => ("warn", "?", "the fault was not proven to have happened"),
        CaseVerdict::Broken => ("bad", "B", "the harness itself failed"),
    }
}

const ALL: [CaseVerdict; 7] = [
    CaseVerdict::Ok,
    CaseVerdict::NonStrict,
    CaseVerdict::Failed,
    CaseVerdict::Info,
    CaseVerdict::Skipped,
    CaseVerdict::Inconclusive,
    CaseVerdict::Broken,
];

/// Every verdict's class, letter, name and meaning.
pub(crate) fn legend() -> Vec<(&'static str, &'static str, &'static str, &'static str)> {
    ALL.iter()
        .map(|v| {
            let (class, letter, meaning) = style(*v);
            (class, letter, v.name(), meaning)
        })
        .collect()
}
