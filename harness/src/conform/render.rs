//! A conformance run in words. Not here: anything that decides.

use super::case::Case;
use super::facts::Facts;
use record::conform::{CaseResult, CaseVerdict, Conformance, Met};
use record::words::plural;
use std::io::{self, Write};

/// The list of cases.
pub(super) fn list(out: &mut dyn Write, cases: &[&Case]) -> io::Result<()> {
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

/// What would be run against a subject.
pub(super) fn plan(out: &mut dyn Write, name: &str, unfit: Option<&str>, cases: &[&Case]) -> io::Result<()> {
    match unfit {
        Some(why) => writeln!(out, "{name}: not judged: {why}")?,
        None => writeln!(out, "{name}: {}", plural(cases.len(), "case"))?,
    }
    for case in cases {
        writeln!(out, "  {:<5} {}", case.number, case.id)?;
    }
    Ok(())
}

/// What the subject is.
pub(super) fn subject(out: &mut dyn Write, name: &str, url: &str, facts: Facts) -> io::Result<()> {
    writeln!(out, "{name} at {url}: {}", facts.text())
}

/// Which of several runs begins.
pub(super) fn run(out: &mut dyn Write, number: u8, of: u8) -> io::Result<()> {
    if of > 1 { writeln!(out, "run {number} of {of}") } else { Ok(()) }
}

/// What several runs had in common.
pub(super) fn steadiness(out: &mut dyn Write, runs: usize, unsteady: &[String]) -> io::Result<()> {
    match (runs, unsteady.len()) {
        (0 | 1, _) => Ok(()),
        (_, 0) => writeln!(out, "steady: each case was judged alike in {runs} runs"),
        (_, count) => {
            writeln!(out, "not steady: {} not judged alike in {runs} runs", plural(count, "case"))?;
            unsteady.iter().try_for_each(|line| writeln!(out, "  {line}"))
        }
    }
}

/// One line a case, as it ends.
pub(super) fn case(out: &mut dyn Write, result: &CaseResult) -> io::Result<()> {
    let expected = match result.expected.as_ref().map(|e| e.met) {
        Some(Met::Yes) => " (as expected)",
        Some(Met::No) => " (NOT as expected)",
        Some(Met::Undecided) | None => "",
    };
    writeln!(
        out,
        "{:<12} {:<5} {:<24} {}{expected}",
        result.verdict.name(),
        result.number,
        result.id,
        result.seen()
    )?;
    out.flush()
}

/// Each failure in full, then the counts.
pub(super) fn end(out: &mut dyn Write, run: &Conformance) -> io::Result<()> {
    let worth = |c: &CaseResult| {
        c.counts_against()
            || matches!(c.verdict, CaseVerdict::Failed | CaseVerdict::NonStrict | CaseVerdict::Broken)
    };
    for result in run.cases.iter().filter(|c| worth(c)) {
        writeln!(out, "\n{} {} {}", result.verdict.name(), result.number, result.id)?;
        writeln!(out, "  required:   {}", result.requirement)?;
        writeln!(out, "  acceptable: {}", result.acceptable)?;
        writeln!(out, "  actual:     {}", result.actual.replace('\n', "\n              "))?;
        writeln!(out, "  aftermath:  {}", result.aftermath)?;
        if let Some(expected) = &result.expected {
            let word = match expected.met {
                Met::Yes => "so it is",
                Met::No => "it is not: mend the server, or the file",
                Met::Undecided => "undecided",
            };
            writeln!(out, "  expected:   {} ({}); {word}", expected.verdict.name(), expected.reason)?;
        }
        writeln!(out, "  again:      {}", result.again)?;
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
    writeln!(out, "\n{}: {}: {}", run.subject, plural(run.cases.len(), "case"), counts.join(", "))?;
    writeln!(out, "{}", run.badge())
}
