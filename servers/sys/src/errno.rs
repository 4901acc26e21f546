//! Names of error numbers, as errno(3) has them. Not here: what they mean for a caller.

use nix::errno::Errno;
use std::io;

/// An operation was ended by whoever started it.
pub const ECANCELED: i32 = libc::ECANCELED;

/// The device cannot do what was asked.
pub const EIO: i32 = libc::EIO;

/// The name of an error of the system, such as `ECONNRESET`; `errno-N` for a number without one.
#[must_use]
pub fn name(number: i32) -> String {
    match Errno::from_raw(number) {
        Errno::UnknownErrno => format!("errno-{number}"),
        known => format!("{known:?}"),
    }
}

/// True where an error says that the caller's own machine ran out of something: descriptors, source ports, memory.
///
/// Such an error says nothing about the peer.
#[must_use]
pub fn is_local_shortage(number: i32) -> bool {
    matches!(
        Errno::from_raw(number),
        Errno::EMFILE | Errno::ENFILE | Errno::EADDRNOTAVAIL | Errno::ENOBUFS | Errno::ENOMEM
    )
}

/// True for ends of a multishot receive after which it may be started again: no buffer was left (ENOBUFS, which is normal:
/// io_uring_prep_recv_multishot(3)), it was cancelled, interrupted, or there was nothing.
#[must_use]
pub fn is_over_for_now(number: i32) -> bool {
    matches!(Errno::from_raw(number), Errno::ENOBUFS | Errno::ECANCELED | Errno::EINTR | Errno::EAGAIN)
}

/// True for ends of a receive of datagrams that say nothing about the next: those of [`is_over_for_now`], and what became of an earlier
/// answer (ECONNREFUSED, EHOSTUNREACH, ENETUNREACH).
#[must_use]
pub fn is_of_no_consequence(number: i32) -> bool {
    is_over_for_now(number)
        || matches!(Errno::from_raw(number), Errno::ECONNREFUSED | Errno::EHOSTUNREACH | Errno::ENETUNREACH)
}

/// True for errors of a datagram socket that say that nobody receives there: an ICMP message (UDP), or a socket that is closed (Unix).
#[must_use]
pub fn is_refusal(number: i32) -> bool {
    matches!(
        Errno::from_raw(number),
        Errno::ECONNREFUSED
            | Errno::ECONNRESET
            | Errno::EHOSTUNREACH
            | Errno::ENETUNREACH
            | Errno::ENOTCONN
            | Errno::ENOENT
    )
}

/// True for errors after which the same call may simply be tried again: EAGAIN and EINTR.
#[must_use]
pub fn is_retry(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

/// True where the kernel has no such kind of address, as one without IPv6 (EAFNOSUPPORT).
#[must_use]
pub fn is_no_family(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::EAFNOSUPPORT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_errno() {
        assert_eq!(name(libc::ECONNREFUSED), "ECONNREFUSED");
        assert_eq!(name(100_000), "errno-100000");
        assert!(is_local_shortage(libc::EMFILE) && !is_local_shortage(libc::ECONNRESET));
    }
}
