//! Our models: none fails a case, none breaks the suite.

use crate::report::Test;
use record::conform::CaseVerdict;
use service::Kind;
use std::path::Path;
use std::time::Duration;

const MODELS: [&str; 9] = [
    "iterative",
    "fork",
    "thread",
    "select",
    "epoll",
    "async",
    "uring",
    "uring-multishot",
    "uring-reuseport",
];

/// What cannot be injected into a model: the kernel reads the descriptor limit when a multishot accept starts (io_uring/net.c,
/// `io_accept_prep`), so one that is lowered while the server runs does not bind it. `servers/tests/it` has the case from the start.
fn cannot_be_shown(model: &str, id: &str, verdict: CaseVerdict) -> bool {
    let multishot = ["uring-multishot", "uring-reuseport"].contains(&model);
    verdict == CaseVerdict::Inconclusive && multishot && id.starts_with("accept/emfile-")
}

fn conforms(model: &str, kind: Kind) -> Result<(), String> {
    let exe = Path::new(env!("CARGO_BIN_EXE_harness"));
    let check = harness::conform::check_model(exe, model, kind, Duration::from_secs(60))
        .map_err(|e| format!("{e:#}"))?;
    let bad: Vec<String> = check
        .cases
        .iter()
        .filter(|(id, verdict, _)| {
            !matches!(verdict, CaseVerdict::Ok | CaseVerdict::Info | CaseVerdict::Skipped)
                && !cannot_be_shown(model, id, *verdict)
        })
        .map(|(id, verdict, words)| format!("{} {id}: {words}", verdict.name()))
        .collect();
    if check.cases.len() < 5 {
        return Err(format!("only {} cases were run", check.cases.len()));
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
    let all = MODELS.iter().map(|model| (*model, Kind::Echo)).chain(more);
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
