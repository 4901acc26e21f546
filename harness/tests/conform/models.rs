//! Our models: none fails a case, none breaks the suite.

use crate::matrix::said_undecided;
use crate::report::Test;
use harness::conform::cases::ALL;
use harness::conform::control::Control;
use harness::conform::runner::{self, Options};
use harness::conform::scene::Effort;
use harness::conform::subject::{Origin, Subject};
use record::conform::CaseVerdict;
use servers::registry::Entry;
use service::Kind;
use std::path::Path;
use std::time::Duration;
use sys::Family;

/// Cases that must have been decided, and well, for a check to mean something: an undecided case is said and does not fail.
const DECIDED: usize = 5;

fn conforms(model: &str, kind: Kind) -> Result<(), String> {
    let exe = Path::new(env!("CARGO_BIN_EXE_harness"));
    let check = harness::conform::check_model(exe, model, kind, Duration::from_secs(240))
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

/// Cases that are run in a family other than TCP: those of the family, and the ends of a connection and of a server.
const CASES: &[&str] = &[
    "dgram/",
    "unix/",
    "udgram/",
    "stream/exact",
    "half/client-fin",
    "abort/unix-eof",
    "sigpipe/",
    "stop/term",
];

fn serves(entry: &Entry, family: Family) -> bool {
    entry.model.serves(family) && servers::unsupported(entry.model.name).is_none()
}

/// Every model in every family that it serves beside TCP.
fn families() -> impl Iterator<Item = Test> {
    [Family::Unix, Family::Udp, Family::Unixgram].into_iter().flat_map(|family| {
        let serving = servers::MODELS.iter().filter(move |entry| serves(entry, family));
        serving.map(move |entry| {
            let model = entry.model.name;
            Test::new(format!("model::{model}::{family}"), move || conforms_in(model, family))
        })
    })
}

fn conforms_in(model: &str, family: Family) -> Result<(), String> {
    let program = env!("CARGO_BIN_EXE_harness").into();
    let origin = Origin::Ours { program, args: runner::serve_args(model) };
    let mut subject = Subject::new(model, origin, Kind::Echo, 1);
    (subject.nature, subject.family) = (runner::nature_of(model), family);
    let control = Control::start(Kind::Echo, 1).map_err(|e| e.to_string())?;
    let chosen: Vec<_> = ALL
        .iter()
        .copied()
        .filter(|case| case.families.contains(&family))
        .filter(|case| CASES.iter().any(|prefix| case.id.starts_with(prefix)))
        .collect();
    let options = Options { effort: Effort::Quick, strict: false, seed: 1, until: None, lanes: 1 };
    let done = runner::run(&mut subject, &control, &chosen, &options, &|| false, |_, _| {});
    let bad: Vec<String> = done
        .cases
        .iter()
        .filter(|c| !matches!(c.verdict, CaseVerdict::Ok | CaseVerdict::Info | CaseVerdict::Skipped))
        .filter(|c| !said_undecided(model, &c.id, c.verdict, &c.actual))
        .map(|c| format!("{} {}: {}; aftermath: {}", c.verdict.name(), c.id, c.actual, c.aftermath))
        .collect();
    if done.count(CaseVerdict::Ok) < DECIDED {
        return Err(format!(
            "only {} of {} cases held: {}",
            done.count(CaseVerdict::Ok),
            chosen.len(),
            bad.join("\n")
        ));
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
    let on_tcp = servers::MODELS.iter().filter(|entry| serves(entry, Family::Tcp));
    let all = on_tcp.map(|entry| (entry.model.name, Kind::Echo)).chain(more);
    // Not counted as passed.
    let all = all.filter(|(model, kind)| {
        let reason = servers::unsupported(model);
        if let Some(reason) = &reason {
            eprintln!("SKIPPED: model::{model}::{kind}: {reason}");
        }
        reason.is_none()
    });
    let on_tcp =
        all.map(|(model, kind)| Test::new(format!("model::{model}::{kind}"), move || conforms(model, kind)));
    on_tcp.chain(families()).collect()
}
