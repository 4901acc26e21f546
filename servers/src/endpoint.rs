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
    /// Which free worker gets a connection, for models whose parent chooses.
    pub hand_off: HandOff,
}

/// Which of several free workers gets a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum HandOff {
    /// The first in the list (UNP, server 5): under little load the first does all the work.
    #[default]
    FirstFree,
    /// The next after the one that was chosen last.
    RoundRobin,
    /// The one that has served the fewest.
    Least,
}

/// A bound and listening socket.
#[derive(Debug)]
pub struct Endpoint {
    /// The listener; blocking.
    pub listener: OwnedFd,
    /// Further listeners at the same address, where each worker has one.
    pub more: Vec<OwnedFd>,
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
        Ok(Self { listener, more: Vec::new(), url: url.at(bound), options })
    }

    /// Binds and listens once for each worker (SO_REUSEPORT, socket(7)).
    ///
    /// All sockets are bound before any listens: the kernel spreads connections over those that listen, so nothing is hashed to a
    /// group that is still growing.
    ///
    /// # Errors
    /// As [`bind`](Self::bind).
    pub fn bind_each(url: &Url, options: Options) -> io::Result<Self> {
        let ip = url.ip().ok_or(io::ErrorKind::Unsupported)?;
        // A server that has the port and shares it would take us in: it is to be refused like any other.
        drop(sys::socket::bind_tcp(ip, false)?);
        let (listener, bound) = sys::socket::bind_tcp(ip, true)?;
        let mut more = Vec::new();
        for _ in 1..options.workers {
            more.push(sys::socket::bind_tcp(bound, true)?.0);
        }
        for socket in std::iter::once(&listener).chain(&more) {
            sys::socket::listen(std::os::fd::AsFd::as_fd(socket), options.backlog)?;
        }
        Ok(Self { listener, more, url: url.at(bound), options })
    }

    /// Says that the server can serve: the contract of DESIGN.md. A closed standard output is not an error.
    pub fn ready(&self) {
        announce(&self.url);
    }

    /// Makes the listener non-blocking: an event loop must not hang in accept(2) when the client has gone (UNP 16.6).
    ///
    /// # Errors
    /// Those of fcntl(2).
    pub fn set_nonblocking(&self) -> io::Result<()> {
        sys::socket::set_nonblocking(std::os::fd::AsFd::as_fd(&self.listener))
    }
}

/// The ready line, for models that have given the listener away.
pub fn announce(url: &Url) {
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "listening on {url}").and_then(|()| out.flush());
}
