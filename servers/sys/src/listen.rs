//! Listening for streams of either family: one call, so that no server writes it twice. Not here: accepting (see `socket`), what
//! becomes of a path in the file system (see `path`).

use crate::path::{self, Claim};
use crate::{Address, Family, Url, socket};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use std::io;
use std::os::fd::OwnedFd;

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
/// EADDRNOTAVAIL: as bind(2) has them. Unsupported: datagrams.
pub fn listen(url: &Url, backlog: u32) -> io::Result<Listening> {
    match (&url.address, url.family) {
        (Address::Ip(ip), Family::Tcp) => {
            let (fd, bound) = socket::listen_tcp(*ip, backlog, false)?;
            Ok(Listening { fd, url: url.at(bound), claim: None })
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
    rustix::net::listen(&fd, i32::try_from(backlog).unwrap_or(i32::MAX))?;
    Ok(fd)
}

#[cfg(test)]
#[path = "listen_tests.rs"]
mod tests;
