//! A conformance run in words. Not here: anything that decides.

use super::case::Case;
use super::facts::Facts;
use record::conform::{CaseResult, CaseVerdict, Conformance};
use std::io::{self, Write};

/// The list of cases.
pub(super) fn list(out: &mut impl Write, cases: &[&Case]) -> io::Result<()> {
    for case in cases {
        let services: Vec<_> = case.services.iter().map(|k| k.name()).collect();
        writeln!(
            out,
            "{:<5} {:<24} {:<7} {:<10} {:<28} {}",
            case.number,
            case.id,
            case.level.name(),
            case.needs.name(),
            services.join(","),
            case.requirement
        )?;
    }
    Ok(())
}

/// What the subject is.
pub(super) fn subject(out: &mut impl Write, name: &str, url: &str, facts: Facts) -> io::Result<()> {
    writeln!(out, "{name} at {url}: {}", facts.text())
}

/// One line a case, as it ends.
pub(super) fn case(out: &mut impl Write, result: &CaseResult) -> io::Result<()> {
    writeln!(out, "{:<12} {:<5} {:<24} {}", result.verdict.name(), result.number, result.id, result.actual)?;
    out.flush()
}

/// Each failure in full, then the counts.
pub(super) fn end(out: &mut impl Write, run: &Conformance, again: impl Fn(&str) -> String) -> io::Result<()> {
    let worth = |v| matches!(v, CaseVerdict::Failed | CaseVerdict::NonStrict | CaseVerdict::Broken);
    for result in run.cases.iter().filter(|c| worth(c.verdict)) {
        writeln!(out, "\n{} {} {}", result.verdict.name(), result.number, result.id)?;
        writeln!(out, "  required:   {}", result.requirement)?;
        writeln!(out, "  acceptable: {}", result.acceptable)?;
        writeln!(out, "  actual:     {}", result.actual.replace('\n', "\n              "))?;
        writeln!(out, "  aftermath:  {}", result.aftermath)?;
        writeln!(out, "  again:      {}", again(&result.id))?;
    }
    let order = [
        CaseVerdict::Ok,
        CaseVerdict::NonStrict,
        CaseVerdict::Failed,
        CaseVerdict::Info,
        CaseVerdict::Skipped,
        CaseVerdict::Inconclusive,
        CaseVerdict::Broken,
    ];
    let counts: Vec<_> = order
        .iter()
        .filter(|v| run.count(**v) > 0)
        .map(|v| format!("{} {}", run.count(*v), v.name()))
        .collect();
    writeln!(out, "\n{}: {} cases: {}", run.subject, run.cases.len(), counts.join(", "))
}
