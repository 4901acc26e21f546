//! A connected socket for each peer: the first datagram of a peer makes one, on the server's own port, and the kernel brings it what that
//! peer sends from then on. Not here: the socket (see `sys::datagram::answer_socket`).
//!
//! What a peer sends before its socket is connected comes to the common socket, after the first datagram too: it is answered from there,
//! in its order, and none is lost. Peers are bounded; one that was silent for a while makes room.

use super::later::{Later, Waiting};
use super::{BUDGET, Both, Clerk, Taken, send, work_here};
use crate::endpoint::{Endpoint, announce};
use service::Work;
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};
use sys::datagram::{Local, Peer, Received, Route, Wait, answer_socket};
use sys::epoll::Epoll;
use sys::signal::Signals;
use sys::{Event, Interest, Poller as _};

const COMMON: u64 = u64::MAX;
const STOP: u64 = u64::MAX - 1;

/// Peers with a socket of their own at a time; what more of them send is answered from the common socket.
const MOST: usize = 4_096;
/// How long a peer may be silent before its socket is closed, and how often that is looked at.
const SILENT: Duration = Duration::from_secs(30);

/// A peer.
struct Own {
    socket: OwnedFd,
    peer: Peer,
    /// The address that it has asked.
    local: Local,
    seen: Instant,
}

/// Serves with one loop until SIGTERM or SIGINT, then drains.
///
/// # Errors
/// Those of epoll(7) and of recvmsg(2) after which nothing more can be served.
pub fn serve<S: Both>(service: S, endpoint: Endpoint) -> io::Result<()> {
    endpoint.set_nonblocking()?;
    let signals = Signals::new(false)?;
    let mut epoll = Epoll::new()?;
    epoll.add(endpoint.listener.as_fd(), COMMON, Interest::READ)?;
    epoll.add(signals.as_fd(), STOP, Interest::READ)?;
    let options = endpoint.options;
    let url = endpoint.url.clone();
    let address = url.ip().ok_or(io::ErrorKind::Unsupported)?;
    let mut peers = Peers {
        clerk: Clerk::new(service, url.family),
        common: endpoint.listener,
        address,
        epoll,
        own: slab::Slab::new(),
        places: HashMap::new(),
        look_at: Instant::now() + SILENT,
        later: Later::default(),
    };
    options.counters.workers(1);
    options.counters.enter(0);
    announce(&url);
    peers.serve(&signals, options.grace)?;
    peers.clerk.figures.report(0);
    Ok(())
}

struct Peers<S> {
    clerk: Clerk<S>,
    common: OwnedFd,
    address: SocketAddr,
    epoll: Epoll,
    own: slab::Slab<Own>,
    places: HashMap<Peer, usize>,
    look_at: Instant,
    /// Answers whose work sleeps.
    later: Later,
}

impl<S: Both> Peers<S> {
    fn serve(&mut self, signals: &Signals, grace: Duration) -> io::Result<()> {
        let mut events: Vec<Event> = Vec::with_capacity(64);
        let mut stop_at: Option<Instant> = None;
        loop {
            self.epoll.wait(&mut events, self.timeout(stop_at))?;
            for event in &events {
                match event.key {
                    STOP => {
                        while let Some(signal) = signals.next()? {
                            if signal == sys::signal::Received::Stop && stop_at.is_none() {
                                stop_at = Some(Instant::now() + grace);
                            }
                        }
                    }
                    COMMON => drop(self.turn(None)?),
                    key => drop(self.turn(Some(key as usize))?),
                }
            }
            self.on_time();
            self.let_go()?;
            if let Some(at) = stop_at {
                self.drain(at)?;
                if self.later.is_empty() || Instant::now() >= at {
                    return Ok(());
                }
            }
        }
    }

    /// Without peers and answers that wait nothing wakes the loop but a datagram.
    fn timeout(&self, stop_at: Option<Instant>) -> Option<Duration> {
        let look_at = (!self.own.is_empty()).then_some(self.look_at);
        let first = [self.later.next(), look_at, stop_at].into_iter().flatten().min()?;
        Some(first.saturating_duration_since(Instant::now()))
    }

