//! Foreign servers: any command, under a guard, ready when the kernel shows its listener. Not here: the guard itself.
//!
//! Readiness is read from /proc/net, never tried by connecting: that would use up one-shot servers and count against rate limits.

use super::child::{Child, not_ready};
use super::identity::{self, Identity};
use super::log::{self, Log};
use super::process::{Ended, Launch, Process};
use super::{LOOK_AGAIN, Result, SpawnError, sockets};
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};
use sys::spawn::Begin;

/// A foreign server to be started.
#[derive(Clone, Debug)]
pub struct ForeignCommand {
    /// The program that knows the hidden subcommand `guard`: the harness itself.
    pub guard: PathBuf,
    /// The command and its arguments.
    pub argv: Vec<OsString>,
    /// The URL that it will listen on, with its port.
    pub url: sys::Url,
    /// How it begins.
    pub begin: Begin,
    /// How long it may take to become ready.
    pub ready_within: Duration,
    /// It is a second one at an address where a first listens: ready when two do.
    pub second: bool,
}

/// What the guard reports, line by line on its standard output.
#[derive(Debug)]
pub(super) struct Report(Log);

impl Report {
    /// How the guarded process ended; waits at most `time`. Without a guard nothing is known but that it is over.
    pub(super) fn ended(&self, guard: &Process, time: Duration) -> Option<Ended> {
        let line = self.0.line("ended ", time);
        if line.is_none() && !guard.id.alive() {
            return Some(Ended { status: None, killed_by: None });
        }
        let line = line?;
        let (kind, number) = line.split_once(' ')?;
        let number = number.parse().ok()?;
        Some(if kind == "signal" { Ended::by_signal(number) } else { Ended::by_exit(number) })
    }
}

/// Listeners where `url` says.
fn listeners(url: &sys::Url, pid: Option<i32>) -> usize {
    sockets::serving(url, pid).len()
}

/// True when somebody listens where `url` says.
#[must_use]
pub fn listening(url: &sys::Url, pid: Option<i32>) -> bool {
    listeners(url, pid) > 0
}

impl Child {
    /// Starts a foreign server under a guard and waits until it listens on the port of its URL.
    ///
    /// # Errors
    /// [`super::SpawnError::NotReady`] when it ends first, the time runs out, or somebody listens there already.
    pub fn foreign(command: &ForeignCommand) -> Result<Self> {
        let args = guard_args(command);
        let launch = Launch {
            program: &command.guard,
            args: &args,
            begin: &command.begin,
            watch: false,
            keep: log::KEEP,
            unbound: true,
        };
        let taken = listening(&command.url, None);
        let mut process = Process::start(&launch)?;
        if let Some((program, args)) = command.argv.split_first() {
            process.name = super::process::command_line(program.as_ref(), args);
        }
        if taken && !command.second {
            return Err(give_up(
                &mut process,
                format!("cannot be told apart: {} is taken", command.url),
                None,
            ));
        }
        let end = Instant::now() + command.ready_within;
        let left = || end.saturating_duration_since(Instant::now());
        let pid = process.out.line("started ", left()).and_then(|pid| pid.parse().ok());
        let report = Report(process.out.clone());
        let Some(subject) = pid.and_then(|pid| Identity::of(pid).or_else(|| background(&process))) else {
            // It may have ended before it could be looked at.
            let ended = pid.and_then(|_: i32| report.ended(&process, left()));
            let how = match &ended {
                Some(ended) => format!("{ended} before it listened"),
                None => "could not be started".to_owned(),
            };
            return Err(give_up(&mut process, how, ended));
        };
        loop {
            // Where it has gone into the background, the table is that of this process.
            let of = Some(subject.pid).filter(|_| subject.alive());
            if listeners(&command.url, of) > usize::from(command.second) {
                let ready_ns = u64::try_from(process.started.elapsed().as_nanos()).unwrap_or(u64::MAX);
                let url = command.url.to_string();
                return Ok(Self {
                    process,
                    subject,
                    guard: Some(report),
                    adopted: false,
                    told: AtomicBool::new(false),
                    url,
                    ready_ns,
                });
            }
            if let Some(ended) = report.ended(&process, Duration::ZERO)
                && !(ended.success() && has_children(&process))
            {
                return Err(give_up(&mut process, format!("{ended} before it listened"), Some(ended)));
            }
            if left().is_zero() {
                let how = format!("did not listen on {} within {:?}", command.url, command.ready_within);
                return Err(give_up(&mut process, how, None));
            }
            sys::clock::pause(LOOK_AGAIN);
        }
    }
}

/// Ends the guard, and by it all that it guards.
fn give_up(guard: &mut Process, how: String, ended: Option<Ended>) -> SpawnError {
    let error = not_ready(guard, how, ended);
    guard.signal(identity::TERM);
    let _ = guard.wait(super::child::GUARD_WITHIN);
    error
}

/// The process of a tree that holds a socket that serves at `url`, the first of them first.
pub(super) fn holder(url: &str, tree: &[Identity]) -> Option<Identity> {
    let url: sys::Url = url.parse().ok()?;
    let held = |id: &&Identity| {
        let wanted: Vec<String> =
            sockets::serving(&url, Some(id.pid)).iter().map(|inode| format!("socket:[{inode}]")).collect();
        let Ok(folder) = std::fs::read_dir(format!("/proc/{}/fd", id.pid)) else { return false };
        folder
            .flatten()
            .filter_map(|fd| std::fs::read_link(fd.path()).ok())
            .any(|link| link.to_str().is_some_and(|link| wanted.iter().any(|socket| socket == link)))
    };
    tree.iter().find(held).copied()
}

/// What a command that is over already has left behind.
fn background(guard: &Process) -> Option<Identity> {
    guard.tree().into_iter().find(|id| *id != guard.id)
}

/// A command that puts itself into the background ends well and leaves children behind.
fn has_children(guard: &Process) -> bool {
    guard.tree().len() > 1
}

fn guard_args(command: &ForeignCommand) -> Vec<OsString> {
    let mut args: Vec<OsString> =
        vec!["guard".into(), "--parent".into(), std::process::id().to_string().into()];
    if let Some(soft) = command.begin.descriptors {
        args.extend(["--descriptors".into(), soft.to_string().into()]);
    }
    if let Some(below) = command.begin.occupy_below {
        args.extend(["--occupy-below".into(), below.to_string().into()]);
    }
    if command.begin.close_stdio {
        args.push("--close-stdio".into());
    }
    for cpu in &command.begin.cpus {
        args.extend(["--cpu".into(), cpu.to_string().into()]);
    }
    args.push("--".into());
    args.extend(command.argv.iter().cloned());
    args
}
