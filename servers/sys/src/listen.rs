//! Listening for streams of either family: one call, so that no server writes it twice; and whom an IPv6 socket serves. Not here:
//! accepting (see `socket`), what becomes of a path in the file system (see `path`).

use crate::path::{self, Claim};
use crate::{Address, Family, Url};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;

/// Whom a socket on an IPv6 address serves. Without meaning for other addresses; for these it is always said (IPV6_V6ONLY), since what
/// holds else is the machine's choice (ipv6(7), net.ipv6.bindv6only).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stack {
    /// Clients of both: on `[::]`, IPv4's come with an address like `::ffff:127.0.0.1`.
    #[default]
    Dual,
    /// Those of IPv6 alone; the port stays free for another server over IPv4.
    V6Only,
}

impl Stack {
    /// Says it to a socket that will be bound to `address`.
    pub(crate) fn set(self, socket: &Socket, address: SocketAddr) -> io::Result<()> {
        if address.is_ipv6() { socket.set_only_v6(self == Self::V6Only) } else { Ok(()) }
    }
}

/// A socket that takes connections.
#[derive(Debug)]
pub struct Listening {
    /// The socket; blocking, close-on-exec.
    pub fd: OwnedFd,
    /// Where, with the port that the kernel gave.
    pub url: Url,
    /// The path that was made for it, which goes when this is dropped. Abstract names and IP addresses leave nothing.
    pub claim: Option<Claim>,
}

/// Binds and listens at `url`, whichever stream family it is of.
///
/// A path that a dead server has left is taken over; see [`path::bind`] for when.
///
/// # Errors
/// EADDRINUSE: a live server has it. EEXIST: the path is something else than a socket, and was not touched. ENOENT, EACCES,
/// EADDRNOTAVAIL: as bind(2) has them. EAFNOSUPPORT: the kernel has no IPv6. Unsupported: datagrams.
pub fn listen(url: &Url, backlog: u32, stack: Stack) -> io::Result<Listening> {
    match (&url.address, url.family) {
        (Address::Ip(ip), Family::Tcp) => {
            let (socket, bound) = bind_tcp(*ip, stack, false)?;
            socket.listen(length(backlog))?;
            Ok(Listening { fd: socket.into(), url: url.at(bound), claim: None })
        }
        (Address::Path(path), Family::Unix) => {
            let (fd, claim) = path::bind(path, &|address| listen_unix(address, backlog))?;
            Ok(Listening { fd, url: url.clone(), claim })
        }
        _ => Err(io::ErrorKind::Unsupported.into()),
    }
}

fn listen_unix(address: &SocketAddrUnix, backlog: u32) -> io::Result<OwnedFd> {
    let fd = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    rustix::net::bind(&fd, address)?;
    rustix::net::listen(&fd, length(backlog))?;
    Ok(fd)
}

fn length(backlog: u32) -> i32 {
    i32::try_from(backlog).unwrap_or(i32::MAX)
}

/// `count` blocking listeners on one TCP port, as [`listen`] makes them, among which the kernel spreads the connections by a hash of
/// their addresses (SO_REUSEPORT, socket(7)). All are bound before any listens: a group that grows moves connections. Returns them with
/// the address.
///
/// # Errors
/// As [`listen`].
pub fn listen_group(
    address: SocketAddr,
    backlog: u32,
    count: usize,
    stack: Stack,
) -> io::Result<(Vec<OwnedFd>, SocketAddr)> {
    // SO_REUSEPORT would also let us join a stranger's group on a port that was named: a bind without it finds that out.
    if address.port() != 0 {
        bind_tcp(address, stack, false)?;
    }
    let (mut sockets, mut at) = (Vec::with_capacity(count), address);
    for _ in 0..count {
        let (socket, bound) = bind_tcp(at, stack, true)?;
        at = bound;
        sockets.push(socket);
    }
    sockets.iter().try_for_each(|socket| socket.listen(length(backlog)))?;
    Ok((sockets.into_iter().map(OwnedFd::from).collect(), at))
}

/// A TCP socket, close-on-exec, with SO_REUSEADDR (a restart on the same port works at once) and TCP_NODELAY, which accepted sockets
/// inherit.
fn bind_tcp(address: SocketAddr, stack: Stack, share_port: bool) -> io::Result<(Socket, SocketAddr)> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    stack.set(&socket, address)?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(share_port)?;
    socket.set_tcp_nodelay(true)?;
    socket.bind(&address.into())?;
    let bound = socket.local_addr()?.as_socket().unwrap_or(address);
    Ok((socket, bound))
}

#[cfg(test)]
#[path = "listen_tests.rs"]
mod tests;
