//! Datagram clients that are gone, have no name, do not read, or send too much; and the address that an answer comes from.
//! Not here: clients that behave (`datagram`).

use crate::datagram::{Socket, canary};
use crate::each_datagram_model;
use crate::fixture::{Server, Subject, aloud, has_ipv6, payload};
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd as _;
use std::time::{Duration, Instant};
use sys::datagram::{Client, Wait};
use sys::process::{SIGCONT, SIGSTOP};
use sys::spawn::Begin;
use sys::{Address, Family};

fn a_client_that_has_gone_is_no_reason_to_stop(on: Subject) {
    let mut server = Server::start(on, "echo");
    canary(&server);
    for _ in 0..2 {
        server.signal_all(SIGSTOP);
        for n in 0..10 {
            let client = Socket::to(&server);
            // On Unix the queue may be full; what matters is that some are in it.
            if client.try_send(&payload(n), Wait::No).is_err() {
                break;
            }
            if n % 3 == 0 {
                let _ = client.try_send(b"again", Wait::No);
            }
        }
        server.signal_all(SIGCONT);
        canary(&server);
    }
    assert!(server.alive());
}

fn a_client_without_a_name_is_passed_over(on: Subject) {
    let server = Server::start(on, "echo");
    let how = Client { named: false, ..Client::default() };
    let client = Socket::open(&server.url.address, on.family, how);
    for _ in 0..12 {
        client.send(b"nobody");
    }
    canary(&server);
}

fn a_client_that_does_not_read_holds_up_nobody(on: Subject) {
    for connected in [true, false] {
        let server = Server::start(on, "echo");
        let how = Client { connected, ..Client::default() };
        nobody_is_held_up_by(Socket::open(&server.url.address, on.family, how), &server);
    }
}

/// One that is connected can be sent as much as the server's send buffer holds, another as many as its own queue does (unix(7)).
fn nobody_is_held_up_by(silent: Socket, server: &Server) {
    // Long ones, so that its answers alone would fill a send buffer of the default size.
    for _ in 0..64 {
        silent.send(&payload(30_000));
    }
    let other = Socket::to(server);
    let start = Instant::now();
    for _ in 0..5 {
        assert_eq!(other.exchange(b"ping"), b"ping");
        silent.send(b"more");
    }
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    // What it has been sent is still there.
    assert_eq!(silent.recv().len(), 30_000);
}

fn what_is_cut_is_not_answered_and_is_counted(on: Subject) {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("unixgram:{}", folder.path().join("s").display());
    let mut server = Server::with_stderr_at(on.model, "echo", &url, &[]);
    let client = Socket::to(&server);
    // More than the buffer of any model, and less than a sender may send by default.
    client.send(&payload(100_000));
    assert_eq!(client.exchange(b"whole"), b"whole");
    let (status, text) = server.stop_and_read();
    assert_eq!(status.code(), Some(0), "{text}");
    let cut: u64 = text.lines().filter_map(|line| line.split_once(" cut and not answered")).map(number).sum();
    assert_eq!(cut, 1, "{text}");
}

/// The number at the end of what stands before the words.
fn number((before, _): (&str, &str)) -> u64 {
    before.rsplit(' ').next().unwrap().parse().unwrap()
}

fn a_server_on_all_addresses_answers_from_the_one_that_was_asked(on: Subject) {
    for (any, asked) in
        [("udp://0.0.0.0:0", &["127.0.0.1", "127.0.0.2"][..]), ("udp://[::]:0", &["::1", "127.0.0.2"])]
    {
        if any.contains('[') && !has_ipv6() {
            aloud("SKIPPED: [::1]: this machine has no IPv6");
            continue;
        }
        let server = Server::at(on.model, "echo", any, &["--workers", "2"], &Begin::default());
        for ip in asked {
            let at = SocketAddr::new(ip.parse().unwrap(), server.url.ip().unwrap().port());
            let client = Socket::open(&Address::Ip(at), Family::Udp, Client::default());
            for n in 0..3 {
                assert_eq!(client.exchange(&payload(n)), payload(n), "{ip}");
            }
        }
    }
}

each_datagram_model!(a_client_that_has_gone_is_no_reason_to_stop);
each_datagram_model!(unixgram:
    a_client_without_a_name_is_passed_over,
    a_client_that_does_not_read_holds_up_nobody,
    what_is_cut_is_not_answered_and_is_counted,
);
each_datagram_model!(udp: a_server_on_all_addresses_answers_from_the_one_that_was_asked);

#[test]
fn segments_are_answered_each() {
    let server = Server::start(Subject { model: "dgram-gso", family: Family::Udp }, "echo");
    let client = Socket::to(&server);
    let text = payload(10_500);
    let pieces = [io::IoSlice::new(&text)];
    let route = sys::datagram::Route::CONNECTED;
    sys::datagram::send_segments(client.fd.as_fd(), &pieces, &route, 1000, Wait::Socket).unwrap();
    let answers: Vec<Vec<u8>> = (0..11).map(|_| client.recv()).collect();
    let sizes: Vec<usize> = answers.iter().map(Vec::len).collect();
    assert_eq!(sizes, [vec![1000; 10], vec![500]].concat());
    assert_eq!(answers.concat(), text);
}

/// Each of these services' answers differs in length from what it answers, or is more than one send may hold.
#[test]
fn segments_whose_answers_do_not_fit_together_are_answered_one_by_one() {
    let server = Server::start(Subject { model: "dgram-gso", family: Family::Udp }, "sized");
    let client = Socket::to(&server);
    let text = ["40000\n", "50000\n", "00007\n", "00900\n"].concat();
    let pieces = [io::IoSlice::new(text.as_bytes())];
    let route = sys::datagram::Route::CONNECTED;
    sys::datagram::send_segments(client.fd.as_fd(), &pieces, &route, 6, Wait::Socket).unwrap();
    let sizes: Vec<usize> = (0..4).map(|_| client.recv().len()).collect();
    assert_eq!(sizes, [40_000, 50_000, 7, 900]);
}

#[test]
fn a_peer_gets_a_socket_of_its_own_after_its_first_datagram() {
    let server = Server::start(Subject { model: "dgram-connected", family: Family::Udp }, "echo");
    let before = server.descriptors();
    let clients: Vec<_> = (0..20).map(|_| Socket::to(&server)).collect();
    for round in 0..3 {
        for client in &clients {
            client.send(&payload(round));
        }
        for client in &clients {
            assert_eq!(client.recv(), payload(round));
        }
    }
    assert_eq!(server.descriptors(), before + clients.len());
}
