//! `epoll-reactors`: an acceptor that hands connections to event loops. Not here: the loops (see `drive::reactor`), the choice
//! among them (see `drive::seats`) and the way there (see `sys::inbox`).

use crate::axes::{Axes, Capacity, everything};
use crate::drive::datagram::{self, Both};
use crate::drive::gate::Gate;
use crate::drive::loops::{Team, room};
use crate::drive::reactor::{Parts, Reactor, Stop};
use crate::drive::seats::{Chooser, HandOff, Seat};
use crate::endpoint::announce;
use crate::{Endpoint, Model, Options};
use service::Service;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;
use std::task::Waker;
use std::time::Instant;
use sys::epoll::Epoll;
use sys::inbox::{Door, Inbox};
use sys::signal::{Received, Signals};
use sys::{Bell, Interest, Poller as _};

/// What it is.
pub static MODEL: Model = Model {
    name: "epoll-reactors",
    summary: "an acceptor and N event loops: balance by policy, at a hand-over for each connection",
    origin: "Schmidt's Reactor, main and sub; muduo, netty; haproxy's listener queues",
    axes: Axes {
        accept: "one acceptor, hands over by epoll_ctl: in turn, to the least loaded, or to the better of two",
        isolation: "thread",
        lifetime: "static pool",
        multiplexing: "epoll, level-triggered",
        work: "spin inline, sleep by a timer",
    },
    capacity: Capacity::System,
    supports: everything,
};

const LISTENER: u64 = 0;
const SIGNALS: u64 = 1;
const ENDED: u64 = 2;
const ROOM: u64 = 3;

/// Marks a loop's seat as empty when it ends, also by a panic: the acceptor passes it over. What was on its way to it then is lost.
struct Vacate(Arc<Seat>);

impl Drop for Vacate {
    fn drop(&mut self) {
        self.0.vacate();
    }
}

/// Serves until it is told to stop.
///
/// # Errors
/// Those of epoll(7) and accept(2) after which nothing more can be served.
pub fn serve<S: Service>(service: S, endpoint: Endpoint) -> io::Result<()> {
    endpoint.set_nonblocking()?;
    let signals = Signals::new(false)?;
    let Endpoint { listener, url, options, .. } = endpoint;
    let seats: Vec<Arc<Seat>> = (0..options.workers).map(|_| Arc::default()).collect();
    let mut team = Team::new(options.counters, options.workers)?;
    let mut doors = Vec::with_capacity(options.workers);
    for seat in &seats {
        let inbox = Inbox::new()?;
        doors.push(inbox.door());
        let parts = Parts {
            listener: None,
            stop: Stop::Bell(team.stop_bell()),
            grace: options.grace,
            helpers: None,
            seat: Some(Arc::clone(seat)),
            limit: options.limit,
            // Who waits for room is the acceptor.
            room: None,
            idle: options.idle,
        };
        let (service, seat) = (service.clone(), Arc::clone(seat));
        team.start(move |waiting| {
            let _vacate = Vacate(seat);
            let reactor = Reactor::new(service, inbox, parts)?;
            waiting.say();
            reactor.serve()
        })?;
    }
    team.await_ready()?;
    let mut acceptor = Acceptor::new(listener, doors, options, seats)?;
    acceptor.epoll.add(signals.as_fd(), SIGNALS, Interest::READ)?;
    acceptor.epoll.add(team.ended_bell().as_fd(), ENDED, Interest::READ)?;
    announce(&url);
    let accepted = acceptor.run(&signals, &team);
    accepted.and(team.end())
}

/// Serves datagrams until it is told to stop: by the peer's hash, whatever the policy for connections.
///
/// # Errors
/// Those of epoll(7) and of recvmsg(2) after which nothing more can be served.
pub fn serve_datagrams<S: Both>(service: S, endpoint: Endpoint) -> io::Result<()> {
    datagram::reactors::serve(service, endpoint)
}

/// The main thread: it accepts, and has the signals.
struct Acceptor {
    epoll: Epoll,
    gate: Gate,
    doors: Vec<Door>,
    chooser: Chooser,
    seats: Vec<Arc<Seat>>,
    room: Option<Arc<Bell>>,
}

impl Acceptor {
    fn new(listener: OwnedFd, doors: Vec<Door>, options: Options, seats: Vec<Arc<Seat>>) -> io::Result<Self> {
        let mut epoll = Epoll::new()?;
        let room = room(options.limit)?;
        if let Some(room) = &room {
            epoll.add(room.as_fd(), ROOM, Interest::READ)?;
        }
        let limit = (options.limit, room.clone().map(Waker::from));
        let gate = Gate::open(Arc::new(listener), LISTENER, limit, &mut epoll)?;
        let policy = options.hand_off.unwrap_or(HandOff::RoundRobin);
        Ok(Self { epoll, gate, doors, chooser: Chooser::new(policy, seats.clone()), seats, room })
    }

    /// Accepts until it is told to stop or nobody is left to hand over to; hands over what is queued.
    fn run(mut self, signals: &Signals, team: &Team) -> io::Result<()> {
        let mut events = Vec::with_capacity(4);
        let mut stop = false;
        while !stop {
            let timeout = self.gate.resume_at().map(|at| at.saturating_duration_since(Instant::now()));
            self.epoll.wait(&mut events, timeout)?;
            for event in &events {
                match event.key {
                    LISTENER => self.accept()?,
                    SIGNALS => {
                        while let Some(signal) = signals.next()? {
                            stop |= signal == Received::Stop;
                        }
                    }
                    ROOM => {
                        if let Some(room) = &self.room {
                            room.hush()?;
                        }
                    }
                    _ => {
                        team.ended_bell().hush()?;
                        stop |= team.is_gone();
                    }
                }
            }
            self.gate.resume(Instant::now(), &mut self.epoll)?;
        }
        self.accept()?;
        self.gate.close(&mut self.epoll)
    }

    fn accept(&mut self) -> io::Result<()> {
        while let Some((connection, ticket)) = self.gate.next(&mut self.epoll)? {
            // With no loop left the client sees a close, and the server is about to end.
            let Some(at) = self.chooser.choose() else { continue };
            self.seats[at].enter();
            if self.doors[at].hand_over(connection).is_ok() {
                ticket.leave_with();
            } else {
                self.seats[at].leave();
            }
        }
        Ok(())
    }
}
