//! Signals: dispositions, masks, signalfd(2). Not here: the stop protocol of blocking servers (see `stop`).

use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, SigmaskHow, Signal, sigaction, sigprocmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd};

/// A descriptor from which blocked signals are read.
#[derive(Debug)]
pub struct Signals(SignalFd);

/// A signal that a server or tool waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// SIGTERM or SIGINT: stop.
    Stop,
    /// SIGCHLD: a child changed state; several of them may be one signal.
    Child,
    /// SIGHUP: the terminal is gone. The kernel and the shell may both say so.
    HangUp,
    /// Any other.
    Other(u32),
}

impl Signals {
    /// Blocks SIGTERM and SIGINT (and SIGCHLD where `children` is set) in the calling thread, and reads them from a descriptor.
    ///
    /// Call it before any other thread exists: the mask is inherited.
    ///
    /// # Errors
    /// EMFILE, ENFILE, ENOMEM.
    pub fn new(children: bool) -> io::Result<Self> {
        Self::of(children.then_some(Signal::SIGCHLD))
    }

    /// As [`new`](Self::new) without children, and reads SIGHUP too, unless it was ignored at the start, as under nohup(1): a blocked
    /// signal is kept although it is ignored, so that it would be met here.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with_hang_up() -> io::Result<Self> {
        Self::of((!is_ignored(Signal::SIGHUP)?).then_some(Signal::SIGHUP))
    }

    fn of(more: Option<Signal>) -> io::Result<Self> {
        let mut set = SigSet::empty();
        for signal in [Signal::SIGTERM, Signal::SIGINT].into_iter().chain(more) {
            set.add(signal);
        }
        sigprocmask(SigmaskHow::SIG_BLOCK, Some(&set), None)?;
        Ok(Self(SignalFd::with_flags(&set, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?))
    }

    /// The next signal that has come, `None` when there is none.
    ///
    /// # Errors
    /// Those of read(2).
    pub fn next(&self) -> io::Result<Option<Received>> {
        Ok(self.0.read_signal()?.map(|info| match Signal::try_from(info.ssi_signo as i32) {
            Ok(Signal::SIGTERM | Signal::SIGINT) => Received::Stop,
            Ok(Signal::SIGCHLD) => Received::Child,
            Ok(Signal::SIGHUP) => Received::HangUp,
            _ => Received::Other(info.ssi_signo),
        }))
    }
}

/// True where the action of `signal` is to ignore it.
fn is_ignored(signal: Signal) -> io::Result<bool> {
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: without a new action nothing is changed, and the old one has room at the pointer.
    nix::errno::Errno::result(unsafe {
        libc::sigaction(signal as i32, std::ptr::null(), action.as_mut_ptr())
    })?;
    // SAFETY: the call has filled it, and all its bytes were zero before.
    let action = unsafe { action.assume_init() };
    Ok(action.sa_sigaction == libc::SIG_IGN)
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Blocks SIGTERM and SIGINT in the calling thread, so that another thread gets them.
///
/// # Errors
/// Those of sigprocmask(2).
pub fn block_stop() -> io::Result<()> {
    let mut set = SigSet::empty();
    set.add(Signal::SIGTERM);
    set.add(Signal::SIGINT);
    set.add(Signal::SIGALRM);
    Ok(sigprocmask(SigmaskHow::SIG_BLOCK, Some(&set), None)?)
}

/// Unblocks every signal in the calling thread: for a child that leaves its parent's event loop.
///
/// # Errors
/// Those of sigprocmask(2).
pub fn unblock_all() -> io::Result<()> {
    Ok(sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None)?)
}

/// What happens on SIGPIPE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnSigpipe {
    /// The default: the process is killed.
    Die,
    /// The write returns EPIPE.
    Ignore,
}

/// Sets the action of SIGPIPE. Every server here ignores it; [`OnSigpipe::Die`] is for servers that are broken on purpose.
///
/// # Errors
/// Those of sigaction(2).
pub fn sigpipe(action: OnSigpipe) -> io::Result<()> {
    let handler = match action {
        OnSigpipe::Die => SigHandler::SigDfl,
        OnSigpipe::Ignore => SigHandler::SigIgn,
    };
    let action = SigAction::new(handler, SaFlags::empty(), SigSet::empty());
    // SAFETY: no handler function is installed, only one of the two fixed actions.
    unsafe { sigaction(Signal::SIGPIPE, &action) }?;
    Ok(())
}

impl std::os::fd::AsRawFd for Signals {
    fn as_raw_fd(&self) -> std::os::fd::RawFd {
        self.0.as_fd().as_raw_fd()
    }
}
