//! Four processes that accept, made beforehand, and a parent that replaces them; echo only: for flaws of supervision.

use super::Flaw;
use super::forks::echo;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::time::Duration;
use sys::process::{self, Forked};
use sys::signal::{Received, Signals};
use sys::socket::{self, Accepted};

const WORKERS: usize = 4;

pub(super) fn serve(listener: &OwnedFd, flaw: Flaw, ready: impl Fn()) -> io::Result<()> {
    let signals = Signals::new(true)?;
    for _ in 0..WORKERS {
        worker(listener, flaw)?;
    }
    if flaw == Flaw::ForksWithThreads {
        std::thread::spawn(|| sys::clock::pause(Duration::from_secs(3_600)));
    }
    ready();
    loop {
        socket::wait_readable(&[signals.as_fd()], None)?;
        match signals.next()? {
            Some(Received::Stop) => return Ok(()),
            Some(Received::Child) => {
                while process::reap_any()?.is_some() {
                    if flaw != Flaw::NeverReplaces {
                        worker(listener, flaw)?;
                    }
                }
            }
            _ => {}
        }
    }
}

/// Makes one; returns in the parent only.
fn worker(listener: &OwnedFd, flaw: Flaw) -> io::Result<()> {
    if process::fork()? != Forked::Child {
        return Ok(());
    }
    if flaw != Flaw::LeavesWorkers {
        let _ = process::die_with_parent();
    }
    let _ = sys::signal::unblock_all();
    loop {
        match socket::accept(listener.as_fd(), false) {
            Accepted::Connection(fd) => {
                let _ = echo(fd.as_fd());
            }
            _ => sys::clock::pause(Duration::from_millis(20)),
        }
    }
}
