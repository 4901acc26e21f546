//! What a probe is given: the subject, the control, the machine's pace, seeded randomness. Not here: verdicts.

use super::control::{Control, Pace};
use super::facts::{Concurrency, Facts, Leaves};
use super::fault::Fault;
use super::peer::Peer;
use super::subject::{Nature, Running, Subject};
use super::target::Target;
use crate::spawn::Identity;
use rand::SeedableRng as _;
use rand::rngs::SmallRng;
use std::time::Duration;

/// How long a small answer may take, before the machine's pace is taken into account (conformance.md, section 3, doubled since the
/// machines of a CI are shared).
pub const REPLY: Duration = Duration::from_secs(2);
/// How long what was disturbed may take to come to rest.
pub const SETTLE: Duration = Duration::from_secs(2);

/// How much a run may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effort {
    /// Seconds: before a measurement.
    Quick,
    /// As the catalogue says.
    Full,
}

/// What a probe is given.
#[derive(Debug)]
pub struct Scene<'a> {
    /// The server under test.
    pub subject: &'a mut Subject,
    /// The server that can be trusted.
    pub control: &'a Control,
    /// How slow the machine is at the moment.
    pub pace: Pace,
    /// How much a case may cost.
    pub effort: Effort,
    /// SHOULD is MUST, and the long forms are run.
    pub strict: bool,
    /// Seed of this case.
    pub seed: u64,
}

impl Scene<'_> {
    /// The running subject.
    ///
    /// # Errors
    /// The harness's own, when it does not run.
    pub fn running(&mut self) -> Result<&mut Running, Fault> {
        self.subject.running()
    }

    /// How to talk to the subject, with deadlines for the machine's pace.
    ///
    /// # Errors
    /// The harness's own, when it does not run.
    pub fn target(&mut self) -> Result<Target, Fault> {
        let reply = self.reply();
        let running = self.running()?;
        Ok(Target { reply, ..running.target.clone() })
    }

    /// The subject's own process.
    ///
    /// # Errors
    /// The harness's own, when it is not known: the case should need a pid.
    pub fn process(&mut self) -> Result<Identity, Fault> {
        self.running()?.id.ok_or_else(|| Fault::harness("the subject's process is not known"))
    }

    /// How long a small answer may take.
    #[must_use]
    pub fn reply(&self) -> Duration {
        self.pace.scale(REPLY)
    }

    /// How long what was disturbed may take to come to rest.
    #[must_use]
    pub fn settle(&self) -> Duration {
        self.pace.scale(SETTLE)
    }

    /// A number of repetitions, by effort.
    #[must_use]
    pub fn count(&self, full: u64, quick: u64) -> u64 {
        if self.effort == Effort::Quick { quick } else { full }
    }

    /// What was found out about the subject.
    #[must_use]
    pub fn facts(&self) -> Facts {
        let unknown = Facts {
            concurrency: Concurrency::NotToBeTold,
            forks: false,
            lasting: false,
            capacity: None,
            backlog: None,
            leaves: Leaves::default(),
        };
        self.subject.facts.unwrap_or(unknown)
    }

    /// True where one connection at a time is what the subject does, and is not declared to be more.
    #[must_use]
    pub fn serial(&self) -> bool {
        self.facts().concurrency == Concurrency::Serial && self.subject.nature != Nature::Concurrent
    }

    /// True where few are served at a time and nothing else is declared.
    #[must_use]
    pub fn few(&self) -> bool {
        match self.subject.nature {
            Nature::Concurrent => false,
            Nature::Workers => true,
            Nature::Serial | Nature::Unknown => self.serial() || self.facts().capacity.is_some(),
        }
    }

    /// `wanted` connections, or what the subject serves at once and a few less, so that a canary has room.
    #[must_use]
    pub fn at_once(&self, wanted: u64) -> u64 {
        match self.facts().capacity {
            // Of the smallest pools all but one.
            Some(capacity) if self.few() => wanted.min(capacity.saturating_sub(4).max((capacity - 1).min(2))),
            _ => wanted,
        }
    }

    /// As [`Self::at_once`], and one where one connection at a time is served.
    #[must_use]
    pub fn beside(&self, wanted: u64) -> u64 {
        if self.serial() { 1 } else { self.at_once(wanted) }
    }

    /// Randomness of this case's own.
    #[must_use]
    pub fn random(&self) -> SmallRng {
        SmallRng::seed_from_u64(self.seed)
    }

    /// Connects to the subject.
    ///
    /// # Errors
    /// What went wrong.
    pub fn connect(&mut self, number: u64) -> Result<Peer, Fault> {
        Peer::connect(&self.target()?, number)
    }
}
