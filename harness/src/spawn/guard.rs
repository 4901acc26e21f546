//! `harness guard -- COMMAND`: a small process between the harness and a foreign command, which ends everything below it when the
//! harness ends, however that ends. Not here: readiness, judgement.
//!
//! The kernel's own means (PR_SET_PDEATHSIG) reaches the direct child alone, and not its children. The guard adopts orphans, so
//! whatever the command starts stays below it, and watches its parent by handle. It reports on standard output, line by line:
//! `started PID`, then `ended exit N` or `ended signal N`; the command's own output, both streams, goes to standard error.

use super::identity::{self, Identity};
use record::Exit;
use std::ffi::OsString;
use std::io::{self, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::ffi::OsStringExt as _;
use std::process::{Command, Stdio};
use std::time::Duration;
use sys::process::Ended;
use sys::signal::{Received, Signals};
use sys::spawn::Begin;

/// What the harness tells its guard. Hidden: nobody else starts one.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The process whose end is the end of all.
    #[arg(long)]
    parent: i32,
    /// Soft descriptor limit of the command.
    #[arg(long)]
    descriptors: Option<u64>,
    /// Descriptors below this one are occupied in the command.
    #[arg(long)]
    occupy_below: Option<i32>,
    /// The command has no standard streams.
    #[arg(long)]
    close_stdio: bool,
    /// Processors of the command.
    #[arg(long = "cpu")]
    cpus: Vec<usize>,
    /// The command.
    #[arg(last = true, required = true)]
    argv: Vec<OsString>,
}

/// Runs the guard to its end. Call it from the first thread of a process that has no other.
#[must_use]
pub fn command(args: &Args) -> Exit {
    match run(args) {
        Ok(()) => Exit::Fine,
        Err(error) => {
            // The harness shows standard error when the command did not start.
            let _ = writeln!(io::stderr(), "cannot start: {error}");
            Exit::Unfit
        }
    }
}

fn run(args: &Args) -> io::Result<()> {
    let parent = sys::process::open(args.parent)?;
    if sys::process::parent() != args.parent {
        // The harness ended before the handle was there.
        return Ok(());
    }
    sys::process::adopt_orphans()?;
    let signals = Signals::new(true)?;
    let main = start(args)?;
    say(&format!("started {main}"));
    loop {
        let ready = sys::socket::wait_readable(&[parent.as_fd(), signals.as_fd()], None)?;
        if ready.first() == Some(&true) {
            break;
        }
        let mut stop = false;
        while let Some(signal) = signals.next()? {
            stop |= signal == Received::Stop;
        }
        reap(main)?;
        if stop {
            break;
        }
    }
    let me = std::process::id() as i32;
    identity::kill_all(Duration::from_secs(5), || {
        // Zombies have to go too: each hides the children that it has not yet handed over.
        let _ = reap(main);
        identity::descendants(me).iter().map(|e| e.id).filter(|id: &Identity| id.pid != me).collect()
    });
    reap(main)
}

#[expect(clippy::disallowed_methods, reason = "part of harness::spawn: the guard owns what it starts")]
fn start(args: &Args) -> io::Result<i32> {
    let mut words = args.argv.iter();
    let program = words.next().ok_or_else(|| io::Error::other("no command"))?;
    let output = || io::stderr().as_fd().try_clone_to_owned().map(Stdio::from);
    let mut command = Command::new(program);
    command.args(words).stdin(Stdio::null()).stdout(output()?).stderr(output()?);
    let begin = Begin {
        cpus: args.cpus.clone(),
        descriptors: args.descriptors,
        occupy_below: args.occupy_below,
        close_stdio: args.close_stdio,
        ..Begin::default()
    };
    sys::spawn::prepare(&mut command, &begin);
    let child = command.spawn().map_err(|e| {
        let name = String::from_utf8_lossy(&program.clone().into_vec()).into_owned();
        io::Error::new(e.kind(), format!("`{name}`: {e}"))
    })?;
    i32::try_from(child.id()).map_err(io::Error::other)
}

fn reap(main: i32) -> io::Result<()> {
    while let Some((pid, ended)) = sys::process::reap_any()? {
        if pid == main {
            say(&match ended {
                Ended::Exited(status) => format!("ended exit {status}"),
                Ended::Killed(signal) => format!("ended signal {signal}"),
            });
        }
    }
    Ok(())
}

/// A harness that has gone reads no more; that is found out by its handle.
fn say(line: &str) {
    let mut out = io::stdout();
    let _ = writeln!(out, "{line}");
    let _ = out.flush();
}
