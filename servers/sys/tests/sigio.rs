//! Signal-driven readiness: what it tells, and what it does where the queue of signals is full. Not here: what all mechanisms do alike
//! (see `pollers`). A process of its own, since the limit of the queue is the process's.
#![allow(clippy::unwrap_used, reason = "a test says what went wrong by failing")]

use std::io::{Read as _, Write as _};
use std::net::Shutdown;
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::os::unix::net::UnixStream;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use sys::process::{limit_queued_signals, own_id};
use sys::sigio::SigIo;
use sys::{Event, Interest, Poller as _};

static LIMIT: Mutex<()> = Mutex::new(());

/// Lets at most so many signals be queued, one test at a time.
fn queue_of(signals: u64) -> MutexGuard<'static, ()> {
    let turn = LIMIT.lock().unwrap_or_else(PoisonError::into_inner);
    limit_queued_signals(own_id(), signals).unwrap();
    turn
}

/// Far above what these tests and their neighbours queue.
const ROOM: u64 = 10_000;

/// What is told at once.
fn now(poller: &mut SigIo) -> Vec<Event> {
    let mut events = Vec::new();
    poller.wait(&mut events, Some(Duration::ZERO)).unwrap();
    events
}

fn watched(poller: &mut SigIo, key: u64) -> (UnixStream, UnixStream) {
    let (near, far) = UnixStream::pair().unwrap();
    near.set_nonblocking(true).unwrap();
    poller.add(near.as_fd(), key, Interest::READ).unwrap();
    (near, far)
}

#[test]
fn what_begins_is_told_once_and_what_was_there_before_too() {
    let _turn = queue_of(ROOM);
    let mut poller = SigIo::new().unwrap();
    let (mut near, mut far) = UnixStream::pair().unwrap();
    far.write_all(b"x").unwrap();
    far.shutdown(Shutdown::Write).unwrap();
    poller.add(near.as_fd(), 1, Interest::READ).unwrap();
    let events = now(&mut poller);
    assert!(events.len() == 2 && events[0].read && events[0].write && events[0].key == 1, "{events:?}");
    assert!(!events[1].read && !events[1].write, "the end is announced: {events:?}");
    assert!(now(&mut poller).is_empty());
    near.read_exact(&mut [0]).unwrap();
    assert!(now(&mut poller).is_empty());
    assert_eq!(poller.overflows(), 0);
}

#[test]
fn the_end_behind_input_is_told_apart_from_it_however_many_signals_there_are() {
    let _turn = queue_of(ROOM);
    let mut poller = SigIo::new().unwrap();
    let (_near, mut far) = watched(&mut poller, 1);
    now(&mut poller);
    // As many as fit unread: each takes the room of a buffer.
    for _ in 0..100 {
        far.write_all(b"x").unwrap();
    }
    far.shutdown(Shutdown::Write).unwrap();
    let events = now(&mut poller);
    assert!(events.len() == 2 && events.iter().all(|event| event.read), "{events:?}");
    assert!(now(&mut poller).is_empty());
    drop(far);
    let events = now(&mut poller);
    assert!(events[0].hang_up && events[0].read, "{events:?}");
}

#[test]
fn room_is_told_after_a_full_buffer() {
    let _turn = queue_of(ROOM);
    let mut poller = SigIo::new().unwrap();
    let (mut near, mut far) = watched(&mut poller, 1);
    now(&mut poller);
    let mut full = 0;
    while let Ok(n) = near.write(&[0; 65_536]) {
        full += n;
    }
    poller.modify(near.as_fd(), 1, Interest::WRITE).unwrap();
    assert!(now(&mut poller).iter().all(|event| !event.write));
    far.read_exact(&mut vec![0; full]).unwrap();
    assert!(now(&mut poller).iter().any(|event| event.write));
}

#[test]
fn a_signal_for_a_closed_descriptor_does_not_hang_up_the_next_one_of_that_number() {
    let _turn = queue_of(ROOM);
    let mut poller = SigIo::new().unwrap();
    let (near, far) = watched(&mut poller, 1);
    now(&mut poller);
    // The signal of the hang-up is queued when its descriptor goes.
    drop(far);
    poller.remove(near.as_fd()).unwrap();
    let number = near.as_raw_fd();
    drop(near);
    // The lowest number that is free is given, and no other test runs meanwhile.
    let (again, _far) = UnixStream::pair().unwrap();
    assert_eq!(again.as_raw_fd(), number);
    poller.add(again.as_fd(), 2, Interest::READ).unwrap();
    let events = now(&mut poller);
    assert!(!events.is_empty() && events.iter().all(|event| event.key == 2 && !event.hang_up), "{events:?}");
    poller.remove(again.as_fd()).unwrap();
    assert!(now(&mut poller).is_empty());
}

#[test]
fn where_the_queue_is_full_all_are_looked_at_and_nothing_is_lost() {
    let _turn = queue_of(0);
    let mut poller = SigIo::new().unwrap();
    let mut pairs: Vec<_> = (0..50).map(|key| watched(&mut poller, key)).collect();
    assert_eq!(now(&mut poller).len(), 50);
    for (_, far) in &mut pairs {
        far.write_all(b"x").unwrap();
    }
    pairs[7].1.shutdown(Shutdown::Write).unwrap();
    let told = now(&mut poller);
    assert_eq!(poller.overflows(), 1);
    assert_eq!(told.iter().filter(|event| event.read).count(), 50, "{told:?}");
    assert!(told.iter().any(|event| event.key == 7 && !event.read && !event.write), "{told:?}");
    // Once for all of them, until it happens again.
    assert!(now(&mut poller).is_empty());
    pairs[3].1.write_all(b"y").unwrap();
    assert!(now(&mut poller).iter().any(|event| event.key == 3 && event.read));
    assert_eq!(poller.overflows(), 2);
}

#[test]
fn a_listener_is_told_of_as_long_as_somebody_waits_and_a_bell_as_long_as_it_rings() {
    let _turn = queue_of(ROOM);
    let mut poller = SigIo::new().unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let bell = sys::Bell::new().unwrap();
    poller.add_listener(listener.as_fd(), 1).unwrap();
    poller.add(bell.as_fd(), 2, Interest::READ).unwrap();
    assert!(now(&mut poller).is_empty());
    bell.ring();
    let address = listener.local_addr().unwrap();
    let _clients = [0; 2].map(|_| std::net::TcpStream::connect(address).unwrap());
    for left in [2, 1, 0] {
        let mut keys: Vec<u64> = now(&mut poller).iter().map(|event| event.key).collect();
        keys.sort_unstable();
        assert_eq!(keys, if left > 0 { vec![1, 2] } else { vec![2] });
        if left > 0 {
            listener.accept().unwrap();
        }
    }
}
