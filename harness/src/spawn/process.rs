//! A started process: watched by handle, drained, stopped, and killed with all that belongs to it. Not here: what makes it ready.

use super::identity::{self, Identity};
use super::log::Log;
use super::{Result, SpawnError, nursery};
use std::ffi::OsString;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use sys::spawn::Begin;

/// How long a killed process may take to be gone; the kernel needs microseconds, a stopped disk more.
const KILL_WITHIN: Duration = Duration::from_secs(2);

/// How long the end of a stream is waited for after the end of its writer; one of its children may hold it open.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// How a process ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Its exit status, where it ended by exit(2).
    pub status: Option<i32>,
    /// The name of the signal that killed it, else.
    pub killed_by: Option<String>,
}

impl Ended {
    pub(super) fn by_signal(signal: i32) -> Self {
        Self { status: None, killed_by: Some(sys::process::signal_name(signal)) }
    }

    pub(super) fn by_exit(status: i32) -> Self {
        Self { status: Some(status), killed_by: None }
    }

    /// True for exit status 0.
    #[must_use]
    pub fn success(&self) -> bool {
        self.status == Some(0)
    }
}

impl std::fmt::Display for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (&self.killed_by, self.status) {
            (Some(signal), _) => write!(f, "was killed by {signal}"),
            (None, Some(status)) => write!(f, "exited with status {status}"),
            (None, None) => f.write_str("ended, how is not known"),
        }
    }
}

impl From<std::process::ExitStatus> for Ended {
    fn from(status: std::process::ExitStatus) -> Self {
        match status.signal() {
            Some(signal) => Self::by_signal(signal),
            None => Self { status: status.code(), killed_by: None },
        }
    }
}

/// What came of [`super::Child::stop`].
#[derive(Clone, Debug)]
pub struct Stopped {
    /// How it ended.
    pub ended: Ended,
    /// From the signal to the end.
    pub took: Duration,
    /// It did not end within the grace and was killed.
    pub ignored_term: bool,
    /// It had ended before it was asked to.
    pub was_over: bool,
    /// Processes of its tree that outlived it; they have been killed.
    pub left: Vec<Identity>,
}

/// What is common to all that is started.
#[derive(Debug)]
pub(super) struct Process {
    child: std::process::Child,
    /// Stays this process's own when the number is used again; readable when it has ended.
    handle: OwnedFd,
    pub(super) id: Identity,
    pub(super) name: String,
    pub(super) out: Log,
    pub(super) err: Log,
    pub(super) started: Instant,
    ended: Option<Ended>,
    /// What was left of the tree when the process was seen to have ended.
    left: Vec<Identity>,
}

/// What to start.
pub(super) struct Launch<'a> {
    pub(super) program: &'a Path,
    pub(super) args: &'a [OsString],
    pub(super) begin: &'a Begin,
    /// Look for the ready line on stdout.
    pub(super) watch: bool,
    /// Bytes of stdout to keep.
    pub(super) keep: usize,
    /// Leave the process out of the kernel's reach: it watches its parent itself (the guard).
    pub(super) unbound: bool,
}

