//! A loop's table of connections against events by script: stale ones, and a client that always has more. Not here: real pollers.

use super::socket::Socket;
use super::table;
use crate::drive::conn::{Conn, Io as _};
use crate::drive::idle::Idle;
use crate::drive::limit::Limit;
use service::echo::Echo;
use service::sized::SizedService;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};
use sys::{Event, Interest, Poller};

/// Notes the keys and reports nothing: the test says what is ready.
#[derive(Default)]
struct Script<const EDGE: bool> {
    keys: Vec<u64>,
}

impl<const EDGE: bool> Poller for Script<EDGE> {
    const EDGE: bool = EDGE;

    fn add(&mut self, _fd: BorrowedFd<'_>, key: u64, _interest: Interest) -> io::Result<()> {
        self.keys.push(key);
        Ok(())
    }

    fn modify(&mut self, _fd: BorrowedFd<'_>, _key: u64, _interest: Interest) -> io::Result<()> {
        Ok(())
    }

    fn remove(&mut self, _fd: BorrowedFd<'_>) -> io::Result<()> {
        Ok(())
    }

    fn wait(&mut self, events: &mut Vec<Event>, _timeout: Option<Duration>) -> io::Result<()> {
        events.clear();
        Ok(())
    }

    fn limit(&self) -> Option<RawFd> {
        None
    }
}

/// Of state machines, as most loops have it.
type Table<S, P> = table::Table<S, P, Conn<<S as service::Service>::Conn>>;

fn pair() -> (OwnedFd, UnixStream) {
    let (near, far) = UnixStream::pair().unwrap();
    near.set_nonblocking(true).unwrap();
    far.set_nonblocking(true).unwrap();
    (near.into(), far)
}

fn readable(key: u64) -> Event {
    Event { key, read: true, write: false, hang_up: false }
}

#[test]
fn an_event_of_a_closed_connection_does_not_reach_the_next_one_in_its_slot() {
    let mut table = Table::new(Echo::default(), Script::<false>::default(), None, None, Idle::NEVER);
    let mut scratch = [0; 1024];
    let (near, first) = pair();
    table.open(near, Limit::NONE.adopt(), false);
    let stale = table.poller.keys[0];
    drop(first);
    // One batch: the end of the first, a new connection in its slot and with its descriptor, another event of the first.
    table.on_event(stale, readable(stale), &mut scratch);
    assert!(table.is_empty());
    let (near, mut second) = pair();
    table.open(near, Limit::NONE.adopt(), false);
    let fresh = table.poller.keys[1];
    assert!(stale != fresh && stale as u32 == fresh as u32, "the slot is used again, under another key");
    table.on_event(stale, Event { key: stale, read: true, write: true, hang_up: true }, &mut scratch);
    second.write_all(b"still here").unwrap();
    table.on_event(stale, readable(stale), &mut scratch);
    assert!(second.read(&mut [0; 16]).is_err(), "nothing is read for a stale event");
    table.on_event(fresh, readable(fresh), &mut scratch);
    let mut reply = [0; 10];
    second.read_exact(&mut reply).unwrap();
    assert_eq!(&reply, b"still here");
}

#[test]
fn under_edge_triggering_a_greedy_client_leaves_the_others_their_turn_and_loses_nothing() {
    let mut table =
        Table::new(SizedService { work: None }, Script::<true>::default(), None, None, Idle::NEVER);
    let mut scratch = [0; 1024];
    let (near, mut greedy) = pair();
    let behind = near.try_clone().unwrap();
    table.open(near, Limit::NONE.adopt(), false);
    let (near, mut modest) = pair();
    table.open(near, Limit::NONE.adopt(), false);
    let [greedy_key, modest_key] = table.poller.keys[..] else { panic!("two connections") };
    greedy.write_all(&b"0\n".repeat(40 * 1024)).unwrap();
    greedy.write_all(b"3\n").unwrap();
    greedy.shutdown(std::net::Shutdown::Write).unwrap();
    modest.write_all(b"2\n").unwrap();
    let unread = || sys::socket::unread(behind.as_fd()).unwrap();
    // The one edge that there will be, with the end beside it.
    table.on_event(greedy_key, readable(greedy_key), &mut scratch);
    table.on_event(greedy_key, Event { read: false, ..readable(greedy_key) }, &mut scratch);
    let before = unread();
    assert!(before > 0, "one turn takes a part only");
    table.on_event(modest_key, readable(modest_key), &mut scratch);
    modest.read_exact(&mut [0; 2]).unwrap();
    assert!(unread() == before, "the modest one was answered in between");
    // No event comes any more: the loop goes on by itself, and does not wait meanwhile.
    let mut turns = 0;
    while table.next_time(Instant::now).is_some() {
        table.go_on(&mut scratch);
        turns += 1;
        assert!(turns < 100, "it does not come to an end");
    }
    assert!(turns >= 2 && unread() == 0, "{turns} turns, {} unread", unread());
    greedy.set_nonblocking(false).unwrap();
    drop(behind);
    let mut replies = Vec::new();
    greedy.read_to_end(&mut replies).unwrap();
    assert_eq!(replies.len(), 3, "the last request and the end behind it were seen");
}

#[test]
fn an_end_that_came_while_the_handler_slept_is_not_forgotten_under_edge_triggering() {
    let mut table =
        Table::new(SizedService { work: None }, Script::<true>::default(), None, None, Idle::NEVER);
    let mut scratch = [0; 1024];
    let (near, mut client) = pair();
    table.open(near, Limit::NONE.adopt(), false);
    let key = table.poller.keys[0];
    client.write_all(b"1 sleep=1ms\n").unwrap();
    table.on_event(key, readable(key), &mut scratch);
    // Input and end are told while nobody wants them.
    client.write_all(b"2\n").unwrap();
    client.shutdown(std::net::Shutdown::Write).unwrap();
    table.on_event(key, readable(key), &mut scratch);
    table.on_event(key, Event { read: false, ..readable(key) }, &mut scratch);
    assert!(client.read(&mut [0; 4]).is_err());
    while let Some(at) = table.next_time(Instant::now) {
        table.on_time(at.max(Instant::now()));
        table.go_on(&mut scratch);
    }
    let mut replies = Vec::new();
    client.read_to_end(&mut replies).unwrap();
    assert!(replies.len() == 3 && table.is_empty());
}

#[test]
fn a_socket_that_is_reset_says_so() {
    let (near, far) = pair();
    drop(far);
    assert_eq!(Socket(&near).recv(&mut [0; 4]).unwrap(), 0);
    assert_eq!(Socket(&near).send(b"x").unwrap_err().kind(), io::ErrorKind::BrokenPipe);
}
