//! A server under test, from its start to its end. Not here: talking to it.

use super::identity::{self, Identity};
use super::log;
use super::process::{Ended, Launch, Process, Stopped};
use super::{Result, SpawnError};
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};
use sys::spawn::Begin;

/// How to start one of our servers: it prints `listening on URL` once it can serve.
#[derive(Clone, Debug)]
pub struct ServerCommand {
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// How it begins: its processors, its descriptor limit.
    pub begin: Begin,
    /// How long it may take to become ready.
    pub ready_within: Duration,
}

impl ServerCommand {
    /// `program` with `args`, on all processors, ready within 10 s.
    pub fn new<A: Into<OsString>>(program: impl Into<PathBuf>, args: impl IntoIterator<Item = A>) -> Self {
        Self {
            program: program.into(),
            args: args.into_iter().map(Into::into).collect(),
            begin: Begin::default(),
            ready_within: Duration::from_secs(10),
        }
    }

    /// The command line, for messages and records.
    #[must_use]
    pub fn line(&self) -> String {
        super::process::command_line(&self.program, &self.args)
    }
}

/// How long a guard may take to end what is below it.
pub(super) const GUARD_WITHIN: Duration = Duration::from_secs(6);

/// A running server. It is killed with its whole tree when dropped.
#[derive(Debug)]
pub struct Child {
    pub(super) process: Process,
    /// The process that is the server: the started one, or the one under the guard.
    pub(super) subject: Identity,
    pub(super) guard: Option<super::foreign::Report>,
    /// The server is not the process that was started: that one has put it into the background and is gone.
    pub(super) adopted: bool,
    /// It was sent a signal, so that an end is an end.
    pub(super) told: AtomicBool,
    pub(super) url: String,
    /// From the spawn to the ready line, in nanoseconds.
    pub ready_ns: u64,
}