impl Process {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place: what is spawned here is watched and ended here"
    )]
    pub(super) fn start(launch: &Launch<'_>) -> Result<Self> {
        let name = command_line(launch.program, launch.args);
        let failed = |source| SpawnError::Start { program: name.clone(), source };
        let mut command = Command::new(launch.program);
        command.args(launch.args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        if launch.unbound {
            std::os::unix::process::CommandExt::process_group(&mut command, 0);
        } else {
            sys::spawn::prepare(&mut command, launch.begin);
        }
        let started = Instant::now();
        let mut child = nursery::spawn(command).map_err(failed)?;
        match Self::watch(&mut child, launch) {
            Ok((handle, id, out, err)) => {
                Ok(Self { child, handle, id, name, out, err, started, ended: None, left: Vec::new() })
            }
            Err(source) => {
                let _ = child.kill();
                let _ = child.wait();
                Err(SpawnError::Watch { program: name, source })
            }
        }
    }

    fn watch(
        child: &mut std::process::Child,
        launch: &Launch<'_>,
    ) -> std::io::Result<(OwnedFd, Identity, Log, Log)> {
        let missing = || std::io::Error::other("a stream of the child is missing");
        let pid = i32::try_from(child.id()).map_err(std::io::Error::other)?;
        let handle = sys::process::open(pid)?;
        // The child has not been waited for, so its entry exists, be it a zombie's.
        let id = Identity::of(pid).ok_or_else(|| std::io::Error::other("/proc shows no such process"))?;
        let out = Log::drain(child.stdout.take().ok_or_else(missing)?, launch.keep, launch.watch)?;
        let err = Log::drain(child.stderr.take().ok_or_else(missing)?, super::log::KEEP, false)?;
        Ok((handle, id, out, err))
    }

    /// How it ended, if it has; never waits.
    pub(super) fn try_ended(&mut self) -> Option<Ended> {
        self.wait(Duration::ZERO)
    }

    /// Waits for its end, at most `time`.
    pub(super) fn wait(&mut self, time: Duration) -> Option<Ended> {
        if self.ended.is_some() {
            return self.ended.clone();
        }
        let end = Instant::now() + time;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let over =
                sys::socket::wait_readable(&[self.handle.as_fd()], Some(left)).is_ok_and(|r| r == [true]);
            if over {
                break;
            }
            if left.is_zero() {
                return None;
            }
        }
        // Looked up before the number is given back by waiting: the group is then still this one's.
        self.left = identity::members(self.id.pid).iter().map(|e| e.id).filter(|id| *id != self.id).collect();
        self.ended = self.child.wait().ok().map(Ended::from);
        self.ended.clone()
    }

    /// Those of its tree that live, itself first.
    pub(super) fn tree(&self) -> Vec<Identity> {
        let members =
            || identity::members(self.id.pid).into_iter().filter(|e| e.state != 'Z').map(|e| e.id).collect();
        if self.ended.is_some() {
            self.left.iter().copied().filter(|id| id.alive()).collect()
        } else {
            members()
        }
    }

    pub(super) fn signal(&self, signal: i32) {
        if self.ended.is_none() {
            // ESRCH: it has just ended, as was wanted.
            let _ = sys::process::kill_handle(self.handle.as_fd(), signal);
        }
    }

    /// SIGTERM, then SIGKILL for all when it has not ended within `grace`.
    pub(super) fn stop(&mut self, grace: Duration) -> Stopped {
        let was_over = self.try_ended().is_some();
        let asked = Instant::now();
        if !was_over {
            self.signal(identity::TERM);
        }
        let ignored_term = self.wait(grace).is_none();
        let took = asked.elapsed();
        let left = if ignored_term { Vec::new() } else { self.tree() };
        self.kill();
        let ended = self.ended.clone().unwrap_or_else(|| Ended::by_signal(identity::KILL));
        Stopped { ended, took, ignored_term, was_over, left }
    }

    /// SIGKILL for it and all that belongs to it; waits until they are gone.
    pub(super) fn kill(&mut self) {
        if self.ended.is_none() {
            // The tree as it is now: who leaves the group is still found, and orphans are found by the group.
            let before: Vec<Identity> = self.tree();
            identity::kill_all(KILL_WITHIN, || {
                let mut all = before.clone();
                all.extend(identity::members(self.id.pid).iter().map(|e| e.id));
                all
            });
            let _ = self.wait(KILL_WITHIN);
        }
        let left = std::mem::take(&mut self.left);
        identity::kill_all(KILL_WITHIN, || left.clone());
    }

    /// Standard error; of a process that has ended with its last words, which the drain may see a scheduling turn after the end.
    pub(super) fn said(&self) -> &Log {
        if self.ended.is_some() {
            let _ = self.err.closed(LAST_WORDS);
        }
        &self.err
    }

    /// The last lines of standard error.
    pub(super) fn last_words(&self) -> String {
        self.said().tail(20)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A command line as a shell would take it, for messages.
pub(super) fn command_line(program: &Path, args: &[OsString]) -> String {
    let mut line = program.display().to_string();
    for arg in args {
        let arg = arg.to_string_lossy();
        let plain =
            !arg.is_empty() && arg.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_./:=@,+%".contains(&b));
        line.push(' ');
        if plain {
            line.push_str(&arg);
        } else {
            line.push('\'');
            line.push_str(&arg.replace('\'', "'\\''"));
            line.push('\'');
        }
    }
    line
}
