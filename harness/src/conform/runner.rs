//! Runs cases one after the other and concludes. Not here: what a case does, printing.
//!
//! A crash belongs to the case that caused it: FAILED, the subject is started again, the run goes on.

use super::aftermath::{self, Aftermath};
use super::case::{Case, Level, Need, Outcome};
use super::control::{Control, Pace};
use super::facts;
use super::fault::{Fault, What};
use super::gate::Gate;
use super::lanes;
use super::scene::{Effort, Scene};
use super::subject::{Nature, Origin, Subject};
use super::wire::Wire;
use super::{evidence, script};
use record::conform::{CaseResult, CaseVerdict, Conformance};
use servers::Capacity;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How a run is made.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// How much a case may cost.
    pub effort: Effort,
    /// SHOULD is MUST.
    pub strict: bool,
    /// Seed of the run.
    pub seed: u64,
    /// No case is begun after this.
    pub until: Option<Instant>,
    /// Cases at a time, of those that bear company.
    pub lanes: usize,
}

/// Lines of evidence that are kept of a case in which nothing was found.
const EVIDENCE_OF_OK: usize = 40;

/// Runs of a case whose conclusion hangs on time; the majority of these counts.
const RUNS: usize = 3;

/// Starts the subject where that is needed, finds out what it is, and waits until it rests.
///
/// # Errors
/// It did not become ready, or does not answer.
pub fn prepare(subject: &mut Subject, control: &Control) -> Result<(), Fault> {
    let pace = control.pace();
    subject.ensure()?;
    subject.rest(pace.scale(super::scene::SETTLE))?;
    if let Some(how) = subject.running()?.ended() {
        return Err(Fault::subject(format!(
            "it serves one client and ends ({how}); no case can be run on that"
        )));
    }
    mind_queue(subject)?;
    if subject.facts.is_none() {
        let running = subject.running()?;
        running.target.reply = pace.scale(super::scene::REPLY);
        let mut found = facts::probe(running, pace)?;
        found.leaves = aftermath::leaves(running, pace.scale(super::scene::SETTLE));
        subject.facts = Some(found);
    }
    Ok(())
}

/// Finds the queue before accept, which clients have to mind where it is short.
fn mind_queue(subject: &mut Subject) -> Result<(), Fault> {
    if subject.family != sys::Family::Tcp {
        return Ok(());
    }
    let running = subject.running()?;
    if running.target.gate.is_none() {
        running.target.gate = Gate::of(&running.tree(), running.target.ip()).map(Arc::new);
    }
    Ok(())
}

