//! The ring against real sockets: who owns a buffer when, what ends an operation. Not here: servers. Skipped aloud without io_uring.

use super::*;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsFd as _;
use std::time::Instant;

fn ring(buffers: u16) -> Option<Ring> {
    if let Err(reason) = probe() {
        let _ = writeln!(io::stderr().lock(), "SKIPPED: io_uring: {reason}");
        return None;
    }
    let mut ring = Ring::new(8).unwrap();
    if buffers > 0 {
        ring.provide(buffers, 64).unwrap();
    }
    Some(ring)
}

fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (client, listener.accept().unwrap().0)
}

/// The next completion; the ring has a timeout operation where a test could wait for ever.
fn next(ring: &mut Ring) -> Completion {
    loop {
        if let Some(done) = ring.completed() {
            return done;
        }
        ring.wait(true).unwrap();
    }
}

fn received(load: Load) -> Chunk {
    match load {
        Load::Received(chunk) => chunk,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_buffer_goes_in_and_comes_back_with_what_was_received() {
    let Some(mut ring) = ring(0) else { return };
    let (mut client, server) = pair();
    ring.recv(server.as_fd(), vec![0; 16], 7).unwrap();
    client.write_all(b"hello").unwrap();
    let done = next(&mut ring);
    assert_eq!((done.key, done.result, done.more), (7, Ok(5), false));
    let chunk = received(done.load);
    assert_eq!(&*chunk, b"hello");
    ring.send(server.as_fd(), Outgoing::Chunk(chunk, 1..4), 8).unwrap();
    let done = next(&mut ring);
    assert_eq!((done.key, done.result), (8, Ok(3)));
    let mut three = [0; 3];
    client.read_exact(&mut three).unwrap();
    assert_eq!(&three, b"ell");
    assert!(matches!(done.load, Load::Sent(Outgoing::Chunk(Chunk::Own(buffer, 5), _)) if buffer.len() == 16));
}

#[test]
fn a_gather_sends_its_pieces_in_order_from_where_it_was() {
    let Some(mut ring) = ring(0) else { return };
    let (mut client, server) = pair();
    let mut gather = Box::<Gather>::default();
    assert!(gather.copy(b"xone ") && gather.copy(b"two ") && gather.fixed(b"three ") && gather.copy(b"four"));
    let mut what = Outgoing::Gather(gather);
    what.advance(1);
    let mut rest = 18;
    for n in [10, 8] {
        // Sent in two, to see that what follows a short send begins where it ended; what we leave out here is not taken off.
        ring.send(server.as_fd(), what, 1).unwrap();
        let done = next(&mut ring);
        assert_eq!(done.result, Ok(rest));
        let mut all = vec![0; rest as usize];
        client.read_exact(&mut all).unwrap();
        assert_eq!(all, b"one two three four"[18 - rest as usize..]);
        let Load::Sent(sent) = done.load else { panic!() };
        what = sent;
        what.advance(n);
        rest -= n as u32;
    }
    assert!(what.is_empty());
    let Outgoing::Gather(mut gather) = what else { panic!() };
    gather.clear(0);
    for _ in 0..PIECES {
        assert!(gather.fixed(b"x"));
    }
    assert!(!gather.fixed(b"x") && !gather.copy(b"x"), "no room");
}

#[test]
fn a_multishot_receive_goes_on_until_no_buffer_is_left_and_the_buffers_come_back() {
    let Some(mut ring) = ring(2) else { return };
    let (mut client, server) = pair();
    ring.recv_multi(server.as_fd(), 1).unwrap();
    client.write_all(&[b'a'; 200]).unwrap();
    let (first, second) = (next(&mut ring), next(&mut ring));
    assert!(first.result == Ok(64) && first.more && second.result == Ok(64) && second.more);
    let kept = (received(first.load), received(second.load));
    assert_eq!(ring.available(), 0);
    // Two buffers are out, 72 bytes wait: this is the end of the operation, and not of the input.
    let third = next(&mut ring);
    assert!(third.result == Err(libc::ENOBUFS) && !third.more);
    drop(kept);
    assert_eq!(ring.available(), 2);
    // Many times around the ring of entries, each time in other hands.
    ring.recv_multi(server.as_fd(), 2).unwrap();
    let mut got = 0;
    let mut sent = 200;
    while got < 72 + 1000 * 3 {
        let done = next(&mut ring);
        match done.result {
            Ok(n) => got += n as usize,
            Err(error) => assert_eq!(error, libc::ENOBUFS),
        }
        if !done.more {
            ring.recv_multi(server.as_fd(), 2).unwrap();
        }
        if got + 128 >= sent && sent < 200 + 3000 {
            client.write_all(&[b'b'; 3]).unwrap();
            sent += 3;
        }
    }
    assert_eq!(ring.available(), 2);
}

#[test]
fn more_receivers_than_buffers_are_all_served_by_starting_again() {
    let Some(mut ring) = ring(2) else { return };
    let mut pairs: Vec<_> = (0..16).map(|_| pair()).collect();
    for (i, (client, server)) in pairs.iter_mut().enumerate() {
        client.write_all(&[i as u8; 8]).unwrap();
        ring.recv_multi(server.as_fd(), i as u64).unwrap();
    }
    let (mut seen, mut refused, mut kept) = ([false; 16], 0, Vec::new());
    while seen.contains(&false) {
        let done = next(&mut ring);
        let i = done.key as usize;
        match done.result {
            Ok(8) => {
                let chunk = received(done.load);
                assert_eq!(&*chunk, [i as u8; 8]);
                seen[i] = true;
                kept.push(chunk);
            }
            other => {
                assert_eq!((other, done.more), (Err(libc::ENOBUFS), false));
                refused += 1;
                kept.clear();
                ring.recv_multi(pairs[i].1.as_fd(), done.key).unwrap();
            }
        }
    }
    assert!(refused > 0, "two buffers were enough for sixteen");
}

#[test]
fn a_provided_buffer_does_not_wait_for_a_peer_that_does_not_read() {
    let Some(mut ring) = ring(2) else { return };
    let (mut client, server) = pair();
    client.write_all(b"x").unwrap();
    ring.recv_multi(server.as_fd(), 1).unwrap();
    let mut chunk = received(next(&mut ring).load);
    ring.timeout(Duration::from_secs(20), 3).unwrap();
    loop {
        ring.send(server.as_fd(), Outgoing::Chunk(chunk, 0..1), 2).unwrap();
        let done = next(&mut ring);
        assert_eq!(done.key, 2, "it waits");
        let Load::Sent(Outgoing::Chunk(back, _)) = done.load else { panic!() };
        chunk = back;
        match done.result {
            Ok(1) => fill(&server),
            other => return assert_eq!(other, Err(libc::EAGAIN)),
        }
    }
}

/// Fills both sockets' buffers as far as they can be filled now.
fn fill(socket: &TcpStream) {
    socket.set_nonblocking(true).unwrap();
    while { socket }.write(&[0; 65_536]).is_ok() {}
    socket.set_nonblocking(false).unwrap();
}

#[test]
fn cancel_is_followed_by_a_last_completion() {
    let Some(mut ring) = ring(2) else { return };
    let (_client, server) = pair();
    let start = Instant::now();
    let many = ring.recv_multi(server.as_fd(), 1).unwrap();
    let once = ring.recv(server.as_fd(), vec![0; 8], 2).unwrap();
    let timer = ring.timeout(Duration::from_secs(100), 3).unwrap();
    for op in [many, once, timer] {
        ring.cancel(op).unwrap();
    }
    let mut ended = [false; 4];
    for _ in 0..3 {
        let done = next(&mut ring);
        assert!(done.result == Err(libc::ECANCELED) && !done.more);
        ended[done.key as usize] = true;
    }
    assert_eq!(ended, [false, true, true, true]);
    // Stale now: ends nothing, tells nobody.
    ring.cancel(many).unwrap();
    ring.timeout(Duration::from_millis(1), 4).unwrap();
    let done = next(&mut ring);
    assert_eq!((done.key, done.result), (4, Err(libc::ETIME)));
    assert!(start.elapsed() < Duration::from_secs(50));
}

#[test]
fn accepts_many_and_closes_behind_them() {
    let Some(mut ring) = ring(0) else { return };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    ring.accept(listener.as_fd(), true, 1).unwrap();
    // More than the submission queue has room for.
    for _ in 0..40 {
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let done = next(&mut ring);
        assert!(done.more && done.key == 1);
        let Load::Accepted(fd) = done.load else { panic!() };
        ring.close(fd).unwrap();
        ring.submit().unwrap();
        assert_eq!(client.read(&mut [0; 1]).unwrap(), 0);
    }
}

#[test]
fn more_completions_than_the_queue_holds_are_not_lost() {
    let Some(mut ring) = ring(0) else { return };
    let many = 4 * ring.ring.params().cq_entries() as u64;
    let (_client, server) = pair();
    for key in 0..many {
        // Ends at once: the socket is writable.
        ring.send(server.as_fd(), Outgoing::Chunk(Chunk::Own(vec![1], 1), 0..1), key).unwrap();
    }
    let mut seen = vec![false; many as usize];
    for _ in 0..many {
        let done = next(&mut ring);
        assert_eq!(done.result, Ok(1));
        assert!(!std::mem::replace(&mut seen[done.key as usize], true));
    }
}

#[test]
fn a_ring_dropped_with_operations_under_way_gives_no_memory_back_too_early() {
    let Some(mut ring) = ring(2) else { return };
    let (mut client, server) = pair();
    ring.recv_multi(server.as_fd(), 1).unwrap();
    ring.recv(server.as_fd(), vec![0; 4096], 2).unwrap();
    ring.submit().unwrap();
    drop(ring);
    // Whatever the kernel still does with it, the memory is there.
    let others: Vec<Vec<u8>> = (0..64).map(|_| vec![7; 4096]).collect();
    let _ = client.write_all(&[9; 4096]);
    assert!(others.iter().flatten().all(|byte| *byte == 7));
}

/// A server's and a client's socket, of either datagram family.
fn datagrams() -> [(crate::datagram::Bound, OwnedFd); 2] {
    let name = format!("unixgram:@uring-{}-{:?}", std::process::id(), std::thread::current().id());
    [name, "udp://127.0.0.1:0".to_owned()].map(|url| {
        let server = crate::datagram::bind(&url.parse().unwrap(), crate::Stack::Dual).unwrap();
        let how = crate::datagram::Client::default();
        let (client, _) = how.open(&server.url.address, server.url.family).unwrap();
        (server, client)
    })
}

fn exchange_by_ring(ring: &mut Ring, client: &OwnedFd, server: &crate::datagram::Bound, multi: bool) {
    use crate::datagram::{Route, Wait, recv, send};
    let (fd, family) = (server.fd.as_fd(), server.url.family);
    let mut envelope = Some(Envelope::new(1024));
    if multi {
        ring.recv_datagrams(fd, family, 1).unwrap();
    }
    for size in [0, 1, 500] {
        let message = vec![size as u8; size];
        if let Some(envelope) = envelope.take().filter(|_| !multi) {
            ring.recv_datagram(fd, family, envelope, 1).unwrap();
        }
        send(client.as_fd(), &[io::IoSlice::new(&message)], &Route::CONNECTED, Wait::Socket).unwrap();
        let done = next(ring);
        assert_eq!(done.key, 1);
        if multi && !done.more {
            // An empty datagram ends it: to the kernel it looks like the end of a stream.
            assert_eq!(size, 0);
            ring.recv_datagrams(fd, family, 1).unwrap();
        }
        let (chunk, range, to) = match done.load {
            Load::Datagram(mut back) => {
                let got = back.received(done.result.unwrap());
                let bytes = std::mem::replace(&mut back.bytes, vec![0; 1024]);
                envelope = Some(back);
                (Chunk::Own(bytes, got.len), 0..got.len, got)
            }
            Load::Received(chunk) => {
                let (got, range) = datagrams::open(&chunk, family).unwrap();
                (chunk, range, got)
            }
            other => panic!("{other:?}"),
        };
        assert!(chunk[range.clone()] == message && !to.truncated && to.route.peer.is_named());
        let letter = Letter::new(Outgoing::Chunk(chunk, range), to.route);
        ring.send_datagram(fd, letter, 2).unwrap();
        let done = next(ring);
        assert_eq!((done.key, done.result), (2, Ok(size as u32)));
        assert!(matches!(done.load, Load::Posted(_)));
        let mut answer = [0; 1024];
        let got = recv(client.as_fd(), family, &mut answer, Wait::Socket).unwrap();
        assert_eq!(answer[..got.len], message);
    }
}

#[test]
fn datagrams_come_and_go_by_the_ring_with_their_addresses() {
    for (server, client) in &datagrams() {
        let Some(mut ring) = ring(0) else { return };
        exchange_by_ring(&mut ring, client, server, false);
        // In a ring of its own: the other's buffers are too small for the head of a datagram.
        let mut ring = Ring::new(8).unwrap();
        ring.provide(2, 1024 + datagrams::HEAD as u32).unwrap();
        exchange_by_ring(&mut ring, client, server, true);
    }
}

#[test]
fn a_datagram_that_is_too_long_for_its_buffer_is_said_to_be_cut() {
    use crate::datagram::{Route, Wait, send};
    for (server, client) in &datagrams() {
        let (fd, family) = (server.fd.as_fd(), server.url.family);
        let Some(mut ring) = ring(0) else { return };
        ring.provide(2, 100 + datagrams::HEAD as u32).unwrap();
        for _ in 0..2 {
            send(client.as_fd(), &[io::IoSlice::new(&[7; 900])], &Route::CONNECTED, Wait::Socket).unwrap();
        }
        ring.recv_datagram(fd, family, Envelope::new(100), 1).unwrap();
        let done = next(&mut ring);
        let Load::Datagram(envelope) = &done.load else { panic!("{done:?}") };
        let got = envelope.received(done.result.unwrap());
        assert_eq!((got.len, got.truncated), (100, true));
        ring.recv_datagrams(fd, family, 2).unwrap();
        let chunk = received(next(&mut ring).load);
        let (got, range) = datagrams::open(&chunk, family).unwrap();
        assert!(got.truncated && range.len() >= 100, "{got:?}");
        assert_eq!(datagrams::open(&chunk[..10], family), None);
    }
}

#[test]
fn a_wait_ends_with_its_time_or_with_what_comes_before() {
    let Some(mut ring) = ring(2) else { return };
    let (mut client, server) = pair();
    ring.recv_multi(server.as_fd(), 5).unwrap();
    let (start, short) = (Instant::now(), Duration::from_millis(20));
    ring.wait_for(short).unwrap();
    assert!(start.elapsed() >= short && ring.completed().is_none());
    client.write_all(b"now").unwrap();
    ring.wait_for(Duration::from_secs(60)).unwrap();
    let done = ring.completed().unwrap();
    assert_eq!((done.key, done.result, done.more), (5, Ok(3), true));
    assert_eq!(&*received(done.load), b"now");
    ring.wait_for(Duration::ZERO).unwrap();
    assert!(ring.completed().is_none());
    assert!(start.elapsed() < Duration::from_secs(30));
}
