//! Datagram sockets: bound ones, clients' ones, their buffers and options. Not here: sending and receiving.

use super::Peer;
use crate::path::{self, Claim};
use crate::{Address, Family, Stack, Url};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, sockopt};
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};
use std::time::Duration;

/// What a Unix server may have sent and its clients not read, in bytes. All of its clients share it, and the kernel counts an answer until
/// it is read (unix(7)): with the default, three long answers to a client that does not read would leave none for the others. One that
/// is connected can be sent as much as there is (its queue has no other limit), so this puts the end off and does not rule it out.
const UNIX_SEND_BUFFER: usize = 4 << 20;

/// A socket that receives at an address of its own.
#[derive(Debug)]
pub struct Bound {
    /// The socket; blocking, close-on-exec. On all addresses of the machine it tells with each datagram at which one it arrived.
    pub fd: OwnedFd,
    /// Where, with the port that the kernel gave.
    pub url: Url,
    /// The path that was made for it, which goes when this is dropped.
    pub claim: Option<Claim>,
}

/// Binds at `url`, of either datagram family. A path that a dead server has left is taken over, as by [`listen`](crate::listen()).
///
/// # Errors
/// As those of [`listen`](crate::listen()); Unsupported for streams.
pub fn bind(url: &Url, stack: Stack) -> io::Result<Bound> {
    match (&url.address, url.family) {
        (Address::Ip(ip), Family::Udp) => {
            let (fd, bound) = bind_udp(*ip, stack, false)?;
            Ok(Bound { fd, url: url.at(bound), claim: None })
        }
        (Address::Path(path), Family::Unixgram) => {
            let (fd, claim) = path::bind(path, &|address| {
                let fd = unixgram()?;
                // As much as may be had; see there.
                let _ = set_send_buffer(fd.as_fd(), UNIX_SEND_BUFFER);
                rustix::net::bind(&fd, address)?;
                Ok(fd)
            })?;
            Ok(Bound { fd, url: url.clone(), claim })
        }
        _ => Err(io::ErrorKind::Unsupported.into()),
    }
}

/// `count` sockets on one UDP port, among which the kernel spreads the datagrams by a hash of their addresses (SO_REUSEPORT): one
/// peer's all go to one of them. Returns them with the address.
///
/// # Errors
/// As [`bind`].
pub fn bind_group(address: SocketAddr, count: usize, stack: Stack) -> io::Result<(Vec<OwnedFd>, SocketAddr)> {
    // SO_REUSEPORT would also let us join a stranger's group on a port that was named: a bind without it finds that out.
    if address.port() != 0 {
        bind_udp(address, stack, false)?;
    }
    let (mut sockets, mut at) = (Vec::with_capacity(count), address);
    for _ in 0..count {
        let (fd, bound) = bind_udp(at, stack, true)?;
        at = bound;
        sockets.push(fd);
    }
    Ok((sockets, at))
}

/// Without SO_REUSEADDR, with which UDP lets a second server have the port too.
fn bind_udp(address: SocketAddr, stack: Stack, share_port: bool) -> io::Result<(OwnedFd, SocketAddr)> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    stack.set(&socket, address)?;
    socket.set_reuse_port(share_port)?;
    tell(&socket, address)?;
    socket.bind(&address.into())?;
    let bound = socket.local_addr()?.as_socket().unwrap_or(address);
    Ok((socket.into(), bound))
}

/// What comes with each datagram: how many were dropped, and where it arrived, if that is not known beforehand. A socket of both stacks
/// is told an IPv4 address in the form of IPv6, and takes it so for the answer.
fn tell(socket: &Socket, address: SocketAddr) -> io::Result<()> {
    set(socket.as_fd(), libc::SOL_SOCKET, libc::SO_RXQ_OVFL, 1)?;
    match address {
        _ if !address.ip().is_unspecified() => Ok(()),
        SocketAddr::V4(_) => set(socket.as_fd(), libc::IPPROTO_IP, libc::IP_PKTINFO, 1),
        SocketAddr::V6(_) => set(socket.as_fd(), libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO, 1),
    }
}

