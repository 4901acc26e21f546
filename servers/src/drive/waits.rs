//! One connection as plain async code over async-io: wait until it is ready, then step the state machine of `conn`. Not here: tokio,
//! whose streams are polled (see `tasks`).

use super::blocking::Watch as _;
use super::conn::{Conn, Next};
use super::idle::Idle;
use super::limit::Ticket;
use super::reactor::socket::Socket;
use super::roster::Entry;
use crate::counters::{self, Why};
use service::Protocol;
use smol::future::or;
use smol::{Async, Timer};
use std::cell::RefCell;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::time::{Duration, Instant};
use sys::socket::{Side, shutdown};
use sys::{Event, Interest};

/// Bytes read at a time: one buffer a thread, lent to whichever task it runs, so that a waiting task owns none.
const SCRATCH: usize = 64 * 1024;

thread_local! {
    static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; SCRATCH]);
}

/// Serves a non-blocking `connection` until it is closed, or has been silent for longer than it may. An error of the connection ends
/// the connection and nothing else. `_ticket` is given back when it is closed.
pub async fn converse<P: Protocol>(
    connection: OwnedFd,
    protocol: P,
    entry: Entry,
    idle: Idle,
    _ticket: Ticket,
) {
    // Entered before it was registered, so the entry is dropped first on this way out as well.
    counters::accepted();
    let Ok(stream) = Async::new_nonblocking(connection) else {
        counters::ended(Why::Refused);
        return drop(entry);
    };
    // Declared last, dropped first: the entry leaves the roster before the descriptor is closed.
    let entry = entry;
    let mut conn = Conn::new(protocol);
    let mut silence = idle.time().map(Silence::begin);
    let mut next = conn.on_open(&mut Socket(stream.get_ref()));
    while next != Next::Done {
        if entry.idle(conn.is_idle()) {
            // Told to stop: what has arrived is still answered, then comes an end. A reset connection cannot be shut, and is ready.
            let _ = shutdown(stream.get_ref().as_fd(), Side::Read);
        }
        let Ok(woken) = wait(&stream, next, &mut silence).await else {
            conn.fate.is(Why::Failed);
            break;
        };
        // Not idle while it runs: a stop waits for what is being answered.
        entry.idle(false);
        next = match woken {
            Woken::Ready(Interest { read, write }) => BUFFER.with_borrow_mut(|scratch| {
                let event = Event { key: 0, read, write, hang_up: false };
                conn.on_event(event, &mut Socket(stream.get_ref()), scratch)
            }),
            Woken::Time => conn.on_time(Instant::now(), &mut Socket(stream.get_ref())),
            Woken::Silence => {
                conn.fate.is(Why::Idle);
                break;
            }
        };
        silence.iter_mut().for_each(Silence::interrupt);
    }
    conn.fate.while_stopping(entry.stopping());
}

/// What ended a wait.
enum Woken {
    Ready(Interest),
    Time,
    /// Nothing has moved for too long.
    Silence,
}

/// Since when nothing has moved. The timer is not set anew for each byte: when it goes off it is looked at how long ago that was.
struct Silence {
    time: Duration,
    since: Instant,
    timer: Timer,
}

impl Silence {
    fn begin(time: Duration) -> Self {
        Self { time, since: Instant::now(), timer: Timer::after(time) }
    }

    fn interrupt(&mut self) {
        self.since = Instant::now();
    }

    async fn over(&mut self) {
        loop {
            (&mut self.timer).await;
            let end = self.since + self.time;
            if Instant::now() >= end {
                return;
            }
            self.timer.set_at(end);
        }
    }
}

async fn wait(stream: &Async<OwnedFd>, next: Next, silence: &mut Option<Silence>) -> io::Result<Woken> {
    let (wanted, until) = match next {
        Next::Wait(wanted) => (wanted, None),
        Next::WaitUntil(wanted, at) => (wanted, Some(at)),
        Next::Done => (Interest::NONE, None),
    };
    let ready = async {
        match wanted {
            Interest { write: true, .. } => stream.writable().await?,
            Interest { read: true, .. } => stream.readable().await?,
            Interest::NONE => std::future::pending().await,
        }
        Ok(Woken::Ready(wanted))
    };
    match until {
        None => match silence {
            None => ready.await,
            Some(silence) => {
                let over = async {
                    silence.over().await;
                    Ok(Woken::Silence)
                };
                or(ready, over).await
            }
        },
        Some(at) => {
            let time = async {
                Timer::at(at).await;
                Ok(Woken::Time)
            };
            or(time, ready).await
        }
    }
}
