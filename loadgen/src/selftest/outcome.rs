//! What the self-test found, what it says of the generator, and when a part of it is run once more. Not here: the runs.

use crate::Error;
use record::Exit;
use serde::Serialize;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// Runs of one part at the most.
pub(super) const TRIES: u32 = 3;

/// One thing that is known, and what the generator said.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Truth {
    pub(crate) name: String,
    /// `ns` or `requests`.
    pub(crate) unit: &'static str,
    pub(crate) expected: f64,
    pub(crate) got: f64,
    /// Largest difference that is none.
    pub(crate) allowed: f64,
    pub(crate) holds: bool,
    pub(crate) note: String,
}

impl Truth {
    pub(super) fn new(
        name: String,
        unit: &'static str,
        (expected, got): (f64, f64),
        allowed: f64,
        note: String,
    ) -> Self {
        let holds = (got - expected).abs() <= allowed;
        Self { name, unit, expected, got, allowed, holds, note }
    }
}

/// What came of all of them.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Outcome {
    pub(crate) truths: Vec<Truth>,
    /// What an exchange takes beside the service: the mean, and the 99th percentile as far as it is allowed for, in nanoseconds.
    pub(crate) overhead_ns: f64,
    pub(crate) grain_ns: u64,
    /// Why a miss says nothing, where that is so.
    pub(crate) noise: Vec<String>,
    /// What was run once more, since the machine had spoiled a run before.
    pub(crate) repeated: Vec<String>,
}

/// What came of one run.
#[derive(Clone, Debug, Default)]
pub(super) struct Part {
    pub(super) truths: Vec<Truth>,
    pub(super) noise: Vec<String>,
}

impl Part {
    /// True where a truth is missed and the machine is to blame.
    fn is_spoiled(&self) -> bool {
        !self.noise.is_empty() && self.truths.iter().any(|truth| !truth.holds)
    }
}

impl Outcome {
    /// How the command ends.
    pub(crate) fn exit(&self) -> Exit {
        match (self.truths.iter().all(|truth| truth.holds), self.noise.is_empty()) {
            (true, _) => Exit::Fine,
            (false, true) => Exit::Found,
            (false, false) => Exit::Unfit,
        }
    }

    /// Takes over what `attempt` found: of the first run that the machine did not spoil, or else of the last of [`TRIES`].
    pub(super) fn settle(
        &mut self,
        name: &str,
        stop: &AtomicBool,
        mut attempt: impl FnMut() -> Result<Part, Error>,
    ) -> Result<(), Error> {
        let mut part = attempt()?;
        for _ in 1..TRIES {
            if !part.is_spoiled() || stop.load(Relaxed) {
                break;
            }
            let why = part.noise.join("; ");
            self.repeated.push(format!("{name}: a truth was missed on a machine that was busy ({why})"));
            part = attempt()?;
        }
        self.truths.append(&mut part.truths);
        self.noise.extend(part.noise.into_iter().map(|why| format!("{name}: {why}")));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_machine_spoiled_is_run_again_and_what_is_wrong_is_not() {
        let part = |got: f64, noise: &[&str]| Part {
            truths: vec![Truth::new("x".to_owned(), "ns", (100.0, got), 2.0, String::new())],
            noise: noise.iter().map(ToString::to_string).collect(),
        };
        let settle = |parts: Vec<Part>, stopped: bool| {
            let (mut outcome, mut parts) = (Outcome::default(), parts.into_iter());
            outcome.settle("a", &AtomicBool::new(stopped), || Ok(parts.next().unwrap())).unwrap();
            (outcome.exit(), outcome.repeated.len(), parts.len())
        };
        let (bad, good) = (part(90.0, &["busy"]), part(100.0, &[]));
        assert_eq!(settle(vec![bad.clone(), good.clone()], false), (Exit::Fine, 1, 0));
        assert_eq!(settle(vec![part(90.0, &[]), good.clone()], false), (Exit::Found, 0, 1));
        assert_eq!(settle(vec![bad.clone(), part(90.0, &[]), good.clone()], false), (Exit::Found, 1, 1));
        assert_eq!(settle(vec![part(100.0, &["busy"]), good.clone()], false), (Exit::Fine, 0, 1));
        assert_eq!(
            settle(vec![bad.clone(), bad.clone(), bad.clone(), good.clone()], false),
            (Exit::Unfit, 2, 1)
        );
        assert_eq!(settle(vec![bad, good], true), (Exit::Unfit, 0, 1));
    }

    #[test]
    fn a_miss_is_a_finding_on_a_quiet_machine_alone() {
        let truth = |got| Truth::new("x".to_owned(), "ns", (100.0, got), 2.0, String::new());
        let outcome = |got, noise: &[&str]| Outcome {
            truths: vec![truth(100.0), truth(got)],
            noise: noise.iter().map(ToString::to_string).collect(),
            ..Outcome::default()
        };
        assert_eq!(outcome(102.0, &["busy"]).exit(), Exit::Fine);
        assert_eq!(outcome(102.1, &[]).exit(), Exit::Found);
        assert_eq!(outcome(97.0, &["busy"]).exit(), Exit::Unfit);
    }
}