/// Runs `cases`, those first that bear company; the results are in the order of the cases. `tell` hears of each as it ends, and may add to its result;
/// none is begun once `stop` says so.
pub fn run(
    subject: &mut Subject,
    control: &Control,
    cases: &[&'static Case],
    options: &Options,
    stop: &(dyn Fn() -> bool + Sync),
    mut tell: impl FnMut(&Subject, &mut CaseResult) + Send,
) -> Conformance {
    let side_by_side = options.lanes > 1 && subject.twin().is_some();
    let (alone, beside): (Vec<_>, Vec<_>) =
        cases.iter().copied().partition(|case| !side_by_side || case.is_alone());
    let mut results = lanes::run(subject, control, beside, options, stop, &mut tell);
    for case in alone {
        if stop() {
            break;
        }
        let mut result = one(subject, control, case, options);
        tell(subject, &mut result);
        results.push(result);
    }
    let place = |result: &CaseResult| cases.iter().position(|case| case.id == result.id);
    results.sort_by_key(place);
    Conformance {
        schema: record::SCHEMA,
        subject: subject.name.clone(),
        service: subject.service().to_owned(),
        url: subject.address.clone().unwrap_or_default(),
        facts: subject.facts.map(|facts| facts.text()).unwrap_or_default(),
        unfit: None,
        cases: results,
    }
}

/// Why a case cannot be run with this subject.
fn unfit(case: &Case, subject: &Subject) -> Option<String> {
    if !case.families.contains(&subject.family) {
        return Some(format!("does not apply to the family {}", subject.family));
    }
    let spoken =
        if subject.dialogue.is_some() { case.takes_raw() } else { case.services.contains(&subject.kind) };
    if !spoken {
        return Some(format!("does not apply to the service {}", subject.service()));
    }
    let (pid, command, own_path, here) = match &subject.origin {
        Origin::Address { url, pid } => {
            // A path is on this host.
            let here = url.ip().is_none_or(|ip| ip.ip().is_loopback());
            (pid.is_some(), false, url.path.is_some(), here)
        }
        Origin::Ours { .. } => (true, true, false, true),
        Origin::Foreign { url, .. } => (true, true, url.path.is_some(), true),
    };
    if case.sizes && own_path {
        return Some("asks for answers of a chosen size, which the given path does not promise".to_owned());
    }
    match case.needs {
        Need::Command if !command => {
            Some("needs a subject that the harness starts: give `-- COMMAND`".to_owned())
        }
        Need::Pid if !pid => Some("needs the subject's process: give --pid or `-- COMMAND`".to_owned()),
        Need::SameHost if !pid && !here => Some("needs a subject on this host".to_owned()),
        _ => None,
    }
}

pub(super) fn one(
    subject: &mut Subject,
    control: &Control,
    case: &'static Case,
    options: &Options,
) -> CaseResult {
    let start = Instant::now();
    let concluded = if let Some(reason) = unfit(case, subject) {
        Concluded::of(CaseVerdict::Skipped, reason)
    } else if options.until.is_some_and(|until| start >= until) {
        Concluded::of(CaseVerdict::Skipped, "no time was left for it".to_owned())
    } else {
        match prepare(subject, control) {
            Ok(()) if case.lasting && subject.facts.is_some_and(|f| !f.lasting) => {
                Concluded::of(CaseVerdict::Skipped, "the server closes after one exchange".to_owned())
            }
            Ok(()) => settled(subject, control, case, options),
            Err(Fault { what: What::Harness(text), .. }) => Concluded::of(CaseVerdict::Broken, text),
            // Whoever spoiled the subject has failed; this case has not begun.
            Err(fault) => Concluded::of(
                CaseVerdict::Inconclusive,
                format!("the subject is of no use before the case: {fault}"),
            ),
        }
    };
    CaseResult {
        id: case.id.to_owned(),
        number: case.number.to_owned(),
        verdict: concluded.verdict,
        aftermath: concluded.aftermath,
        requirement: format!("{} ({})", case.requirement, case.level.name()),
        acceptable: case.acceptable.to_owned(),
        actual: concluded.actual,
        elapsed_ns: u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX),
        level: case.level.name().to_owned(),
        needs: case.needs.name().to_owned(),
        again: String::new(),
        expected: None,
        evidence: concluded.evidence,
    }
}

/// What is concluded of one run of a case.
#[derive(Clone, Debug)]
struct Concluded {
    verdict: CaseVerdict,
    actual: String,
    aftermath: String,
    evidence: Vec<String>,
}

impl Concluded {
    fn of(verdict: CaseVerdict, actual: String) -> Self {
        Self { verdict, actual, aftermath: "not looked at".to_owned(), evidence: Vec::new() }
    }
}

/// Runs a case once, or, where time decides and the first run did not go well, until the majority is known.
fn settled(subject: &mut Subject, control: &Control, case: &'static Case, options: &Options) -> Concluded {
    let first = attempt(subject, control, case, options);
    let doubtful = |c: &Concluded| matches!(c.verdict, CaseVerdict::Failed | CaseVerdict::NonStrict);
    if !case.timing || !doubtful(&first) || !subject.is_running() {
        return first;
    }
    let mut all = vec![first];
    while all.len() < RUNS && prepare(subject, control).is_ok() {
        all.push(attempt(subject, control, case, options));
    }
    let bad = all.iter().filter(|c| doubtful(c)).count();
    let chosen = all.iter().position(|c| doubtful(c) == (bad * 2 > all.len())).unwrap_or(0);
    let runs = all.len();
    let mut concluded = all.swap_remove(chosen);
    concluded.actual = format!("{} (so in {} of {runs} runs)", concluded.actual, bad.max(runs - bad));
    concluded
}

