//! What a model is given: a listening socket, options, and the ready line to print once it can serve. Not here: the models.

use std::ffi::OsString;
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

/// A bound and listening socket.
#[derive(Debug)]
pub struct Endpoint {
    /// The listener; blocking.
    pub listener: OwnedFd,
    /// Its address, with the port that the kernel gave.
    pub url: Url,
    /// Options.
    pub options: Options,
    /// Who serves a connection; models that execute nothing ignore it.
    pub handler: Handler,
}

impl Endpoint {
    /// Binds and listens.
    ///
    /// # Errors
    /// Those of bind(2) and listen(2); Unsupported for a family without streams over IP.
    pub fn bind(url: &Url, options: Options) -> io::Result<Self> {
        let ip = url.ip().ok_or(io::ErrorKind::Unsupported)?;
        let (listener, bound) = sys::socket::listen_tcp(ip, options.backlog, false)?;
        Ok(Self { listener, url: url.at(bound), options, handler: Handler::Own })
    }

    /// In place of a listener, the connection that is this process's standard input (see [`Handler::Here`]).
    ///
    /// # Errors
    /// EMFILE.
    pub fn inherited(url: Url, options: Options) -> io::Result<Self> {
        let listener = std::os::fd::AsFd::as_fd(&io::stdin()).try_clone_to_owned()?;
        Ok(Self { listener, url, options, handler: Handler::Here })
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
