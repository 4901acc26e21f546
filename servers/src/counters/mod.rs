//! What each worker did, in memory that others can look at meanwhile: `--counters FILE`. Not here: what it means (the harness, the
//! report).
//!
//! A thread that serves has a line of its own in a shared mapping (see [`file`]), found by a variable of the thread. Nobody else
//! writes the line, so a count is a load and a store without a lock prefix, and no two lines share a cache line. Models that make a
//! thread or a process for each connection have no fixed workers: those share lines, and add with a prefix.
//!
//! **Without `--counters`** nothing is mapped and no system call is made. What is left of a count is to load the thread's variable,
//! compare, and take a branch that goes the same way each time: the variable is const and has no destructor, so it is there without
//! being initialised, and the linker knows its distance from the thread pointer (one load, no call; seen in the release build). It
//! lies on a line that nobody writes meanwhile. A request meets about three of these beside its two system calls.

mod file;
mod reader;

pub use file::Counters;
pub use reader::{Counts, Reader};

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Numbers of a line: 128 bytes, since processors fetch cache lines in pairs.
const LINE: usize = 16;

type Line = [AtomicU64; LINE];

/// What is counted. The order is that of the file; a change is a new version of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Count {
    /// Connections that came to the worker.
    Accepted,
    /// Waits that ended with something to do: of a loop, one for all that is ready; of blocking code, one for each connection and
    /// each receive, slept for or not. None where a runtime does the waiting out of sight.
    Useful,
    /// Waits that ended because of the listener, whose queue was empty by then: another worker had been quicker.
    Spurious,
    /// Bytes received.
    BytesIn,
    /// Bytes sent: taken by the kernel.
    BytesOut,
    /// The first of the ends; see [`Why`].
    Ended,
}

/// Why a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Why {
    /// The peer said its last word and was answered.
    Finished,
    /// The service closed it or reset it.
    Service,
    /// The server was told to stop.
    Stopped,
    /// The peer reset it: seen while receiving.
    Reset,
    /// The peer was gone: seen while sending (EPIPE, ECONNRESET).
    Unsent,
    /// It was idle for too long.
    Idle,
    /// It was not served: a limit, or no room for it.
    Refused,
    /// Something else went wrong.
    Failed,
}

impl Why {
    /// All, in the order of the file.
    pub const ALL: [Self; 8] = [
        Self::Finished,
        Self::Service,
        Self::Stopped,
        Self::Reset,
        Self::Unsent,
        Self::Idle,
        Self::Refused,
        Self::Failed,
    ];

    /// In a word, as in records.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Finished => "finished",
            Self::Service => "service",
            Self::Stopped => "stopped",
            Self::Reset => "reset",
            Self::Unsent => "unsent",
            Self::Idle => "idle",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }

    /// Why a connection ends on which receiving failed with `error`.
    #[must_use]
    pub fn of_recv(error: &std::io::Error) -> Self {
        use std::io::ErrorKind::{ConnectionReset, WouldBlock};
        match error.kind() {
            ConnectionReset => Self::Reset,
            // A call that would have blocked for longer than it may.
            WouldBlock => Self::Idle,
            _ => Self::Failed,
        }
    }

    /// Why a connection ends on which sending failed with `error`.
    #[must_use]
    pub fn of_send(error: &std::io::Error) -> Self {
        use std::io::ErrorKind::{BrokenPipe, ConnectionReset, WouldBlock};
        match error.kind() {
            BrokenPipe | ConnectionReset => Self::Unsent,
            WouldBlock => Self::Idle,
            _ => Self::Failed,
        }
    }
}

/// Where a thread counts.
#[derive(Clone, Copy)]
enum Place {
    Nowhere,
    Own(&'static Line),
    Shared(&'static Line),
}

thread_local! {
    static PLACE: Cell<Place> = const { Cell::new(Place::Nowhere) };
}

#[inline]
fn add(at: usize, n: u64) {
    match PLACE.get() {
        Place::Nowhere => {}
        Place::Own(line) => {
            let number = &line[at % LINE];
            number.store(number.load(Relaxed).wrapping_add(n), Relaxed);
        }
        Place::Shared(line) => {
            line[at % LINE].fetch_add(n, Relaxed);
        }
    }
}

/// A connection came to this worker.
#[inline]
pub fn accepted() {
    add(Count::Accepted as usize, 1);
}

/// A wait ended; for nothing, where another worker had been quicker.
#[inline]
pub fn woken(useful: bool) {
    add(if useful { Count::Useful } else { Count::Spurious } as usize, 1);
}

/// Bytes came.
#[inline]
pub fn received(bytes: usize) {
    add(Count::BytesIn as usize, bytes as u64);
}

/// Bytes went.
#[inline]
pub fn sent(bytes: usize) {
    add(Count::BytesOut as usize, bytes as u64);
}

/// A connection ended for which there was no [`Fate`].
pub fn ended(why: Why) {
    add(Count::Ended as usize + why as usize, 1);
}

/// How a connection that is open will have ended: counted when dropped, by the thread that drops it. Unless it is told better, the
/// server was stopped.
#[derive(Debug)]
pub struct Fate(Why);

impl Default for Fate {
    fn default() -> Self {
        Self(Why::Stopped)
    }
}

impl Fate {
    /// It ends, and this is why.
    pub fn is(&mut self, why: Why) {
        self.0 = why;
    }

    /// It ends while the server is being stopped: an end of input is then the server's own doing.
    pub fn while_stopping(&mut self, stopping: bool) {
        if stopping && self.0 == Why::Finished {
            self.0 = Why::Stopped;
        }
    }
}

impl Drop for Fate {
    fn drop(&mut self) {
        ended(if std::thread::panicking() { Why::Failed } else { self.0 });
    }
}
