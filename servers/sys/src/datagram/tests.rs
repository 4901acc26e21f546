//! Datagram sockets against the kernel: where a datagram came from and arrived, what is cut, lost or cannot be sent.

use super::*;
use crate::{Address, Family, Stack, Url};
use std::io::IoSlice;
use std::net::SocketAddr;
use std::os::fd::{AsFd as _, OwnedFd};
use std::time::{Duration, Instant};

/// A server on UDP, and one on a Unix path; the folder is kept as long.
fn servers() -> [(Bound, Option<tempfile::TempDir>); 3] {
    let folder = tempfile::tempdir().unwrap();
    let path = format!("unixgram:{}", folder.path().join("s").display());
    let name = format!("unixgram:@sys-datagram-{}-{:?}", std::process::id(), std::thread::current().id());
    let at = |url: &str| bind(&url.parse().unwrap(), Stack::Dual).unwrap();
    [(at("udp://127.0.0.1:0"), None), (at(&path), Some(folder)), (at(&name), None)]
}

fn client(server: &Bound, how: Client) -> (OwnedFd, Peer) {
    let (fd, peer) = how.open(&server.url.address, server.url.family).unwrap();
    socket2::SockRef::from(&fd).set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    (fd, peer)
}

fn say(fd: &OwnedFd, bytes: &[u8], route: &Route) -> std::io::Result<()> {
    send(fd.as_fd(), &[IoSlice::new(bytes)], route, Wait::Socket)
}

#[test]
fn a_datagram_of_any_size_goes_and_is_answered_whole_on_every_family() {
    for (server, _folder) in &servers() {
        let (family, mut buffer) = (server.url.family, vec![0; ROOM]);
        for how in [Client::default(), Client { connected: false, ..Client::default() }] {
            let (client, address) = client(server, how);
            let route =
                if how.connected { Route::CONNECTED } else { Route { peer: address, ..Route::CONNECTED } };
            for size in [0, 1, 1472, 8192, 65_507] {
                say(&client, &vec![7; size], &route).unwrap();
                let got = recv(server.fd.as_fd(), family, &mut buffer, Wait::Socket).unwrap();
                assert_eq!((got.len, got.truncated, got.route.peer.is_named()), (size, false, true));
                let (head, tail) = buffer[..size].split_at(size / 3);
                let pieces = [IoSlice::new(head), IoSlice::new(&[]), IoSlice::new(tail)];
                send(server.fd.as_fd(), &pieces, &got.route, Wait::No).unwrap();
                let mut answer = vec![0; ROOM];
                let got = recv(client.as_fd(), family, &mut answer, Wait::Socket).unwrap();
                assert_eq!((got.len, &answer[..size]), (size, &vec![7; size][..]));
                assert_eq!(got.route.peer, address, "it comes from where the server is bound");
            }
        }
        let empty = recv(server.fd.as_fd(), family, &mut buffer, Wait::No).unwrap_err();
        assert_eq!(empty.kind(), std::io::ErrorKind::WouldBlock);
    }
}

#[test]
fn what_is_longer_than_the_buffer_is_said_to_be_cut() {
    for (server, _folder) in &servers() {
        let (client, _) = client(server, Client::default());
        say(&client, &[1; 100], &Route::CONNECTED).unwrap();
        let mut small = [0; 10];
        let got = recv(server.fd.as_fd(), server.url.family, &mut small, Wait::Socket).unwrap();
        assert_eq!((got.len, got.truncated), (10, true));
        say(&client, &[1; 100], &Route::CONNECTED).unwrap();
        let mut inbound = Inbound::new(2, 10);
        assert_eq!(inbound.recv(server.fd.as_fd(), server.url.family, Wait::Socket).unwrap(), 1);
        let (got, bytes) = inbound.iter().next().unwrap();
        assert_eq!((got.truncated, bytes), (true, &[1; 10][..]));
    }
}

#[test]
fn a_batch_brings_what_is_there_and_answers_each_along_its_own_route() {
    for (server, _folder) in &servers() {
        let clients: Vec<_> = (0..5).map(|_| client(server, Client::default()).0).collect();
        let (mut inbound, mut outbound) = (Inbound::new(16, ROOM), Outbound::new(16));
        for round in 0..3_u8 {
            for (at, client) in clients.iter().enumerate() {
                say(client, &vec![round; at], &Route::CONNECTED).unwrap();
            }
            let count = inbound.recv(server.fd.as_fd(), server.url.family, Wait::Socket).unwrap();
            assert_eq!(count, clients.len());
            let answers = inbound.iter().map(|(got, bytes)| (got.route, [&b"<"[..], bytes, b">"]));
            outbound.send(server.fd.as_fd(), answers, Wait::No, |_, error| Err(error)).unwrap();
            for (at, client) in clients.iter().enumerate() {
                let mut answer = [0; 64];
                let got = recv(client.as_fd(), server.url.family, &mut answer, Wait::Socket).unwrap();
                assert_eq!(answer[..got.len], [b"<", &vec![round; at][..], b">"].concat());
            }
        }
    }
}

