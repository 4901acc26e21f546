//! What completions can get wrong that readiness cannot: buffers that run out, sends that overtake each other, kernels that forbid it.
//! Not here: what all models must do.

use crate::fixture::{DEADLINE, Server, Stream, eventually, exchange, payload, read_to_end, run_with};
use crate::where_it_runs;
use std::io::{Read as _, Write as _};
use std::net::Shutdown;
use std::os::fd::AsFd as _;
use std::time::{Duration, Instant};
use sys::spawn::Begin;

/// What client `i` of a test sends: no two send the same.
fn message(i: usize, len: usize) -> Vec<u8> {
    payload(len + i)[i..].to_vec()
}

fn halted(server: &Server, what: impl FnOnce()) {
    server.signal(sys::process::SIGSTOP);
    what();
    server.signal(sys::process::SIGCONT);
}

fn more_active_clients_than_buffers_are_all_served(model: &'static str) {
    let server = Server::with(model, "echo", &["--buffers", "4"], &Begin::default());
    let mut clients: Vec<Stream> = (0..96).map(|_| server.connect()).collect();
    for client in &mut clients {
        assert_eq!(exchange(client, b"x"), b"x");
    }
    // Of which one brings more than all buffers hold, or each fills a part of one: 48 times that, for 4 buffers of 16 KiB.
    for (round, len) in [100_000, 1_000, 16_384].into_iter().enumerate() {
        let active = || (0..96).skip(round % 2).step_by(2);
        halted(&server, || {
            for i in active() {
                clients[i].write_all(&message(i, len)).unwrap();
            }
        });
        for i in active() {
            let mut back = vec![0; len];
            clients[i].read_exact(&mut back).unwrap();
            assert!(back == message(i, len), "{len} bytes, client {i}");
        }
    }
}

/// Those who have nothing to say are asked too when they come while there is no buffer; they must not stand in the way of the others.
fn silent_clients_do_not_starve_those_who_came_behind_them(model: &'static str) {
    let server = Server::with(model, "echo", &["--buffers", "2"], &Begin::default());
    let mut clients: Vec<Stream> = Vec::new();
    halted(&server, || {
        for i in 0..60 {
            let mut client = server.connect();
            if i % 20 < 3 || i >= 55 {
                client.write_all(&message(i, 100_000)).unwrap();
            }
            clients.push(client);
        }
    });
    for (i, client) in clients.iter_mut().enumerate() {
        if i % 20 < 3 || i >= 55 {
            let mut back = vec![0; 100_000];
            client.read_exact(&mut back).unwrap();
            assert!(back == message(i, 100_000), "{i}");
        }
    }
    for client in &mut clients {
        assert_eq!(exchange(client, b"at last"), b"at last");
    }
}

/// Peers that do not read, more of them than there are buffers: their replies wait in copies, and the others are served.
fn slow_readers_keep_no_buffer_from_the_others(model: &'static str) {
    let server = Server::with(model, "echo", &["--buffers", "4"], &Begin::default());
    let mut slow: Vec<Stream> = (0..24)
        .map(|_| {
            // A small window, so that little fits between the two.
            let fd = sys::socket::connect_start(&server.url.address, Some(4096)).unwrap();
            assert!(sys::socket::wait_writable(fd.as_fd(), Some(DEADLINE)).unwrap());
            fd.into()
        })
        .collect();
    let bytes = payload(64 * 1024);
    let mut sent = vec![0; slow.len()];
    // Until nothing has gone for a while: then the server holds what it will hold.
    let mut still = 0;
    while still < 50 {
        still += 1;
        for (stream, sent) in slow.iter_mut().zip(&mut sent) {
            if let Ok(n) = stream.write(&bytes[*sent % bytes.len()..]) {
                (*sent, still) = (*sent + n, 0);
            }
            assert!(*sent < 32 << 20, "the server keeps all that it is sent");
        }
        sys::clock::pause(Duration::from_millis(2));
    }
    for _ in 0..8 {
        server.canary();
    }
    let (stream, sent) = (&mut slow[3], sent[3]);
    stream.set_nonblocking(false).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let back = read_to_end(stream);
    assert_eq!(back.len(), sent);
    assert!(back.chunks(bytes.len()).all(|chunk| chunk == &bytes[..chunk.len()]));
}

/// From the start, since the kernel reads the limit when a multishot accept starts.
fn without_descriptors_it_waits_and_serves_again_when_there_are_some(model: &'static str) {
    let begin = Begin { descriptors: Some(24), ..Begin::default() };
    let mut server = Server::with(model, "echo", &[], &begin);
    let mut served = server.connect();
    assert_eq!(exchange(&mut served, b"o"), b"o");
    let mut clients: Vec<Stream> = (0..40).map(|_| server.connect()).collect();
    for client in &mut clients {
        client.write_all(b"x").unwrap();
    }
    eventually("all descriptors are taken", || (server.descriptors() == 24).then_some(()));
    let cpu = || sys::clock::cpu_ns_of(server.pid()).unwrap();
    let (start, used) = (Instant::now(), cpu());
    while start.elapsed() < Duration::from_millis(400) {
        assert_eq!(exchange(&mut served, b"o"), b"o");
        sys::clock::pause(Duration::from_millis(20));
    }
    let share = (cpu() - used) as f64 / start.elapsed().as_nanos() as f64;
    assert!(share < 0.5, "{share} of a processor while there was nothing to be done");
    // Each that leaves makes room for one that waits.
    for client in &clients {
        client.shutdown(Shutdown::Write).unwrap();
    }
    for mut client in clients {
        assert_eq!(read_to_end(&mut client), b"x");
    }
    server.canary();
    assert_eq!(server.stop().0.code(), Some(0));
}

