//! Stream sockets: accept, connect, send, receive, close in each of the ways that matter. Not here: listening (see `listen`), retries
//! and policy.

use crate::Address;
use rustix::event::{PollFd, PollFlags};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use std::io::{self, IoSlice};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::Duration;

/// What became of an accept(2).
#[derive(Debug)]
pub enum Accepted {
    /// A connection.
    Connection(OwnedFd),
    /// The queue is empty (non-blocking listener).
    Empty,
    /// A signal came first.
    Interrupted,
    /// That connection is gone, the next may be well (accept(2), "treat them like EAGAIN by retrying").
    Aborted,
    /// Descriptors or memory ran out: wait before the next try, and not by spinning.
    Exhausted(io::Error),
    /// The listener itself is of no more use.
    Failed(io::Error),
}

/// Accepts one connection, close-on-exec, non-blocking where asked.
pub fn accept(listener: BorrowedFd<'_>, nonblocking: bool) -> Accepted {
    let mut flags = SocketFlags::CLOEXEC;
    if nonblocking {
        flags |= SocketFlags::NONBLOCK;
    }
    match rustix::net::accept_with(listener, flags) {
        Ok(fd) => Accepted::Connection(fd),
        Err(error) => accept_error(error.into()),
    }
}

/// What an error of accept(2) means for the server.
#[must_use]
pub fn accept_error(error: io::Error) -> Accepted {
    match error.raw_os_error() {
        Some(libc::EAGAIN) => Accepted::Empty,
        Some(libc::EINTR) => Accepted::Interrupted,
        Some(
            libc::ECONNABORTED
            | libc::EPROTO
            | libc::EPERM
            | libc::ENETDOWN
            | libc::ENOPROTOOPT
            | libc::EHOSTDOWN
            | libc::ENONET
            | libc::EHOSTUNREACH
            | libc::EOPNOTSUPP
            | libc::ENETUNREACH
            | libc::ETIMEDOUT,
        ) => Accepted::Aborted,
        Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM) => Accepted::Exhausted(error),
        _ => Accepted::Failed(error),
    }
}

/// Starts a non-blocking connect of a stream; writable when it is decided (see [`take_error`] and [`is_connected`]).
///
/// TCP: with TCP_NODELAY, and with `receive_buffer` as SO_RCVBUF in bytes, set before the handshake so that it bounds the window.
/// Unix: decided when the call returns; the receive buffer has no meaning, since the sender's bounds what is on the way (unix(7)).
///
/// # Errors
/// EMFILE, EADDRNOTAVAIL (no source port left), ENETUNREACH; ECONNREFUSED may be reported at once on loopback. Unix: ENOENT,
/// ECONNREFUSED, EACCES; EAGAIN when the listener's queue is full, and nothing is under way then.
pub fn connect_start(address: &Address, receive_buffer: Option<usize>) -> io::Result<OwnedFd> {
    match address {
        Address::Ip(ip) => start_connect(connecting_socket(*ip)?, *ip, receive_buffer),
        Address::Path(path) => {
            let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
            let fd = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
            rustix::net::connect(&fd, &crate::path::address(path)?)?;
            Ok(fd)
        }
    }
}

/// As [`connect_start`], from the address `source`; its port is chosen by the connect, and so needs to be free for this one
/// destination only (ip(7), IP_BIND_ADDRESS_NO_PORT).
///
/// # Errors
/// As [`connect_start`]; EADDRNOTAVAIL where the machine does not have `source`.
pub fn connect_start_from(
    source: IpAddr,
    address: SocketAddr,
    receive_buffer: Option<usize>,
) -> io::Result<OwnedFd> {
    let socket = connecting_socket(address)?;
    bind_without_port(&socket, source)?;
    start_connect(socket, address, receive_buffer)
}

/// Whether connections can come from `source`.
///
/// # Errors
/// EADDRNOTAVAIL where the machine does not have it.
pub fn may_come_from(source: IpAddr) -> io::Result<()> {
    bind_without_port(&connecting_socket(SocketAddr::from((source, 0)))?, source)
}

/// Binds to an address and leaves the port to connect(2), for either version of IP.
fn bind_without_port(socket: &Socket, source: IpAddr) -> io::Result<()> {
    let on: libc::c_int = 1;
    let length = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: `on` has `length` bytes and lives through the call.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_IP,
            libc::IP_BIND_ADDRESS_NO_PORT,
            (&raw const on).cast(),
            length,
        )
    };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    socket.bind(&SocketAddr::from((source, 0)).into())
}

