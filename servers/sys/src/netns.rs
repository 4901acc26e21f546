//! A network namespace for this process and all that it starts from then on. Not here: whether one is wanted.
//!
//! Where the process may not make one by itself, it makes a user namespace with it, in which its user and group stay what they are.
//! That cannot be taken back, so it is first tried in a child.

use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, FromRawFd as _, OwnedFd};

/// Moves the calling thread, and what it starts, into a network namespace of its own, with the loopback interface up. Other threads stay
/// where they are, and the first time there should be none: a process with several cannot get a user namespace (EINVAL). In one that it
/// has got, or as root, it may move on to another by itself.
///
/// # Errors
/// Not permitted, or unknown to the kernel: the process is then where it was.
pub fn enter() -> io::Result<()> {
    match unshare(libc::CLONE_NEWNET) {
        Ok(()) => return loopback_up(),
        Err(error) if error.raw_os_error() != Some(libc::EPERM) => return Err(error),
        Err(_) => {}
    }
    let refused = || io::Error::from_raw_os_error(libc::EPERM);
    if rustix::process::geteuid().is_root() {
        // Servers that change their user could not do so among users that do not exist.
        return Err(refused());
    }
    match crate::process::fork()? {
        crate::process::Forked::Child => crate::process::exit_now(i32::from(as_user().is_err())),
        crate::process::Forked::Parent(child) => {
            let pid = rustix::process::Pid::from_raw(child);
            let ended = rustix::process::waitpid(pid, rustix::process::WaitOptions::empty())?;
            if ended.and_then(|(_, status)| status.exit_status()) == Some(0) {
                as_user()
            } else {
                Err(refused())
            }
        }
    }
}

/// Moves the calling thread into the network namespace of the process's first thread.
///
/// # Errors
/// Those of open(2) and setns(2): EPERM without privileges in the user namespace that it belongs to.
pub fn follow() -> io::Result<()> {
    let first = std::fs::File::open("/proc/self/ns/net")?;
    let network = rustix::thread::LinkNameSpaceType::Network;
    Ok(rustix::thread::move_into_link_name_space(first.as_fd(), Some(network))?)
}

/// As somebody without privileges.
fn as_user() -> io::Result<()> {
    let (user, group) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    unshare(libc::CLONE_NEWUSER | libc::CLONE_NEWNET)?;
    // Groups of others could otherwise be dropped, and so what is denied to them be had (user_namespaces(7)).
    std::fs::write("/proc/self/setgroups", "deny")?;
    std::fs::write("/proc/self/uid_map", format!("{user} {user} 1"))?;
    std::fs::write("/proc/self/gid_map", format!("{group} {group} 1"))?;
    loopback_up()
}

fn unshare(what: libc::c_int) -> io::Result<()> {
    // SAFETY: plain system call on a number.
    if unsafe { libc::unshare(what) } == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// A new namespace has a loopback interface that is down (network_namespaces(7)).
fn loopback_up() -> io::Result<()> {
    // SAFETY: plain system call.
    let fd = unsafe { libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call has just made it, and nobody else has it.
    let socket = unsafe { OwnedFd::from_raw_fd(fd) };
    let mut request = libc::ifreq {
        ifr_name: [0; libc::IFNAMSIZ],
        ifr_ifru: libc::__c_anonymous_ifr_ifru {
            ifru_flags: (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short,
        },
    };
    for (to, from) in request.ifr_name.iter_mut().zip(b"lo") {
        *to = *from as libc::c_char;
    }
    // SAFETY: `request` is a whole ifreq with a name that ends in NUL, and lives through the call.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
