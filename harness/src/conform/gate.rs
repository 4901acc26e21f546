//! The queue before accept of a server whose queue is short: a connect waits until it has room, because the kernel drops one that
//! comes too many, and sends it again a second later (tcp(7)). Not here: cases about the queue itself, which connect without it.

use super::evidence;
use crate::spawn::Identity;
use std::net::SocketAddr;
use std::os::fd::{AsFd as _, OwnedFd};
use std::time::Duration;

/// A queue of this many or more is not filled by clients that come one after the other.
const SHORT: u32 = 64;
/// A queue that is still full after this is not served now, be it by nature or because the subject was stopped.
const PATIENCE: Duration = Duration::from_millis(50);

/// The queue of one listener.
#[derive(Debug)]
pub struct Gate {
    process: OwnedFd,
    /// The listener's number in that process.
    fd: i32,
    /// Connections that may wait, as the kernel has it: one more than this is taken.
    pub backlog: u32,
}

impl Gate {
    /// The queue of the one listener of a tree at `ip`; `None` where there are several, or it may not be looked at.
    #[must_use]
    pub fn of(tree: &[Identity], ip: SocketAddr) -> Option<Self> {
        let mut inodes: Vec<u64> = Vec::new();
        let mut found = None;
        for id in tree {
            for fd in evidence::listeners(id.pid, ip) {
                inodes.extend(evidence::socket_inode(&evidence::link(id.pid, fd)));
                found = found.or(Some((*id, fd)));
            }
        }
        inodes.sort_unstable();
        inodes.dedup();
        let (id, fd) = found.filter(|_| inodes.len() == 1)?;
        let mut gate = Self { process: sys::process::open(id.pid).ok()?, fd, backlog: 0 };
        gate.backlog = gate.look()?.1;
        Some(gate)
    }

    /// True where it is so short that clients have to mind it.
    fn is_short(&self) -> bool {
        self.backlog < SHORT
    }

    /// Waits until the queue has room, for a moment at most.
    pub fn pass(&self) {
        if !self.is_short() {
            return;
        }
        evidence::settle(PATIENCE, || self.look().is_none_or(|(waiting, backlog)| waiting < backlog.max(1)));
    }

    /// How many wait, and how many may. The copy of the listener is closed at once: it would keep the port.
    fn look(&self) -> Option<(u32, u32)> {
        let copy = sys::process::copy_descriptor(self.process.as_fd(), self.fd).ok()?;
        sys::socket::listen_queue(copy.as_fd()).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};
    use std::time::Instant;

    #[test]
    fn waits_for_room_and_no_longer() {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
        socket.listen(2).unwrap();
        let listener = TcpListener::from(socket);
        let ip = listener.local_addr().unwrap();
        let me = Identity::of(std::process::id() as i32).unwrap();
        let gate = Gate::of(&[me], ip).unwrap();
        assert!(gate.is_short() && gate.backlog == 2);
        let _waiting = [TcpStream::connect(ip).unwrap(), TcpStream::connect(ip).unwrap()];
        assert_eq!(gate.look(), Some((2, 2)));
        let start = Instant::now();
        gate.pass();
        assert!(start.elapsed() >= PATIENCE);
        let _accepted = listener.accept().unwrap();
        assert_eq!(gate.look(), Some((1, 2)));
    }
}
