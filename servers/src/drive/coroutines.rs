//! Stackful coroutines: the blocking code of `blocking`, each connection on a stack of its own, over an event loop. A call that would
//! block parks the coroutine, and the loop resumes it when the descriptor is ready. Not here: the loop (see `reactor`), the code itself.
//!
//! The switching is corosensei's, whose interface is safe: a coroutine never leaves its thread (it is not `Send`), its stack ends in a
//! guard page, and one that is dropped while it is parked is unwound. What remains is a rule for the code that runs on it: it must not
//! wait while it unwinds, since a thread counts its panics once for all of its coroutines. Nothing here waits in a destructor.
//!
//! The sockets are watched level-triggered, as in `epoll`: a receive waits first and calls then, which makes a request three system
//! calls, and a send calls first.

use super::blocking::{Buffers, Calls, Watch, converse, perform, send};
use super::conn::{Io, Next};
use super::reactor::served::Served;
use super::threads::STACK;
use crate::counters::{Fate, Why};
use corosensei::stack::DefaultStack;
use corosensei::{Coroutine, CoroutineResult, Yielder};
use service::{Output, Service, Work};
use std::cell::Cell;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::Instant;
use sys::socket::recv_more;
use sys::{Event, Interest};

/// Stacks and buffers kept for connections to come. What a crowd has left beyond that is given back.
const SPARE: usize = 64;

/// Bytes sent before others get their turn, however fast the peer takes them.
const BUDGET: usize = 1024 * 1024;

/// Why a coroutine goes on.
#[derive(Clone, Copy, Debug)]
struct Woken {
    /// The connection is broken: what sleeps has nobody left to answer.
    hang_up: bool,
}

/// A connection whose code is parked most of the time.
pub struct Parked {
    code: Coroutine<Woken, Next, (Why, Buffers)>,
    buffers: Option<Buffers>,
    idle: Rc<Cell<bool>>,
    /// What it waits for.
    next: Next,
    fate: Fate,
}

/// What ended connections have left.
#[derive(Default)]
pub struct Store(Vec<(DefaultStack, Buffers)>);

impl<S: Service> Served<S> for Parked {
    type Handle = Rc<OwnedFd>;
    type Store = Store;

    fn new(service: &S, fd: &Rc<OwnedFd>, _offload: bool, store: &mut Store) -> Option<Self> {
        let (stack, mut buffers) = match store.0.pop() {
            Some(spare) => spare,
            None => (DefaultStack::new(STACK).ok()?, Buffers::default()),
        };
        let (protocol, fd, idle) = (service.open(), Rc::clone(fd), Rc::new(Cell::new(false)));
        let watch = Flag(Rc::clone(&idle));
        let code = Coroutine::with_stack(stack, move |yielder, _| {
            let calls = Yields { yielder, sent: Cell::new(0) };
            let talk = AssertUnwindSafe(|| converse(&calls, fd.as_fd(), protocol, &mut buffers, &watch));
            // A panic ends its connection and not the loop, which others need.
            catch_unwind(talk).map_or_else(|_| (Why::Failed, Buffers::default()), |why| (why, buffers))
        });
        Some(Self { code, buffers: None, idle, next: Next::Done, fate: Fate::default() })
    }

    fn on_open(&mut self, _io: &mut impl Io) -> Next {
        self.resume(false)
    }

    fn on_event(&mut self, event: Event, _io: &mut impl Io, _scratch: &mut [u8]) -> Next {
        self.resume(event.hang_up)
    }

    fn on_time(&mut self, _now: Instant, _io: &mut impl Io) -> Next {
        self.resume(false)
    }

    fn take_work(&mut self) -> Option<Work> {
        None
    }

    fn on_done(&mut self, _io: &mut impl Io) -> Next {
        self.resume(false)
    }

    fn is_idle(&self) -> bool {
        self.idle.get()
    }

    fn waits_for_peer(&self) -> bool {
        // A handler that sleeps and a close that lingers wait for a moment.
        matches!(self.next, Next::Wait(_))
    }

    fn fate(&mut self) -> &mut Fate {
        &mut self.fate
    }

    fn leave(self, store: &mut Store) {
        if let Some(buffers) = self.buffers
            && store.0.len() < SPARE
        {
            store.0.push((self.code.into_stack(), buffers));
        }
    }
}

impl Parked {
    fn resume(&mut self, hang_up: bool) -> Next {
        if !self.code.done() {
            self.next = match self.code.resume(Woken { hang_up }) {
                CoroutineResult::Yield(next) => next,
                CoroutineResult::Return((why, buffers)) => {
                    self.fate.is(why);
                    self.buffers = Some(buffers);
                    Next::Done
                }
            };
        }
        self.next
    }
}

/// Says to the loop what the code says of itself; the loop stops it by what it does to the descriptor.
struct Flag(Rc<Cell<bool>>);

impl Watch for Flag {
    fn idle(&self, idle: bool) -> bool {
        self.0.set(idle);
        false
    }

    fn stopping(&self) -> bool {
        false
    }
}

/// The coroutine waits, and the thread goes on to the next one.
struct Yields<'a> {
    yielder: &'a Yielder<Woken, Next>,
    /// Since it waited last.
    sent: Cell<usize>,
}

impl Yields<'_> {
    fn wait(&self, next: Next) -> Woken {
        self.sent.set(0);
        self.yielder.suspend(next)
    }
}

impl Calls for Yields<'_> {
    fn recv(&self, fd: BorrowedFd<'_>, input: &mut Vec<u8>) -> io::Result<usize> {
        loop {
            self.wait(Next::Wait(Interest::READ));
            match recv_more(fd, input) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                received => return received,
            }
        }
    }

    fn send(&self, fd: BorrowedFd<'_>, out: &Output, input: &[u8]) -> io::Result<usize> {
        loop {
            if self.sent.get() >= BUDGET {
                self.wait(Next::Wait(Interest::WRITE));
            }
            match send(fd, out, input) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.wait(Next::Wait(Interest::WRITE));
                }
                sent => {
                    let n = sent.as_ref().map_or(0, |n| *n);
                    self.sent.set(self.sent.get() + n);
                    return sent;
                }
            }
        }
    }

    fn perform(&self, work: Work) {
        let Work::Sleep(time) = work else { return perform(work) };
        let end = Instant::now() + time;
        while Instant::now() < end && !self.wait(Next::WaitUntil(Interest::NONE, end)).hang_up {}
    }

    fn readable(&self, _fd: BorrowedFd<'_>, end: Instant) -> io::Result<bool> {
        self.wait(Next::WaitUntil(Interest::READ, end));
        Ok(Instant::now() < end)
    }
}

#[cfg(test)]
#[path = "coroutines_tests.rs"]
mod tests;