/// A socket for one peer of a server: on the server's own port (both have SO_REUSEADDR set for it), and connected, so that the kernel
/// brings it what this peer sends from now on (UNP 22.7). `local` is the address that the peer has asked.
///
/// Not for two threads at a time on one server: the other could find the option reset.
///
/// # Errors
/// EMFILE, ENOBUFS; those of bind(2) and connect(2).
pub fn answer_socket(server: BorrowedFd<'_>, local: SocketAddr, peer: &Peer) -> io::Result<OwnedFd> {
    let to = peer.ip().ok_or(io::ErrorKind::InvalidInput)?;
    let socket = Socket::new(Domain::for_address(local), Type::DGRAM, Some(Protocol::UDP))?;
    // Whom the server serves is decided; `local` may be an IPv4 address in the form of IPv6.
    Stack::Dual.set(&socket, local)?;
    // All sockets of a shared port must allow it. The server does so for the time of the bind only: nobody else shall get in.
    socket.set_reuse_address(true)?;
    let shared = SockRef::from(&server);
    shared.set_reuse_address(true)?;
    let bound = socket.bind(&local.into());
    shared.set_reuse_address(false)?;
    bound?;
    set(socket.as_fd(), libc::SOL_SOCKET, libc::SO_RXQ_OVFL, 1)?;
    socket.connect(&to.into())?;
    Ok(socket.into())
}

fn unixgram() -> io::Result<OwnedFd> {
    Ok(rustix::net::socket_with(AddressFamily::UNIX, SocketType::DGRAM, SocketFlags::CLOEXEC, None)?)
}

/// How a client's socket is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Client {
    /// Connected: sends need no address, and only the server's datagrams are received.
    pub connected: bool,
    /// Unix: with an abstract name of the kernel's choice, so that it can be answered (unix(7), autobind). UDP has one in any case.
    pub named: bool,
    /// Calls return EAGAIN instead of blocking.
    pub nonblocking: bool,
    /// UDP: the address to come from, whose port the kernel chooses; `None` leaves both to it. Unix sockets have none.
    pub source: Option<IpAddr>,
}

impl Default for Client {
    fn default() -> Self {
        Self { connected: true, named: true, nonblocking: false, source: None }
    }
}

impl Client {
    /// Makes the socket, and the address to send to.
    ///
    /// # Errors
    /// ECONNREFUSED, ENOENT (Unix, connected: nobody is there); EADDRNOTAVAIL (the source is not this machine's), EADDRINUSE (its
    /// ports are used up), EINVAL (a loopback source and a target elsewhere); EMFILE; Unsupported for streams.
    pub fn open(self, server: &Address, family: Family) -> io::Result<(OwnedFd, Peer)> {
        match (server, family) {
            (Address::Ip(ip), Family::Udp) => {
                let socket = Socket::new(Domain::for_address(*ip), Type::DGRAM, Some(Protocol::UDP))?;
                socket.set_nonblocking(self.nonblocking)?;
                if let Some(source) = self.source {
                    socket.bind(&SocketAddr::new(source, 0).into())?;
                }
                if self.connected {
                    socket.connect(&(*ip).into())?;
                }
                set(socket.as_fd(), libc::SOL_SOCKET, libc::SO_RXQ_OVFL, 1)?;
                Ok((socket.into(), (*ip).into()))
            }
            (Address::Path(name), Family::Unixgram) => {
                let fd = unixgram()?;
                let address = path::address(name)?;
                if self.named {
                    rustix::net::bind(&fd, &SocketAddrUnix::new_unnamed())?;
                }
                if self.connected {
                    rustix::net::connect(&fd, &address)?;
                }
                if self.nonblocking {
                    rustix::io::ioctl_fionbio(&fd, true)?;
                }
                Ok((fd, peer(&address)))
            }
            _ => Err(io::ErrorKind::Unsupported.into()),
        }
    }
}

/// The address of a Unix socket as a datagram's.
fn peer(address: &SocketAddrUnix) -> Peer {
    let mut peer = Peer::NONE;
    let mut put = |from: usize, bytes: &[u8]| peer.bytes[from..from + bytes.len()].copy_from_slice(bytes);
    put(0, &(libc::AF_UNIX as libc::sa_family_t).to_ne_bytes());
    // An abstract name begins with a NUL and has exactly its length; a path ends with one.
    let len = match (address.abstract_name(), address.path_bytes()) {
        (Some(name), _) => {
            put(3, name);
            3 + name.len()
        }
        (None, Some(path)) => {
            put(2, path);
            3 + path.len()
        }
        (None, None) => 2,
    };
    peer.len = len as u32;
    peer
}