fn attempt(subject: &mut Subject, control: &Control, case: &'static Case, options: &Options) -> Concluded {
    let pace = control.pace();
    let seed = options.seed ^ service::client::mix(options.seed, 0, hash(case.id));
    let mut scene = Scene { subject, control, pace, effort: options.effort, strict: options.strict, seed };
    let wire = scene.subject.wire.clone();
    wire.begin();
    wire.note(format!(
        "seed {seed}; a small answer may take {} ms, the slowest of the control's took {} ms",
        scene.reply().as_millis(),
        pace.worst.as_millis()
    ));
    note_state(&wire, "before", scene.subject);
    let outcome = (case.probe)(&mut scene);
    note_state(&wire, script::AFTERWARDS, scene.subject);
    // A case that ends the subject leaves nothing to look at; the next case starts it again.
    let aftermath = if scene.subject.is_running() { Some(aftermath::look(&mut scene)) } else { None };
    let mut concluded = conclude(case, outcome, aftermath, options.strict, || control.pace());
    note_state(&wire, "at the end", scene.subject);
    concluded.evidence = wire.lines();
    if matches!(concluded.verdict, CaseVerdict::Ok | CaseVerdict::Info) {
        concluded.evidence.truncate(EVIDENCE_OF_OK);
    }
    let special = subject.running().is_ok_and(|r| r.special);
    if (concluded.aftermath != aftermath::CLEAN || special)
        && !matches!(subject.origin, Origin::Address { .. })
    {
        subject.forget();
    }
    concluded
}

/// Writes down what /proc shows of the subject.
fn note_state(wire: &Wire, when: &str, subject: &mut Subject) {
    let Ok(running) = subject.running() else { return wire.note(format!("{when}: it does not run")) };
    let tree = running.tree();
    if let Some(id) = running.id {
        let (open, zombies) = (evidence::descriptor_count(&tree), evidence::zombies(id.pid));
        let processes = tree.len();
        wire.note(format!("{when}: {processes} processes, {open} descriptors, {zombies} zombies"));
    } else {
        wire.note(format!("{when}: its process is not known"));
    }
}

fn conclude(
    case: &Case,
    outcome: Result<Outcome, Fault>,
    aftermath: Option<Result<Aftermath, Fault>>,
    strict: bool,
    pace: impl Fn() -> Pace,
) -> Concluded {
    let broken = |text: String| Concluded::of(CaseVerdict::Broken, text);
    let aftermath = match aftermath {
        None => None,
        Some(Ok(found)) => Some(found),
        Some(Err(fault)) => return broken(fault.to_string()),
    };
    // Nothing that hangs on time is held against a subject when the control is slow too.
    let by_time = case.timing || matches!(&outcome, Err(fault) if fault.is_silence());
    let (mut verdict, mut actual) = match outcome {
        Ok(Outcome::Holds(text)) => (CaseVerdict::Ok, text),
        Ok(Outcome::Violates(text)) => (violated(case.level, strict), text),
        Ok(Outcome::Tolerable(text)) => (violated(Level::Should, strict), text),
        Ok(Outcome::Info(text)) => (CaseVerdict::Info, text),
        Ok(Outcome::Inconclusive(text)) => (CaseVerdict::Inconclusive, text),
        Ok(Outcome::Skipped(text)) => (CaseVerdict::Skipped, text),
        Err(Fault { what: What::Harness(text), .. }) => return broken(text),
        Err(fault) => (violated(case.level, strict), fault.to_string()),
    };
    let wrong = aftermath.as_ref().is_some_and(|a| !a.wrong.is_empty());
    let odd = aftermath.as_ref().is_some_and(|a| !a.odd.is_empty());
    if wrong {
        verdict = CaseVerdict::Failed;
    } else if odd && verdict != CaseVerdict::Failed {
        verdict = violated(Level::Should, strict);
    }
    let bad = matches!(verdict, CaseVerdict::Failed | CaseVerdict::NonStrict);
    if bad && by_time && !wrong {
        let pace = pace();
        if !pace.trusted() {
            verdict = CaseVerdict::Inconclusive;
            actual = format!("{actual}; but the control took {} ms too", pace.worst.as_millis());
        }
    }
    let aftermath = aftermath.map_or_else(|| "ended by the case".to_owned(), |a| a.text());
    Concluded { verdict, actual, aftermath, evidence: Vec::new() }
}