#[test]
fn an_answer_that_cannot_be_sent_does_not_hold_up_those_behind_it() {
    let [_, (server, _folder), _] = servers();
    let (gone, _) = client(&server, Client::default());
    let (unnamed, _) = client(&server, Client { named: false, ..Client::default() });
    let (last, _) = client(&server, Client::default());
    for client in [&gone, &unnamed, &last] {
        say(client, b"x", &Route::CONNECTED).unwrap();
    }
    drop(gone);
    let (mut inbound, mut outbound, mut failed) = (Inbound::new(8, 64), Outbound::new(8), Vec::new());
    inbound.recv(server.fd.as_fd(), Family::Unixgram, Wait::Socket).unwrap();
    let named: Vec<bool> = inbound.iter().map(|(got, _)| got.route.peer.is_named()).collect();
    assert_eq!(named, [true, false, true]);
    let answers = inbound.iter().map(|(got, bytes)| (got.route, [bytes, &[][..], &[]]));
    let note = |at, error: std::io::Error| {
        failed.push((at, error.kind()));
        Ok(())
    };
    outbound.send(server.fd.as_fd(), answers, Wait::No, note).unwrap();
    assert_eq!(failed.iter().map(|(at, _)| *at).collect::<Vec<_>>(), [0, 1]);
    assert_eq!(failed[0].1, std::io::ErrorKind::ConnectionRefused);
    assert_eq!(recv(last.as_fd(), Family::Unixgram, &mut [0; 8], Wait::Socket).unwrap().len, 1);
}

#[test]
fn a_client_that_does_not_read_is_waited_for_no_longer_than_said() {
    let [_, (server, _folder), _] = servers();
    let (client, _) = client(&server, Client::default());
    say(&client, b"x", &Route::CONNECTED).unwrap();
    let got = recv(server.fd.as_fd(), Family::Unixgram, &mut [0; 8], Wait::Socket).unwrap();
    // Its queue holds net.unix.max_dgram_qlen datagrams and one more.
    while say(&server.fd, b"y", &got.route).is_ok() {
        set_send_patience(server.fd.as_fd(), Duration::from_millis(20)).unwrap();
    }
    let start = Instant::now();
    let error = say(&server.fd, b"y", &got.route).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
    assert!(start.elapsed() >= Duration::from_millis(15), "{:?}", start.elapsed());
    let now = send(server.fd.as_fd(), &[IoSlice::new(b"y")], &got.route, Wait::No).unwrap_err();
    assert_eq!(now.kind(), std::io::ErrorKind::WouldBlock);
}

#[test]
fn a_wildcard_socket_answers_from_the_address_that_was_asked() {
    for (any, asked) in
        [("udp://0.0.0.0:0", "127.0.0.2"), ("udp://[::]:0", "::1"), ("udp://[::]:0", "127.0.0.2")]
    {
        let Ok(server) = bind(&any.parse().unwrap(), Stack::Dual) else {
            eprintln!("SKIPPED: {any}: this machine has no such address");
            continue;
        };
        let to = SocketAddr::new(asked.parse().unwrap(), server.url.ip().unwrap().port());
        let url = Url { address: Address::Ip(to), ..server.url.clone() };
        let Ok((client, _)) = Client::default().open(&url.address, Family::Udp) else {
            eprintln!("SKIPPED: {asked}: this machine has no such address");
            continue;
        };
        socket2::SockRef::from(&client).set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        say(&client, b"ping", &Route::CONNECTED).unwrap();
        let mut buffer = [0; 64];
        let got = recv(server.fd.as_fd(), Family::Udp, &mut buffer, Wait::Socket).unwrap();
        assert_eq!(got.route.local.ip().map(|ip| ip.to_canonical()), Some(to.ip()));
        say(&server.fd, b"pong", &got.route).unwrap();
        let got = recv(client.as_fd(), Family::Udp, &mut buffer, Wait::Socket).unwrap();
        assert_eq!(got.route.peer.ip(), Some(to), "a connected client sees no other source");
    }
}

