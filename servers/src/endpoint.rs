//! What a model is given: a listening socket, options, and the ready line to print once it can serve. Not here: the models.

use std::io::{self, Write as _};
use std::os::fd::OwnedFd;
use std::time::Duration;
use sys::Url;

/// Options that mean the same for every model.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Threads or processes of a pool; models without one ignore it.
    pub workers: usize,
    /// Pending connections that the kernel may queue; it takes no more than net.core.somaxconn.
    pub backlog: u32,
    /// How long connections in flight may take after SIGTERM.
    pub grace: Duration,
    /// Most child processes at a time, for models that make one a connection.
    pub max_children: usize,
    /// Receive buffers that all connections share, for models that have a ring of them; a power of two.
    pub buffers: u16,
}

/// A bound and listening socket.
#[derive(Debug)]
pub struct Endpoint {
    /// The listener; blocking.
    pub listener: OwnedFd,
    /// Its address, with the port that the kernel gave.
    pub url: Url,
    /// Options.
    pub options: Options,
}

impl Endpoint {
    /// Binds and listens.
    ///
    /// # Errors
    /// Those of bind(2) and listen(2); Unsupported for a family without streams over IP.
    pub fn bind(url: &Url, options: Options) -> io::Result<Self> {
        let ip = url.ip().ok_or(io::ErrorKind::Unsupported)?;
        let (listener, bound) = sys::socket::listen_tcp(ip, options.backlog, false)?;
        Ok(Self { listener, url: url.at(bound), options })
    }

    /// Says that the server can serve: the contract of DESIGN.md. A closed standard output is not an error.
    pub fn ready(&self) {
        ready(&self.url);
    }

    /// Makes the listener non-blocking: an event loop must not hang in accept(2) when the client has gone (UNP 16.6).
    ///
    /// # Errors
    /// Those of fcntl(2).
    pub fn set_nonblocking(&self) -> io::Result<()> {
        sys::socket::set_nonblocking(std::os::fd::AsFd::as_fd(&self.listener))
    }
}

/// As [`Endpoint::ready`], for whoever has given the listener away.
pub fn ready(url: &Url) {
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "listening on {url}").and_then(|()| out.flush());
}
