//! A tool that runs to its end, such as `harness load …`. Not here: reading what it printed.

use super::Result;
use super::process::{Ended, Launch, Process};
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use sys::spawn::Begin;

/// Most that is kept of a tool's standard output, in bytes: histograms of a large run are a few MiB.
const KEEP_STDOUT: usize = 256 * 1024 * 1024;

/// A tool to be run.
#[derive(Clone, Debug)]
pub struct ToolCommand {
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// How it begins.
    pub begin: Begin,
}

impl ToolCommand {
    /// `program` with `args`, on all processors.
    pub fn new<A: Into<OsString>>(program: impl Into<PathBuf>, args: impl IntoIterator<Item = A>) -> Self {
        Self {
            program: program.into(),
            args: args.into_iter().map(Into::into).collect(),
            begin: Begin::default(),
        }
    }

    /// The command line, for messages and records.
    #[must_use]
    pub fn line(&self) -> String {
        super::process::command_line(&self.program, &self.args)
    }
}

/// A tool that is running. It is killed with its whole tree when dropped.
#[derive(Debug)]
pub struct Tool(Process);

/// What a tool left.
#[derive(Clone, Debug)]
pub struct ToolRun {
    /// How it ended.
    pub ended: Ended,
    /// The deadline passed and it was killed.
    pub late: bool,
    /// What it printed on standard output.
    pub stdout: Vec<u8>,
    /// The last lines of its standard error.
    pub stderr: String,
    /// From its start to its end.
    pub took: Duration,
}

impl Tool {
    /// Starts it.
    ///
    /// # Errors
    /// [`super::SpawnError::Start`].
    pub fn start(command: &ToolCommand) -> Result<Self> {
        let launch = Launch {
            program: &command.program,
            args: &command.args,
            begin: &command.begin,
            watch: false,
            keep: KEEP_STDOUT,
            unbound: false,
        };
        Process::start(&launch).map(Self)
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.0.id.pid
    }

    /// How it ended, if it has; never waits.
    pub fn try_ended(&mut self) -> Option<Ended> {
        self.0.try_ended()
    }

    /// Waits for its end, at most `time`.
    pub fn wait(&mut self, time: Duration) -> Option<Ended> {
        self.0.wait(time)
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: i32) {
        self.0.signal(signal);
    }

    /// The last lines of its standard error so far.
    #[must_use]
    pub fn stderr_tail(&self) -> String {
        self.0.last_words()
    }

    /// Waits for its end; kills it when that has not come `within` (SIGTERM first, a second before SIGKILL).
    #[must_use]
    pub fn finish(mut self, within: Duration) -> ToolRun {
        let late = self.0.wait(within).is_none();
        let stopped = if late { self.0.stop(Duration::from_secs(1)) } else { self.0.stop(Duration::ZERO) };
        let took = Instant::now().duration_since(self.0.started);
        // The drain may lag behind the end of the process by a scheduling turn.
        let _ = self.0.out.closed(Duration::from_secs(5));
        ToolRun { ended: stopped.ended, late, stdout: self.0.out.bytes(), stderr: self.0.last_words(), took }
    }

    /// Starts a tool and waits for its end.
    ///
    /// # Errors
    /// As [`Self::start`]; that it was late or failed is in the result.
    pub fn run(command: &ToolCommand, within: Duration) -> Result<ToolRun> {
        Ok(Self::start(command)?.finish(within))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn captures_both_streams_and_the_status() {
        let command = ToolCommand::new("/bin/sh", ["-c", "echo out; echo err >&2; exit 3"]);
        let run = Tool::run(&command, Duration::from_secs(20)).unwrap();
        assert_eq!((run.ended.status, run.late), (Some(3), false));
        assert_eq!((run.stdout.as_slice(), run.stderr.as_str()), (b"out\n".as_slice(), "err"));
    }

    #[test]
    fn after_its_end_its_last_words_are_there() {
        let command = ToolCommand::new("/bin/sh", ["-c", "yes | head -c 60000 >&2; echo end >&2"]);
        for _ in 0..20 {
            let mut tool = Tool::start(&command).unwrap();
            assert!(tool.wait(Duration::from_secs(20)).is_some());
            assert!(tool.stderr_tail().ends_with("end"));
        }
    }

    #[test]
    fn a_late_tool_is_killed_with_its_children() {
        let command = ToolCommand::new("/bin/sh", ["-c", "trap '' TERM; sleep 1000 & wait; wait"]);
        let tool = Tool::start(&command).unwrap();
        let pid = tool.pid();
        let run = tool.finish(Duration::from_millis(50));
        assert!(run.late);
        assert_eq!(run.ended.killed_by.as_deref(), Some("SIGKILL"));
        assert!(super::super::identity::members(pid).iter().all(|e| !e.id.alive()));
    }

    #[test]
    fn a_program_that_is_not_there_is_an_error_with_its_name() {
        let error = Tool::start(&ToolCommand::new("/nonexistent/x", ["-y"])).unwrap_err();
        assert!(error.to_string().contains("/nonexistent/x -y"), "{error}");
    }
}