#[test]
fn a_full_queue_drops_and_says_how_many() {
    let [(server, _), ..] = servers();
    let room = set_receive_buffer(server.fd.as_fd(), 1).unwrap();
    assert!(room > 1 && room == receive_buffer(server.fd.as_fd()).unwrap(), "{room}");
    let (client, _) = client(&server, Client::default());
    for _ in 0..64 {
        say(&client, &[0; 1000], &Route::CONNECTED).unwrap();
    }
    let counts = drops(server.fd.as_fd()).unwrap();
    assert!(counts.dropped > 0 && counts.unread_bytes > 0, "{counts:?}");
    // The number comes with a datagram that was queued after the drops.
    let mut buffer = [0; 1000];
    while recv(server.fd.as_fd(), Family::Udp, &mut buffer, Wait::No).is_ok() {}
    say(&client, b"x", &Route::CONNECTED).unwrap();
    let got = recv(server.fd.as_fd(), Family::Udp, &mut buffer, Wait::Socket).unwrap();
    assert_eq!(got.dropped, counts.dropped);
}

#[test]
fn segments_go_out_in_one_call_and_may_come_in_as_one() {
    let [(server, _), ..] = servers();
    take_segments(server.fd.as_fd()).unwrap();
    let (client, _) = client(&server, Client::default());
    let text: Vec<u8> = (0..5_000_u32).map(|n| n as u8).collect();
    send_segments(client.as_fd(), &[IoSlice::new(&text)], &Route::CONNECTED, 1200, Wait::Socket).unwrap();
    let (mut buffer, mut came) = (vec![0; ROOM], Vec::new());
    while came.len() < text.len() {
        let got = recv(server.fd.as_fd(), Family::Udp, &mut buffer, Wait::Socket).unwrap();
        assert!(got.len <= 1200 || got.segment == Some(1200), "{got:?}");
        came.extend_from_slice(&buffer[..got.len]);
    }
    assert_eq!(came, text);
}

#[test]
fn a_connected_socket_has_its_peer_to_itself_and_a_stranger_gets_no_share_of_the_port() {
    let [(server, _), ..] = servers();
    let at = server.url.ip().unwrap();
    let (mut first, mut buffer) = (Vec::new(), [0; 64]);
    let clients: Vec<_> = (0..3).map(|_| client(&server, Client::default()).0).collect();
    for client in &clients {
        say(client, b"1", &Route::CONNECTED).unwrap();
        let got = recv(server.fd.as_fd(), Family::Udp, &mut buffer, Wait::Socket).unwrap();
        first.push(answer_socket(server.fd.as_fd(), at, &got.route.peer).unwrap());
    }
    for (client, own) in clients.iter().zip(&first) {
        say(client, b"22", &Route::CONNECTED).unwrap();
        assert_eq!(recv(own.as_fd(), Family::Udp, &mut buffer, Wait::Socket).unwrap().len, 2);
        say(own, b"333", &Route::CONNECTED).unwrap();
        assert_eq!(recv(client.as_fd(), Family::Udp, &mut buffer, Wait::Socket).unwrap().len, 3);
    }
    let stranger = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::DGRAM, None).unwrap();
    stranger.set_reuse_address(true).unwrap();
    assert_eq!(stranger.bind(&at.into()).unwrap_err().kind(), std::io::ErrorKind::AddrInUse);
}

#[test]
fn a_group_shares_a_port_and_a_living_server_keeps_its_own() {
    let (group, at) = bind_group("127.0.0.1:0".parse().unwrap(), 3, Stack::Dual).unwrap();
    assert_eq!(group.len(), 3);
    assert_eq!(bind_group(at, 1, Stack::Dual).unwrap_err().kind(), std::io::ErrorKind::AddrInUse);
    let [_, (server, _folder), _] = servers();
    assert_eq!(bind(&server.url, Stack::Dual).unwrap_err().kind(), std::io::ErrorKind::AddrInUse);
    let Bound { fd, url, claim } = server;
    drop(fd);
    // As after SIGKILL: the path is there, and nobody behind it.
    let again = bind(&url, Stack::Dual).unwrap();
    assert!(again.claim.is_some());
    drop((claim, again));
}

