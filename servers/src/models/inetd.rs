//! `inetd`: a program executed for each connection, which it finds as its standard input and output. Not here: `wait` services,
//! which are given the listener.
//!
//! The program is another (`--exec`), or this one again, told to serve one connection. Another program knows nothing of draining: at
//! a stop its connection is shut for reading, so that it meets the end of its input after what has arrived, finishes and ends. What
//! has not ended when the grace is over is killed.

use crate::axes::{Axes, Capacity, streams};
use crate::drive::blocking::{Buffers, serve as converse};
use crate::drive::forking::{self, Child};
use crate::drive::serial::InHand;
use crate::{Endpoint, Handler, Model};
use service::Service;
use std::ffi::{OsStr, OsString};
use std::io::{self, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use sys::process;
use sys::signal::{self, Signals};
use sys::socket::{Side, shutdown};
use sys::spawn::{self, Begin};
use sys::stop;

/// What it is.
pub static MODEL: Model = Model {
    name: "inetd",
    summary: "a program executed a connection, its standard streams the socket: any program can be a server",
    origin: "4.3BSD inetd, nowait; UNP chapter 13",
    axes: Axes {
        accept: "one acceptor",
        isolation: "process, with a program and address space of its own",
        lifetime: "per connection, from exec(2) on",
        multiplexing: "none: one connection a process",
        work: "inline",
    },
    capacity: Capacity::System,
    supports: streams,
};

/// Serves until it is told to stop; or, in a process that was executed for it, one connection.
///
/// # Errors
/// Those of accept(2) after which nothing more can be served.
pub fn serve<S: Service>(service: S, endpoint: Endpoint) -> io::Result<()> {
    let child = match &endpoint.handler {
        Handler::Here => return serve_one(&service, endpoint),
        Handler::Own => Handled { command: again(), own_id: process::own_id(), own: true },
        Handler::Program(words) => {
            Handled { command: foreign(words)?, own_id: process::own_id(), own: false }
        }
    };
    forking::run(endpoint, child)
}

fn serve_one<S: Service>(service: &S, endpoint: Endpoint) -> io::Result<()> {
    stop::install(None, endpoint.options.grace)?;
    let connection = endpoint.listener;
    let in_hand = InHand::take(connection.as_fd());
    // Blocked by the parent, so that no signal comes before there is a handler for it.
    signal::unblock_all()?;
    converse(connection, service.open(), &mut Buffers::default(), endpoint.options.idle, in_hand);
    Ok(())
}

/// This program with the same arguments, told to serve one connection.
fn again() -> Command {
    let mut words = std::env::args_os();
    // Not by its path, where a newer one may be by now.
    let mut command = command(OsStr::new("/proc/self/exe"));
    if let Some(name) = words.next() {
        command.arg0(name);
    }
    command.args(words).arg("--one-connection");
    command
}

fn foreign(words: &[OsString]) -> io::Result<Command> {
    let (program, rest) = words.split_first().ok_or(io::ErrorKind::InvalidInput)?;
    let mut command = command(program);
    command.args(rest);
    // In the server's process group, as one of its parts; signals as a program expects them.
    spawn::prepare(&mut command, &Begin { same_group: true, ..Begin::default() });
    Ok(command)
}

#[expect(clippy::disallowed_methods, reason = "a forked child becomes the program, and dies with its parent")]
fn command(program: &OsStr) -> Command {
    Command::new(program)
}

struct Handled {
    /// Made once: a child has but to execute it.
    command: Command,
    own_id: i32,
    /// The program is this one.
    own: bool,
}

impl Handled {
    /// Returns only if it fails.
    fn become_it(&mut self, connection: &OwnedFd) -> io::Result<()> {
        process::die_with(self.own_id)?;
        // The listener, the signals and the original of the connection are close-on-exec.
        spawn::onto_stdio(connection.as_fd())?;
        Err(self.command.exec())
    }
}

impl Child for Handled {
    fn be(&mut self, connection: OwnedFd, _listener: &OwnedFd, _signals: &Signals) -> ! {
        if let Err(error) = self.become_it(&connection) {
            let program = self.command.get_program().display();
            let _ = writeln!(io::stderr(), "server: cannot execute `{program}`: {error}");
        }
        // As a shell does for a program that cannot be executed.
        process::exit_now(126)
    }

    fn finish(&self, pid: i32) {
        let told = if self.own { Err(io::ErrorKind::Unsupported.into()) } else { shut_input(pid) };
        if told.is_err() {
            // One that has ended and is not reaped yet takes no notice.
            let _ = process::kill(pid, process::SIGTERM);
        }
    }
}

/// Shuts the socket that is another process's standard input for reading.
fn shut_input(pid: i32) -> io::Result<()> {
    let handle = process::open(pid)?;
    let connection = process::copy_descriptor(handle.as_fd(), 0)?;
    shutdown(connection.as_fd(), Side::Read)
}
