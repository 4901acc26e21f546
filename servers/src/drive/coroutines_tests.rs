//! One coroutine at a time, resumed by hand: what becomes of its stack and of what is on it. Not here: a server (`tests/it`).

use super::*;
use crate::drive::reactor::socket::Socket;
use service::{Protocol, Step};
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

/// Echo that panics at an exclamation mark, and counts how many of its protocols live.
#[derive(Clone, Debug, Default)]
struct Touchy(Arc<AtomicUsize>);

#[derive(Debug)]
struct Living(Arc<AtomicUsize>);

impl Drop for Living {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}

impl Service for Touchy {
    type Conn = Living;

    fn open(&self) -> Living {
        self.0.fetch_add(1, SeqCst);
        Living(Arc::clone(&self.0))
    }
}

impl Protocol for Living {
    fn on_input(&mut self, input: &[u8], out: &mut Output) -> (usize, Step) {
        if input == b"!" {
            // As a panic does it, without its message on standard error.
            std::panic::resume_unwind(Box::new("touched"));
        }
        out.input(0, input.len());
        (
            input.len(),
            if input == b"sleep" {
                Step::Work(Work::Sleep(std::time::Duration::from_secs(60)))
            } else {
                Step::Read
            },
        )
    }
}

struct Peer {
    parked: Parked,
    near: Rc<OwnedFd>,
    far: UnixStream,
}

fn open(service: &Touchy, store: &mut Store) -> Peer {
    let (near, far) = UnixStream::pair().unwrap();
    near.set_nonblocking(true).unwrap();
    let near = Rc::new(OwnedFd::from(near));
    let mut parked: Parked = Served::new(service, &near, false, store).unwrap();
    assert_eq!(next(&mut parked, &near, None), Next::Wait(Interest::READ));
    Peer { parked, near, far }
}

/// Its first step, or that for an event.
fn next(parked: &mut Parked, fd: &OwnedFd, hang_up: Option<bool>) -> Next {
    let event = |hang_up| Event { key: 0, read: true, write: false, hang_up };
    match hang_up {
        None => Served::<Touchy>::on_open(parked, &mut Socket(fd)),
        Some(hang_up) => Served::<Touchy>::on_event(parked, event(hang_up), &mut Socket(fd), &mut []),
    }
}

impl Peer {
    fn says(&mut self, bytes: &[u8]) -> Next {
        self.far.write_all(bytes).unwrap();
        next(&mut self.parked, &self.near, Some(false))
    }

    fn hears(&mut self) -> Vec<u8> {
        let mut bytes = [0; 16];
        let n = self.far.read(&mut bytes).unwrap();
        bytes[..n].to_vec()
    }
}

fn leave(peer: Peer, store: &mut Store) {
    Served::<Touchy>::leave(peer.parked, store);
}

#[test]
fn a_stack_is_used_again_and_nothing_of_the_one_before_is_on_it() {
    let (service, mut store) = (Touchy::default(), Store::default());
    for round in 0..3 {
        let mut peer = open(&service, &mut store);
        assert!(store.0.is_empty() && service.0.load(SeqCst) == 1, "{round}");
        assert_eq!((peer.says(b"hello"), peer.hears()), (Next::Wait(Interest::READ), b"hello".to_vec()));
        peer.far.shutdown(std::net::Shutdown::Write).unwrap();
        assert_eq!(next(&mut peer.parked, &peer.near, Some(false)), Next::Done);
        // One that is over stays over.
        assert_eq!(next(&mut peer.parked, &peer.near, Some(false)), Next::Done);
        leave(peer, &mut store);
        assert_eq!((store.0.len(), service.0.load(SeqCst)), (1, 0), "{round}");
    }
    let crowd: Vec<Peer> = (0..2 * SPARE).map(|_| open(&service, &mut store)).collect();
    for mut peer in crowd {
        drop(peer.far);
        assert_eq!(next(&mut peer.parked, &peer.near, Some(true)), Next::Done);
        Served::<Touchy>::leave(peer.parked, &mut store);
    }
    assert_eq!((store.0.len(), service.0.load(SeqCst)), (SPARE, 0), "what a crowd leaves is bounded");
}

#[test]
fn a_panic_ends_its_connection_and_leaves_a_stack_that_serves_the_next() {
    let (service, mut store) = (Touchy::default(), Store::default());
    let mut other = open(&service, &mut store);
    let mut peer = open(&service, &mut store);
    assert_eq!(peer.says(b"!"), Next::Done);
    leave(peer, &mut store);
    assert_eq!(service.0.load(SeqCst), 1, "its protocol was dropped");
    assert!(!std::thread::panicking());
    let mut next = open(&service, &mut store);
    assert!(store.0.is_empty());
    for peer in [&mut other, &mut next] {
        assert_eq!((peer.says(b"x"), peer.hears()), (Next::Wait(Interest::READ), b"x".to_vec()));
    }
}

#[test]
fn one_that_is_dropped_while_it_waits_is_unwound() {
    let (service, mut store) = (Touchy::default(), Store::default());
    let mut asleep = open(&service, &mut store);
    assert!(matches!(asleep.says(b"sleep"), Next::WaitUntil(Interest::NONE, _)));
    let waiting = open(&service, &mut store);
    assert_eq!(service.0.load(SeqCst), 2);
    let near = Rc::clone(&waiting.near);
    leave(asleep, &mut store);
    drop(waiting);
    assert_eq!((service.0.load(SeqCst), store.0.len()), (0, 0));
    assert_eq!(Rc::strong_count(&near), 1, "its share of the descriptor is given back");
}

#[test]
fn a_sleeping_handler_whose_peer_is_gone_is_not_waited_for() {
    let (service, mut store) = (Touchy::default(), Store::default());
    let mut peer = open(&service, &mut store);
    assert!(matches!(peer.says(b"sleep"), Next::WaitUntil(Interest::NONE, _)));
    // An event that says nothing of the kind is no reason to wake.
    assert!(matches!(next(&mut peer.parked, &peer.near, Some(false)), Next::WaitUntil(Interest::NONE, _)));
    drop(peer.far);
    // It has nothing to send that would fail, and hears of it at its next receive.
    assert_eq!(next(&mut peer.parked, &peer.near, Some(true)), Next::Wait(Interest::READ));
    assert_eq!(next(&mut peer.parked, &peer.near, Some(true)), Next::Done);
}
