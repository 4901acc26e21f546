//! `epoll-oneshot`: one epoll instance, several threads, each event to one of them. Not here: the threads' work (see
//! `drive::oneshot`).

use crate::axes::{Axes, Capacity, everything};
use crate::drive::datagram::{self, Both};
use crate::drive::loops::Team;
use crate::drive::oneshot::{BATCH, Shared, Worker};
use crate::{Endpoint, Model};
use service::Service;
use std::io;
use std::sync::Arc;
use sys::epoll::Epoll;
use sys::signal::Signals;

/// What it is.
pub static MODEL: Model = Model {
    name: "epoll-oneshot",
    summary: "N threads share one epoll: any of them serves any connection, at an epoll_ctl for each event",
    origin: "Linux 2.6.2, EPOLLONESHOT; the pollers of thread-pool runtimes",
    axes: Axes {
        accept: "shared listener in the shared epoll, one thread at a time",
        isolation: "thread",
        lifetime: "static pool",
        multiplexing: "one epoll for all, level-triggered, one-shot",
        work: "spin inline, sleep by a timer",
    },
    capacity: Capacity::System,
    supports: everything,
};

/// Serves until it is told to stop.
///
/// # Errors
/// Those of epoll(7) and accept(2) after which nothing more can be served.
pub fn serve<S: Service>(service: S, endpoint: Endpoint) -> io::Result<()> {
    endpoint.set_nonblocking()?;
    let signals = Signals::new(false)?;
    let Endpoint { listener, url, options, .. } = endpoint;
    let mut team = Team::new(options.counters, options.workers)?;
    let mut epoll = Epoll::oneshot(BATCH)?;
    let shared = Shared::new(service, listener, team.stop_bell(), options, &mut epoll)?;
    let shared = Arc::new(shared);
    for _ in 0..options.workers {
        let (shared, worker) = (Arc::clone(&shared), Worker::new(epoll.share(), options.idle));
        team.start(move |waiting| {
            waiting.say();
            worker.serve(&shared)
        })?;
    }
    team.open(&url, &signals)
}

/// Serves datagrams until it is told to stop.
///
/// # Errors
/// Those of epoll(7) and of recvmsg(2) after which nothing more can be served.
pub fn serve_datagrams<S: Both>(service: S, endpoint: Endpoint) -> io::Result<()> {
    datagram::oneshot::serve(service, endpoint, Epoll::oneshot(1)?)
}
