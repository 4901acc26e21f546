//! What a model is given: a listening socket, options, and the ready line to print once it can serve. Not here: the models.

use crate::counters::Counters;
use crate::drive::idle::Idle;
use crate::drive::limit::Limit;
use crate::drive::seats::HandOff;
use std::ffi::OsString;
use std::io::{self, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::time::Duration;
use sys::datagram::{self, Bound};
use sys::path::Claim;
use sys::{Family, Listening, Stack, Url};

/// Options that mean the same for every model.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Threads or processes of a pool; models without one ignore it.
    pub workers: usize,
    /// Pending connections that the kernel may queue; it takes no more than net.core.somaxconn.
    pub backlog: u32,
    /// Whom an IPv6 address serves.
    pub stack: Stack,
    /// How long connections in flight may take after SIGTERM.
    pub grace: Duration,
    /// Most connections open at a time, for models that do not bound them by their workers.
    pub limit: Limit,
    /// How long a connection may be silent.
    pub idle: Idle,
    /// Most child processes at a time, for models that make one a connection.
    pub max_children: usize,
    /// How an acceptor chooses who gets a connection; `None` for the model's own way.
    pub hand_off: Option<HandOff>,
    /// Where each worker counts what it does.
    pub counters: Counters,
    /// Receive buffers that all connections share, for models that have a ring of them; a power of two.
    pub buffers: u16,
}

/// How many listeners a model has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listeners {
    /// One, shared where there are several workers.
    One,
    /// One a worker on the same port (SO_REUSEPORT): the kernel chooses by a hash of the addresses.
    EachWorker,
}

/// Who serves a connection, for models that execute a program for each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Handler {
    /// This program, executed anew.
    #[default]
    Own,
    /// Another, with its arguments.
    Program(Vec<OsString>),
    /// This process: it was executed for the connection that is its standard input.
    Here,
}

/// A bound and listening socket; of datagrams, a bound one. Dropped by the process that made it, it takes a path that was made for it along; models that move
/// the listener out keep the rest until they end.
#[derive(Debug)]
pub struct Endpoint {
    /// The listener; blocking.
    pub listener: OwnedFd,
    /// The other workers' listeners, where each has one ([`Listeners::EachWorker`]).
    pub siblings: Vec<OwnedFd>,
    /// Its address, with the port that the kernel gave.
    pub url: Url,
    /// Options.
    pub options: Options,
    /// Who serves a connection; models that execute nothing ignore it.
    pub handler: Handler,
    /// The path of a Unix socket.
    pub claim: Option<Claim>,
}

impl Endpoint {
    /// Binds and listens, on a stream of either family.
    ///
    /// # Errors
    /// Those of [`sys::listen()`]; with several listeners, of bind(2) and listen(2), and Unsupported for a family without ports. Datagrams
    /// as [`sys::datagram::bind`] has them.
    pub fn bind(url: &Url, options: Options, listeners: Listeners) -> io::Result<Self> {
        let handler = Handler::Own;
        if matches!(url.family, Family::Udp | Family::Unixgram) {
            return Self::bind_datagrams(url, options, listeners);
        }
        if listeners == Listeners::One {
            let Listening { fd: listener, url, claim } = sys::listen(url, options.backlog, options.stack)?;
            return Ok(Self { listener, siblings: Vec::new(), url, options, handler, claim });
        }
        let ip = url.ip().ok_or(io::ErrorKind::Unsupported)?;
        let (mut siblings, bound) =
            sys::listen::listen_group(ip, options.backlog, options.workers, options.stack)?;
        let listener = siblings.pop().ok_or(io::ErrorKind::InvalidInput)?;
        Ok(Self { listener, siblings, url: url.at(bound), options, handler, claim: None })
    }

    fn bind_datagrams(url: &Url, options: Options, listeners: Listeners) -> io::Result<Self> {
        let handler = Handler::Own;
        if listeners == Listeners::One {
            let Bound { fd: listener, url, claim } = datagram::bind(url, options.stack)?;
            return Ok(Self { listener, siblings: Vec::new(), url, options, handler, claim });
        }
        let ip = url.ip().ok_or(io::ErrorKind::Unsupported)?;
        let (mut siblings, bound) = datagram::bind_group(ip, options.workers, options.stack)?;
        let listener = siblings.pop().ok_or(io::ErrorKind::InvalidInput)?;
        Ok(Self { listener, siblings, url: url.at(bound), options, handler, claim: None })
    }

    /// In place of a listener, the connection that is this process's standard input (see [`Handler::Here`]).
    ///
    /// # Errors
    /// EMFILE.
    pub fn inherited(url: Url, options: Options) -> io::Result<Self> {
        let listener = io::stdin().as_fd().try_clone_to_owned()?;
        Ok(Self { listener, siblings: Vec::new(), url, options, handler: Handler::Here, claim: None })
    }

    /// Says that the server can serve: the contract of DESIGN.md. A closed standard output is not an error.
    pub fn ready(&self) {
        announce(&self.url);
    }

    /// Makes the listeners non-blocking: an event loop must not hang in accept(2) when the client has gone (UNP 16.6).
    ///
    /// # Errors
    /// Those of fcntl(2).
    pub fn set_nonblocking(&self) -> io::Result<()> {
        std::iter::once(&self.listener)
            .chain(&self.siblings)
            .try_for_each(|listener| sys::socket::set_nonblocking(listener.as_fd()))
    }
}

/// Says that the server at `url` can serve: [`Endpoint::ready`] for a model that has taken its endpoint apart.
pub fn announce(url: &Url) {
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "listening on {url}").and_then(|()| out.flush());
}