fn violated(level: Level, strict: bool) -> CaseVerdict {
    match (level, strict) {
        (Level::Must, _) | (Level::Should, true) => CaseVerdict::Failed,
        (Level::Should, false) => CaseVerdict::NonStrict,
        (Level::Info, _) => CaseVerdict::Info,
    }
}

/// A number for a case's name, the same on every machine (FNV-1a).
fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3))
}

/// What a model of ours does by nature (conformance.md, 3.1).
#[must_use]
pub fn nature_of(model: &str) -> Nature {
    match servers::model(model).map(|entry| entry.model.capacity) {
        // Two connections may meet at one worker: no more than one at a time is promised.
        Some(Capacity::One | Capacity::Hashed(_)) => Nature::Serial,
        Some(Capacity::Workers(_)) => Nature::Workers,
        Some(Capacity::Descriptors(_) | Capacity::System) | None => Nature::Concurrent,
    }
}

/// How one of our models is started to be checked: a pool with more workers than any case has connections (50), so that what is
/// judged is its conduct and not its size, which is a number on the command line; one whose connections are spread by a hash with
/// a single worker, so that it is not chance whether two of them meet.
#[must_use]
pub fn serve_args(model: &str) -> Vec<std::ffi::OsString> {
    let workers = match servers::model(model).map(|entry| entry.model.capacity) {
        Some(Capacity::Workers(_)) => &["--workers", "64"][..],
        Some(Capacity::Hashed(_)) => &["--workers", "1"],
        _ => &[],
    };
    ["serve", model].iter().chain(workers).map(std::ffi::OsString::from).collect()
}

/// Time for a whole quick run when nothing is said.
pub const QUICK: Duration = Duration::from_secs(6);

#[cfg(test)]
mod tests {
    use super::*;

    fn case(level: Level) -> Case {
        Case { id: "x/y", number: "0.0", level, ..super::super::case::BASE }
    }

    fn verdict(level: Level, outcome: Outcome, aftermath: Aftermath, strict: bool) -> CaseVerdict {
        let calm = || Pace { worst: Duration::ZERO };
        conclude(&case(level), Ok(outcome), Some(Ok(aftermath)), strict, calm).verdict
    }

    #[test]
    fn the_verdict_follows_level_aftermath_and_strictness() {
        let bad = || Outcome::Violates("v".to_owned());
        let good = || Outcome::Holds("h".to_owned());
        let clean = Aftermath::default;
        let dead = || Aftermath { wrong: vec!["dead".to_owned()], ..Aftermath::default() };
        let odd = || Aftermath { odd: vec!["odd".to_owned()], ..Aftermath::default() };
        assert_eq!(verdict(Level::Must, bad(), clean(), false), CaseVerdict::Failed);
        assert_eq!(verdict(Level::Should, bad(), clean(), false), CaseVerdict::NonStrict);
        assert_eq!(verdict(Level::Should, bad(), clean(), true), CaseVerdict::Failed);
        assert_eq!(verdict(Level::Info, bad(), clean(), true), CaseVerdict::Info);
        assert_eq!(verdict(Level::Should, good(), dead(), false), CaseVerdict::Failed);
        assert_eq!(verdict(Level::Must, good(), odd(), false), CaseVerdict::NonStrict);
        assert_eq!(verdict(Level::Must, good(), clean(), true), CaseVerdict::Ok);
    }

    #[test]
    fn an_error_of_the_harness_is_broken_and_never_a_failure() {
        let calm = || Pace { worst: Duration::ZERO };
        let outcome = Err(Fault::harness("no descriptors"));
        assert_eq!(conclude(&case(Level::Must), outcome, None, true, calm).verdict, CaseVerdict::Broken);
    }

    #[test]
    fn silence_on_a_machine_that_is_too_slow_decides_nothing() {
        let slow = || Pace { worst: Duration::from_secs(1) };
        let outcome = || Err(What::Silent(2_000, 0).into());
        let clean = || Some(Ok(Aftermath::default()));
        assert_eq!(
            conclude(&case(Level::Must), outcome(), clean(), false, slow).verdict,
            CaseVerdict::Inconclusive
        );
        let calm = || Pace { worst: Duration::ZERO };
        assert_eq!(
            conclude(&case(Level::Must), outcome(), clean(), false, calm).verdict,
            CaseVerdict::Failed
        );
    }
}
