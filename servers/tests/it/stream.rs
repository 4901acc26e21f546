//! What a connection carries, byte for byte, under the cuts and closes that break servers. Not here: starting and stopping.

use crate::each_model;
use crate::fixture::{Server, Subject, eventually, exchange, payload, read_to_end};
use std::io::{Read as _, Write as _};
use std::net::Shutdown;
use std::os::fd::AsFd as _;
use sys::spawn::Begin;

fn echo_is_exact_at_every_size(on: Subject) {
    let server = Server::start(on, "echo");
    let mut stream = server.connect();
    for len in [1, 2, 1023, 1024, 1025, 4096, 32_767, 32_768, 65_535, 65_537, 200_000] {
        let bytes = payload(len);
        assert!(exchange(&mut stream, &bytes) == bytes, "{len}");
    }
}

fn one_byte_at_a_time_is_the_same(on: Subject) {
    let server = Server::start(on, "sized");
    let mut stream = server.connect();
    for byte in b"300\n5\r\n0\n7\n" {
        stream.write_all(&[*byte]).unwrap();
    }
    stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(read_to_end(&mut stream).len(), 312);
}

fn pipelined_requests_are_answered_in_order(on: Subject) {
    let server = Server::start(on, "http");
    let mut stream = server.connect();
    let mut requests = Vec::new();
    for n in 0..100 {
        write!(requests, "GET /bytes/{n} HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    }
    stream.write_all(&requests).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let replies = read_to_end(&mut stream);
    let mut rest = replies.as_slice();
    for n in 0..100 {
        let head = rest.windows(4).position(|w| w == b"\r\n\r\n").unwrap() + 4;
        let text = String::from_utf8_lossy(&rest[..head]).to_ascii_lowercase();
        assert!(
            text.starts_with("http/1.1 200") && text.contains(&format!("content-length: {n}\r\n")),
            "{n}: {text}"
        );
        rest = &rest[head + n..];
    }
    assert!(rest.is_empty());
}

fn half_close_loses_nothing(on: Subject) {
    let server = Server::start(on, "sized");
    let mut stream = server.connect();
    // Request and FIN together; more than the socket buffers hold, and nobody reads for a while: the server meets a full buffer.
    stream.write_all(b"16777216\n").unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let fd = stream.as_fd();
    let mut last = 0;
    eventually("the receive buffer stays full", || {
        let unread = sys::socket::unread(fd).unwrap();
        let full = unread > 0 && unread == last;
        last = unread;
        full.then_some(())
    });
    assert_eq!(read_to_end(&mut stream).len(), 16_777_216);
}

fn a_writer_that_does_not_read_is_held_back_and_loses_nothing(on: Subject) {
    let server = Server::start(on, "echo");
    let mut stream = server.connect();
    let bytes = payload(1 << 20);
    let mut writer = stream.try_clone().unwrap();
    let sent = std::thread::spawn(move || {
        for _ in 0..24 {
            writer.write_all(&bytes).unwrap();
        }
        writer.shutdown(Shutdown::Write).unwrap();
        bytes
    });
    // Not before the server has stopped reading, or everything fitted: either way the buffers are as full as they get.
    let mut last = 0;
    eventually("nothing more moves", || {
        let unread = sys::socket::unread(stream.as_fd()).unwrap();
        let still = unread > 0 && unread == last;
        last = unread;
        still.then_some(())
    });
    let all = read_to_end(&mut stream);
    let bytes = sent.join().unwrap();
    assert_eq!(all.len(), 24 << 20);
    assert!(all.chunks(1 << 20).all(|chunk| chunk == bytes));
}

fn a_client_that_leaves_does_not_kill(on: Subject) {
    let mut server = Server::start(on, "sized");
    for _ in 0..20 {
        let stream = server.connect();
        // Request and FIN in one segment, so that the FIN is there before any RST: then the second write is the deadly one.
        sys::socket::send_more(stream.as_fd(), b"16777216\n").unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        eventually("the FIN is acknowledged", || {
            (sys::socket::tcp_state(stream.as_fd()).unwrap() == sys::socket::TcpState::FIN_WAIT2)
                .then_some(())
        });
    }
    let mut stream = server.connect();
    stream.write_all(b"4\n").unwrap();
    let mut four = [0; 4];
    stream.read_exact(&mut four).unwrap();
    assert!(server.alive());
}

fn a_client_that_leaves_does_not_kill_where_the_first_write_would(on: Subject) {
    let mut server = Server::start(on, "sized");
    // No reply is begun before all clients are gone: on a Unix stream the first write to such a client is the deadly one.
    server.signal_all(sys::process::SIGSTOP);
    for i in 0..20 {
        let mut stream = server.connect();
        stream.write_all(b"16777216\n").unwrap();
        if i % 2 == 0 {
            stream.shutdown(Shutdown::Write).unwrap();
        }
    }
    server.signal_all(sys::process::SIGCONT);
    let mut stream = server.connect();
    stream.write_all(b"4\n").unwrap();
    stream.read_exact(&mut [0; 4]).unwrap();
    assert!(server.alive());
}

fn a_client_that_leaves_a_reply_unread_is_a_reset_and_does_not_kill(on: Subject) {
    let mut server = Server::start(on, "sized");
    for _ in 0..20 {
        let mut stream = server.connect();
        stream.write_all(b"16777216\n").unwrap();
        stream.read_exact(&mut [0; 1]).unwrap();
    }
    let mut stream = server.connect();
    stream.write_all(b"4\n").unwrap();
    stream.read_exact(&mut [0; 4]).unwrap();
    assert!(server.alive());
}

fn a_bad_request_ends_its_own_connection_only(on: Subject) {
    let mut server = Server::start(on, "http");
    let mut bad = server.connect();
    bad.write_all(b"\x00\xff nonsense\r\n\r\n and more that nobody reads").unwrap();
    assert!(read_to_end(&mut bad).starts_with(b"HTTP/1.1 400"));
    let mut good = server.connect();
    good.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
    assert!(read_to_end(&mut good).starts_with(b"HTTP/1.1 200"));
    assert!(server.alive());
}

fn the_greeting_comes_unasked_and_the_server_closes(on: Subject) {
    let server = Server::start(on, "greeting");
    for _ in 0..3 {
        assert_eq!(read_to_end(&mut server.connect()), b"thank you for connecting\n");
    }
}

fn handler_work_is_done_and_holds_up_nobody_else(on: Subject) {
    let server = Server::start(on, "sized");
    let mut slow = server.connect();
    let start = std::time::Instant::now();
    slow.write_all(b"3 sleep=300ms\n2 spin=1ms\n").unwrap();
    if servers::model(on.model).unwrap().model.capacity.refuses(2).is_none() {
        let mut quick = server.connect();
        quick.write_all(b"1\n").unwrap();
        quick.read_exact(&mut [0; 1]).unwrap();
        let mut none = [0; 1];
        slow.set_nonblocking(true).unwrap();
        // Only where the machine was fast enough to tell: the sleeper is not awake yet, so it cannot have answered.
        if start.elapsed() < std::time::Duration::from_millis(300) {
            assert!(slow.read(&mut none).is_err(), "answered before the work was done");
        }
        slow.set_nonblocking(false).unwrap();
    }
    slow.read_exact(&mut [0; 5]).unwrap();
    assert!(start.elapsed() >= std::time::Duration::from_millis(300));
}

each_model!(
    echo_is_exact_at_every_size,
    one_byte_at_a_time_is_the_same,
    pipelined_requests_are_answered_in_order,
    half_close_loses_nothing,
    a_writer_that_does_not_read_is_held_back_and_loses_nothing,
    a_client_that_leaves_a_reply_unread_is_a_reset_and_does_not_kill,
    a_bad_request_ends_its_own_connection_only,
    the_greeting_comes_unasked_and_the_server_closes,
    handler_work_is_done_and_holds_up_nobody_else,
);

each_model!(tcp: a_client_that_leaves_does_not_kill);
each_model!(unix: a_client_that_leaves_does_not_kill_where_the_first_write_would);

#[test]
fn work_that_spins_does_not_stop_the_loop_where_helpers_do_it() {
    let server = Server::with("epoll-offload", "sized", &["--workers", "1"], &Begin::default());
    let mut slow = server.connect();
    let start = std::time::Instant::now();
    slow.write_all(b"3 spin=300ms\n").unwrap();
    for _ in 0..3 {
        let mut quick = server.connect();
        quick.write_all(b"1\n").unwrap();
        quick.read_exact(&mut [0; 1]).unwrap();
    }
    slow.set_nonblocking(true).unwrap();
    let early = slow.read(&mut [0; 1]).is_err();
    // Only where the machine was fast enough to tell.
    assert!(early || start.elapsed() >= std::time::Duration::from_millis(300));
    slow.set_nonblocking(false).unwrap();
    slow.read_exact(&mut [0; 3]).unwrap();
    assert!(start.elapsed() >= std::time::Duration::from_millis(300));
}