/// Sets how much may be queued for reading, in bytes; the kernel doubles it for its own needs. With the privilege to do so (CAP_NET_ADMIN)
/// beyond net.core.rmem_max, else up to it. Returns what it has come to, as the kernel counts (socket(7), SO_RCVBUF).
///
/// # Errors
/// Those of setsockopt(2).
pub fn set_receive_buffer(fd: BorrowedFd<'_>, bytes: usize) -> io::Result<usize> {
    if sockopt::set_socket_recv_buffer_size_force(fd, bytes).is_err() {
        sockopt::set_socket_recv_buffer_size(fd, bytes)?;
    }
    receive_buffer(fd)
}

/// What may be queued for reading, in bytes, the kernel's own needs included.
///
/// # Errors
/// Those of getsockopt(2).
pub fn receive_buffer(fd: BorrowedFd<'_>) -> io::Result<usize> {
    Ok(sockopt::socket_recv_buffer_size(fd)?)
}

/// As [`set_receive_buffer`], for what was sent and is not read (Unix) or not on the wire (UDP).
///
/// # Errors
/// Those of setsockopt(2).
pub fn set_send_buffer(fd: BorrowedFd<'_>, bytes: usize) -> io::Result<usize> {
    if set(fd, libc::SOL_SOCKET, libc::SO_SNDBUFFORCE, i32::try_from(bytes).unwrap_or(i32::MAX)).is_err() {
        sockopt::set_socket_send_buffer_size(fd, bytes)?;
    }
    Ok(sockopt::socket_send_buffer_size(fd)?)
}

/// Bounds the time that a blocking send waits for a peer that does not read (SO_SNDTIMEO); EAGAIN then.
///
/// # Errors
/// Those of setsockopt(2).
pub fn set_send_patience(fd: BorrowedFd<'_>, time: Duration) -> io::Result<()> {
    SockRef::from(&fd).set_write_timeout(Some(time))
}

/// Has the kernel put several datagrams of one peer into one receive (UDP_GRO, udp(7)).
///
/// # Errors
/// ENOPROTOOPT before Linux 5.0.
pub fn take_segments(fd: BorrowedFd<'_>) -> io::Result<()> {
    set(fd, libc::SOL_UDP, libc::UDP_GRO, 1)
}

/// Has the kernel keep each ICMP message that answers a datagram of this UDP socket, with the head of the datagram, until
/// [`refusal`](super::refusal) takes it; without, it keeps one error and forgets the others (ip(7), IP_RECVERR). As many as fit into the
/// receive buffer. While there are some, the poller says that an error is pending.
///
/// # Errors
/// Those of setsockopt(2).
pub fn keep_refusals(fd: BorrowedFd<'_>, peer: SocketAddr) -> io::Result<()> {
    match peer {
        SocketAddr::V4(_) => set(fd, libc::IPPROTO_IP, libc::IP_RECVERR, 1),
        SocketAddr::V6(_) => set(fd, libc::IPPROTO_IPV6, libc::IPV6_RECVERR, 1),
    }
}

/// What a socket has in its queues.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Bytes that wait to be read, with the kernel's overhead.
    pub unread_bytes: u32,
    /// Datagrams dropped so far for want of room, the same number that SO_RXQ_OVFL brings with the next datagram.
    pub dropped: u32,
}

/// What a socket has in its queues, and has dropped (SO_MEMINFO, Linux 4.12).
///
/// # Errors
/// Those of getsockopt(2).
pub fn drops(fd: BorrowedFd<'_>) -> io::Result<Counts> {
    // SK_MEMINFO_VARS of include/uapi/linux/sock_diag.h, of which 0 is the receive queue and 8 the drops.
    let mut numbers = [0_u32; 9];
    let mut length = size_of_val(&numbers) as libc::socklen_t;
    // SAFETY: `numbers` has room for `length` bytes and both live through the call.
    let result = unsafe {
        libc::getsockopt(
            fd.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_MEMINFO,
            numbers.as_mut_ptr().cast(),
            &raw mut length,
        )
    };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(Counts { unread_bytes: numbers[0], dropped: numbers[8] })
}

fn set(fd: BorrowedFd<'_>, level: i32, option: i32, value: libc::c_int) -> io::Result<()> {
    // SAFETY: `value` has as many bytes as are said and lives through the call.
    let result = unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            level,
            option,
            (&raw const value).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
