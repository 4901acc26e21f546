//! Start, stop, restart, and what is left behind. Not here: what a connection carries.

use crate::each_model;
use crate::fixture::{Server, Subject, eventually, exchange, read_to_end};
use std::io::{Read as _, Write as _};
use std::time::Duration;
use sys::spawn::Begin;

fn term_ends_an_idle_server_at_once_and_well(on: Subject) {
    let mut server = Server::start(on, "echo");
    server.canary();
    let mut idle = server.connect();
    assert_eq!(exchange(&mut idle, b"x"), b"x");
    let (status, took) = server.stop();
    assert_eq!(status.code(), Some(0));
    // socketserver's poll takes up to 0.5 s; the grace is 5 s. Far below both, and far above what a busy machine adds.
    assert!(took < Duration::from_secs(3), "{took:?}");
    assert_eq!(read_to_end(&mut idle), b"");
}

fn term_lets_a_reply_in_flight_arrive(on: Subject) {
    let mut server = Server::start(on, "sized");
    let mut stream = server.connect();
    stream.write_all(b"16777216\n").unwrap();
    stream.read_exact(&mut [0; 1]).unwrap();
    server.signal(sys::process::SIGTERM);
    assert_eq!(read_to_end(&mut stream).len(), 16_777_215);
    assert_eq!(server.ended().0.code(), Some(0));
}

fn term_lets_handler_work_finish(on: Subject) {
    for work in ["sleep", "spin"] {
        let mut server = Server::start(on, "sized");
        let mut stream = server.connect();
        // In one segment: once the first is answered, the second has been read.
        stream.write_all(format!("1\n3 {work}=150ms\n").as_bytes()).unwrap();
        stream.read_exact(&mut [0; 1]).unwrap();
        server.signal(sys::process::SIGTERM);
        assert_eq!(read_to_end(&mut stream).len(), 3, "{work}");
        assert_eq!(server.ended().0.code(), Some(0));
    }
}

fn a_client_that_never_reads_does_not_outlast_the_grace(on: Subject) {
    let mut server = Server::with(on, "sized", &["--grace", "0.2"], &Begin::default());
    let mut stream = server.connect();
    stream.write_all(b"16777216\n").unwrap();
    stream.read_exact(&mut [0; 1]).unwrap();
    let (status, took) = server.stop();
    assert_eq!(status.code(), Some(0));
    assert!(took >= Duration::from_millis(150) && took < Duration::from_secs(4), "{took:?}");
}

fn the_address_can_be_used_again_at_once(on: Subject) {
    let mut server = Server::start(on, "echo");
    let mut open = server.connect();
    assert_eq!(exchange(&mut open, b"x"), b"x");
    // The server closes first, so the TIME_WAIT is on its port; a Unix path is gone with it.
    server.stop();
    assert_eq!(read_to_end(&mut open), b"");
    drop(open);
    let again = Server::at(on.model, "echo", &server.url.to_string(), &[], &Begin::default());
    assert_eq!(again.url, server.url);
    again.canary();
}

fn churn_with_aborts_leaves_nothing_behind(on: Subject) {
    let mut server = Server::start(on, "echo");
    // Those of a pool; none for a model that makes a child a connection.
    let at_rest = server.child_pids();
    let baseline = server.descriptors();
    server.canary();
    for i in 0..2_000 {
        let mut stream = server.connect();
        match i % 3 {
            0 => assert_eq!(exchange(&mut stream, b"whole"), b"whole"),
            1 => {
                stream.write_all(b"half").unwrap();
                sys::socket::reset_on_close(std::os::fd::AsFd::as_fd(&stream)).unwrap();
            }
            _ => stream.shutdown(std::net::Shutdown::Write).unwrap(),
        }
    }
    server.canary();
    eventually("descriptors are back", || (server.descriptors() <= baseline).then_some(()));
    eventually("no child is left", || (server.child_pids() == at_rest).then_some(()));
    assert!(server.alive());
}

fn a_closed_stdout_is_no_reason_to_stop(on: Subject) {
    let mut server = Server::start(on, "echo");
    server.close_stdout();
    server.canary();
    assert_eq!(server.stop().0.code(), Some(0));
}

fn children_die_with_the_server(on: Subject) {
    let mut server = Server::start(on, "echo");
    let mut stream = server.connect();
    assert_eq!(exchange(&mut stream, b"x"), b"x");
    server.signal(sys::process::SIGKILL);
    server.ended();
    // Whoever held the connection is gone too: its end comes.
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest);
    assert!(rest.is_empty());
}

each_model!(
    term_ends_an_idle_server_at_once_and_well,
    term_lets_a_reply_in_flight_arrive,
    term_lets_handler_work_finish,
    a_client_that_never_reads_does_not_outlast_the_grace,
    the_address_can_be_used_again_at_once,
    churn_with_aborts_leaves_nothing_behind,
    a_closed_stdout_is_no_reason_to_stop,
    children_die_with_the_server,
);

/// All of them at the same time, since a test of each would wait as long for each. With a connection and without, after one was there.
#[test]
fn nobody_is_woken_at_rest() {
    let on_tcp = servers::MODELS.iter().filter(|entry| entry.model.serves(sys::Family::Tcp));
    let models = on_tcp.map(|entry| entry.model.name).filter(|model| servers::unsupported(model).is_none());
    let mut rest: Vec<_> = models
        .flat_map(|model| [true, false].map(|connected| (model, connected)))
        .map(|(model, connected)| {
            let server = Server::start(model, "echo");
            server.canary();
            let mut idle = server.connect();
            assert_eq!(exchange(&mut idle, b"x"), b"x", "{model}");
            (model, server, connected.then_some(idle))
        })
        .collect();
    // What was asked may still be going on (deferred softirqs), so it may take more than one look; a server that polls never has it.
    for _ in 0..4 {
        let before: Vec<_> = rest.iter().map(|(_, server, _)| server.switches()).collect();
        // Not a wait for something: the time in which nothing may happen.
        sys::clock::pause(Duration::from_secs(5));
        let mut before = before.into_iter();
        rest.retain(|(_, server, _)| before.next() != Some(server.switches()));
    }
    let woken: Vec<_> = rest.iter().map(|(model, _, idle)| (model, idle.is_some())).collect();
    assert!(woken.is_empty(), "{woken:?}");
}

#[test]
fn many_children_that_end_together_are_all_reaped() {
    let server = Server::start("fork", "echo");
    let mut clients: Vec<_> = (0..60).map(|_| server.connect()).collect();
    for client in &mut clients {
        assert_eq!(exchange(client, b"x"), b"x");
    }
    assert_eq!(server.children().len(), 60);
    // While the parent is halted all of them end: one SIGCHLD stands for many.
    server.signal(sys::process::SIGSTOP);
    drop(clients);
    eventually("all children are zombies", || server.children().iter().all(|s| *s == 'Z').then_some(()));
    server.signal(sys::process::SIGCONT);
    eventually("all are reaped", || server.children().is_empty().then_some(()));
}

#[test]
fn the_number_of_children_is_bounded_and_the_rest_wait_their_turn() {
    let server = Server::with("fork", "echo", &["--max-children", "2"], &Begin::default());
    let mut held: Vec<_> = (0..2).map(|_| server.connect()).collect();
    for client in &mut held {
        assert_eq!(exchange(client, b"x"), b"x");
    }
    let mut third = server.connect();
    third.write_all(b"y").unwrap();
    assert_eq!(server.children().len(), 2);
    drop(held.pop());
    let mut answer = [0; 1];
    third.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"y");
}
