//! The file of the counters: who makes it, who finds a line in it. Not here: reading it (see `reader`).
//!
//! Numbers of 64 bits in the machine's order, in lines of sixteen. The first line is the header: magic with version, number of lines
//! that follow, number of workers (0: the lines belong to all, and only their sum means something). Then the lines; a line's numbers
//! are [`Count`](super::Count) and, from its last on, [`Why`](super::Why).

use super::{LINE, Line, PLACE, Place};
use std::fs::OpenOptions;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed, Ordering::Release};
use sys::mapped::{Mapped, View};

/// `srvcnt`, and the version: what is counted, and where.
pub(super) const MAGIC: u64 = u64::from_be_bytes(*b"srvcnt01");

/// Where the header has what.
pub(super) const LINES_AT: usize = 1;
pub(super) const WORKERS_AT: usize = 2;

/// Lines that are shared where there are no fixed workers: enough that two of them that run at the same time seldom meet.
const SHARED: usize = 64;

/// Most lines: `--workers` goes no higher.
pub(super) const MOST: usize = 1024;

/// The counters of a server, or none. A copy is the same.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counters(Option<&'static Table>);

#[derive(Debug)]
struct Table {
    numbers: Mapped,
    /// The next worker of those that are not numbered by the model.
    next: AtomicUsize,
}

impl Counters {
    /// Nothing is counted.
    pub const OFF: Self = Self(None);

    /// Makes the file at `path`, or takes one over that is empty or was made by this; there is room for `workers`.
    ///
    /// # Errors
    /// Those of open(2) and mmap(2), AlreadyExists for a file that is something else.
    pub fn make(path: &Path, workers: usize) -> io::Result<Self> {
        let file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() || (metadata.len() > 0 && !is_counters(file.as_fd())) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let lines = workers.clamp(SHARED, MOST);
        let table = Self::of(file.into(), lines)?;
        table.numbers.iter().for_each(|number| number.store(0, Relaxed));
        table.numbers[LINES_AT].store(lines as u64, Relaxed);
        Ok(Self(Some(table)))
    }

    /// Shares a file that another process of the same server has made: this thread counts in a line that is everybody's.
    ///
    /// # Errors
    /// Those of open(2) and mmap(2), InvalidData for a file that is something else.
    pub fn join(path: &Path) -> io::Result<()> {
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        if !is_counters(file.as_fd()) {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let lines =
            View::map(file.as_fd(), LINE)?.get(LINES_AT).map_or(0, |lines| lines as usize).clamp(1, MOST);
        Self(Some(Self::of(file.into(), lines)?)).enter_shared();
        Ok(())
    }

    /// Lives as long as the process: threads keep a line until they end, which is after everything else.
    fn of(file: OwnedFd, lines: usize) -> io::Result<&'static Table> {
        let numbers = Mapped::map(file.as_fd(), LINE * (1 + lines))?;
        Ok(Box::leak(Box::new(Table { numbers, next: AtomicUsize::new(0) })))
    }

    /// Whether anything is counted.
    #[must_use]
    pub fn on(self) -> bool {
        self.0.is_some()
    }

    /// There are `workers`, with a line each. Called before the server is ready.
    pub fn workers(self, workers: usize) {
        self.complete(workers);
    }

    /// There is a worker for each connection. Called before the server is ready.
    pub fn shared(self) {
        self.complete(0);
    }

    fn complete(self, workers: usize) {
        if let Some(table) = self.0 {
            table.numbers[WORKERS_AT].store(workers as u64, Relaxed);
            // Last: whoever finds it finds the rest.
            table.numbers[0].store(MAGIC, Release);
        }
    }

    /// This thread is `worker`: no other counts there, before it has ended.
    pub fn enter(self, worker: usize) {
        if let Some(line) = self.line(worker) {
            PLACE.set(Place::Own(line));
        }
    }

    /// This thread is the next worker, in the order in which they come: for threads that the model does not number.
    pub fn enter_next(self) {
        if let Some(table) = self.0 {
            self.enter(table.next.fetch_add(1, Relaxed));
        }
    }

    /// This thread, or this process, is one of many that come and go.
    pub fn enter_shared(self) {
        let Some(table) = self.0 else { return };
        // By the process and by who came before in it: children of a fork have the same number of those.
        let turn = sys::process::own_id() as usize + table.next.fetch_add(1, Relaxed);
        let lines = table.numbers.len() / LINE - 1;
        if let Some(line) = self.line(turn % lines) {
            PLACE.set(Place::Shared(line));
        }
    }

    fn line(self, at: usize) -> Option<&'static Line> {
        let numbers: &'static [AtomicU64] = &self.0?.numbers;
        let start = (1 + at) * LINE;
        numbers.get(start..start + LINE)?.try_into().ok()
    }
}

pub(super) fn is_counters(file: std::os::fd::BorrowedFd<'_>) -> bool {
    View::map(file, LINE).is_ok_and(|header| header.get(0) == Some(MAGIC))
}