fn connecting_socket(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM.nonblocking(), Some(Protocol::TCP))?;
    socket.set_tcp_nodelay(true)?;
    Ok(socket)
}

fn start_connect(socket: Socket, address: SocketAddr, receive_buffer: Option<usize>) -> io::Result<OwnedFd> {
    if let Some(bytes) = receive_buffer {
        socket.set_recv_buffer_size(bytes)?;
    }
    match socket.connect(&address.into()) {
        Ok(()) => {}
        Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => {}
        Err(error) => return Err(error),
    }
    Ok(socket.into())
}

/// True where a connect is over and was successful, and the peer has not reset it since (getpeername(2)).
#[must_use]
pub fn is_connected(fd: BorrowedFd<'_>) -> bool {
    rustix::net::getpeername(fd).is_ok()
}

/// The socket's pending error, cleared by the call (SO_ERROR).
///
/// # Errors
/// The pending error itself, or that of getsockopt(2).
pub fn take_error(fd: BorrowedFd<'_>) -> io::Result<()> {
    SockRef::from(&fd).take_error()?.map_or(Ok(()), Err)
}

/// Receives into `buffer`; `Ok(0)` is the end of input.
///
/// # Errors
/// EAGAIN (non-blocking), EINTR, ECONNRESET, ETIMEDOUT …
pub fn recv(fd: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<usize> {
    let (n, _) = rustix::net::recv(fd, buffer, RecvFlags::empty())?;
    Ok(n)
}

/// Receives into the room that `buffer` has left, and appends; `Ok(0)` is the end of input, or no room.
///
/// # Errors
/// As [`recv`].
pub fn recv_more(fd: BorrowedFd<'_>, buffer: &mut Vec<u8>) -> io::Result<usize> {
    let (_, n) = rustix::net::recv(fd, rustix::buffer::spare_capacity(buffer), RecvFlags::empty())?;
    Ok(n)
}

/// As [`recv`], but never blocks, whatever the socket's mode.
///
/// # Errors
/// As [`recv`].
pub fn recv_now(fd: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<usize> {
    let (n, _) = rustix::net::recv(fd, buffer, RecvFlags::DONTWAIT)?;
    Ok(n)
}

/// Sends from `bytes`, without SIGPIPE; returns how many were taken.
///
/// # Errors
/// EAGAIN (non-blocking), EINTR, EPIPE, ECONNRESET …
pub fn send(fd: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<usize> {
    Ok(rustix::net::send(fd, bytes, SendFlags::NOSIGNAL)?)
}

/// As [`send`], with MSG_MORE: the kernel holds the bytes back until more comes or the socket is shut for writing.
///
/// # Errors
/// As [`send`].
pub fn send_more(fd: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<usize> {
    Ok(rustix::net::send(fd, bytes, SendFlags::NOSIGNAL | SendFlags::MORE)?)
}

/// Sends from several buffers in one call, without SIGPIPE.
///
/// # Errors
/// As [`send`].
pub fn send_slices(fd: BorrowedFd<'_>, slices: &[IoSlice<'_>]) -> io::Result<usize> {
    Ok(rustix::net::sendmsg(
        fd,
        slices,
        &mut rustix::net::SendAncillaryBuffer::default(),
        SendFlags::NOSIGNAL,
    )?)
}

/// Which direction of a connection is shut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// No more input.
    Read,
    /// No more output: sends FIN behind what is queued.
    Write,
    /// Both.
    Both,
}

/// shutdown(2).
///
/// # Errors
/// ENOTCONN when the peer has gone already.
pub fn shutdown(fd: BorrowedFd<'_>, side: Side) -> io::Result<()> {
    let how = match side {
        Side::Read => rustix::net::Shutdown::Read,
        Side::Write => rustix::net::Shutdown::Write,
        Side::Both => rustix::net::Shutdown::Both,
    };
    Ok(rustix::net::shutdown(fd, how)?)
}

/// As [`shutdown`], by descriptor number: for one thread that stops another's connection and knows that it is still open.
///
/// # Errors
/// As [`shutdown`]; EBADF where no such descriptor is open.
pub fn shutdown_number(fd: std::os::fd::RawFd, side: Side) -> io::Result<()> {
    let how = match side {
        Side::Read => libc::SHUT_RD,
        Side::Write => libc::SHUT_WR,
        Side::Both => libc::SHUT_RDWR,
    };
    // SAFETY: plain system call on a number; a wrong one is EBADF or ENOTSOCK.
    if unsafe { libc::shutdown(fd, how) } == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Makes close(2) send RST and drop what is queued (SO_LINGER with time 0). Without effect on a Unix socket, which has no RST: its
/// peer gets ECONNRESET where the close leaves input unread, and an end of input else.
///
/// # Errors
/// Those of setsockopt(2).
pub fn reset_on_close(fd: BorrowedFd<'_>) -> io::Result<()> {
    SockRef::from(&fd).set_linger(Some(Duration::ZERO))
}

/// Bytes that have arrived and were not read (FIONREAD).
///
/// # Errors
/// Those of ioctl(2).
pub fn unread(fd: BorrowedFd<'_>) -> io::Result<u64> {
    Ok(rustix::io::ioctl_fionread(fd)?)
}

/// Bytes sent that the peer has not acknowledged (TCP) or not read (Unix, counted with the kernel's overhead; SIOCOUTQ).
///
/// # Errors
/// Those of ioctl(2).
pub fn unsent(fd: BorrowedFd<'_>) -> io::Result<u64> {
    let mut bytes: libc::c_int = 0;
    // SAFETY: the call writes one int, for which `bytes` has room.
    let result = unsafe { libc::ioctl(fd.as_raw_fd(), libc::TIOCOUTQ, &raw mut bytes) };
    if result == 0 { Ok(u64::try_from(bytes).unwrap_or(0)) } else { Err(io::Error::last_os_error()) }
}

/// The socket's own address and port.
///
/// # Errors
/// Those of getsockname(2); a Unix address is EAFNOSUPPORT.
pub fn local_address(fd: BorrowedFd<'_>) -> io::Result<SocketAddr> {
    SockRef::from(&fd)
        .local_addr()?
        .as_socket()
        .ok_or_else(|| io::Error::from_raw_os_error(libc::EAFNOSUPPORT))
}

/// The process that the other end of a Unix socket belonged to when it was connected or began to listen (unix(7), SO_PEERCRED); 0
/// where it is in another pid namespace.
///
/// # Errors
/// Those of getsockopt(2).
pub fn peer_process(fd: BorrowedFd<'_>) -> io::Result<i32> {
    let mut peer = libc::ucred { pid: 0, uid: 0, gid: 0 };
    let mut length = size_of::<libc::ucred>() as libc::socklen_t;
    // SAFETY: `peer` has room for `length` bytes and both live through the call.
    let result = unsafe {
        libc::getsockopt(
            fd.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERCRED,
            (&raw mut peer).cast(),
            &raw mut length,
        )
    };
    if result == 0 { Ok(peer.pid) } else { Err(io::Error::last_os_error()) }
}

/// State of a TCP connection (RFC 9293, 3.3.2), as the kernel numbers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TcpState(pub u8);

impl TcpState {
    /// Open both ways.
    pub const ESTABLISHED: Self = Self(1);
    /// Our FIN is sent and not yet acknowledged.
    pub const FIN_WAIT1: Self = Self(4);
    /// Our FIN is acknowledged: the peer has it.
    pub const FIN_WAIT2: Self = Self(5);
    /// Closed, waiting for stray segments to die out.
    pub const TIME_WAIT: Self = Self(6);
    /// Gone.
    pub const CLOSE: Self = Self(7);
    /// The peer's FIN has come, ours is not sent.
    pub const CLOSE_WAIT: Self = Self(8);
}

/// Reads the state of a TCP connection (tcp(7), TCP_INFO).
///
/// # Errors
/// Those of getsockopt(2).
pub fn tcp_state(fd: BorrowedFd<'_>) -> io::Result<TcpState> {
    // tcpi_state is the first byte of struct tcp_info; the kernel copies no more than the length given.
    let mut state = 0_u8;
    let mut length: libc::socklen_t = 1;
    // SAFETY: `state` has room for `length` bytes and both live through the call.
    let result = unsafe {
        libc::getsockopt(
            fd.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            (&raw mut state).cast(),
            &raw mut length,
        )
    };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(TcpState(state))
}

/// The queue before accept of a listener: how many connections wait, and how many may (tcp(7), TCP_INFO, which has these two where a
/// connection has its unacknowledged segments).
///
/// # Errors
/// Those of getsockopt(2); EINVAL for a socket that does not listen.
pub fn listen_queue(fd: BorrowedFd<'_>) -> io::Result<(u32, u32)> {
    // The first 32 bytes of struct tcp_info: eight of states, then rto, ato, snd_mss, rcv_mss, unacked and sacked.
    let mut info = [0_u32; 8];
    let mut length = size_of_val(&info) as libc::socklen_t;
    // SAFETY: `info` has room for `length` bytes and both live through the call.
    let result = unsafe {
        libc::getsockopt(
            fd.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            info.as_mut_ptr().cast(),
            &raw mut length,
        )
    };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    // tcpi_state is the first byte, wherever a word begins: TCP_LISTEN is 10.
    if info[0].to_ne_bytes()[0] != 10 {
        return Err(io::Error::from_raw_os_error(libc::EINVAL));
    }
    Ok((info[6], info[7]))
}

/// Waits until one of `fds` is readable (or hung up), or `timeout` has passed; returns which are. A signal ends the wait early.
///
/// # Errors
/// Those of poll(2) except EINTR.
pub fn wait_readable(fds: &[BorrowedFd<'_>], timeout: Option<Duration>) -> io::Result<Vec<bool>> {
    wait(fds, PollFlags::IN, timeout)
}

/// As [`wait_readable`], for room to write.
///
/// # Errors
/// As [`wait_readable`].
pub fn wait_writable(fd: BorrowedFd<'_>, timeout: Option<Duration>) -> io::Result<bool> {
    Ok(wait(&[fd], PollFlags::OUT, timeout)?.first().copied().unwrap_or(false))
}

/// As [`wait_readable`], for a number of descriptors that the caller knows: without the heap, whose pages a forking server copies.
///
/// # Errors
/// As [`wait_readable`].
pub fn wait_each<const N: usize>(
    fds: [BorrowedFd<'_>; N],
    timeout: Option<Duration>,
) -> io::Result<[bool; N]> {
    let mut polled = fds.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN));
    poll(&mut polled, timeout)?;
    Ok(polled.map(|p| !p.revents().is_empty()))
}

fn wait(fds: &[BorrowedFd<'_>], flags: PollFlags, timeout: Option<Duration>) -> io::Result<Vec<bool>> {
    let mut polled: Vec<_> = fds.iter().map(|fd| PollFd::from_borrowed_fd(fd.as_fd(), flags)).collect();
    poll(&mut polled, timeout)?;
    Ok(polled.iter().map(|p| !p.revents().is_empty()).collect())
}

/// Waits once; after a signal nothing is ready.
fn poll(polled: &mut [PollFd<'_>], timeout: Option<Duration>) -> io::Result<()> {
    let timeout = timeout.map(crate::poller::timespec);
    match rustix::event::poll(polled, timeout.as_ref()) {
        Ok(_) => Ok(()),
        Err(rustix::io::Errno::INTR) => {
            polled.iter_mut().for_each(PollFd::clear_revents);
            Ok(())
        }
        Err(error) => Err(error.into()),
    }
}

/// Makes calls on `fd` return EAGAIN instead of blocking (O_NONBLOCK).
///
/// # Errors
/// Those of ioctl(2).
pub fn set_nonblocking(fd: BorrowedFd<'_>) -> io::Result<()> {
    Ok(rustix::io::ioctl_fionbio(fd, true)?)
}

/// Undoes [`set_nonblocking`]: an operation of io_uring waits, where on a non-blocking socket it would complete with EAGAIN.
///
/// # Errors
/// Those of ioctl(2).
pub fn set_blocking(fd: BorrowedFd<'_>) -> io::Result<()> {
    Ok(rustix::io::ioctl_fionbio(fd, false)?)
}

/// Whether calls on `fd` return EAGAIN instead of blocking.
///
/// # Errors
/// Those of fcntl(2).
pub fn is_nonblocking(fd: BorrowedFd<'_>) -> io::Result<bool> {
    Ok(rustix::fs::fcntl_getfl(fd)?.contains(rustix::fs::OFlags::NONBLOCK))
}