impl Child {
    /// Starts one of our servers and waits for its ready line.
    ///
    /// # Errors
    /// [`SpawnError::NotReady`] when it ends first or the time runs out; what was started has then been killed.
    pub fn server(command: &ServerCommand) -> Result<Self> {
        let launch = Launch {
            program: &command.program,
            args: &command.args,
            begin: &command.begin,
            watch: true,
            keep: log::KEEP,
            unbound: false,
        };
        let mut process = Process::start(&launch)?;
        let end = Instant::now() + command.ready_within;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            // In slices: a child may leave its stdout to a child of its own, and then the stream does not end with it.
            if let Some((url, at)) = process.out.ready(left.min(Duration::from_millis(50))) {
                let ready_ns =
                    u64::try_from(at.duration_since(process.started).as_nanos()).unwrap_or(u64::MAX);
                let subject = process.id;
                let (guard, adopted, told) = (None, false, AtomicBool::new(false));
                return Ok(Self { process, subject, guard, adopted, told, url, ready_ns });
            }
            let wait = if process.out.closed(Duration::ZERO) { left } else { Duration::ZERO };
            if let Some(ended) = process.wait(wait) {
                return Err(not_ready(&process, format!("{ended} before it was ready"), Some(ended)));
            }
            if left.is_zero() {
                let how =
                    format!("was not ready within {:?}: no line `{}URL`", command.ready_within, log::READY);
                process.kill();
                return Err(not_ready(&process, how, None));
            }
        }
    }

    /// The server's process id.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.subject.pid
    }

    /// The server's process, told apart from a later one with the same number.
    #[must_use]
    pub fn identity(&self) -> Identity {
        self.subject
    }

    /// Where it listens, as it said.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The command line.
    #[must_use]
    pub fn command(&self) -> &str {
        &self.process.name
    }

    /// The server and its descendants that live; the guard of a foreign command is not among them.
    #[must_use]
    pub fn tree(&self) -> Vec<Identity> {
        let mut tree = self.process.tree();
        if self.guard.is_some() {
            tree.retain(|id| *id != self.process.id);
        }
        tree.sort_by_key(|id| *id != self.subject);
        tree
    }

    /// How the server ended, if it has; never waits.
    pub fn try_ended(&mut self) -> Option<Ended> {
        self.wait(Duration::ZERO)
    }

    /// Waits for the server's end, at most `time`.
    pub fn wait(&mut self, time: Duration) -> Option<Ended> {
        match &self.guard {
            None => self.process.wait(time),
            Some(_) if self.adopted => self.wait_adopted(time),
            Some(report) => {
                let ended = report.ended(&self.process, time)?;
                if ended.success()
                    && !self.told.load(Relaxed)
                    && let Some(holder) = super::foreign::holder(&self.url, &self.tree())
                {
                    self.subject = holder;
                    self.adopted = true;
                    return self.wait_adopted(Duration::ZERO);
                }
                Some(ended)
            }
        }
    }

    /// Waits for the end of a process that is not a child of the one that was started; how it ended only its parent could know.
    fn wait_adopted(&self, time: Duration) -> Option<Ended> {
        let end = Instant::now() + time;
        while self.subject.alive() {
            if Instant::now() >= end {
                return None;
            }
            sys::clock::pause(super::LOOK_AGAIN);
        }
        Some(Ended { status: None, killed_by: None })
    }

    /// Sends a signal to the server's own process.
    pub fn signal(&self, signal: i32) {
        self.told.store(true, Relaxed);
        match self.guard {
            None => self.process.signal(signal),
            Some(_) => self.subject.signal(signal),
        }
    }

    /// SIGTERM to the server, a wait of at most `grace`, then SIGKILL for what is left of it and its descendants.
    pub fn stop(&mut self, grace: Duration) -> Stopped {
        if self.guard.is_none() {
            return self.process.stop(grace);
        }
        let was_over = self.try_ended().is_some();
        let asked = Instant::now();
        self.signal(identity::TERM);
        let ended = self.wait(grace);
        let took = asked.elapsed();
        let left = if ended.is_some() { self.tree() } else { Vec::new() };
        self.kill();
        let ignored_term = ended.is_none();
        Stopped {
            ended: ended.unwrap_or_else(|| Ended::by_signal(identity::KILL)),
            took,
            ignored_term,
            was_over,
            left,
        }
    }

    /// SIGKILL for the server and all its descendants, at once.
    pub fn kill(&mut self) {
        if self.guard.is_some() {
            // The guard finds what this process cannot: what has left the group and lost its parent.
            self.process.signal(identity::TERM);
            let _ = self.process.wait(GUARD_WITHIN);
        }
        self.process.kill();
    }

    /// Stops reading what it writes: from the write after the next on its streams are broken pipes (conformance case 5.5).
    pub fn hang_up(&self) {
        if self.guard.is_none() {
            self.process.out.hang_up();
        }
        self.process.err.hang_up();
    }

    /// True when it has found, or will find at its next write, one of its streams broken.
    #[must_use]
    pub fn hung_up(&self) -> bool {
        let broken = |log: &log::Log| log.closed(Duration::ZERO);
        broken(&self.process.err) || (self.guard.is_none() && broken(&self.process.out))
    }

    /// The last lines that it wrote to standard error (of a foreign command: to standard output too).
    #[must_use]
    pub fn stderr_tail(&self) -> String {
        self.process.last_words()
    }

    /// All of standard error that is kept, the last 64 KiB.
    #[must_use]
    pub fn stderr(&self) -> String {
        self.process.said().text()
    }

    /// Bytes written to standard error so far.
    #[must_use]
    pub fn stderr_bytes(&self) -> u64 {
        self.process.err.total()
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.kill();
    }
}

pub(super) fn not_ready(process: &Process, how: String, ended: Option<Ended>) -> SpawnError {
    SpawnError::NotReady { program: process.name.clone(), how, ended, stderr: process.last_words() }
}
