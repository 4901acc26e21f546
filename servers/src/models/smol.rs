//! `smol`: a task a connection on smol's work-stealing executor over async-io. Not here: the connection (see `drive::waits`).
//!
//! async-io watches a descriptor for one event at a time: each wait costs an epoll_ctl(2), which tokio's edge-triggered watch does
//! not. That is the runtime's way and is measured, not worked around. The thread that async-io starts does all the waiting: threads in
//! `smol::block_on` would take turns at it, and where one leaves it with none to follow, events wait for as long as that thread backs
//! off, up to 10 ms (async-io, `driver.rs`).

use crate::axes::{Axes, Capacity, everything};
use crate::drive::BACK_OFF;
use crate::drive::datagram::{self, Both};
use crate::drive::idle::Idle;
use crate::drive::limit::{Limit, Ticket};
use crate::drive::roster::Roster;
use crate::drive::waits::converse;
use crate::{Endpoint, Model};
use service::Service;
use smol::future::{FutureExt as _, or};
use smol::{Async, Executor, Timer};
use std::future::poll_fn;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use sys::signal::{Received, Signals};
use sys::socket::{Accepted, accept};

/// What it is.
pub static MODEL: Model = Model {
    name: "smol",
    summary: "a task a connection on smol: a small work-stealing executor over one-shot epoll",
    origin: "smol 2: async-executor, async-io",
    axes: Axes {
        accept: "one acceptor, a task",
        isolation: "none",
        lifetime: "a task a connection, a fixed number of threads and one that waits",
        multiplexing: "async tasks over one-shot epoll in a thread of its own",
        work: "spin inline, sleep by a timer",
    },
    capacity: Capacity::System,
    supports: everything,
};

/// Connections accepted before those that are open get their turn.
const ACCEPT_BATCH: usize = 64;

/// Serves until it is told to stop.
///
/// # Errors
/// Those of epoll(7) and accept(2) after which nothing more can be served.
pub fn serve<S: Service>(service: S, endpoint: Endpoint) -> io::Result<()> {
    endpoint.set_nonblocking()?;
    // Before any thread, which inherit the mask.
    let signals = Async::new_nonblocking(Signals::new(false)?)?;
    let counters = endpoint.options.counters;
    counters.workers(endpoint.options.workers);
    let executor = Arc::new(Executor::new());
    for worker in 0..endpoint.options.workers {
        let executor = Arc::clone(&executor);
        std::thread::Builder::new().name("worker".to_owned()).spawn(move || {
            counters.enter(worker);
            smol::future::block_on(executor.run(std::future::pending::<()>()));
        })?;
    }
    let listener = Async::new_nonblocking(endpoint.listener.try_clone()?)?;
    let (limit, idle) = (endpoint.options.limit, endpoint.options.idle);
    let acceptor = Acceptor { service, executor, roster: Arc::default(), listener, limit, idle };
    endpoint.ready();
    let served = smol::future::block_on(acceptor.run(&signals));
    acceptor.roster.stop(endpoint.options.grace);
    served
}

struct Acceptor<S> {
    service: S,
    executor: Arc<Executor<'static>>,
    roster: Arc<Roster>,
    listener: Async<OwnedFd>,
    limit: Limit,
    idle: Idle,
}

impl<S: Service> Acceptor<S> {
    async fn run(&self, signals: &Async<Signals>) -> io::Result<()> {
        let stop = async {
            while signals.get_ref().next()? != Some(Received::Stop) {
                signals.readable().await?;
            }
            Ok::<(), io::Error>(())
        };
        let accepting = async {
            loop {
                // Where there is none the listener is not watched.
                drop(poll_fn(|cx| self.limit.poll_enter(cx)).await);
                self.listener.readable().await?;
                if self.accept_some(ACCEPT_BATCH)? {
                    Timer::after(BACK_OFF).await;
                }
            }
        };
        or(stop, accepting).await?;
        // What was queued before the order to stop is still served.
        self.accept_some(usize::MAX).map(drop)
    }

    /// Accepts what is queued; true when resources ran out.
    fn accept_some(&self, limit: usize) -> io::Result<bool> {
        for _ in 0..limit {
            let Some(ticket) = self.limit.try_enter() else { break };
            match accept(self.listener.as_fd(), true) {
                Accepted::Connection(connection) => self.open(connection, ticket),
                Accepted::Empty => break,
                Accepted::Interrupted | Accepted::Aborted => {}
                Accepted::Exhausted(_) => return Ok(true),
                Accepted::Failed(error) => return Err(error),
            }
        }
        Ok(false)
    }

    fn open(&self, connection: OwnedFd, ticket: Ticket) {
        let entry = self.roster.enter(connection.as_fd());
        let serving = converse(connection, self.service.open(), entry, self.idle, ticket);
        // A panic ends its connection and not the thread, which others need.
        self.executor.spawn(AssertUnwindSafe(serving).catch_unwind()).detach();
    }
}

/// Serves datagrams until it is told to stop.
///
/// # Errors
/// Those of epoll(7) and of recvmsg(2) after which nothing more can be served.
pub fn serve_datagrams<S: Both>(service: S, endpoint: Endpoint) -> io::Result<()> {
    datagram::waits::serve(service, endpoint)
}
