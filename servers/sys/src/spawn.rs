//! Starting other programs so that they begin clean and cannot outlive us. Not here: reading their output or judging them.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// How a child begins.
#[derive(Clone, Debug, Default)]
pub struct Begin {
    /// Processors it may use; empty for those of the parent.
    pub cpus: Vec<usize>,
    /// Soft descriptor limit, when it is not to be the parent's.
    pub descriptors: Option<u64>,
    /// Descriptors 3 to this number minus one are occupied, so that the child's own start there (conformance case 2.9).
    pub occupy_below: Option<i32>,
    /// Descriptors 0, 1 and 2 are closed (conformance case 1.5).
    pub close_stdio: bool,
    /// Leave the child in the parent's process group, so that Ctrl-C on the terminal reaches it too.
    pub same_group: bool,
}

/// Prepares `command`: default signal dispositions and an empty mask (an ignored SIGPIPE would be inherited and hide the fault that
/// the conformance suite looks for), its own process group, SIGKILL when the thread that spawns it ends, and what `begin` says.
///
/// Spawn from a thread that lives as long as the child shall: the kernel ties PR_SET_PDEATHSIG to the thread.
pub fn prepare(command: &mut Command, begin: &Begin) {
    let begin = begin.clone();
    let parent = std::process::id() as i32;
    if !begin.same_group {
        command.process_group(0);
    }
    let setup = move || child_setup(&begin, parent);
    // SAFETY: the closure runs between fork and exec and calls system calls only; it allocates nothing and takes no lock.
    unsafe { command.pre_exec(setup) };
}

fn child_setup(begin: &Begin, parent: i32) -> io::Result<()> {
    crate::process::die_with_parent()?;
    if crate::process::parent() != parent {
        // The parent died between fork and prctl.
        return Err(io::Error::from_raw_os_error(libc::ESRCH));
    }
    for signal in 1..=libc::SIGRTMAX() {
        // SAFETY: SIG_DFL is a valid action for any number; KILL, STOP and gaps give EINVAL, which is fine.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
    crate::signal::unblock_all()?;
    if !begin.cpus.is_empty() {
        crate::affinity::pin_self(&begin.cpus)?;
    }
    if let Some(soft) = begin.descriptors {
        let hard = rustix::process::getrlimit(rustix::process::Resource::Nofile).maximum;
        let limit = rustix::process::Rlimit { current: Some(soft), maximum: hard };
        rustix::process::setrlimit(rustix::process::Resource::Nofile, limit)?;
    }
    if let Some(below) = begin.occupy_below {
        occupy(below);
    }
    if begin.close_stdio {
        for fd in 0..3 {
            // SAFETY: plain system call on a number; nothing in this process uses the streams between here and exec.
            unsafe { libc::close(fd) };
        }
    }
    Ok(())
}

/// Fills the gaps below `below` with duplicates of stderr that survive exec, those included that exec would open by closing what
/// it must not inherit. The one exception is a pipe's writing end: by one of those the parent learns of a failed exec.
fn occupy(below: i32) {
    for fd in 3..below {
        // SAFETY: plain system call on a number.
        let flags = unsafe { libc::fcntl(fd, libc::F_GETFD) };
        let free = flags < 0;
        let closed_by_exec = !free && flags & libc::FD_CLOEXEC != 0;
        if free || (closed_by_exec && !is_pipe_writer(fd)) {
            // SAFETY: 2 is open or the call fails; what it replaces would be gone after exec, and nothing uses it before.
            unsafe { libc::dup2(2, fd) };
        }
    }
}

fn is_pipe_writer(fd: i32) -> bool {
    // SAFETY: plain system call on a number.
    let mode = unsafe { libc::fcntl(fd, libc::F_GETFL) };
    // SAFETY: plain system call on a number; it fails on what is not a pipe.
    let pipe = unsafe { libc::fcntl(fd, libc::F_GETPIPE_SZ) } >= 0;
    pipe && mode & libc::O_ACCMODE == libc::O_WRONLY
}
