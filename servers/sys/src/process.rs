//! Processes: fork, wait, kill, limits, what the process has used. Not here: starting other programs (see `spawn`).

use rustix::process::{Pid, Resource, Rlimit, Signal, WaitOptions};
use std::io;

/// Ask a process to end.
pub const SIGTERM: i32 = libc::SIGTERM;
/// End a process.
pub const SIGKILL: i32 = libc::SIGKILL;
/// Halt a process until [`SIGCONT`].
pub const SIGSTOP: i32 = libc::SIGSTOP;
/// Let a halted process go on.
pub const SIGCONT: i32 = libc::SIGCONT;

/// What fork(2) returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forked {
    /// In the parent: the child's process id.
    Parent(i32),
    /// In the child.
    Child,
}

/// Makes a child process. The caller has one thread (DESIGN, invariant 2), and the child ends by [`exit_now`].
///
/// # Errors
/// EAGAIN at a limit of processes, ENOMEM. [`io::ErrorKind::Unsupported`] when the process has more than one thread, since the
/// child could then find a lock held for ever.
pub fn fork() -> io::Result<Forked> {
    // Where no descriptor is left, /proc cannot be read.
    debug_assert!(threads().is_none_or(|n| n == 1), "fork with threads");
    // SAFETY: the process has one thread, so the child finds no lock held by a thread that does not exist in it.
    match unsafe { nix::unistd::fork() } {
        Ok(nix::unistd::ForkResult::Parent { child }) => Ok(Forked::Parent(child.as_raw())),
        Ok(nix::unistd::ForkResult::Child) => Ok(Forked::Child),
        Err(error) => Err(error.into()),
    }
}

/// Number of threads of the calling process, where /proc is readable.
#[must_use]
pub fn threads() -> Option<usize> {
    std::fs::read_dir("/proc/self/task").ok().map(Iterator::count)
}

/// Ends the process at once: no destructors, no flush of buffers that the parent holds too (_exit(2)).
pub fn exit_now(status: i32) -> ! {
    // SAFETY: _exit has no preconditions.
    unsafe { libc::_exit(status) }
}

/// Closes, in a child that ends by [`exit_now`], a descriptor that an object of the parent's owns: its destructor never runs here.
pub fn close_inherited(fd: std::os::fd::BorrowedFd<'_>) {
    // SAFETY: plain system call on a number; the owner does not use or close it again, since this process ends by `_exit`.
    unsafe { libc::close(std::os::fd::AsRawFd::as_raw_fd(&fd)) };
}

/// Has the kernel send `SIGKILL` to this process when the thread that made it ends (prctl(2), PR_SET_PDEATHSIG).
///
/// # Errors
/// Those of prctl(2).
pub fn die_with_parent() -> io::Result<()> {
    Ok(rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?)
}

/// As [`die_with_parent`], for a child that has just been made by `parent`, which may be gone already.
///
/// # Errors
/// ESRCH when it is; those of prctl(2).
pub fn die_with(parent_pid: i32) -> io::Result<()> {
    die_with_parent()?;
    // Only now: a parent that dies after the look is one whose death the kernel tells.
    if parent() == parent_pid { Ok(()) } else { Err(io::Error::from_raw_os_error(libc::ESRCH)) }
}

/// The calling process's id.
#[must_use]
pub fn own_id() -> i32 {
    rustix::process::getpid().as_raw_nonzero().get()
}

/// Has orphans among this process's descendants become its children (prctl(2), PR_SET_CHILD_SUBREAPER).
///
/// # Errors
/// Those of prctl(2).
pub fn adopt_orphans() -> io::Result<()> {
    Ok(rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?)
}

/// The parent's process id; 0 when it is in another pid namespace.
#[must_use]
pub fn parent() -> i32 {
    Pid::as_raw(rustix::process::getppid())
}

/// How a child ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// By exit(2), with this status.
    Exited(i32),
    /// Killed by this signal.
    Killed(i32),
}

