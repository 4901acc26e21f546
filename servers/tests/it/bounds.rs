//! The limits that mean the same for every model: connections open at a time, silence. Not here: the system's limits (see `limits`).

use crate::each_model;
use crate::fixture::{DEADLINE, Server, Stream, Subject, eventually, exchange, run};
use servers::Capacity;
use servers::counters::{Reader, Why};
use std::io::{ErrorKind, Read as _, Write as _};
use std::time::{Duration, Instant};
use sys::spawn::Begin;

/// Connections that may be open, and clients that come.
const MOST: usize = 3;
const CLIENTS: usize = 7;

/// How long nothing may change where nothing is to change.
const STILL: Duration = Duration::from_millis(150);

/// Clients that have asked, and whether each has been answered.
struct Crowd(Vec<(Stream, bool)>);

impl Crowd {
    fn gather(server: &Server) -> Self {
        let clients = (0..CLIENTS).map(|_| {
            let mut stream = server.connect();
            stream.write_all(b"x").unwrap();
            stream.set_nonblocking(true).unwrap();
            (stream, false)
        });
        Self(clients.collect())
    }

    fn served(&mut self) -> usize {
        for (stream, served) in &mut self.0 {
            match stream.read(&mut [0; 2]) {
                Ok(1) if !*served => *served = true,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                other => panic!("{other:?}"),
            }
        }
        self.0.iter().filter(|(_, served)| *served).count()
    }

    /// How many are served, once that is so for a while.
    fn settled(&mut self) -> usize {
        eventually("as many are served as will be", || {
            let now = self.served();
            let start = Instant::now();
            while now > 0 && start.elapsed() < STILL {
                sys::clock::pause(Duration::from_millis(10));
                if self.served() != now {
                    return None;
                }
            }
            (now > 0).then_some(now)
        })
    }
}

fn the_limit_of_connections_holds_and_the_next_is_served_when_one_leaves(on: Subject) {
    let most = MOST.to_string();
    let server = Server::with(on, "echo", &["--max-connections", &most], &Begin::default());
    let mut crowd = Crowd::gather(&server);
    let at_once = crowd.settled();
    match servers::model(on.model).unwrap().model.capacity {
        Capacity::One => assert_eq!(at_once, 1),
        // Two of them may have met at one worker.
        Capacity::Hashed(_) => assert!((1..=MOST).contains(&at_once), "{at_once}"),
        _ => assert_eq!(at_once, MOST),
    }
    eventually("nobody is woken while the others wait", || {
        let before = server.switches();
        // Not a wait for something: the time in which nothing may happen.
        sys::clock::pause(STILL);
        (server.switches() == before).then_some(())
    });
    // Whoever leaves makes room for one.
    while !crowd.0.is_empty() {
        let first = crowd.0.iter().position(|(_, served)| *served).unwrap();
        let before = crowd.0.len();
        crowd.0.remove(first);
        let room = at_once.min(before - 1);
        if matches!(servers::model(on.model).unwrap().model.capacity, Capacity::Hashed(_)) {
            eventually("somebody is served", || (before == 1 || crowd.served() > 0).then_some(()));
        } else {
            eventually("the next is served", || (crowd.served() == room).then_some(()));
        }
    }
    server.canary();
}

fn a_full_server_stops_at_once(on: Subject) {
    let mut server = Server::with(on, "echo", &["--max-connections", "1"], &Begin::default());
    let mut only = server.connect();
    assert_eq!(exchange(&mut only, b"x"), b"x");
    let _waits = server.connect();
    let (status, took) = server.stop();
    assert_eq!(status.code(), Some(0));
    // The grace is 5 s.
    assert!(took < Duration::from_secs(3), "{took:?}");
}

const SILENCE: Duration = Duration::from_millis(300);

/// Asks again and again for twice the time of silence; false when this test was itself held up for so long that it was silent.
fn keep_busy(stream: &mut Stream) -> bool {
    let (start, mut last) = (Instant::now(), Instant::now());
    while start.elapsed() < 2 * SILENCE {
        sys::clock::pause(SILENCE / 5);
        let answered = stream.write_all(b"1\n").and_then(|()| stream.read_exact(&mut [0; 1]));
        if last.elapsed() >= SILENCE {
            return false;
        }
        answered.unwrap();
        last = Instant::now();
    }
    true
}

