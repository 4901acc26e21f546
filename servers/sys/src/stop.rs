//! Stopping a server that blocks in accept or read, without a poll before each: a SIGTERM handler that makes the next call return.
//! Not here: event loops, which read a signalfd (see `signal`).
//!
//! The race: a signal that arrives between "are we stopping?" and accept(2) would be slept through. So the handler changes the
//! *descriptors*, which no call can miss: the listener becomes non-blocking (queued connections are still served, an empty queue
//! ends the loop), and the connection in hand, if it is idle, is shut for reading (what has arrived is still read, then comes an
//! end). After the grace the connection is shut both ways; after a further 0.2 s the process ends.
//!
//! One listener and one connection a process: what serial servers and the children of forking ones have. A server with many
//! connections (threads) passes `-1` and keeps its own list.

use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, IntoRawFd as _, OwnedFd};
use std::sync::atomic::{
    AtomicBool, AtomicI32, AtomicU64,
    Ordering::{Relaxed, SeqCst},
    compiler_fence,
};
use std::time::Duration;

static STOPPING: AtomicBool = AtomicBool::new(false);
static EXPIRED: AtomicBool = AtomicBool::new(false);
static LISTENER: AtomicI32 = AtomicI32::new(-1);
static CONNECTION: AtomicI32 = AtomicI32::new(-1);
static BELL: AtomicI32 = AtomicI32::new(-1);
static IDLE: AtomicBool = AtomicBool::new(false);
static GRACE_US: AtomicU64 = AtomicU64::new(0);

/// How long past the grace a process may take to unwind before it is ended.
const LAST_US: u64 = 200_000;

/// Installs the handlers for SIGTERM, SIGINT and the grace timer. `listener` must stay open for the life of the process.
///
/// # Errors
/// Those of sigaction(2).
pub fn install(listener: Option<BorrowedFd<'_>>, grace: Duration) -> io::Result<()> {
    LISTENER.store(listener.map_or(-1, |fd| fd.as_raw_fd()), SeqCst);
    GRACE_US.store(u64::try_from(grace.as_micros()).unwrap_or(u64::MAX).max(1), SeqCst);
    // No SA_RESTART: a blocked accept or read must return.
    for (signal, handler) in [
        (Signal::SIGTERM, SigHandler::Handler(on_stop)),
        (Signal::SIGINT, SigHandler::Handler(on_stop)),
        (Signal::SIGALRM, SigHandler::Handler(on_expiry)),
    ] {
        let action = SigAction::new(handler, SaFlags::empty(), SigSet::all());
        // SAFETY: the handlers touch atomics and make system calls only, none of which takes a lock of the process.
        unsafe { sigaction(signal, &action) }?;
    }
    Ok(())
}

/// True once SIGTERM or SIGINT has come.
#[must_use]
pub fn stopping() -> bool {
    STOPPING.load(SeqCst)
}

/// Has the order to stop ring `bell` (eventfd(2)): for a process that may also wait for something other than a descriptor of its
/// listener or connection. It is kept open for the life of the process.
pub fn ring_at_stop(bell: OwnedFd) {
    BELL.store(bell.into_raw_fd(), SeqCst);
}

/// Names the connection in hand, `None` when there is none.
pub fn set_connection(connection: Option<BorrowedFd<'_>>) {
    IDLE.store(false, Relaxed);
    compiler_fence(SeqCst);
    CONNECTION.store(connection.map_or(-1, |fd| fd.as_raw_fd()), Relaxed);
    compiler_fence(SeqCst);
}

/// Says whether the connection in hand is between requests; true is returned when it should be closed now instead.
#[must_use]
pub fn set_idle(idle: bool) -> bool {
    // The handler interrupts the thread that says this, or comes before or after it: an order for the compiler is enough, and costs a
    // request nothing.
    IDLE.store(idle, Relaxed);
    compiler_fence(SeqCst);
    idle && stopping()
}

extern "C" fn on_stop(_signal: libc::c_int) {
    let errno = nix::errno::Errno::last_raw();
    STOPPING.store(true, SeqCst);
    let listener = LISTENER.load(SeqCst);
    if listener >= 0 {
        // SAFETY: plain system call on a number; a wrong one is EBADF.
        unsafe { libc::fcntl(listener, libc::F_SETFL, libc::O_NONBLOCK) };
    }
    let connection = CONNECTION.load(SeqCst);
    if connection >= 0 && IDLE.load(SeqCst) {
        // SAFETY: as above; the number is that of the connection until `set_connection`, which the same thread calls before close.
        unsafe { libc::shutdown(connection, libc::SHUT_RD) };
    }
    let bell = BELL.load(SeqCst);
    if bell >= 0 {
        let one = 1_u64;
        // SAFETY: `one` has eight bytes and lives through the call; a full counter is EAGAIN, and rings already.
        unsafe { libc::write(bell, (&raw const one).cast(), size_of::<u64>()) };
    }
    arm(GRACE_US.load(SeqCst));
    nix::errno::Errno::set_raw(errno);
}

extern "C" fn on_expiry(_signal: libc::c_int) {
    if EXPIRED.swap(true, SeqCst) {
        crate::path::release_first();
        crate::process::exit_now(0);
    }
    let errno = nix::errno::Errno::last_raw();
    let connection = CONNECTION.load(SeqCst);
    if connection >= 0 {
        // SAFETY: plain system call on a number; a wrong one is EBADF.
        unsafe { libc::shutdown(connection, libc::SHUT_RDWR) };
    }
    arm(LAST_US);
    nix::errno::Errno::set_raw(errno);
}

fn arm(us: u64) {
    let value = libc::timeval {
        tv_sec: (us / 1_000_000) as libc::time_t,
        tv_usec: (us % 1_000_000) as libc::suseconds_t,
    };
    let timer = libc::itimerval { it_interval: libc::timeval { tv_sec: 0, tv_usec: 0 }, it_value: value };
    // SAFETY: `timer` lives through the call; the old value is not asked for. One system call, no lock.
    unsafe { libc::setitimer(libc::ITIMER_REAL, &raw const timer, std::ptr::null_mut()) };
}
