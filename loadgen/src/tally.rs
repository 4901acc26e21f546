//! Errors counted by phase and cause. Not here: what to do about an error.

use record::load::ErrorCount;
use service::client::Mismatch;
use std::io;

/// What the generator was doing when an error met it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Connect,
    Send,
    Receive,
    /// The bytes of a reply were wrong.
    Content,
    /// No request was out.
    Idle,
    /// Waited longer than the timeout, to the end of the run.
    Timeout,
    /// A client had said its last word in good order, and waited for the server to end the connection.
    Close,
}

impl Phase {
    const fn name(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Send => "send",
            Self::Receive => "receive",
            Self::Content => "content",
            Self::Idle => "idle",
            Self::Timeout => "timeout",
            Self::Close => "close",
        }
    }
}

/// What went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// An error of the system, by number.
    System(i32),
    /// By name.
    Named(&'static str),
}

/// An error as it is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) phase: Phase,
    pub(crate) cause: Cause,
}

impl Failure {
    pub(crate) fn system(phase: Phase, error: &io::Error) -> Self {
        Self { phase, cause: error.raw_os_error().map_or(Cause::Named("other"), Cause::System) }
    }

    pub(crate) const fn named(phase: Phase, cause: &'static str) -> Self {
        Self { phase, cause: Cause::Named(cause) }
    }

    /// A reply that is not what was asked for; an early end is met while receiving, the rest in the content.
    pub(crate) fn mismatch(mismatch: Mismatch) -> Self {
        let phase = match mismatch {
            Mismatch::EarlyEnd { .. } => Phase::Receive,
            _ => Phase::Content,
        };
        Self::named(phase, mismatch.name())
    }

    /// The generator's own machine ran out of something.
    pub(crate) fn is_local(self) -> bool {
        matches!(self.cause, Cause::System(number) if sys::errno::is_local_shortage(number))
    }

    pub(crate) fn cause_name(self) -> String {
        match self.cause {
            Cause::System(number) => sys::errno::name(number),
            Cause::Named(name) => name.to_owned(),
        }
    }
}

/// How often each error was met. A run meets few different ones, so a list is searched.
#[derive(Clone, Debug)]
pub(crate) struct Tally(Vec<(Failure, u64)>);

impl Tally {
    /// With room for more kinds of error than a run usually meets.
    pub(crate) fn new() -> Self {
        Self(Vec::with_capacity(32))
    }

    pub(crate) fn add(&mut self, failure: Failure, count: u64) {
        match self.0.iter_mut().find(|(known, _)| *known == failure) {
            Some((_, n)) => *n += count,
            None => self.0.push((failure, count)),
        }
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        for &(failure, count) in &other.0 {
            self.add(failure, count);
        }
    }

    /// Errors of the generator's own machine.
    pub(crate) fn local(&self) -> u64 {
        self.0.iter().filter(|(failure, _)| failure.is_local()).map(|(_, n)| n).sum()
    }

    /// The error met most often.
    pub(crate) fn most_frequent(&self) -> Option<Failure> {
        self.0.iter().max_by_key(|(_, n)| *n).map(|(failure, _)| *failure)
    }

    /// As the record has it, the most frequent first.
    pub(crate) fn rows(&self) -> Vec<ErrorCount> {
        let mut rows: Vec<_> = self
            .0
            .iter()
            .map(|&(failure, count)| ErrorCount {
                phase: failure.phase.name().to_owned(),
                cause: failure.cause_name(),
                count,
            })
            .collect();
        rows.sort_by(|a, b| {
            b.count.cmp(&a.count).then_with(|| (&a.phase, &a.cause).cmp(&(&b.phase, &b.cause)))
        });
        rows
    }
}
