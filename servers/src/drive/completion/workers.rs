//! Several loops over io_uring, a thread and a ring and a listener each; the kernel shares the connections out (SO_REUSEPORT). Not here:
//! the loop.

use super::{Receive, Server, Stop};
use crate::drive::loops::room;
use crate::endpoint::Endpoint;
use service::Service;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::mpsc::{Sender, channel};
use std::thread::{Builder, ScopedJoinHandle};
use sys::bell::Bell;
use sys::signal::{Received, Signals};
use sys::socket;

/// Serves `endpoint` with as many threads as it says until SIGTERM or SIGINT, then drains.
///
/// # Errors
/// Those of threads, io_uring(7) and accept(2) after which nothing more can be served.
pub fn run_shared<S: Service>(service: S, endpoint: Endpoint, receive: Receive) -> io::Result<()> {
    // Before the threads, which inherit the mask: the signals are this thread's.
    let signals = Signals::new(false)?;
    let (stop, ended) = (Bell::new()?, Bell::new()?);
    let Endpoint { listener, siblings: mut listeners, url, options, .. } = endpoint;
    listeners.push(listener);
    options.counters.workers(listeners.len());
    let worker = |number: usize, listener: OwnedFd, service: S, prepared: Sender<()>| {
        options.counters.enter(number);
        let _ended = RingWhenDone(&ended);
        let mut server = Server::new(service, listener, options, room(options.limit)?, receive)?;
        // Nobody listens any more only where another thread could not be made.
        let _ = prepared.send(());
        drop(prepared);
        server.serve(&Stop::Bell(&stop))
    };
    let worker = &worker;
    std::thread::scope(|scope| {
        let (prepared, counted) = channel();
        let (mut threads, mut failed) = (Vec::new(), None);
        let count = listeners.len();
        for (number, listener) in listeners.into_iter().enumerate() {
            let (service, prepared) = (service.clone(), prepared.clone());
            let thread = Builder::new().name("worker".to_owned());
            match thread.spawn_scoped(scope, move || worker(number, listener, service, prepared)) {
                Ok(thread) => threads.push(thread),
                Err(error) => failed = Some(error),
            }
        }
        drop(prepared);
        // Ends when each has a ring, or has given up.
        let mut waited = Ok(());
        if counted.iter().count() == count {
            crate::endpoint::announce(&url);
            waited = wait(&signals, &ended);
        }
        stop.ring();
        let served = threads.into_iter().map(join).fold(Ok(()), io::Result::and);
        failed.map_or(Ok(()), Err).and(served).and(waited)
    })
}

/// Rings also where a worker panics.
struct RingWhenDone<'a>(&'a Bell);

impl Drop for RingWhenDone<'_> {
    fn drop(&mut self) {
        self.0.ring();
    }
}

/// Until a signal says to stop, or a worker has ended unasked.
fn wait(signals: &Signals, ended: &Bell) -> io::Result<()> {
    loop {
        let ready = socket::wait_readable(&[signals.as_fd(), ended.as_fd()], None)?;
        if ready[1] || signals.next()? == Some(Received::Stop) {
            return Ok(());
        }
    }
}

fn join(thread: ScopedJoinHandle<'_, io::Result<()>>) -> io::Result<()> {
    thread.join().unwrap_or_else(|_| Err(io::Error::other("a worker panicked")))
}