/// With buffers enough for all that it sends, what holds it back is the bound on what one connection may keep.
fn a_writer_that_does_not_read_fills_the_sockets_and_not_the_server(model: &'static str) {
    let server = Server::start(model, "echo");
    let fd = sys::socket::connect_start(&server.url.address, Some(4096)).unwrap();
    assert!(sys::socket::wait_writable(fd.as_fd(), Some(DEADLINE)).unwrap());
    let mut sent = 0;
    while sys::socket::wait_writable(fd.as_fd(), Some(Duration::from_millis(300))).unwrap() {
        sent += sys::socket::send(fd.as_fd(), &[b'x'; 65_536]).unwrap_or(0);
        assert!(sent < 64 << 20, "the server keeps all that it is sent");
    }
    server.canary();
}

fn a_slow_reader_gets_pipelined_replies_in_their_order(model: &'static str) {
    let server = Server::start(model, "sized");
    let mut stream = server.connect();
    let sizes: Vec<usize> = (0..400).map(|i| (i * 7_919) % 60_000).collect();
    let requests: String = sizes.iter().map(|size| format!("{size}\n")).collect();
    stream.write_all(requests.as_bytes()).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut last = 0;
    eventually("the receive buffer stays full", || {
        let unread = sys::socket::unread(stream.as_fd()).unwrap();
        let full = unread > 0 && unread == last;
        last = unread;
        full.then_some(())
    });
    // In odd portions, so that nearly every send is a short one.
    for size in sizes {
        let mut reply = vec![0; size];
        for part in reply.chunks_mut(12_345) {
            stream.read_exact(part).unwrap();
        }
        assert_eq!(service::pattern::first_difference(size as u64, &reply), None, "{size}");
    }
    assert_eq!(stream.read(&mut [0; 1]).unwrap(), 0);
}

fn two_thousand_short_connections_leave_no_descriptor(model: &'static str) {
    let mut server = Server::start(model, "echo");
    // Standard streams, listener, signals, ring; none of a connection, since there was none.
    let baseline = server.descriptors();
    for i in 0..2_000 {
        let mut stream = server.connect();
        match i % 4 {
            0 => assert_eq!(exchange(&mut stream, b"whole"), b"whole"),
            1 => {
                stream.write_all(b"half").unwrap();
                sys::socket::reset_on_close(stream.as_fd()).unwrap();
            }
            2 => stream.shutdown(Shutdown::Write).unwrap(),
            _ => {}
        }
    }
    server.canary();
    eventually("descriptors are back", || (server.descriptors() <= baseline).then_some(()));
    assert_eq!(server.stop().0.code(), Some(0));
}

fn nothing_wakes_an_idle_server(model: &'static str) {
    let server = Server::start(model, "echo");
    let mut open = server.connect();
    assert_eq!(exchange(&mut open, b"x"), b"x");
    // How often it has gone to sleep of its own will.
    let sleeps = || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
        status.lines().find(|line| line.starts_with("voluntary_ctxt_switches")).unwrap().to_owned()
    };
    // On a busy machine it may get to its last sleep some time after the reply.
    eventually("half a second without a wake-up", || {
        let before = sleeps();
        sys::clock::pause(Duration::from_millis(500));
        (sleeps() == before).then_some(())
    });
}

macro_rules! each_ring {
    ($($name:ident),* $(,)?) => { $(
        mod $name {
            #[test]
            fn uring() { $crate::where_it_runs("uring", super::$name); }
            #[test]
            fn uring_multishot() { $crate::where_it_runs("uring-multishot", super::$name); }
            #[test]
            fn uring_reuseport() { $crate::where_it_runs("uring-reuseport", super::$name); }
        }
    )* };
}

each_ring!(
    without_descriptors_it_waits_and_serves_again_when_there_are_some,
    more_active_clients_than_buffers_are_all_served,
    silent_clients_do_not_starve_those_who_came_behind_them,
    slow_readers_keep_no_buffer_from_the_others,
    a_writer_that_does_not_read_fills_the_sockets_and_not_the_server,
    a_slow_reader_gets_pipelined_replies_in_their_order,
    two_thousand_short_connections_leave_no_descriptor,
    nothing_wakes_an_idle_server,
);

#[test]
fn where_it_is_forbidden_that_is_said_in_one_line_before_the_server_is_ready() {
    let begin = Begin { forbid_uring: true, ..Begin::default() };
    for model in ["uring", "uring-multishot", "uring-reuseport"] {
        let output = run_with(&[model], &begin);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(3), "{text}");
        assert!(text.starts_with("server: Unsupported: ") && text.contains("forbidden"), "{text}");
        assert!(text.lines().count() == 1 && output.stdout.is_empty(), "{text}");
    }
    // Everything else goes on, and the help says what does not.
    Server::with("epoll", "echo", &[], &begin).canary();
    let help = run_with(&["--help"], &begin);
    let text = String::from_utf8_lossy(&help.stdout).into_owned();
    assert!(
        help.status.code() == Some(0) && text.contains("unsupported here: io_uring is forbidden"),
        "{text}"
    );
}

#[test]
fn the_number_of_buffers_is_a_power_of_two() {
    for bad in ["0", "3", "65536", "x"] {
        let output = run_with(&["uring-multishot", "--buffers", bad], &Begin::default());
        assert_eq!(output.status.code(), Some(2), "{bad}");
    }
    where_it_runs("uring-multishot", |model| {
        Server::with(model, "echo", &["--buffers", "1"], &Begin::default()).canary();
    });
}
