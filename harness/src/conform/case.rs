//! What a case is, and what a probe may conclude. Not here: the cases, and how they are run.

use super::fault::Fault;
use super::scene::Scene;
use service::Kind;
use sys::Family;

/// How binding the requirement is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Broken: FAILED.
    Must,
    /// Broken: NON-STRICT; FAILED under `--strict`.
    Should,
    /// A property that is measured; cannot be broken.
    Info,
}

impl Level {
    /// The name as printed.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Must => "MUST",
            Self::Should => "SHOULD",
            Self::Info => "INFO",
        }
    }
}

/// What a case needs of its subject; each includes those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Need {
    /// An address, which may be far away.
    Address,
    /// The same host: /proc/net shows its sockets.
    SameHost,
    /// Its process id: /proc/PID is read, signals and limits are set.
    Pid,
    /// A command: the harness starts and ends it.
    Command,
}

impl Need {
    /// The name as printed.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Address => "address",
            Self::SameHost => "same-host",
            Self::Pid => "pid",
            Self::Command => "command",
        }
    }
}

/// TCP alone: its rows in the kernel's tables, its resets, its port belong to the case.
pub const TCP: &[Family] = &[Family::Tcp];
/// Unix streams alone.
pub const UNIX_STREAMS: &[Family] = &[Family::Unix];
/// Both stream families.
pub const STREAMS: &[Family] = &[Family::Tcp, Family::Unix];
/// Both datagram families.
pub const DATAGRAMS: &[Family] = &[Family::Udp, Family::Unixgram];
/// Every family.
pub const ALL_FAMILIES: &[Family] = &Family::ALL;

/// Services in which one message is answered by one of the same or a wanted size.
pub const SIZABLE: &[Kind] = &[Kind::Echo, Kind::Sized, Kind::Http];
/// Services in which a connection carries more than one exchange.
pub const LASTING: &[Kind] = SIZABLE;
/// Every service.
pub const ANY: &[Kind] = &Kind::ALL;

/// One check.
pub struct Case {
    /// `group/slug`; never changes.
    pub id: &'static str,
    /// The frozen number of the catalogue; retired, never used again.
    pub number: &'static str,
    /// How binding it is.
    pub level: Level,
    /// What it needs.
    pub needs: Need,
    /// Families of sockets to which it applies.
    pub families: &'static [Family],
    /// Services with which it can be run.
    pub services: &'static [Kind],
    /// It asks for answers of a chosen size, which a user's own HTTP path does not give.
    pub sizes: bool,
    /// It needs connections that carry more than one exchange, which HTTP/1.0 for one does not give.
    pub lasting: bool,
    /// Its verdict hangs on how long something took: repeated, and void on a machine that is too slow. No other case is repeated.
    pub timing: bool,
    /// It disturbs what runs beside it, or is disturbed by it: it is run when nothing else is. So is each that hangs on time.
    pub alone: bool,
    /// Part of the quick set that is run before a model is measured.
    pub quick: bool,
    /// The requirement in one sentence, with its source.
    pub requirement: &'static str,
    /// What is accepted.
    pub acceptable: &'static str,
    /// Does it.
    pub probe: fn(&mut Scene<'_>) -> Result<Outcome, Fault>,
}

impl Case {
    /// True where nothing else may run at the same time.
    #[must_use]
    pub fn is_alone(&self) -> bool {
        self.alone || self.timing
    }

    /// True where the case can be run with a subject that speaks none of our services: what is asked need not have a size, and any
    /// service will do in which a connection lasts.
    #[must_use]
    pub fn takes_raw(&self) -> bool {
        !self.sizes && LASTING.iter().all(|kind| self.services.contains(kind))
    }
}

/// What a case has unless it says otherwise: no wish that only some subjects meet, run once, and not in the quick set.
pub(super) const BASE: Case = Case {
    id: "",
    number: "",
    level: Level::Must,
    needs: Need::Address,
    families: TCP,
    services: ANY,
    sizes: false,
    lasting: false,
    timing: false,
    alone: false,
    quick: false,
    requirement: "",
    acceptable: "",
    probe: |_| Ok(Outcome::Skipped(String::new())),
};

/// What a probe concludes, in words for the report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// As required.
    Holds(String),
    /// Not as required.
    Violates(String),
    /// Not as it should be, and no more than NON-STRICT even where the requirement is a MUST.
    Tolerable(String),
    /// A property.
    Info(String),
    /// The fault was not proven to have happened, or the machine was too slow to tell.
    Inconclusive(String),
    /// Something that the case needs is missing after all.
    Skipped(String),
}

impl Outcome {
    /// The words.
    #[must_use]
    pub fn text(&self) -> &str {
        match self {
            Self::Holds(t)
            | Self::Violates(t)
            | Self::Tolerable(t)
            | Self::Info(t)
            | Self::Inconclusive(t)
            | Self::Skipped(t) => t,
        }
    }
}

impl std::fmt::Debug for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Case").field("id", &self.id).field("number", &self.number).finish_non_exhaustive()
    }
}
