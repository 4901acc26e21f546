//! Waking threads that block in a system call. Not here: why they should wake, which they learn from something else.

use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use std::io;
use std::os::unix::thread::JoinHandleExt as _;
use std::thread::JoinHandle;

/// Makes [`wake`] possible: gives SIGUSR1 a handler that does nothing, without SA_RESTART, so that a blocked call returns EINTR.
///
/// # Errors
/// Those of sigaction(2).
pub fn install() -> io::Result<()> {
    let action = SigAction::new(SigHandler::Handler(on_wake), SaFlags::empty(), SigSet::empty());
    // SAFETY: the handler does nothing.
    unsafe { sigaction(Signal::SIGUSR1, &action) }?;
    Ok(())
}

extern "C" fn on_wake(_signal: libc::c_int) {}

/// Has the call return in which the thread blocks, if it does. One that has ended takes no notice.
pub fn wake(thread: &JoinHandle<()>) {
    // SAFETY: the handle is neither joined nor dropped, so the identifier is still the thread's, ended or not.
    unsafe { libc::pthread_kill(thread.as_pthread_t(), libc::SIGUSR1) };
}