    /// What was queued before the order to stop is still answered.
    fn drain(&mut self, until: Instant) -> io::Result<()> {
        let all: Vec<usize> = self.own.iter().map(|(place, _)| place).collect();
        for place in std::iter::once(None).chain(all.into_iter().map(Some)) {
            while self.turn(place)? == BUDGET && Instant::now() < until {}
        }
        Ok(())
    }

    fn on_time(&mut self) {
        if self.later.is_empty() {
            return;
        }
        let now = Instant::now();
        while let Some(waiting) = self.later.take(now) {
            let sent = send(self.common.as_fd(), &waiting.reply, &waiting.message, &waiting.route);
            self.clerk.figures.sent(&sent);
        }
    }

    /// Answers what is there on one socket, at most [`BUDGET`], and says how many; level-triggered, it is told of the rest again.
    fn turn(&mut self, place: Option<usize>) -> io::Result<usize> {
        for done in 0..BUDGET {
            let fd = match place {
                None => self.common.as_fd(),
                Some(place) => match self.own.get(place) {
                    Some(own) => own.socket.as_fd(),
                    None => return Ok(done),
                },
            };
            // An error of a connected socket is about its peer, and ends nothing.
            let Taken::Datagram(mut received) = self.clerk.take(fd, Wait::No)? else { return Ok(done) };
            match place.and_then(|place| self.own.get_mut(place)) {
                Some(own) => {
                    own.seen = Instant::now();
                    received.route.local = own.local;
                }
                None => self.adopt(&received),
            }
            self.answer(place, &received);
        }
        Ok(BUDGET)
    }

    /// Answers from the peer's own socket, where it came by that, and needs no address then; after a sleep from the common one, which is
    /// on the same port: it must not keep the peer's own socket open.
    fn answer(&mut self, place: Option<usize>, received: &Received) {
        let common = self.common.as_fd();
        let (fd, now) = match place.and_then(|place| self.own.get(place)) {
            // Between bind and connect a socket may be brought what others have sent; that is answered by its address.
            Some(own) if own.peer == received.route.peer => {
                (own.socket.as_fd(), Received { route: Route::CONNECTED, ..*received })
            }
            _ => (common, *received),
        };
        let Some(owed) = self.clerk.answer_or_owe(fd, &now) else { return };
        let reply = owed.answer.reply;
        match owed.work {
            Work::Spin(_) => {
                work_here(Some(owed.work));
                self.clerk.figures.sent(&send(fd, &reply, &owed.message, &now.route));
            }
            Work::Sleep(time) => {
                let waiting = Waiting { message: owed.message, reply, route: received.route };
                let kept = self.later.keep(time, waiting);
                self.clerk.figures.unsendable += u64::from(!kept);
            }
        }
    }

    /// Makes a socket for a peer that has none.
    fn adopt(&mut self, received: &Received) {
        let peer = received.route.peer;
        if self.own.len() >= MOST || self.places.contains_key(&peer) {
            return;
        }
        let local = match received.route.local {
            Local::Bound => self.address,
            local => SocketAddr::new(local.ip().unwrap_or(self.address.ip()), self.address.port()),
        };
        // Without a descriptor the common socket goes on answering this peer.
        let Ok(socket) = answer_socket(self.common.as_fd(), local, &peer) else { return };
        let entry = self.own.vacant_entry();
        let place = entry.key();
        if nonblocking(socket.as_fd()).is_ok()
            && self.epoll.add(socket.as_fd(), place as u64, Interest::READ).is_ok()
        {
            entry.insert(Own { socket, peer, local: received.route.local, seen: Instant::now() });
            self.places.insert(peer, place);
        }
    }

    /// Closes the sockets of peers that have been silent.
    fn let_go(&mut self) -> io::Result<()> {
        let now = Instant::now();
        if now < self.look_at {
            return Ok(());
        }
        self.look_at = now + SILENT;
        let silent: Vec<usize> =
            self.own.iter().filter(|(_, own)| now - own.seen >= SILENT).map(|(place, _)| place).collect();
        for place in silent {
            // Only what comes between this look and the close is lost, as datagrams may be.
            if self.turn(Some(place))? > 0 {
                continue;
            }
            let own = self.own.remove(place);
            self.epoll.remove(own.socket.as_fd())?;
            self.places.remove(&own.peer);
        }
        Ok(())
    }
}

fn nonblocking(fd: BorrowedFd<'_>) -> io::Result<()> {
    sys::socket::set_nonblocking(fd)
}
