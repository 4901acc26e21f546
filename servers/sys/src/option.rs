//! What a probe sets on its own socket or reads from another's: TCP options that no server here needs. Not here: what follows from them.

use rustix::net::SendFlags;
use socket2::SockRef;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::Duration;

/// Has the kernel put off acknowledgements until there is something to send with them, or 40 ms have passed (tcp(7), TCP_QUICKACK 0).
/// It forgets this by itself: set it before each request.
///
/// # Errors
/// Those of setsockopt(2).
pub fn delay_acknowledgements(fd: BorrowedFd<'_>) -> io::Result<()> {
    let off: libc::c_int = 0;
    let length = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: `off` has `length` bytes and lives through the call.
    let result = unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_QUICKACK,
            (&raw const off).cast(),
            length,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Sends one byte as urgent data (tcp(7), MSG_OOB): the receiver does not find it in its stream unless it asked for that.
///
/// # Errors
/// Those of send(2).
pub fn send_urgent(fd: BorrowedFd<'_>, byte: u8) -> io::Result<()> {
    rustix::net::send(fd, &[byte], SendFlags::OOB | SendFlags::NOSIGNAL)?;
    Ok(())
}

/// How a socket finds out that its peer has vanished.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watch {
    /// SO_KEEPALIVE with the time until the first probe (TCP_KEEPIDLE), where it is on.
    pub keepalive: Option<Duration>,
    /// TCP_USER_TIMEOUT, where it is set.
    pub user_timeout: Option<Duration>,
}

/// Reads that from any TCP socket.
///
/// # Errors
/// Those of getsockopt(2).
pub fn watch(fd: BorrowedFd<'_>) -> io::Result<Watch> {
    let socket = SockRef::from(&fd);
    let keepalive = if socket.keepalive()? { Some(socket.tcp_keepalive_time()?) } else { None };
    let user_timeout = socket.tcp_user_timeout()?.filter(|time| !time.is_zero());
    Ok(Watch { keepalive, user_timeout })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    #[test]
    fn says_what_was_set() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        assert_eq!(watch(client.as_fd()).unwrap(), Watch { keepalive: None, user_timeout: None });
        let idle = Duration::from_secs(77);
        SockRef::from(&client).set_tcp_keepalive(&socket2::TcpKeepalive::new().with_time(idle)).unwrap();
        SockRef::from(&client).set_tcp_user_timeout(Some(Duration::from_secs(9))).unwrap();
        let both = Watch { keepalive: Some(idle), user_timeout: Some(Duration::from_secs(9)) };
        assert_eq!(watch(client.as_fd()).unwrap(), both);
    }

    #[test]
    fn an_urgent_byte_is_not_in_the_stream() {
        use std::io::{Read, Write};
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut server, _) = listener.accept().unwrap();
        delay_acknowledgements(client.as_fd()).unwrap();
        client.write_all(b"a").unwrap();
        send_urgent(client.as_fd(), b'X').unwrap();
        client.write_all(b"b").unwrap();
        drop(client);
        let mut all = Vec::new();
        server.read_to_end(&mut all).unwrap();
        assert_eq!(all, b"ab");
    }
}