fn who_is_silent_is_let_go_and_who_is_busy_or_served_is_not(on: Subject) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("counters");
    let more = ["--idle-timeout", "300ms", "--workers", "1", "--counters", file.to_str().unwrap()];
    let server = Server::with(on, "sized", &more, &Begin::default());
    let mut stream = eventually("the test is not held up", || {
        let mut stream = server.connect();
        keep_busy(&mut stream).then_some(stream)
    });
    // The server is at work for longer: that is not silence.
    stream.write_all(b"2 sleep=400ms\n2 spin=330ms\n").unwrap();
    stream.read_exact(&mut [0; 4]).unwrap();
    // Half a request, and no more.
    let start = Instant::now();
    stream.write_all(b"1").unwrap();
    assert_eq!(stream.read(&mut [0; 1]).unwrap(), 0);
    assert!(start.elapsed() >= SILENCE && start.elapsed() < DEADLINE / 4, "{:?}", start.elapsed());
    drop(stream);
    let counters = Reader::open(&file).unwrap();
    let ended = || counters.read().iter().map(|worker| worker.ended_by(Why::Idle)).sum::<u64>();
    let before = eventually("it is counted", || Some(ended()).filter(|n| *n > 0));
    // Whoever reads nothing of a reply is silent too.
    let mut deaf = server.connect();
    deaf.write_all(b"16777216\n").unwrap();
    eventually("the one that does not read is let go", || (ended() == before + 1).then_some(()));
}

each_model!(
    the_limit_of_connections_holds_and_the_next_is_served_when_one_leaves,
    a_full_server_stops_at_once
);
// The same timers for either family.
each_model!(tcp: who_is_silent_is_let_go_and_who_is_busy_or_served_is_not);

#[test]
fn loops_that_share_the_limit_hear_of_room_that_another_has_made() {
    for model in ["epoll-reuseport", "epoll-shared", "epoll-oneshot", "epoll-reactors", "uring-reuseport"] {
        crate::where_it_runs(model, |model| {
            let more = ["--workers", "4", "--max-connections", "1"];
            let server = Server::with(model, "echo", &more, &Begin::default());
            // Each waits until the one before has left; which loop has it, the kernel says.
            let mut crowd = Crowd::gather(&server);
            for left in (0..CLIENTS).rev() {
                eventually("one is served", || (crowd.served() == 1).then_some(()));
                let first = crowd.0.iter().position(|(_, served)| *served).unwrap();
                crowd.0.remove(first);
                assert_eq!(crowd.0.len(), left, "{model}");
            }
        });
    }
}

#[test]
fn workers_of_a_pool_are_bounded_by_connections_and_by_children() {
    for (model, more, workers) in [
        ("prefork", ["--max-connections", "3"], 3),
        ("prefork-reuseport", ["--max-connections", "3"], 3),
        ("prefork-fdpass", ["--max-children", "2"], 2),
    ] {
        let server = Server::with(model, "echo", &more, &Begin::default());
        assert_eq!(server.child_pids().len(), workers, "{model}");
    }
}

#[test]
fn limits_that_cannot_be_meant_are_refused_in_one_line() {
    for (args, says) in [
        (&["epoll", "--max-connections", "0"][..], "--max-connections"),
        (&["epoll", "--idle-timeout", "0s"], "a time from 1ms to 24h is needed"),
        (&["epoll", "--idle-timeout", "5"], "a time from 1ms to 24h is needed"),
        (
            &["epoll", "--listen", "udp://127.0.0.1:0", "--idle-timeout", "5s"],
            "udp has no connections: --idle-timeout is for tcp and unix",
        ),
        (
            &["dgram-connected", "--listen", "udp://127.0.0.1:0", "--max-connections", "5"],
            "udp has no connections: --max-connections is for tcp and unix",
        ),
        (&["inetd", "--idle-timeout", "5s", "--exec", "cat"], "--idle-timeout is not for --exec"),
    ] {
        let output = run(args);
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {text}");
        assert!(text.contains(says), "{args:?}: {text}");
    }
}
