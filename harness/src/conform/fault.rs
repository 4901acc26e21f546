//! What can go wrong between a probe and its subject, told apart: closed, reset, silent and refused are different answers, and an
//! error of the harness is none of them. Not here: whether it matters.

use service::client::Mismatch;
use std::io;

/// Why an exchange did not go as it should.
#[derive(Debug, thiserror::Error)]
#[error("{}{what}", .during.as_ref().map(|d| format!("{d}: ")).unwrap_or_default())]
pub struct Fault {
    /// What happened.
    pub what: What,
    /// While what.
    during: Option<String>,
}

/// What happened.
#[derive(Debug, thiserror::Error)]
pub enum What {
    /// The connection was refused.
    #[error("connection refused")]
    Refused,
    /// Nothing more came in time.
    #[error("no answer within {0} ms ({1} bytes had come)")]
    Silent(u128, u64),
    /// The peer's kernel sent RST.
    #[error("connection reset ({0} bytes had come)")]
    Reset(u64),
    /// The answer is not what was asked for.
    #[error("{0}")]
    Wrong(Mismatch),
    /// The subject is of no use any more, in words.
    #[error("{0}")]
    Subject(String),
    /// The subject did not become ready.
    #[error("{}", .0)]
    NotReady(Box<crate::spawn::SpawnError>),
    /// The harness itself failed: no verdict can be had.
    #[error("the harness failed: {0}")]
    Harness(String),
}

impl Fault {
    /// A fault of the subject in words.
    pub fn subject(text: impl Into<String>) -> Self {
        What::Subject(text.into()).into()
    }

    /// A failure of the harness.
    pub fn harness(error: impl std::fmt::Display) -> Self {
        What::Harness(error.to_string()).into()
    }

    /// An error of a call on a connection: of the peer's making where it can be, else of the harness.
    pub(super) fn io(error: &io::Error, received: u64) -> Self {
        match error.kind() {
            io::ErrorKind::ConnectionRefused => What::Refused,
            io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe | io::ErrorKind::NotConnected => {
                What::Reset(received)
            }
            _ => What::Harness(error.to_string()),
        }
        .into()
    }

    /// Says what was being done.
    #[must_use]
    pub fn during(mut self, what: impl Into<String>) -> Self {
        let what = what.into();
        self.during = Some(match self.during.take() {
            Some(inner) => format!("{what}: {inner}"),
            None => what,
        });
        self
    }

    /// True when time ran out, which a slow machine can do too.
    #[must_use]
    pub fn is_silence(&self) -> bool {
        matches!(self.what, What::Silent(..))
    }
}

impl From<What> for Fault {
    fn from(what: What) -> Self {
        Self { what, during: None }
    }
}

impl From<Mismatch> for Fault {
    fn from(mismatch: Mismatch) -> Self {
        What::Wrong(mismatch).into()
    }
}

impl From<crate::spawn::SpawnError> for Fault {
    fn from(error: crate::spawn::SpawnError) -> Self {
        use crate::spawn::SpawnError;
        match error {
            SpawnError::NotReady { .. } => What::NotReady(Box::new(error)).into(),
            _ => Self::harness(error),
        }
    }
}
