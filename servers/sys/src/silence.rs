//! Calls on a blocking socket that give up after a time. Not here: non-blocking sockets, whose owners have timers.

use socket2::SockRef;
use std::io;
use std::os::fd::BorrowedFd;
use std::time::Duration;

/// Has each call that waits on `socket`, for input or for room, fail with EAGAIN when nothing has moved for `time` (socket(7),
/// SO_RCVTIMEO and SO_SNDTIMEO). A signal that is handled ends the call with EINTR meanwhile, SA_RESTART or not.
///
/// # Errors
/// Those of setsockopt(2); InvalidInput for no time.
pub fn give_up_after(socket: BorrowedFd<'_>, time: Duration) -> io::Result<()> {
    let socket = SockRef::from(&socket);
    if time.is_zero() {
        // The kernel would take it as for ever.
        return Err(io::ErrorKind::InvalidInput.into());
    }
    socket.set_read_timeout(Some(time))?;
    socket.set_write_timeout(Some(time))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd as _;
    use std::os::unix::net::UnixStream;
    use std::time::Instant;

    #[test]
    fn a_call_gives_up_when_nothing_moves_either_way() {
        let (near, _far) = UnixStream::pair().unwrap();
        let time = Duration::from_millis(30);
        give_up_after(near.as_fd(), time).unwrap();
        let start = Instant::now();
        let read = crate::socket::recv(near.as_fd(), &mut [0; 1]).unwrap_err();
        assert!(read.kind() == io::ErrorKind::WouldBlock && start.elapsed() >= time);
        let sent = std::iter::repeat_with(|| crate::socket::send(near.as_fd(), &[0; 65_536]));
        assert_eq!(sent.take(100).find_map(Result::err).unwrap().kind(), io::ErrorKind::WouldBlock);
        assert_eq!(
            give_up_after(near.as_fd(), Duration::ZERO).unwrap_err().kind(),
            io::ErrorKind::InvalidInput
        );
    }
}
