//! Why a run could not be made, and the exit code of each reason. Not here: what a run found (see `verdict`).

use record::Exit;
use std::io;
use std::path::PathBuf;

/// A run could not be made or written down.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The options contradict each other or ask for what cannot be; the text says what to change.
    #[error("{0}")]
    Usage(String),
    /// No connection was ever made. The server is not there, or something in between turns connections away.
    #[error("cannot reach {target}: {what} ({cause})")]
    Unreachable {
        /// The target's URL.
        target: String,
        /// What is missing: a connection, or an answer.
        what: &'static str,
        /// The error met most often.
        cause: String,
    },
    /// `--engine uring`, where io_uring cannot be used.
    #[error("{reason}: use --engine epoll")]
    NoUring {
        /// Why not.
        reason: String,
    },
    /// The kernel refused what the generator itself needs (epoll, threads).
    #[error("cannot set up the generator: {0}")]
    Setup(#[source] io::Error),
    /// A thread of the generator broke; a fault of this program.
    #[error("a thread of the generator broke: {0}")]
    Thread(String),
    /// A result could not be written; the run itself was made.
    #[error("cannot write `{path}`: {source}", path = path.display())]
    Output {
        /// The file, `-` for standard output.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A stored result cannot be used; the text says why.
    #[error("cannot use `{path}`: {why}", path = path.display())]
    Input {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// One of the processes that make a run together could not; what it said.
    #[error("process {index}: {said}")]
    Part {
        /// Which.
        index: u32,
        /// Its words.
        said: String,
        /// How it ended; nothing for a signal.
        code: Option<i32>,
    },
    /// A histogram could not be made or written; a fault of this program.
    #[error("histogram: {0}")]
    Histogram(String),
}

impl From<record::histogram::BadHistogram> for Error {
    fn from(error: record::histogram::BadHistogram) -> Self {
        Self::Histogram(error.to_string())
    }
}

impl Error {
    pub(crate) fn histogram(error: impl std::fmt::Display) -> Self {
        Self::Histogram(error.to_string())
    }

    /// The exit code that goes with it.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::Part { code, .. } => match code {
                Some(2) => Exit::Usage,
                Some(3) => Exit::Unfit,
                _ => Exit::Broken,
            },
            Self::Usage(_) | Self::Input { .. } => Exit::Usage,
            Self::Unreachable { .. } | Self::NoUring { .. } => Exit::Unfit,
            Self::Setup(_) | Self::Thread(_) | Self::Output { .. } | Self::Histogram(_) => Exit::Broken,
        }
    }
}