/// Takes the status of any child that has ended; `None` when none has, or there are none. Never blocks.
///
/// # Errors
/// Those of waitpid(2) except ECHILD.
pub fn reap_any() -> io::Result<Option<(i32, Ended)>> {
    match rustix::process::wait(WaitOptions::NOHANG) {
        Ok(Some((pid, status))) => Ok(Some((pid.as_raw_nonzero().get(), ended(status)))),
        Ok(None) | Err(rustix::io::Errno::CHILD | rustix::io::Errno::INTR) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn ended(status: rustix::process::WaitStatus) -> Ended {
    match status.terminating_signal() {
        Some(signal) => Ended::Killed(signal),
        None => Ended::Exited(status.exit_status().unwrap_or(0)),
    }
}

/// Sends signal number `signal` to process `pid`. The caller knows by a handle of its own that the number is still the process.
///
/// # Errors
/// ESRCH, EPERM, EINVAL for a signal number that does not exist.
pub fn kill(pid: i32, signal: i32) -> io::Result<()> {
    let pid = Pid::from_raw(pid).ok_or_else(|| io::Error::from_raw_os_error(libc::ESRCH))?;
    let signal = Signal::from_named_raw(signal).ok_or_else(|| io::Error::from_raw_os_error(libc::EINVAL))?;
    Ok(rustix::process::kill_process(pid, signal)?)
}

/// A handle on a process that stays its own when the number is used again (pidfd_open(2)); readable when the process has ended.
///
/// # Errors
/// ESRCH when there is no such process.
pub fn open(pid: i32) -> io::Result<std::os::fd::OwnedFd> {
    let pid = Pid::from_raw(pid).ok_or_else(|| io::Error::from_raw_os_error(libc::ESRCH))?;
    Ok(rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty())?)
}

/// True when the process of that number has ended, reaped or not, as far as that can be found out.
#[must_use]
pub fn has_ended(pid: i32) -> bool {
    match open(pid) {
        Ok(handle) => {
            let fd = std::os::fd::AsFd::as_fd(&handle);
            crate::socket::wait_readable(&[fd], Some(std::time::Duration::ZERO)).is_ok_and(|ended| ended[0])
        }
        Err(error) => error.raw_os_error() == Some(libc::ESRCH),
    }
}

/// Sends a signal by handle (pidfd_send_signal(2)).
///
/// # Errors
/// ESRCH when the process has ended, EINVAL for a signal number that does not exist.
pub fn kill_handle(handle: std::os::fd::BorrowedFd<'_>, signal: i32) -> io::Result<()> {
    let signal = Signal::from_named_raw(signal).ok_or_else(|| io::Error::from_raw_os_error(libc::EINVAL))?;
    Ok(rustix::process::pidfd_send_signal(handle, signal)?)
}

/// Duplicates descriptor `fd` of the process behind `handle` (pidfd_getfd(2)): a look at another's socket.
///
/// # Errors
/// EPERM without the right to trace the process, EBADF, ESRCH.
pub fn copy_descriptor(handle: std::os::fd::BorrowedFd<'_>, fd: i32) -> io::Result<std::os::fd::OwnedFd> {
    Ok(rustix::process::pidfd_getfd(handle, fd, rustix::process::PidfdGetfdFlags::empty())?)
}

/// The name of a signal as in signal(7), for messages; `SIG` and the number for those without one.
#[must_use]
pub fn signal_name(signal: i32) -> String {
    nix::sys::signal::Signal::try_from(signal)
        .map_or_else(|_| format!("SIG{signal}"), |s| s.as_str().to_owned())
}

/// The descriptor limit of the calling process: (soft, hard); `u64::MAX` for none.
#[must_use]
pub fn descriptor_limit() -> (u64, u64) {
    let limit = rustix::process::getrlimit(Resource::Nofile);
    (limit.current.unwrap_or(u64::MAX), limit.maximum.unwrap_or(u64::MAX))
}

/// Raises the calling process's soft descriptor limit to the hard one; returns what holds then.
///
/// # Errors
/// Those of setrlimit(2).
pub fn raise_descriptor_limit() -> io::Result<u64> {
    let limit = rustix::process::getrlimit(Resource::Nofile);
    rustix::process::setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })?;
    Ok(limit.maximum.unwrap_or(u64::MAX))
}

/// Makes the calling process's table of descriptors large enough for `count` of them.
///
/// The kernel doubles the table when it is full, and where threads share it waits each time until every processor has passed a quiet
/// state (`expand_fdtable` in fs/file.c): 14 ms for one socket(2) of a thousand were seen. While the process has one thread, or in one
/// step, that costs next to nothing.
///
/// # Errors
/// EINVAL for more than the soft limit, EMFILE, ENOMEM; nothing is lost then but time.
pub fn make_room_for_descriptors(count: u32) -> io::Result<()> {
    let Some(highest) = count.checked_sub(1).and_then(|n| i32::try_from(n).ok()) else { return Ok(()) };
    rustix::io::fcntl_dupfd_cloexec(io::stderr(), highest).map(drop)?;
    Ok(())
}

