//! The same tests for every readiness mechanism, and those of what edge-triggering and the inbox add. Not here: loops.
#![allow(clippy::unwrap_used, reason = "a test says what went wrong by failing")]

use std::io::{Read as _, Write as _};
use std::net::Shutdown;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};
use sys::epoll::{Epoll, EpollEdge};
use sys::inbox::{ARRIVAL, Inbox};
use sys::poll::Poll;
use sys::select::Select;
use sys::{Event, Interest, Poller};

const BOTH: Interest = Interest { read: true, write: true };

fn pair() -> (UnixStream, UnixStream) {
    UnixStream::pair().unwrap()
}

/// What is ready now, by key.
fn now(poller: &mut impl Poller) -> Vec<Event> {
    let mut events = Vec::new();
    poller.wait(&mut events, Some(Duration::ZERO)).unwrap();
    events.sort_by_key(|event| event.key);
    events
}

fn keys(poller: &mut impl Poller) -> Vec<u64> {
    now(poller).iter().map(|event| event.key).collect()
}

fn readiness_is_reported_as_long_as_it_lasts(mut poller: impl Poller) {
    let (mut near, mut far) = pair();
    poller.add(near.as_fd(), 7, Interest::READ).unwrap();
    assert!(now(&mut poller).is_empty());
    far.write_all(b"x").unwrap();
    for _ in 0..2 {
        let events = now(&mut poller);
        assert_eq!(events.len(), 1);
        assert!(events[0].key == 7 && events[0].read && !events[0].write && !events[0].hang_up);
    }
    near.read_exact(&mut [0]).unwrap();
    assert!(now(&mut poller).is_empty());
    // An end is input.
    far.shutdown(Shutdown::Write).unwrap();
    assert!(now(&mut poller)[0].read);
}

fn one_event_tells_of_both_directions_and_modify_changes_what_is_told(mut poller: impl Poller) {
    let (near, mut far) = pair();
    far.write_all(b"x").unwrap();
    poller.add(near.as_fd(), 1, BOTH).unwrap();
    let events = now(&mut poller);
    assert!(events.len() == 1 && events[0].read && events[0].write);
    poller.modify(near.as_fd(), 2, Interest::WRITE).unwrap();
    let events = now(&mut poller);
    assert!(events.len() == 1 && events[0].key == 2 && !events[0].read && events[0].write);
    poller.modify(near.as_fd(), 2, Interest::NONE).unwrap();
    assert!(now(&mut poller).is_empty());
}

fn what_leaves_takes_no_other_with_it(mut poller: impl Poller) {
    let pairs: Vec<_> = (0..6).map(|_| pair()).collect();
    for (key, (near, far)) in pairs.iter().enumerate() {
        poller.add(near.as_fd(), key as u64, Interest::READ).unwrap();
        let _ = (&*far).write(b"x").unwrap();
    }
    assert_eq!(keys(&mut poller), [0, 1, 2, 3, 4, 5]);
    // The first, the last, and one from the middle, each while the list is dense in another way.
    for (gone, left) in [(0, vec![1, 2, 3, 4, 5]), (5, vec![1, 2, 3, 4]), (2, vec![1, 3, 4])] {
        poller.remove(pairs[gone].0.as_fd()).unwrap();
        assert_eq!(keys(&mut poller), left);
    }
    poller.modify(pairs[4].0.as_fd(), 40, Interest::READ).unwrap();
    poller.add(pairs[0].0.as_fd(), 50, Interest::READ).unwrap();
    assert_eq!(keys(&mut poller), [1, 3, 40, 50]);
    let _ = (&pairs[1].0).read(&mut [0]).unwrap();
    assert_eq!(keys(&mut poller), [3, 40, 50]);
}

fn what_is_not_watched_is_enoent(mut poller: impl Poller) {
    let (near, _far) = pair();
    let is_enoent = |error: std::io::Error| error.kind() == std::io::ErrorKind::NotFound;
    assert!(is_enoent(poller.modify(near.as_fd(), 1, Interest::READ).unwrap_err()));
    assert!(is_enoent(poller.remove(near.as_fd()).unwrap_err()));
    poller.add(near.as_fd(), 1, Interest::READ).unwrap();
    poller.remove(near.as_fd()).unwrap();
    assert!(is_enoent(poller.remove(near.as_fd()).unwrap_err()));
}

