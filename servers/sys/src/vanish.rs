//! A client that is gone without a packet: a socket made deaf, and closed unheard. Not here: which client does so (see `loadgen`).

use socket2::{SockFilter, SockRef};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

/// Has the kernel drop every segment that comes for this TCP socket before it is looked at: nothing is acknowledged or answered any
/// more (socket(7), SO_ATTACH_FILTER, with a filter that keeps no byte). It needs no privilege.
///
/// Bytes that are sent and not acknowledged would be sent again by our own side: wait for [`crate::socket::unsent`] to be 0 before.
///
/// # Errors
/// Those of setsockopt(2): ENOMEM where the option memory is used up.
pub fn deafen(fd: BorrowedFd<'_>) -> io::Result<()> {
    let keep_nothing = SockFilter::new((libc::BPF_RET | libc::BPF_K) as u16, 0, 0, 0);
    SockRef::from(&fd).attach_filter(&[keep_nothing])
}

/// Closes a TCP socket; true where no packet leaves for it (TCP_REPAIR, which needs CAP_NET_ADMIN), false where it is an RST.
pub fn close_unheard(fd: OwnedFd) -> bool {
    let on: libc::c_int = 1;
    let length = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: `on` has `length` bytes and lives through the call.
    let result = unsafe {
        libc::setsockopt(fd.as_raw_fd(), libc::IPPROTO_TCP, libc::TCP_REPAIR, (&raw const on).cast(), length)
    };
    if result != 0 {
        // Fails for no socket that is open.
        let _ = SockRef::from(&fd).set_linger(Some(std::time::Duration::ZERO));
    }
    result == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsFd;
    use std::time::Duration;

    fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (client, listener.accept().unwrap().0)
    }

    #[test]
    fn a_deaf_socket_acknowledges_nothing() {
        let (client, mut server) = pair();
        server.write_all(b"heard").unwrap();
        crate::socket::wait_readable(&[client.as_fd()], Some(Duration::from_secs(5))).unwrap();
        assert_eq!(crate::socket::unsent(server.as_fd()).unwrap(), 0);
        deafen(client.as_fd()).unwrap();
        server.write_all(b"not heard").unwrap();
        assert_eq!(crate::socket::unsent(server.as_fd()).unwrap(), 9);
    }

    #[test]
    fn a_close_is_unheard_where_the_kernel_allows() {
        let (client, mut server) = pair();
        server.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        let unheard = close_unheard(client.into());
        let end = server.read(&mut [0; 1]).unwrap_err().kind();
        let expected = if unheard { io::ErrorKind::WouldBlock } else { io::ErrorKind::ConnectionReset };
        assert_eq!(end, expected, "TCP_REPAIR: {unheard}");
    }
}
