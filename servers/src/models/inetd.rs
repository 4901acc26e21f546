//! `inetd`: a program executed for each connection, which it finds as its standard input and output; over datagrams, a program that is
//! given the socket (`wait`, as inetd(8) calls it), answers what is there and what comes, and ends when nothing has come for a while.
//! Not here: the parent (see `drive::forking`), and `wait` for streams, which would be a listener.
//!
//! The program is another (`--exec`), or this one again, told to serve one connection. Another program knows nothing of draining: at
//! a stop its connection is shut for reading, so that it meets the end of its input after what has arrived, finishes and ends. Datagrams
//! have no end of input: there it gets SIGTERM. What has not ended when the grace is over is killed.

use crate::axes::{Axes, Capacity, everything};
use crate::drive::blocking::{Buffers, serve as converse};
use crate::drive::datagram::{Both, pools};
use crate::drive::forking::{self, Child};
use crate::drive::serial::InHand;
use crate::{Endpoint, Handler, Model};
use service::Service;
use std::ffi::{OsStr, OsString};
use std::io::{self, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::time::Duration;
use sys::process;
use sys::signal::{self, Signals};
use sys::silence::give_up_after;
use sys::socket::{Side, shutdown};
use sys::spawn::{self, Begin};
use sys::stop;

/// What it is.
pub static MODEL: Model = Model {
    name: "inetd",
    summary: "a program executed a connection, its standard streams the socket: any program can be a server",
    origin: "4.3BSD inetd, nowait, and wait for datagrams; UNP chapter 13",
    axes: Axes {
        accept: "one acceptor",
        isolation: "process, with a program and address space of its own",
        lifetime: "per connection, from exec(2) on",
        multiplexing: "none: one connection a process",
        work: "inline",
    },
    capacity: Capacity::System,
    supports: everything,
};

/// How long a program that was executed for datagrams waits for more of them, where nothing else is asked for: as BSD's talkd does.
const SILENT: Duration = Duration::from_mins(1);

/// Serves until it is told to stop; or, in a process that was executed for it, one connection.
///
/// # Errors
/// Those of accept(2) after which nothing more can be served.
pub fn serve<S: Service>(service: S, endpoint: Endpoint) -> io::Result<()> {
    match handled(&endpoint.handler, shut_input)? {
        None => serve_one(&service, endpoint),
        Some(child) => forking::run(endpoint, child),
    }
}

/// Serves datagrams until it is told to stop; or, in a process that was executed for them, until they cease.
///
/// # Errors
/// Those of poll(2); of recvmsg(2) after which nothing more can be served.
pub fn serve_datagrams<S: Both>(service: S, endpoint: Endpoint) -> io::Result<()> {
    let Some(child) = handled(&endpoint.handler, |_| Err(io::ErrorKind::Unsupported.into()))? else {
        // No longer than that: every receive of the process gives up.
        give_up_after(endpoint.listener.as_fd(), endpoint.options.idle.time().unwrap_or(SILENT))?;
        stop::install(Some(endpoint.listener.as_fd()), endpoint.options.grace)?;
        signal::unblock_all()?;
        return pools::answer(service, &endpoint);
    };
    let drains = child.own;
    forking::run_waiting(endpoint, child, drains)
}

/// What becomes of a child; `None` where this process is one. `end_input` is how another program is told to finish.
fn handled(handler: &Handler, end_input: fn(i32) -> io::Result<()>) -> io::Result<Option<Handled>> {
    let (command, own) = match handler {
        Handler::Here => return Ok(None),
        Handler::Own => (again(), true),
        Handler::Program(words) => (foreign(words)?, false),
    };
    Ok(Some(Handled { command, own_id: process::own_id(), own, end_input }))
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
    end_input: fn(i32) -> io::Result<()>,
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
        let told = if self.own { Err(io::ErrorKind::Unsupported.into()) } else { (self.end_input)(pid) };
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