fn a_timeout_below_a_millisecond_is_kept(mut poller: impl Poller) {
    let (near, _far) = pair();
    poller.add(near.as_fd(), 1, Interest::READ).unwrap();
    let start = Instant::now();
    let mut events = vec![Event { key: 9, read: true, write: true, hang_up: true }];
    poller.wait(&mut events, Some(Duration::from_micros(300))).unwrap();
    assert!(events.is_empty() && start.elapsed() >= Duration::from_micros(300));
}

macro_rules! table {
    ($($test:ident),* $(,)?) => { $(
        mod $test {
            #[test]
            fn select() { super::$test(super::Select::new()); }
            #[test]
            fn poll() { super::$test(super::Poll::new()); }
            #[test]
            fn epoll() { super::$test(super::Epoll::new().unwrap()); }
            #[test]
            fn inbox() { super::$test(super::Inbox::new().unwrap()); }
        }
    )* };
}

table!(
    readiness_is_reported_as_long_as_it_lasts,
    one_event_tells_of_both_directions_and_modify_changes_what_is_told,
    what_leaves_takes_no_other_with_it,
    what_is_not_watched_is_enoent,
    a_timeout_below_a_millisecond_is_kept,
);

#[test]
fn a_hang_up_is_told_where_nothing_is_watched_but_by_select() {
    fn told(mut poller: impl Poller) -> bool {
        let (near, far) = pair();
        poller.add(near.as_fd(), 1, Interest::NONE).unwrap();
        drop(far);
        now(&mut poller).iter().any(|event| event.hang_up && event.read && event.write)
    }
    assert!(told(Poll::new()) && told(Epoll::new().unwrap()));
    assert!(!told(Select::new()));
}

#[test]
fn edges_are_told_once_and_an_end_beside_the_input_before_it() {
    let mut poller = EpollEdge::new().unwrap();
    let (mut near, mut far) = pair();
    poller.add(near.as_fd(), 1, Interest::NONE).unwrap();
    assert!(now(&mut poller)[0].write);
    assert!(now(&mut poller).is_empty());
    far.write_all(b"xy").unwrap();
    far.shutdown(Shutdown::Write).unwrap();
    let events = now(&mut poller);
    assert!(events.len() == 2 && events[0].read);
    assert!(!events[1].read && !events[1].write && !events[1].hang_up);
    assert!(now(&mut poller).is_empty());
    near.read_exact(&mut [0; 2]).unwrap();
    assert!(now(&mut poller).is_empty(), "the end causes no edge: the caller has to remember it");
}

#[test]
fn one_shot_events_come_again_after_modify_only_and_all_threads_see_what_is_for_all() {
    let mut one = Epoll::oneshot(4).unwrap();
    let mut two = one.share();
    let (near, mut far) = pair();
    one.add(near.as_fd(), 1, Interest::READ).unwrap();
    far.write_all(b"x").unwrap();
    assert_eq!((keys(&mut two), keys(&mut one)), (vec![1], vec![]));
    two.modify(near.as_fd(), 1, Interest::READ).unwrap();
    assert_eq!((keys(&mut one), keys(&mut two)), (vec![1], vec![]));
    let bell = sys::Bell::new().unwrap();
    one.add_for_all(bell.as_fd(), 2).unwrap();
    bell.ring();
    assert_eq!((keys(&mut one), keys(&mut two)), (vec![2], vec![2]));
    assert!(bell.hush().unwrap() && !bell.hush().unwrap());
    assert!(keys(&mut one).is_empty());
}

#[test]
fn a_connection_handed_over_arrives_once_and_is_watched_for_nothing() {
    let mut inbox = Inbox::new().unwrap();
    let door = inbox.door();
    let (near, mut far) = pair();
    let number = near.as_raw_fd();
    std::thread::spawn(move || door.hand_over(OwnedFd::from(near)).unwrap()).join().unwrap();
    far.write_all(b"x").unwrap();
    assert_eq!(keys(&mut inbox), [ARRIVAL]);
    let fd = inbox.take_arrival().unwrap();
    assert_eq!(fd.as_raw_fd(), number);
    assert!(keys(&mut inbox).is_empty() && inbox.take_arrival().is_none());
    inbox.modify(fd.as_fd(), 3, Interest::READ).unwrap();
    assert_eq!(keys(&mut inbox), [3]);
    // The key that means "on its way" is nobody's to use: it would make two owners of one descriptor.
    assert!(inbox.modify(fd.as_fd(), ARRIVAL | 5 << 32, Interest::READ).is_err());
    drop(fd);
    assert!(keys(&mut inbox).is_empty());
    assert_eq!(far.read(&mut [0; 2]).ok().filter(|&n| n > 0), None);
}
