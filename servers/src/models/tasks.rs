//! `async`: a task a connection on tokio's multi-threaded, work-stealing runtime. Not here: the connection (see `drive::tasks`).
//! The file cannot have the model's name, which is a word of the language.

use crate::axes::{Axes, Capacity, everything};
use crate::drive::BACK_OFF;
use crate::drive::datagram::{self, Both};
use crate::drive::idle::Idle;
use crate::drive::limit::{Limit, Ticket};
use crate::drive::roster::Roster;
use crate::drive::tasks::{Stream, Task};
use crate::{Endpoint, Model, counters};
use service::{Protocol, Service};
use std::future::poll_fn;
use std::io;
use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::task::{Context, Poll};
use sys::Address;
use sys::socket::{self, Accepted};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// What it is.
pub static MODEL: Model = Model {
    name: "async",
    summary: "a task a connection on tokio's multi-threaded runtime: blocking-looking code over epoll, work stealing",
    origin: "tokio",
    axes: Axes {
        accept: "one acceptor, a task",
        isolation: "none",
        lifetime: "a task a connection, a fixed number of threads",
        multiplexing: "async tasks over edge-triggered epoll",
        work: "spin inline, sleep by a timer",
    },
    capacity: Capacity::System,
    supports: everything,
};

/// Serves until it is told to stop.
///
/// # Errors
/// Those of the runtime and of accept(2) after which nothing more can be served.
pub fn serve<S: Service>(service: S, endpoint: Endpoint) -> io::Result<()>
where
    S::Conn: Protocol + Unpin,
{
    endpoint.set_nonblocking()?;
    let (workers, counters) = (endpoint.options.workers, endpoint.options.counters);
    counters.workers(workers);
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(workers).thread_name("worker").enable_all();
    if counters.on() {
        builder.on_thread_start(move || counters.enter_next()).on_thread_unpark(|| counters::woken(true));
    }
    let runtime = builder.build()?;
    let roster = Arc::new(Roster::default());
    let grace = endpoint.options.grace;
    let served = runtime.block_on(accept_until_stopped(service, endpoint, Arc::clone(&roster)));
    roster.stop(grace);
    runtime.shutdown_background();
    served
}

/// Accepts, a task a connection on the runtime that polls it, until it is told to stop.
///
/// # Errors
/// Those of accept(2) after which nothing more can be served.
pub(super) async fn accept_until_stopped<S: Service>(
    service: S,
    endpoint: Endpoint,
    roster: Arc<Roster>,
) -> io::Result<()>
where
    S::Conn: Protocol + Unpin,
{
    let term = signal(SignalKind::terminate())?;
    let interrupt = signal(SignalKind::interrupt())?;
    endpoint.ready();
    let stop = [term, interrupt];
    let terms = (endpoint.options.limit, endpoint.options.idle);
    // The claim on a path stays in `endpoint`, and goes when this is over.
    match endpoint.url.address {
        Address::Ip(_) => {
            accept(service, TcpListener::from_std(endpoint.listener.into())?, stop, terms, roster).await
        }
        Address::Path(_) => {
            accept(service, UnixListener::from_std(endpoint.listener.into())?, stop, terms, roster).await
        }
    }
}

/// A listener of the runtime.
trait Listen {
    type Stream: Stream;

    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<Self::Stream>>;
}

impl Listen for TcpListener {
    type Stream = TcpStream;

    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<TcpStream>> {
        self.poll_accept(cx).map_ok(|(stream, _)| stream)
    }
}

impl Listen for UnixListener {
    type Stream = UnixStream;

    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<UnixStream>> {
        self.poll_accept(cx).map_ok(|(stream, _)| stream)
    }
}

async fn accept<S: Service, L: Listen>(
    service: S,
    listener: L,
    [mut term, mut interrupt]: [Signal; 2],
    (limit, idle): (Limit, Idle),
    roster: Arc<Roster>,
) -> io::Result<()>
where
    S::Conn: Protocol + Unpin,
{
    let next = async || {
        let ticket = poll_fn(|cx| limit.poll_enter(cx)).await;
        poll_fn(|cx| listener.poll_accept(cx)).await.map(|stream| (stream, ticket))
    };
    let start = |(stream, ticket): (L::Stream, Ticket)| {
        let entry = roster.enter(stream.as_fd());
        drop(tokio::spawn(Task::new(stream, service.open(), entry, idle, ticket)));
    };
    loop {
        let accepted = tokio::select! {
            accepted = next() => accepted,
            _ = term.recv() => break,
            _ = interrupt.recv() => break,
        };
        match accepted {
            Ok(accepted) => start(accepted),
            Err(error) => match socket::accept_error(error) {
                Accepted::Exhausted(_) => tokio::time::sleep(BACK_OFF).await,
                Accepted::Failed(error) => return Err(error),
                _ => {}
            },
        }
    }
    // What was queued before the order to stop is still served.
    while let Some(ticket) = limit.try_enter()
        && let Poll::Ready(Ok(stream)) = poll_fn(|cx| Poll::Ready(listener.poll_accept(cx))).await
    {
        start((stream, ticket));
    }
    Ok(())
}

/// Serves datagrams until it is told to stop.
///
/// # Errors
/// Those of the runtime and of recvmsg(2) after which nothing more can be served.
pub fn serve_datagrams<S: Both>(service: S, endpoint: Endpoint) -> io::Result<()> {
    let counters = endpoint.options.counters;
    counters.shared();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(endpoint.options.workers)
        .thread_name("worker")
        .on_thread_start(move || counters.enter_shared())
        .enable_all()
        .build()?;
    let served = runtime.block_on(datagram::tasks::serve_until_stopped(service, endpoint));
    runtime.shutdown_background();
    served
}
