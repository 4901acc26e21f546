//! Worker threads that share nothing: an acceptor hands each its own connections. Not here: what a worker does with them.

use super::limit::Ticket;
use super::roster::{Entry, Roster};
use crate::counters::Counters;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::{Arc, mpsc as reports};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// A connection on its way to its worker. It is in the roster already, so that a stop does not miss it.
///
/// Should a worker have to close the descriptor before it drops the entry: the stop comes from the thread that accepts, after its
/// last accept, so the number is nobody else's then.
#[derive(Debug)]
pub struct Handed {
    // Before the descriptor: the entry leaves the roster first.
    /// Its place in the roster.
    pub entry: Entry,
    /// The connection.
    pub connection: OwnedFd,
    /// Its part of the limit.
    pub ticket: Ticket,
}

/// Where a worker gets its connections from, on any runtime. Not bounded but by the descriptors that the process may have.
pub type Lane = UnboundedReceiver<Handed>;

/// The workers, as the acceptor sees them.
#[derive(Debug)]
pub struct Lanes {
    workers: Vec<UnboundedSender<Handed>>,
    turn: usize,
}

impl Lanes {
    /// Starts `count` threads, each of which makes a runtime with `build` and serves with `run`, which does not return. All runtimes
    /// exist when this returns.
    ///
    /// # Errors
    /// The first of `build`; EAGAIN when there is no thread to be had.
    pub fn start<R: 'static>(
        count: usize,
        counters: Counters,
        build: fn() -> io::Result<R>,
        run: impl Fn(R, Lane) + Clone + Send + 'static,
    ) -> io::Result<Self> {
        let (report, started) = reports::channel();
        let mut workers = Vec::with_capacity(count);
        counters.workers(count);
        for worker in 0..count {
            let (give, lane) = unbounded_channel();
            workers.push(give);
            let (report, run) = (report.clone(), run.clone());
            std::thread::Builder::new().name("worker".to_owned()).spawn(move || match build() {
                Ok(runtime) => {
                    // The acceptor waits for this, or is gone with the process.
                    let _ = report.send(Ok(()));
                    counters.enter(worker);
                    run(runtime, lane);
                }
                Err(error) => {
                    let _ = report.send(Err(error));
                }
            })?;
        }
        for _ in 0..count {
            started.recv().map_err(io::Error::other)??;
        }
        Ok(Self { workers, turn: 0 })
    }

    /// Enters a connection in the roster and hands it to the next worker in turn.
    pub fn give(&mut self, connection: OwnedFd, ticket: Ticket, roster: &Arc<Roster>) {
        let entry = roster.enter(connection.as_fd());
        // A worker that is gone: the connection is closed with what comes back.
        let _ = self.workers[self.turn].send(Handed { entry, connection, ticket });
        self.turn = (self.turn + 1) % self.workers.len();
    }
}
