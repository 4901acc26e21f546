//! Our models: none fails a case, none breaks the suite.

use crate::matrix::said_undecided;
use crate::report::Test;
use record::conform::CaseVerdict;
use service::Kind;
use std::path::Path;
use std::time::Duration;

/// Cases that must have been decided, and well, for a check to mean something: an undecided case is said and does not fail.
const DECIDED: usize = 5;

fn conforms(model: &str, kind: Kind) -> Result<(), String> {
    let exe = Path::new(env!("CARGO_BIN_EXE_harness"));
    let check = harness::conform::check_model(exe, model, kind, Duration::from_secs(60))
        .map_err(|e| format!("{e:#}"))?;
    let bad: Vec<String> = check
        .cases
        .iter()
        .filter(|(id, verdict, words)| {
            !matches!(verdict, CaseVerdict::Ok | CaseVerdict::Info | CaseVerdict::Skipped)
                && !said_undecided(model, id, *verdict, words)
        })
        .map(|(id, verdict, words)| format!("{} {id}: {words}", verdict.name()))
        .collect();
    let held = check.cases.iter().filter(|(_, verdict, _)| *verdict == CaseVerdict::Ok).count();
    if held < DECIDED {
        return Err(format!("only {held} of {} cases were decided", check.cases.len()));
    }
    if bad.is_empty() { Ok(()) } else { Err(bad.join("\n")) }
}

pub(crate) fn tests() -> Vec<Test> {
    let more = [
        ("fork", Kind::Sized),
        ("epoll", Kind::Sized),
        ("async", Kind::Sized),
        ("uring", Kind::Sized),
        ("uring-multishot", Kind::Sized),
        ("uring-multishot", Kind::Http),
        ("thread", Kind::Http),
        ("select", Kind::Http),
        ("iterative", Kind::Greeting),
        ("epoll", Kind::Greeting),
    ];
    let all = servers::MODELS.iter().map(|entry| (entry.model.name, Kind::Echo)).chain(more);
    // Not counted as passed.
    let all = all.filter(|(model, kind)| {
        let reason = servers::unsupported(model);
        if let Some(reason) = &reason {
            eprintln!("SKIPPED: model::{model}::{kind}: {reason}");
        }
        reason.is_none()
    });
    all.map(|(model, kind)| Test::new(format!("model::{model}::{kind}"), move || conforms(model, kind)))
        .collect()
}
