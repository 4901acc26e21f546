//! Datagram servers from start to stop: orders to stop, paths, workers that are killed, being idle. Not here: what is answered.

use crate::datagram::{Socket, canary};
use crate::each_datagram_model;
use crate::fixture::{Server, Subject, eventually, payload};
use std::path::Path;
use std::time::Duration;
use sys::datagram::Wait;
use sys::process::{SIGCONT, SIGKILL, SIGSTOP, SIGTERM};
use sys::spawn::Begin;
use sys::{Address, Family};

fn path_of(server: &Server) -> Option<String> {
    match &server.url.address {
        Address::Path(path) => Some(path.clone()),
        Address::Ip(_) => None,
    }
}

fn term_ends_an_idle_server_at_once_and_its_path_goes(on: Subject) {
    // The machine may be busy: the better of two says what the server does.
    let times = (0..2).map(|_| {
        let mut server = Server::start(on, "echo");
        let path = path_of(&server);
        canary(&server);
        let (status, took) = server.stop();
        assert_eq!(status.code(), Some(0));
        assert!(path.is_none_or(|path| !Path::new(&path).exists()));
        took
    });
    let best = times.min().unwrap();
    assert!(best < Duration::from_millis(100), "{best:?}");
}

fn term_leaves_nothing_that_is_queued_unanswered(on: Subject) {
    let mut server = Server::start(on, "echo");
    let client = Socket::to(&server);
    assert_eq!(client.exchange(b"first"), b"first");
    server.signal_all(SIGSTOP);
    let queued = (0..8).filter(|n| client.try_send(&payload(10 + n), Wait::No).is_ok()).count();
    assert!(queued >= 2);
    server.signal(SIGTERM);
    server.signal_all(SIGCONT);
    let mut sizes: Vec<usize> = (0..queued).map(|_| client.recv().len()).collect();
    sizes.sort_unstable();
    assert_eq!(sizes, (10..10 + queued).collect::<Vec<_>>());
    assert_eq!(server.ended().0.code(), Some(0));
}

fn term_lets_handler_work_finish(on: Subject) {
    let mut server = Server::with(on, "echo", &["--work", "sleep:80ms"], &Begin::default());
    let client = Socket::to(&server);
    client.send(b"wait");
    sys::clock::pause(Duration::from_millis(30));
    let (status, _) = server.stop();
    assert_eq!((status.code(), client.recv()), (Some(0), b"wait".to_vec()));
}

fn work_that_outlasts_the_grace_does_not_hold_the_end_up(on: Subject) {
    let more = ["--work", "sleep:8s", "--grace", "0.05"];
    let mut server = Server::with(on, "echo", &more, &Begin::default());
    let path = path_of(&server);
    let client = Socket::to(&server);
    client.send(b"wait");
    sys::clock::pause(Duration::from_millis(30));
    let (status, took) = server.stop();
    assert!(status.code() == Some(0) && took < Duration::from_secs(3), "{status} {took:?}");
    assert!(path.is_none_or(|path| !Path::new(&path).exists()));
}

fn an_idle_server_is_not_woken(on: Subject) {
    let server = Server::start(on, "echo");
    canary(&server);
    let switches = || server.threads().iter().map(|(_, switches)| switches).sum::<u64>();
    // Some start by looking round; a window without a wake-up comes soon.
    eventually("it is idle", || {
        let before = switches();
        sys::clock::pause(Duration::from_millis(100));
        (switches() <= before + 1).then_some(())
    });
}

each_datagram_model!(
    term_ends_an_idle_server_at_once_and_its_path_goes,
    term_leaves_nothing_that_is_queued_unanswered,
    term_lets_handler_work_finish,
    work_that_outlasts_the_grace_does_not_hold_the_end_up,
    an_idle_server_is_not_woken,
);

fn a_killed_worker_is_replaced(model: &'static str, family: Family) {
    let mut server = Server::with(Subject { model, family }, "echo", &["--workers", "3"], &Begin::default());
    let before = server.child_pids();
    assert_eq!(before.len(), 3, "{model}");
    sys::process::kill(before[1], SIGKILL).unwrap();
    eventually("another has taken its place", || {
        let now = server.child_pids();
        (now.len() == 3 && !now.contains(&before[1])).then_some(())
    });
    for _ in 0..20 {
        canary(&server);
    }
    assert!(server.alive());
    assert_eq!(server.stop().0.code(), Some(0));
}

#[test]
fn killed_workers_are_replaced() {
    for model in ["prefork", "prefork-flock", "prefork-mutex"] {
        a_killed_worker_is_replaced(model, Family::Udp);
        a_killed_worker_is_replaced(model, Family::Unixgram);
    }
}

#[test]
fn a_killed_worker_with_a_socket_of_its_own_is_replaced() {
    a_killed_worker_is_replaced("prefork-reuseport", Family::Udp);
}

#[test]
fn an_abstract_name_serves_and_leaves_nothing() {
    let url = format!("unixgram:@datagram-life-{}", std::process::id());
    for model in ["iterative", "prefork", "epoll", "async"] {
        let mut server = Server::at(model, "echo", &url, &[], &Begin::default());
        canary(&server);
        assert_eq!(server.stop().0.code(), Some(0));
    }
}

#[test]
fn a_path_left_by_a_killed_server_is_taken_over() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    let url = format!("unixgram:{}", path.display());
    let mut dead = Server::at("epoll", "echo", &url, &[], &Begin::default());
    dead.kill();
    assert!(path.exists());
    let mut again = Server::at("epoll", "echo", &url, &[], &Begin::default());
    canary(&again);
    again.stop();
    assert!(!path.exists());
}

#[test]
fn the_number_of_children_is_bounded_and_the_rest_wait_their_turn() {
    for family in [Family::Udp, Family::Unixgram] {
        let more = ["--max-children", "2", "--work", "sleep:30ms"];
        let server = Server::with(Subject { model: "fork", family }, "echo", &more, &Begin::default());
        let client = Socket::to(&server);
        for n in 0..6 {
            client.send(&payload(n));
        }
        for _ in 0..6 {
            assert!(server.child_pids().len() <= 2);
            client.recv();
        }
        eventually("all are reaped", || server.children().is_empty().then_some(()));
    }
}
