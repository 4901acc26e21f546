//! A process a connection, echo only: for flaws in waiting for children.

use super::Flaw;
use service::Kind;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::time::Duration;
use sys::process::{self, Forked};
use sys::signal::{Received, Signals};
use sys::socket::{self, Accepted};

pub(super) fn serve(listener: &OwnedFd, _kind: Kind, flaw: Flaw, ready: impl Fn()) -> io::Result<()> {
    if flaw == Flaw::LeavesChild && process::fork()? == Forked::Child {
        loop {
            sys::clock::pause(Duration::from_secs(3_600));
        }
    }
    socket::set_nonblocking(listener.as_fd())?;
    let signals = Signals::new(true)?;
    let mut kept = Vec::new();
    ready();
    // As it believes: for one flaw only.
    let mut running = 0_i32;
    loop {
        let full = flaw == Flaw::CountsSignals && running >= 24;
        let both = [signals.as_fd(), listener.as_fd()];
        let readable = socket::wait_readable(if full { &both[..1] } else { &both }, None)?;
        if readable.first() == Some(&true) {
            match signals.next()? {
                Some(Received::Stop) => return Ok(()),
                Some(Received::Child) => {
                    running -= 1;
                    // Several signals may be one: the flaw waits for a single child.
                    while process::reap_any()?.is_some() && flaw != Flaw::OneWaitPerSignal {}
                }
                _ => {}
            }
        }
        if readable.get(1) == Some(&true) {
            match socket::accept(listener.as_fd(), false) {
                Accepted::Connection(fd) => {
                    if process::fork()? == Forked::Child {
                        let _ = process::die_with_parent();
                        let _ = sys::signal::unblock_all();
                        let _ = echo(fd.as_fd());
                        process::exit_now(0);
                    }
                    running += 1;
                    if flaw == Flaw::ParentKeeps {
                        kept.push(fd);
                    }
                }
                _ => sys::clock::pause(Duration::from_millis(20)),
            }
        }
    }
}

pub(super) fn echo(fd: BorrowedFd<'_>) -> io::Result<()> {
    let mut buffer = [0; 16_384];
    loop {
        let n = socket::recv(fd, &mut buffer)?;
        if n == 0 {
            return Ok(());
        }
        let mut rest = &buffer[..n];
        while !rest.is_empty() {
            let sent = socket::send(fd, rest)?;
            rest = &rest[sent..];
        }
    }
}
