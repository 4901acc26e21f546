//! The wrappers against the kernel: where a datagram arrived, whole or cut, in batches, in segments.

use super::*;
use crate::{Address, Family, Url};
use std::io::{self, IoSlice};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd as _;

fn url(text: &str) -> Url {
    text.parse().unwrap()
}

fn bound(text: &str) -> Bound {
    bind(&url(text)).unwrap()
}

fn client(server: &Address, family: Family) -> (std::os::fd::OwnedFd, Peer) {
    Client::default().open(server, family).unwrap()
}

fn say(fd: impl std::os::fd::AsFd, bytes: &[u8]) {
    send(fd.as_fd(), &[IoSlice::new(bytes)], &Route::CONNECTED, Wait::Socket).unwrap();
}

/// Both families, with a server each.
fn each(body: impl Fn(&Bound, Family)) {
    let folder = tempfile::tempdir().unwrap();
    for at in ["udp://127.0.0.1:0".to_owned(), format!("unixgram:{}/s", folder.path().display())] {
        let server = bound(&at);
        body(&server, server.url.family);
    }
    let name = format!("unixgram:@datagram-test-{}", std::process::id());
    body(&bound(&name), Family::Unixgram);
    assert!(!folder.path().join("s").exists(), "the path went with its server");
}

#[test]
fn a_datagram_is_received_and_answered() {
    each(|server, family| {
        let (fd, _) = client(&server.url.address, family);
        let mut buffer = [0; 100];
        for message in [&b"hello"[..], b"", b"again"] {
            say(&fd, message);
            let received = recv(server.fd.as_fd(), family, &mut buffer, Wait::Socket).unwrap();
            assert_eq!((&buffer[..received.len], received.truncated), (message, false));
            assert!(received.route.peer.is_named());
            let pieces = [IoSlice::new(b"<"), IoSlice::new(message), IoSlice::new(b">")];
            send(server.fd.as_fd(), &pieces, &received.route, Wait::No).unwrap();
            let back = recv(fd.as_fd(), family, &mut buffer, Wait::Socket).unwrap();
            assert_eq!(&buffer[..back.len], [b"<", message, b">"].concat());
        }
        let empty = recv(server.fd.as_fd(), family, &mut buffer, Wait::No).unwrap_err();
        assert_eq!(empty.kind(), io::ErrorKind::WouldBlock);
    });
}

#[test]
fn what_does_not_fit_is_said_to_be_cut() {
    each(|server, family| {
        let (fd, _) = client(&server.url.address, family);
        say(&fd, &[7; 100]);
        let mut buffer = [0; 99];
        let received = recv(server.fd.as_fd(), family, &mut buffer, Wait::Socket).unwrap();
        assert_eq!((received.len, received.truncated), (99, true));
    });
}

#[test]
fn a_server_on_all_addresses_learns_where_it_was_asked_and_answers_from_there() {
    let server = bound("udp://0.0.0.0:0");
    let port = server.url.ip().unwrap().port();
    for host in [[127, 0, 0, 1], [127, 0, 0, 2], [127, 1, 2, 3]] {
        let (fd, _) = client(&Address::Ip(SocketAddr::from((host, port))), Family::Udp);
        say(&fd, b"x");
        let mut buffer = [0; 8];
        let received = recv(server.fd.as_fd(), Family::Udp, &mut buffer, Wait::Socket).unwrap();
        assert_eq!(received.route.local.ip(), Some(IpAddr::from(host)));
        send(server.fd.as_fd(), &[IoSlice::new(b"y")], &received.route, Wait::No).unwrap();
        // A connected client takes no answer from elsewhere.
        assert_eq!(recv(fd.as_fd(), Family::Udp, &mut buffer, Wait::Socket).unwrap().len, 1);
    }
}

#[test]
fn a_sender_without_a_name_cannot_be_answered() {
    let server = bound(&format!("unixgram:@datagram-nameless-{}", std::process::id()));
    let nameless = Client { named: false, ..Client::default() };
    let (fd, _) = nameless.open(&server.url.address, Family::Unixgram).unwrap();
    say(&fd, b"x");
    let received = recv(server.fd.as_fd(), Family::Unixgram, &mut [0; 8], Wait::Socket).unwrap();
    assert!(!received.route.peer.is_named());
    assert!(send(server.fd.as_fd(), &[IoSlice::new(b"y")], &received.route, Wait::No).is_err());
}

#[test]
fn a_batch_brings_each_with_its_sender_and_takes_each_answer_back() {
    each(|server, family| {
        let clients: Vec<_> = (0..5).map(|_| client(&server.url.address, family).0).collect();
        for (n, fd) in (0_u8..).zip(&clients) {
            say(fd, &vec![n; usize::from(n)]);
        }
        let (mut inbound, mut outbound) = (Inbound::new(8, 3), Outbound::new(8));
        let mut all = Vec::new();
        while all.len() < 5 {
            inbound.recv(server.fd.as_fd(), family, Wait::Socket).unwrap();
            all.extend(inbound.iter().map(|(received, bytes)| (received, bytes.to_vec())));
        }
        for (n, (received, bytes)) in all.iter().enumerate() {
            assert_eq!((bytes.len(), received.truncated), (n.min(3), n > 3));
        }
        let answers = all.iter().map(|(received, bytes)| (received.route, [&bytes[..], b"!", b""]));
        outbound.send(server.fd.as_fd(), answers, Wait::No, |_, error| Err(error)).unwrap();
        for (n, fd) in clients.iter().enumerate() {
            let mut buffer = [0; 8];
            let back = recv(fd.as_fd(), family, &mut buffer, Wait::Socket).unwrap();
            assert_eq!((back.len, buffer[back.len - 1]), (n.min(3) + 1, b'!'));
        }
    });
}

