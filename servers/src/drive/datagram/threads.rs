//! One thread receives, others answer: a thread for each datagram, or a pool behind a bounded queue. Not here: threads that receive
//! for themselves (see `pools`).

use super::{Both, Clerk, Figures, Taken, send, work_here};
use crate::counters::{self, Counters, Why};
use crate::endpoint::Endpoint;
use crossbeam_channel::{Sender, bounded};
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};
use sys::datagram::{Route, Wait};
use sys::stop;

/// Datagrams that may be in other threads' hands at a time; the next waits in the socket, whose own queue is bounded too.
const MOST: usize = 1_024;

/// Buffers kept for use again.
const SPARES: usize = 64;

/// A datagram on its way to the thread that answers it.
pub struct Task<S> {
    service: S,
    socket: Arc<OwnedFd>,
    message: Vec<u8>,
    route: Route,
    _place: Place,
    figures: Arc<Shared>,
    counters: Counters,
}

/// What the answering threads have done together.
struct Shared {
    answered: AtomicU64,
    unsendable: AtomicU64,
    /// Buffers that can be used again.
    free: Sender<Vec<u8>>,
}

impl<S: Both> Task<S> {
    /// Does the work and answers.
    pub fn run(self) {
        self.counters.enter_shared();
        let answer = self.service.answer(&self.message);
        work_here(answer.work);
        let sent = send(self.socket.as_fd(), &answer.reply, &self.message, &self.route);
        let which = if sent.is_ok() { &self.figures.answered } else { &self.figures.unsendable };
        which.fetch_add(1, Relaxed);
        counters::ended(if sent.is_ok() { Why::Service } else { Why::Unsent });
        // No room: more were under way than are kept, and this one goes.
        let _ = self.figures.free.try_send(self.message);
    }
}

/// How many datagrams are in other threads' hands.
#[derive(Default)]
struct Places {
    taken: Mutex<usize>,
    freed: Condvar,
}

/// One of them, until it is dropped.
struct Place(Arc<Places>);

impl Drop for Place {
    fn drop(&mut self) {
        *self.0.taken.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        self.0.freed.notify_all();
    }
}

impl Places {
    /// Waits for room.
    fn take(self: &Arc<Self>) -> Place {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        while *taken >= MOST {
            taken = self.freed.wait(taken).unwrap_or_else(PoisonError::into_inner);
        }
        *taken += 1;
        drop(taken);
        Place(Arc::clone(self))
    }

    /// Waits until all are free, at most `time`.
    fn empty(&self, time: Duration) {
        let end = Instant::now() + time;
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        while *taken > 0 {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            taken = self.freed.wait_timeout(taken, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// Receives, and gives each datagram to `give`, until it is told to stop and what was queued has been given; then waits for those
/// under way, within the grace. `give` returns false where the datagram is lost.
///
/// # Errors
/// Those of recvmsg(2) after which nothing more can be served.
pub fn receive<S: Both>(
    service: &S,
    endpoint: Endpoint,
    mut give: impl FnMut(Task<S>) -> bool,
) -> io::Result<()> {
    let (family, options) = (endpoint.url.family, endpoint.options);
    stop::install(Some(endpoint.listener.as_fd()), options.grace)?;
    // The receiver and those that answer add to one line.
    options.counters.shared();
    options.counters.enter_shared();
    endpoint.ready();
    let socket = Arc::new(endpoint.listener);
    let (free, spares) = bounded(SPARES);
    let places = Arc::new(Places::default());
    let shared = Arc::new(Shared { answered: AtomicU64::new(0), unsendable: AtomicU64::new(0), free });
    let mut clerk = Clerk::new(service.clone(), family);
    loop {
        match clerk.take(socket.as_fd(), Wait::Socket)? {
            Taken::Datagram(received) => {
                let spare = spares.try_recv().unwrap_or_default();
                let Some(message) = clerk.hand_over(&received, spare) else { continue };
                let task = Task {
                    service: service.clone(),
                    socket: Arc::clone(&socket),
                    message,
                    route: received.route,
                    _place: places.take(),
                    figures: Arc::clone(&shared),
                    counters: options.counters,
                };
                if !give(task) {
                    clerk.figures.unsendable += 1;
                }
            }
            Taken::Empty if stop::stopping() => break,
            Taken::Empty | Taken::Interrupted => {}
        }
    }
    places.empty(options.grace);
    let others = Figures {
        answered: shared.answered.load(Relaxed),
        unsendable: shared.unsendable.load(Relaxed),
        ..Figures::default()
    };
    clerk.figures.add(&others);
    clerk.figures.report(0);
    Ok(())
}
