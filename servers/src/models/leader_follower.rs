//! `leader-follower`: a pool of threads of which one, the leader, is in accept; with a connection it promotes a follower and serves.
//! Not here: the pool (see `drive::threads`).
//!
//! Unlike a mutex round accept, the leader names its successor: the thread that has waited least, whose stack is still in the cache
//! (the pattern's LIFO order). Under little load two threads do all the work.

use crate::axes::{Axes, Capacity, POOL, everything};
use crate::drive::datagram::{Both, pools};
use crate::drive::threads::Crew;
use crate::{Endpoint, Model};
use service::Service;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{self, Thread, ThreadId};
use sys::datagram::Wait;
use sys::socket::accept;

/// What it is.
pub static MODEL: Model = Model {
    name: "leader-follower",
    summary: "a pool of threads, one in accept, which names the next before it serves: no queue, no hand-over of the connection",
    origin: "Schmidt and others, Leader/Followers (Pattern-Oriented Software Architecture 2)",
    axes: Axes {
        accept: "shared listener, one leader in accept, promotion last in first out",
        isolation: "thread",
        lifetime: "static pool",
        multiplexing: "none: one connection a thread at a time",
        work: "inline",
    },
    capacity: Capacity::Workers(POOL),
    supports: everything,
};

/// Who leads, and who waits to.
#[derive(Default)]
struct Followers(Mutex<State>);

#[derive(Default)]
struct State {
    leader: Option<ThreadId>,
    waiting: Vec<Thread>,
}

impl Followers {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Each change is one step: a thread that panicked has not left it half-made.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits to be the leader.
    fn lead(&self) -> Lead<'_> {
        let me = thread::current();
        let mut state = self.lock();
        if state.leader.is_none() {
            state.leader = Some(me.id());
        } else {
            state.waiting.push(me.clone());
            drop(state);
            // A thread may be unparked for no reason: the leader is who is named.
            while self.lock().leader != Some(me.id()) {
                thread::park();
            }
        }
        Lead(self)
    }
}

/// The leader's part, until it is dropped: then the follower that came last has it.
struct Lead<'a>(&'a Followers);

impl Drop for Lead<'_> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        let next = state.waiting.pop();
        state.leader = next.as_ref().map(Thread::id);
        drop(state);
        if let Some(next) = next {
            next.unpark();
        }
    }
}

/// Serves until it is told to stop.
///
/// # Errors
/// Those of clone(2) at the start, and of accept(2) after which nothing more can be served.
pub fn serve<S: Service>(service: S, endpoint: Endpoint) -> io::Result<()> {
    let workers = endpoint.options.workers;
    let mut crew = Crew::new(service, endpoint)?;
    let followers = Followers::default();
    crew.hire_acceptors(workers, move |listener| {
        let _lead = followers.lead();
        accept(listener, false)
    })?;
    crew.run()
}

/// Serves datagrams until it is told to stop.
///
/// # Errors
/// Those of clone(2) at the start.
pub fn serve_datagrams<S: Both>(service: S, endpoint: Endpoint) -> io::Result<()> {
    let followers = Followers::default();
    pools::threads(service, endpoint, move |clerk, socket| {
        let _lead = followers.lead();
        clerk.take(socket, Wait::Socket)
    })
}