#[test]
fn an_answer_of_a_batch_that_cannot_be_sent_holds_up_no_other() {
    let server = bound(&format!("unixgram:@datagram-batch-{}", std::process::id()));
    let (gone, _) = client(&server.url.address, Family::Unixgram);
    let (here, _) = client(&server.url.address, Family::Unixgram);
    say(&gone, b"a");
    say(&here, b"b");
    drop(gone);
    let mut inbound = Inbound::new(4, 8);
    assert_eq!(inbound.recv(server.fd.as_fd(), Family::Unixgram, Wait::Socket).unwrap(), 2);
    let mut failed = Vec::new();
    let answers = inbound.iter().map(|(received, bytes)| (received.route, [bytes, &[], &[]]));
    Outbound::new(4)
        .send(server.fd.as_fd(), answers, Wait::No, |at, error| {
            failed.push((at, error.raw_os_error()));
            Ok(())
        })
        .unwrap();
    assert_eq!(failed, [(0, Some(libc::ECONNREFUSED))]);
    assert_eq!(recv(here.as_fd(), Family::Unixgram, &mut [0; 8], Wait::Socket).unwrap().len, 1);
}

#[test]
fn segments_are_cut_by_the_kernel_and_put_together_again() {
    let server = bound("udp://127.0.0.1:0");
    take_segments(server.fd.as_fd()).unwrap();
    let (fd, _) = client(&server.url.address, Family::Udp);
    let text: Vec<u8> = (0..250).collect();
    send_segments(fd.as_fd(), &[IoSlice::new(&text)], &Route::CONNECTED, 100, Wait::Socket).unwrap();
    let (mut got, mut buffer) = (Vec::new(), vec![0; ROOM]);
    while got.len() < text.len() {
        let received = recv(server.fd.as_fd(), Family::Udp, &mut buffer, Wait::Socket).unwrap();
        // Loopback keeps them together; a network card may not.
        assert!(received.segment.is_none_or(|bytes| bytes == 100));
        got.extend_from_slice(&buffer[..received.len]);
    }
    assert_eq!(got, text);
}

#[test]
fn drops_are_counted() {
    let server = bound("udp://127.0.0.1:0");
    set_receive_buffer(server.fd.as_fd(), 4_096).unwrap();
    let (fd, _) = client(&server.url.address, Family::Udp);
    for _ in 0..100 {
        say(&fd, &[0; 1_000]);
    }
    let counts = drops(server.fd.as_fd()).unwrap();
    assert!(counts.dropped > 0 && counts.dropped < 100 && counts.unread_bytes > 0, "{counts:?}");
    // Told with the datagrams that came after the loss.
    let mut told = 0;
    while let Ok(received) = recv(server.fd.as_fd(), Family::Udp, &mut [0; 2_000], Wait::No) {
        told = told.max(received.dropped);
    }
    say(&fd, b"one more");
    told = told.max(recv(server.fd.as_fd(), Family::Udp, &mut [0; 2_000], Wait::Socket).unwrap().dropped);
    assert_eq!(told, counts.dropped);
}

#[test]
fn a_port_that_is_taken_is_said_to_be() {
    let server = bound("udp://127.0.0.1:0");
    let again = bind(&server.url).unwrap_err();
    assert_eq!(again.kind(), io::ErrorKind::AddrInUse);
    assert_eq!(bind_group(server.url.ip().unwrap(), 2).unwrap_err().kind(), io::ErrorKind::AddrInUse);
    let (group, at) = bind_group("127.0.0.1:0".parse().unwrap(), 3).unwrap();
    assert!(group.len() == 3 && at.port() != 0);
    assert_eq!(bind(&url("tcp://127.0.0.1:0")).unwrap_err().kind(), io::ErrorKind::Unsupported);
}

#[test]
fn a_socket_for_one_peer_takes_over_what_that_peer_sends() {
    let server = bound("udp://127.0.0.1:0");
    let at = server.url.ip().unwrap();
    let (one, _) = client(&server.url.address, Family::Udp);
    let (other, _) = client(&server.url.address, Family::Udp);
    say(&one, b"first");
    let mut buffer = [0; 16];
    let received = recv(server.fd.as_fd(), Family::Udp, &mut buffer, Wait::Socket).unwrap();
    let own = answer_socket(server.fd.as_fd(), at, &received.route.peer).unwrap();
    say(&one, b"second");
    say(&other, b"third");
    assert_eq!(recv(own.as_fd(), Family::Udp, &mut buffer, Wait::Socket).unwrap().len, 6);
    assert_eq!(recv(server.fd.as_fd(), Family::Udp, &mut buffer, Wait::Socket).unwrap().len, 5);
    say(&own, b"answer");
    assert_eq!(recv(one.as_fd(), Family::Udp, &mut buffer, Wait::Socket).unwrap().len, 6);
}