#[test]
fn a_burst_goes_out_and_comes_in_with_its_bytes_alone() {
    for (server, _folder) in servers() {
        let fd =
            Client { nonblocking: true, ..Client::default() }.open(&server.url.address, server.url.family);
        let (fd, _) = fd.unwrap();
        let messages: Vec<Vec<u8>> = (0..5_u8).map(|n| vec![n; usize::from(n) * 10]).collect();
        let mut burst = Burst::new(5, 30, Segments::Single);
        assert_eq!(burst.send(fd.as_fd(), &messages).unwrap(), 5);
        assert_eq!(burst.send(fd.as_fd(), &messages[3..4]).unwrap(), 1);
        let mut buffer = [0; 64];
        for n in [0, 1, 2, 3, 4, 3] {
            let got = recv(server.fd.as_fd(), server.url.family, &mut buffer, Wait::Socket).unwrap();
            assert_eq!(&buffer[..got.len], &messages[n]);
            say(&server.fd, &buffer[..got.len], &got.route).unwrap();
        }
        assert_eq!(burst.recv(fd.as_fd(), 3).unwrap(), 3);
        assert_eq!((burst.get(0), burst.get(2)), (&[][..], &messages[2][..]));
        assert_eq!(burst.recv(fd.as_fd(), 100).unwrap(), 3);
        // What is longer than the room is cut.
        assert_eq!(
            (burst.get(0), burst.get(1).len(), burst.get(2)),
            (&messages[3][..], 30, &messages[3][..])
        );
        for want in [1, 5] {
            assert_eq!(burst.recv(fd.as_fd(), want).unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
        }
    }
}

/// Each of several datagrams that find nobody is told of, with its bytes, and afterwards the socket is as good as new.
#[test]
fn refusals_are_kept_one_by_one() {
    for url in ["udp://127.0.0.1:0", "udp://[::1]:0"] {
        let server = match bind(&url.parse().unwrap(), Stack::Dual) {
            Err(error) if crate::errno::is_no_family(&error) => continue,
            Err(error) if error.kind() == std::io::ErrorKind::AddrNotAvailable => continue,
            server => server.unwrap(),
        };
        let (fd, _) = client(&server, Client { nonblocking: true, ..Client::default() });
        let peer = server.url.ip().unwrap();
        keep_refusals(fd.as_fd(), peer).unwrap();
        drop(server);
        let mut head = [0; 4];
        assert_eq!(refusal(fd.as_fd(), &mut head).unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
        let mut burst = Burst::new(8, 16, Segments::Single);
        let messages: Vec<Vec<u8>> = (0..8).map(|n| vec![n; 9]).collect();
        let mut sent = 0;
        while sent < messages.len() {
            // The refusal of one may meet the call for the next.
            sent += burst.send(fd.as_fd(), &messages[sent..]).unwrap_or(0);
        }
        for n in 0..8 {
            let wait = Some(Duration::from_secs(5));
            assert_eq!(crate::socket::wait_readable(&[fd.as_fd()], wait).unwrap(), [true]);
            let seen = refusal(fd.as_fd(), &mut head).unwrap();
            assert_eq!((seen.refused, seen.len, head), (Some(libc::ECONNREFUSED), 4, [n; 4]), "{peer}");
        }
        assert_eq!(burst.recv(fd.as_fd(), 1).unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    }
}

/// Lengths that can be joined and such that cannot, in every order: each arrives as one datagram, and an echo that comes joined is taken apart.
#[test]
fn a_joined_burst_is_the_same_datagrams() {
    let [(server, _), ..] = servers();
    take_segments(server.fd.as_fd()).unwrap();
    let (fd, _) = client(&server, Client { nonblocking: true, ..Client::default() });
    take_segments(fd.as_fd()).unwrap();
    let mut burst = Burst::new(200, 30, Segments::Joined);
    let of = |lens: &[usize]| -> Vec<Vec<u8>> {
        lens.iter().enumerate().map(|(n, len)| vec![n as u8; *len]).collect()
    };
    let long = [[64; 70].as_slice(), &[30_000; 3]].concat();
    for lens in [&[9, 9, 9, 4, 9][..], &[4, 9, 9, 0, 0, 4], &[1, 2, 3], &[5, 4, 3], &long, &[7]] {
        let messages = of(lens);
        assert_eq!(burst.send(fd.as_fd(), &messages).unwrap(), messages.len());
        let (mut buffer, mut came, mut back) = (vec![0; ROOM], Vec::new(), Vec::new());
        while came.len() < messages.len() {
            let got = recv(server.fd.as_fd(), Family::Udp, &mut buffer, Wait::Socket).unwrap();
            let whole = &buffer[..got.len];
            match got.segment {
                Some(segment) => came.extend(whole.chunks(segment.into()).map(<[u8]>::to_vec)),
                None => came.push(whole.to_vec()),
            }
            let pieces = [IoSlice::new(whole)];
            match got.segment {
                Some(segment) => {
                    send_segments(server.fd.as_fd(), &pieces, &got.route, segment, Wait::Socket).unwrap();
                }
                None => say(&server.fd, whole, &got.route).unwrap(),
            }
        }
        assert_eq!(came, messages);
        while back.len() < messages.len() {
            let count = burst.recv(fd.as_fd(), 3).unwrap();
            back.extend((0..count).map(|at| burst.get(at).to_vec()));
        }
        assert_eq!(back, messages);
    }
}