/// Sets the soft descriptor limit of a running process (prlimit(2)); returns the old soft limit.
///
/// # Errors
/// EPERM, ESRCH; EINVAL above its hard limit.
pub fn limit_descriptors(pid: i32, soft: u64) -> io::Result<u64> {
    limit(pid, (Resource::Nofile, "Max open files"), soft)
}

/// Sets the soft limit on the processes and threads of its user for a running process (RLIMIT_NPROC); returns the old one. It does
/// not bind the superuser.
///
/// # Errors
/// EPERM, ESRCH.
pub fn limit_processes(pid: i32, soft: u64) -> io::Result<u64> {
    limit(pid, (Resource::Nproc, "Max processes"), soft)
}

/// As [`limit_descriptors`], for the signals that may be queued (RLIMIT_SIGPENDING), which all processes of a user have together.
///
/// # Errors
/// As [`limit_descriptors`].
pub fn limit_queued_signals(pid: i32, soft: u64) -> io::Result<u64> {
    limit(pid, (Resource::Sigpending, "Max pending signals"), soft)
}

fn limit(pid: i32, (resource, name): (Resource, &str), soft: u64) -> io::Result<u64> {
    let target = Pid::from_raw(pid).ok_or_else(|| io::Error::from_raw_os_error(libc::ESRCH))?;
    let new = Rlimit { current: Some(soft), maximum: hard_limit(pid, name)? };
    Ok(rustix::process::prlimit(Some(target), resource, new)?.current.unwrap_or(u64::MAX))
}

fn hard_limit(pid: i32, name: &str) -> io::Result<Option<u64>> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/limits"))?;
    let numbers = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    Ok(numbers.split_whitespace().nth(1).and_then(|hard| hard.parse().ok()))
}

/// What a thread waits in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parked {
    /// accept(2) or accept4(2).
    Accept,
    /// select(2), poll(2), epoll_wait(2) or one of their kin.
    Readiness,
    /// Another call, or none.
    Elsewhere,
}

/// What thread `thread` of process `pid` waits in (/proc/PID/task/TID/syscall); `None` where that cannot be read.
#[must_use]
pub fn parked(pid: i32, thread: i32) -> Option<Parked> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/task/{thread}/syscall")).ok()?;
    let Ok(number) = text.split_ascii_whitespace().next()?.parse::<libc::c_long>() else {
        return Some(Parked::Elsewhere);
    };
    #[cfg(target_arch = "x86_64")]
    let old = [libc::SYS_poll, libc::SYS_select, libc::SYS_epoll_wait];
    // The younger architectures have only the calls with a signal mask.
    #[cfg(not(target_arch = "x86_64"))]
    let old: [libc::c_long; 0] = [];
    let masked = [libc::SYS_ppoll, libc::SYS_pselect6, libc::SYS_epoll_pwait, libc::SYS_epoll_pwait2];
    Some(match number {
        libc::SYS_accept | libc::SYS_accept4 => Parked::Accept,
        other if old.contains(&other) || masked.contains(&other) => Parked::Readiness,
        _ => Parked::Elsewhere,
    })
}

/// What the calling process has used so far (getrusage(2), RUSAGE_SELF).
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    /// User and system time in nanoseconds (the kernel's grain is a microsecond).
    pub cpu_ns: u64,
    /// Largest resident set in bytes.
    pub peak_rss_bytes: u64,
    /// Times the process waited of its own will.
    pub voluntary_switches: u64,
    /// Times the processor was taken away.
    pub involuntary_switches: u64,
}

/// Reads [`Usage`].
#[must_use]
pub fn usage() -> Usage {
    read_usage(nix::sys::resource::UsageWho::RUSAGE_SELF)
}

/// What all children that were waited for have used, with those that they waited for (getrusage(2), RUSAGE_CHILDREN).
#[must_use]
pub fn children_usage() -> Usage {
    read_usage(nix::sys::resource::UsageWho::RUSAGE_CHILDREN)
}

fn read_usage(who: nix::sys::resource::UsageWho) -> Usage {
    let Ok(u) = nix::sys::resource::getrusage(who) else {
        return Usage::default();
    };
    let ns = |t: nix::sys::time::TimeVal| t.tv_sec() as u64 * 1_000_000_000 + t.tv_usec() as u64 * 1_000;
    Usage {
        cpu_ns: ns(u.user_time()) + ns(u.system_time()),
        peak_rss_bytes: u.max_rss() as u64 * 1024,
        voluntary_switches: u.voluntary_context_switches() as u64,
        involuntary_switches: u.involuntary_context_switches() as u64,
    }
}
