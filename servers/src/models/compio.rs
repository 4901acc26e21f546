//! `compio`: single-threaded completion runtimes over io_uring(7), one a worker, which share no connection. Not here: a ring by hand.
//!
//! Only compio's io_uring driver is compiled in: where the kernel refuses it the model says so and does not run, and never becomes a
//! model over epoll. Connections come by hand-off from one acceptor, in turn, as in `async_per_core` and for its reasons.

use crate::axes::{Axes, Capacity, everything};
use crate::drive::datagram::{self, Both};
use crate::drive::idle::Idle;
use crate::drive::lanes::{Handed, Lane, Lanes};
use crate::drive::limit::Entrance;
use crate::drive::owned::converse;
use crate::drive::roster::Roster;
use crate::{Endpoint, Model};
use compio::BufResult;
use compio::io::{AsyncRead as _, AsyncWriteExt as _};
use compio::net::{TcpStream, UnixStream};
use compio::runtime::{Runtime, spawn};
use service::Service;
use std::io;
use std::os::fd::AsFd as _;
use std::sync::Arc;
use sys::{Family, stop};

/// What it is.
pub static MODEL: Model = Model {
    name: "compio",
    summary: "single-threaded completion runtimes, each with its own connections: shared-nothing over io_uring",
    origin: "compio 0.19; Seastar, monoio",
    axes: Axes {
        accept: "one acceptor, blocking, in a thread of its own; hands connections to the workers in turn",
        isolation: "none",
        lifetime: "a task a connection, a fixed number of threads",
        multiplexing: "async tasks over an io_uring a thread, single-shot, owned buffers",
        work: "spin inline, sleep by a timer",
    },
    capacity: Capacity::System,
    supports: everything,
};

/// `Ok`, or the reason why it cannot run here, found out by sending and receiving a byte.
///
/// # Errors
/// The reason.
pub fn probe() -> Result<(), String> {
    try_it().map_err(|error| match error.kind() {
        io::ErrorKind::PermissionDenied => {
            "io_uring is forbidden here (kernel.io_uring_disabled, or a seccomp filter as that of a container)".to_owned()
        }
        io::ErrorKind::Unsupported => "this kernel has no io_uring, or a seccomp filter hides it".to_owned(),
        io::ErrorKind::InvalidInput => "this kernel's io_uring is too old".to_owned(),
        _ => format!("io_uring cannot be set up: {error}"),
    })
}

fn try_it() -> io::Result<()> {
    let (one, other) = std::os::unix::net::UnixStream::pair()?;
    Runtime::new()?.block_on(async {
        let (mut one, mut other) = (UnixStream::from_std(one)?, UnixStream::from_std(other)?);
        one.write_all(vec![0]).await.0?;
        let BufResult(received, _) = other.read(Vec::with_capacity(1)).await;
        received.map(drop)
    })
}

/// Serves until it is told to stop.
///
/// # Errors
/// Those of io_uring(7) and of accept(2) after which nothing more can be served.
pub fn serve<S: Service>(service: S, endpoint: Endpoint) -> io::Result<()> {
    stop::install(Some(endpoint.listener.as_fd()), endpoint.options.grace)?;
    let entrance = Entrance::new(endpoint.options.limit)?;
    let roster = Arc::new(Roster::default());
    let (family, idle) = (endpoint.url.family, endpoint.options.idle);
    let mut lanes = Lanes::start(
        endpoint.options.workers,
        endpoint.options.counters,
        Runtime::new,
        move |runtime, lane| {
            runtime.block_on(work(&service, family, idle, lane));
        },
    )?;
    endpoint.ready();
    // Blocking connections: io_uring waits for one that is not, but gives up at once on one that is marked non-blocking.
    while let Some((connection, ticket)) = entrance.next_as(endpoint.listener.as_fd(), false)? {
        lanes.give(connection, ticket, &roster);
    }
    roster.stop(endpoint.options.grace);
    Ok(())
}

async fn work<S: Service>(service: &S, family: Family, idle: Idle, mut lane: Lane) {
    while let Some(Handed { entry, connection, ticket }) = lane.recv().await {
        // No room in the ring: this client sees a close, the others go on.
        if family == Family::Unix {
            if let Ok(stream) = UnixStream::from_std(connection.into()) {
                spawn(converse(stream, service.open(), entry, idle, ticket)).detach();
            }
        } else if let Ok(stream) = TcpStream::from_std(connection.into()) {
            spawn(converse(stream, service.open(), entry, idle, ticket)).detach();
        }
    }
    // No more come; those that are open are served until the process ends.
    std::future::pending().await
}

/// Serves datagrams until it is told to stop.
///
/// # Errors
/// Those of io_uring(7) and of recvmsg(2) after which nothing more can be served.
pub fn serve_datagrams<S: Both>(service: S, endpoint: Endpoint) -> io::Result<()> {
    datagram::polled::serve(service, endpoint)
}
