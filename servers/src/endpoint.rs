//! What a model is given: a listening socket, options, and the ready line to print once it can serve. Not here: the models.

use std::io::{self, Write as _};
use std::os::fd::OwnedFd;
use std::time::Duration;
use sys::path::Claim;
use sys::{Listening, Url};

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
}

/// A bound and listening socket. Dropped by the process that made it, it takes a path that was made for it along; models that move
/// the listener out keep the rest until they end.
#[derive(Debug)]
pub struct Endpoint {
    /// The listener; blocking.
    pub listener: OwnedFd,
    /// Its address, with the port that the kernel gave.
    pub url: Url,
    /// Options.
    pub options: Options,
    /// The path of a Unix socket.
    pub claim: Option<Claim>,
}

impl Endpoint {
    /// Binds and listens, on a stream of either family.
    ///
    /// # Errors
    /// Those of [`sys::listen()`].
    pub fn bind(url: &Url, options: Options) -> io::Result<Self> {
        let Listening { fd, url, claim } = sys::listen(url, options.backlog)?;
        Ok(Self { listener: fd, url, options, claim })
    }

    /// Says that the server can serve: the contract of DESIGN.md. A closed standard output is not an error.
    pub fn ready(&self) {
        let mut out = io::stdout().lock();
        let _ = writeln!(out, "listening on {}", self.url).and_then(|()| out.flush());
    }

    /// Makes the listener non-blocking: an event loop must not hang in accept(2) when the client has gone (UNP 16.6).
    ///
    /// # Errors
    /// Those of fcntl(2).
    pub fn set_nonblocking(&self) -> io::Result<()> {
        sys::socket::set_nonblocking(std::os::fd::AsFd::as_fd(&self.listener))
    }
}
