//! Processes that the harness starts: servers, tools, foreign commands. The only place with `Command::new`.
//! Not here: what a process does while it runs (see `observe` and `conform::evidence`).
//!
//! What is started here begins clean (default signals, own process group), is drained (a full pipe never blocks it), and ends with
//! its owner: by [`Child::stop`], by drop, or, when the harness itself is killed, by the kernel (PR_SET_PDEATHSIG) and, for foreign
//! commands, by their guard.

mod child;
mod foreign;
pub mod guard;
pub mod identity;
mod log;
mod nursery;
mod process;
pub mod sockets;
mod tool;

pub use child::{Child, ServerCommand};
pub use foreign::{ForeignCommand, listening};
pub use identity::Identity;
pub use nursery::follow_network;
pub use process::{Ended, Stopped};
pub use tool::{Tool, ToolCommand, ToolRun};

use std::io;
use std::time::Duration;

/// Why a program could not be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SpawnError {
    /// It could not be started at all: no such file, no right to run it, no process left.
    #[error("cannot start `{program}`")]
    Start {
        /// The program.
        program: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It was started and is of no use: it ended, or did not become ready in time. It has been ended.
    #[error("`{program}` {how}{}", tail(.stderr))]
    NotReady {
        /// The command line.
        program: String,
        /// What it did instead.
        how: String,
        /// How it ended, where it did so by itself.
        ended: Option<Ended>,
        /// The last lines of its standard error.
        stderr: String,
    },
    /// A system call of the harness failed.
    #[error("cannot watch `{program}`")]
    Watch {
        /// The program.
        program: String,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl SpawnError {
    /// True for a program that ended by a signal that a fault of its own raises, or says with its status, as a shell would, that it did.
    #[must_use]
    pub fn crashed(&self) -> bool {
        let Self::NotReady { ended: Some(ended), .. } = self else { return false };
        let faults = ["SIGABRT", "SIGBUS", "SIGFPE", "SIGILL", "SIGSEGV", "SIGSYS"];
        let told = |status: i32| [4, 6, 7, 8, 11, 31].map(|signal| 128 + signal).contains(&status);
        ended.killed_by.as_deref().is_some_and(|signal| faults.contains(&signal))
            || ended.status.is_some_and(told)
    }
}

fn tail(stderr: &str) -> String {
    if stderr.is_empty() { String::new() } else { format!("; its standard error ends with:\n{stderr}") }
}

/// Result of starting something.
pub type Result<T> = std::result::Result<T, SpawnError>;

/// How often a condition that no descriptor announces is looked at again.
pub(crate) const LOOK_AGAIN: Duration = Duration::from_millis(5);
