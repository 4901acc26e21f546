//! Starting other programs so that they begin clean and cannot outlive us. Not here: reading their output or judging them.

use std::ffi::OsStr;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
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
    /// io_uring_setup(2) fails with EPERM, as under the seccomp filter of most containers.
    pub forbid_uring: bool,
}

/// Prepares `command`: default signal dispositions and an empty mask (an ignored SIGPIPE would be inherited and hide the fault that
/// the conformance suite looks for), no descriptors but its three streams, its own process group, SIGKILL when the thread that spawns it ends, and what `begin` says.
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

/// Makes `connection` the calling process's standard input and output, for a program that exec(2) is to put in its place.
///
/// # Errors
/// Those of dup2(2).
pub fn onto_stdio(connection: std::os::fd::BorrowedFd<'_>) -> io::Result<()> {
    rustix::stdio::dup2_stdin(connection)?;
    Ok(rustix::stdio::dup2_stdout(connection)?)
}

fn child_setup(begin: &Begin, parent: i32) -> io::Result<()> {
    crate::process::die_with(parent)?;
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
    // What the parent's parent left open is no business of the child, and would make its descriptor numbers a matter of chance.
    // SAFETY: plain system call; a kernel before 5.11 knows no such flag and changes nothing.
    unsafe { libc::syscall(libc::SYS_close_range, 3, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) };
    if let Some(below) = begin.occupy_below {
        occupy(below);
    }
    if begin.forbid_uring {
        forbid_uring()?;
    }
    if begin.close_stdio {
        for fd in 0..3 {
            // SAFETY: plain system call on a number; nothing in this process uses the streams between here and exec.
            unsafe { libc::close(fd) };
        }
    }
    Ok(())
}

/// Installs a filter that refuses one system call (seccomp(2)).
///
/// The number is that of every architecture but x32 and alpha, so the filter does not ask which it is: it is for tests.
fn forbid_uring() -> io::Result<()> {
    let rule = |code: u32, yes: u8, no: u8, value: u32| libc::sock_filter {
        code: code as u16,
        jt: yes,
        jf: no,
        k: value,
    };
    let mut rules = [
        // The first word of struct seccomp_data: the number of the call.
        rule(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0),
        rule(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, 1, libc::SYS_io_uring_setup as u32),
        rule(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ERRNO | libc::EPERM as u32),
        rule(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog { len: rules.len() as u16, filter: rules.as_mut_ptr() };
    rustix::thread::set_no_new_privs(true)?;
    // SAFETY: the program and its rules live through the call, which copies them.
    let result = unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Fills the gaps below `below` with duplicates of stderr that survive exec, those that exec would open (close-on-exec) included.
///
/// One of these must stay: the pipe by which std's `Command` learns that exec failed. It can only be written to, and is not one of
/// the child's own streams, whose originals are replaced like the rest.
fn occupy(below: i32) {
    let (out, err) = (inode(1), inode(2));
    for fd in 3..below {
        // SAFETY: plain system call on a number.
        let flags = unsafe { libc::fcntl(fd, libc::F_GETFD) };
        if flags >= 0 {
            // SAFETY: plain system call on a number.
            let mode = unsafe { libc::fcntl(fd, libc::F_GETFL) };
            let own_stream = [out, err].contains(&inode(fd));
            if flags & libc::FD_CLOEXEC == 0 || (mode & libc::O_ACCMODE == libc::O_WRONLY && !own_stream) {
                continue;
            }
        }
        // SAFETY: 2 is open or the call fails; `fd` is free, or would be after exec and is used by nobody until then.
        unsafe { libc::dup2(2, fd) };
    }
}

/// Device and inode behind a descriptor: the same for two descriptors of one pipe.
fn inode(fd: i32) -> Option<(u64, u64)> {
    let mut stat = std::mem::MaybeUninit::<libc::stat>::uninit();
    // SAFETY: `stat` has room for the result and lives through the call.
    if unsafe { libc::fstat(fd, stat.as_mut_ptr()) } != 0 {
        return None;
    }
    // SAFETY: fstat succeeded, so it has filled the whole of it.
    let stat = unsafe { stat.assume_init() };
    Some((stat.st_dev, stat.st_ino))
}

/// Whether execvp(3) would find the program: by its path, or along PATH.
#[must_use]
pub fn can_be_found(program: &OsStr) -> bool {
    if Path::new(program).components().count() > 1 {
        return Path::new(program).is_file();
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}
