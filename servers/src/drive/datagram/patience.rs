//! How long a peer is waited for that does not take its answer now: a little, and only the first time. Not here: what is sent.
//!
//! The queue of a Unix client that is not connected to the server holds few datagrams (net.unix.max_dgram_qlen, 10), and the kernel says of no client when it has room again
//! (unix(7)). A client that asks for more than that at once would lose answers by being off the processor for a moment; so it is looked
//! at again for a while. Whoever was waited for in vain is remembered, and for a second nobody waits for it again.

use std::cell::RefCell;
use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};
use std::io;
use std::time::{Duration, Instant};
use sys::datagram::Peer;

/// How long it is waited, and how often it is looked meanwhile.
const PATIENCE: Duration = Duration::from_millis(10);
const LOOK: Duration = Duration::from_micros(200);

/// For how long it is not waited again, for the same peer.
const GRUDGE: Duration = Duration::from_secs(1);

/// Peers that are remembered; with more, the oldest is waited for again.
const MOST: usize = 64;

/// Those that were waited for in vain, by a hash of their address, and when.
#[derive(Debug, Default)]
struct Memory {
    peers: Vec<(u64, Instant)>,
    /// Which is overwritten next.
    next: usize,
}

thread_local! {
    static IN_VAIN: RefCell<Memory> = RefCell::default();
}

impl Memory {
    fn holds(&self, peer: u64, now: Instant) -> bool {
        self.peers.iter().any(|(known, since)| *known == peer && now.duration_since(*since) < GRUDGE)
    }

    fn keep(&mut self, peer: u64, now: Instant) {
        if self.peers.len() < MOST {
            self.peers.push((peer, now));
        } else {
            self.peers[self.next] = (peer, now);
            self.next = (self.next + 1) % MOST;
        }
    }
}

/// Tries again to `send` what could not be sent for want of room at `peer`.
///
/// # Errors
/// Those of `send`; EAGAIN when there was no room in time, or it was not waited.
pub(super) fn wait(peer: &Peer, mut send: impl FnMut() -> io::Result<()>) -> io::Result<()> {
    let peer = BuildHasherDefault::<DefaultHasher>::default().hash_one(peer);
    let start = Instant::now();
    if IN_VAIN.with_borrow(|memory| memory.holds(peer, start)) {
        return Err(io::ErrorKind::WouldBlock.into());
    }
    while start.elapsed() < PATIENCE {
        sys::clock::pause(LOOK);
        match send() {
            Err(error) if sys::errno::is_retry(&error) => {}
            result => return result,
        }
    }
    IN_VAIN.with_borrow_mut(|memory| memory.keep(peer, Instant::now()));
    Err(io::ErrorKind::WouldBlock.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::SocketAddr;

    fn peer(port: u16) -> Peer {
        SocketAddr::from(([127, 0, 0, 1], port)).into()
    }

    #[test]
    fn who_has_room_in_time_gets_it_and_who_has_not_is_not_waited_for_again() {
        let mut tries = 0;
        let third = || {
            tries += 1;
            if tries < 3 { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(()) }
        };
        wait(&peer(1), third).unwrap();
        assert_eq!(tries, 3);
        let never = || Err(io::ErrorKind::WouldBlock.into());
        let start = Instant::now();
        assert!(wait(&peer(2), never).is_err() && start.elapsed() >= PATIENCE);
        let untried = || -> io::Result<()> { panic!("it was tried") };
        assert!(wait(&peer(2), untried).is_err());
        assert!(wait(&peer(3), || Ok(())).is_ok());
    }

    #[test]
    fn an_error_of_another_kind_ends_the_wait() {
        let gone = || Err(io::ErrorKind::ConnectionRefused.into());
        assert_eq!(wait(&peer(1), gone).unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
    }

    #[test]
    fn the_memory_is_bounded_and_forgets() {
        let (mut memory, now) = (Memory::default(), Instant::now());
        for peer in 0..=MOST as u64 {
            memory.keep(peer, now);
        }
        assert!(memory.peers.len() == MOST && !memory.holds(0, now) && memory.holds(1, now));
        assert!(!memory.holds(1, now + GRUDGE));
    }
}
