//! A connected socket for each peer: the first datagram of a peer makes one, on the server's own port, and the kernel brings it what that
//! peer sends from then on. Not here: the socket (see `sys::datagram::answer_socket`).
//!
//! What a peer sends before its socket is connected comes to the common socket, after the first datagram too: it is answered from there,
//! in its order, and none is lost. Peers are bounded; one that was silent for a while makes room.

use super::{BUDGET, Both, Clerk, Taken};
use crate::endpoint::{Endpoint, announce};
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};
use sys::datagram::{Local, Peer, Received, Wait, answer_socket};
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
    };
    options.counters.workers(1);
    options.counters.enter(0);
    announce(&url);
    peers.serve(&signals)?;
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
}

impl<S: Both> Peers<S> {
    fn serve(&mut self, signals: &Signals) -> io::Result<()> {
        let mut events: Vec<Event> = Vec::with_capacity(64);
        let mut told = false;
        while !told {
            // Without peers there is nothing to look at, and nothing wakes the loop.
            let wait = (!self.own.is_empty()).then(|| self.look_at.saturating_duration_since(Instant::now()));
            self.epoll.wait(&mut events, wait)?;
            for event in &events {
                match event.key {
                    STOP => {
                        while let Some(signal) = signals.next()? {
                            told |= signal == sys::signal::Received::Stop;
                        }
                    }
                    COMMON => self.turn(None)?,
                    key => self.turn(Some(key as usize))?,
                }
            }
            self.let_go()?;
        }
        // What was queued before the order to stop is still answered.
        let all: Vec<usize> = self.own.iter().map(|(place, _)| place).collect();
        for place in std::iter::once(None).chain(all.into_iter().map(Some)) {
            self.turn(place)?;
        }
        Ok(())
    }

    /// Answers what is there on one socket, at most [`BUDGET`]; level-triggered, it is told of the rest again.
    fn turn(&mut self, place: Option<usize>) -> io::Result<()> {
        for _ in 0..BUDGET {
            let fd = match place {
                None => self.common.as_fd(),
                Some(place) => match self.own.get_mut(place) {
                    Some(own) => {
                        own.seen = Instant::now();
                        own.socket.as_fd()
                    }
                    None => return Ok(()),
                },
            };
            // An error of a connected socket is about its peer, and ends nothing.
            let Taken::Datagram(received) = self.clerk.take(fd, Wait::No)? else { return Ok(()) };
            self.clerk.answer(fd, &received);
            if place.is_none() {
                self.adopt(&received);
            }
        }
        Ok(())
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
            entry.insert(Own { socket, peer, seen: Instant::now() });
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
