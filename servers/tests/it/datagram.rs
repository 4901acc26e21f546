//! What every model does with datagrams: sizes, services, handler work, many clients, bursts. Not here: clients that are gone or do
//! not read (`datagram_peers`), starting and stopping (`datagram_life`), other people's clients (`datagram_tools`).

use crate::fixture::{DEADLINE, Server, Subject, payload};
use service::Kind;
use service::client::Ask;
use service::datagram::client::{DatagramClient, Seen};
use std::io::{self, IoSlice};
use std::os::fd::{AsFd as _, OwnedFd};
use std::time::Duration;
use sys::datagram::{Client, ROOM, Route, Wait};
use sys::process::{SIGCONT, SIGSTOP};
use sys::spawn::Begin;
use sys::{Address, Family};

/// Runs a test body for every model and datagram family that it serves, as a test of its own each; `udp:` in front, or `unixgram:`,
/// for one family.
#[macro_export]
macro_rules! each_datagram_model {
    (udp: $($name:ident),* $(,)?) => { $( mod $name {
        $crate::each_datagram_model!(@both sys::Family::Udp, super::$name);
        $crate::each_datagram_model!(@udp_only super::$name);
    } )* };
    (unixgram: $($name:ident),* $(,)?) => { $( mod $name {
        $crate::each_datagram_model!(@both sys::Family::Unixgram, super::$name);
    } )* };
    (@model $test:ident, $name:expr, $family:expr, $body:path) => {
        #[test]
        fn $test() { $crate::fixture::run_on($name, $family, $body); }
    };
    (@both $family:expr, $body:path) => {
        $crate::each_datagram_model!(@model iterative, "iterative", $family, $body);
        $crate::each_datagram_model!(@model fork, "fork", $family, $body);
        $crate::each_datagram_model!(@model inetd, "inetd", $family, $body);
        $crate::each_datagram_model!(@model prefork, "prefork", $family, $body);
        $crate::each_datagram_model!(@model prefork_flock, "prefork-flock", $family, $body);
        $crate::each_datagram_model!(@model prefork_mutex, "prefork-mutex", $family, $body);
        $crate::each_datagram_model!(@model thread, "thread", $family, $body);
        $crate::each_datagram_model!(@model prethread, "prethread", $family, $body);
        $crate::each_datagram_model!(@model prethread_mutex, "prethread-mutex", $family, $body);
        $crate::each_datagram_model!(@model thread_pool, "thread-pool", $family, $body);
        $crate::each_datagram_model!(@model leader_follower, "leader-follower", $family, $body);
        $crate::each_datagram_model!(@model rayon_pool, "rayon-pool", $family, $body);
        $crate::each_datagram_model!(@model select, "select", $family, $body);
        $crate::each_datagram_model!(@model poll, "poll", $family, $body);
        $crate::each_datagram_model!(@model sigio, "sigio", $family, $body);
        $crate::each_datagram_model!(@model epoll, "epoll", $family, $body);
        $crate::each_datagram_model!(@model epoll_edge, "epoll-et", $family, $body);
        $crate::each_datagram_model!(@model epoll_oneshot, "epoll-oneshot", $family, $body);
        $crate::each_datagram_model!(@model epoll_reactors, "epoll-reactors", $family, $body);
        $crate::each_datagram_model!(@model epoll_shared, "epoll-shared", $family, $body);
        $crate::each_datagram_model!(@model epoll_exclusive, "epoll-exclusive", $family, $body);
        $crate::each_datagram_model!(@model epoll_offload, "epoll-offload", $family, $body);
        $crate::each_datagram_model!(@model tasks, "async", $family, $body);
        $crate::each_datagram_model!(@model async_current, "async-current", $family, $body);
        $crate::each_datagram_model!(@model async_per_core, "async-per-core", $family, $body);
        $crate::each_datagram_model!(@model smol, "smol", $family, $body);
        $crate::each_datagram_model!(@model uring, "uring", $family, $body);
        $crate::each_datagram_model!(@model uring_multishot, "uring-multishot", $family, $body);
        $crate::each_datagram_model!(@model compio, "compio", $family, $body);
        $crate::each_datagram_model!(@model dgram_batched, "dgram-batched", $family, $body);
    };
    (@udp_only $body:path) => {
        $crate::each_datagram_model!(@model prefork_reuseport, "prefork-reuseport", sys::Family::Udp, $body);
        $crate::each_datagram_model!(@model epoll_reuseport, "epoll-reuseport", sys::Family::Udp, $body);
        $crate::each_datagram_model!(@model uring_reuseport, "uring-reuseport", sys::Family::Udp, $body);
        $crate::each_datagram_model!(@model dgram_gso, "dgram-gso", sys::Family::Udp, $body);
        $crate::each_datagram_model!(@model dgram_connected, "dgram-connected", sys::Family::Udp, $body);
    };
    ($($name:ident),* $(,)?) => { $(
        mod $name {
            mod udp {
                $crate::each_datagram_model!(@both sys::Family::Udp, super::super::$name);
                $crate::each_datagram_model!(@udp_only super::super::$name);
            }
            mod unixgram { $crate::each_datagram_model!(@both sys::Family::Unixgram, super::super::$name); }
        }
    )* };
}

/// A client's socket, connected to the server: on UDP it sees no answer from another address than the one that was asked.
pub(crate) struct Socket {
    pub(crate) fd: OwnedFd,
    family: Family,
    route: Route,
}

impl Socket {
    pub(crate) fn to(server: &Server) -> Self {
        Self::open(&server.url.address, server.url.family, Client::default())
    }

    pub(crate) fn open(address: &Address, family: Family, how: Client) -> Self {
        let (fd, peer) = how.open(address, family).unwrap();
        let route = if how.connected { Route::CONNECTED } else { Route { peer, ..Route::CONNECTED } };
        // An answer of the largest size must find room beside others, whatever the machine's default.
        sys::datagram::set_receive_buffer(fd.as_fd(), 4 << 20).unwrap();
        let socket = socket2::SockRef::from(&fd);
        socket.set_read_timeout(Some(DEADLINE)).unwrap();
        socket.set_write_timeout(Some(DEADLINE)).unwrap();
        Self { fd, family, route }
    }

    pub(crate) fn send(&self, bytes: &[u8]) {
        self.try_send(bytes, Wait::Socket).unwrap();
    }

    pub(crate) fn try_send(&self, bytes: &[u8], wait: Wait) -> io::Result<()> {
        again(|| sys::datagram::send(self.fd.as_fd(), &[IoSlice::new(bytes)], &self.route, wait))
    }

    pub(crate) fn recv(&self) -> Vec<u8> {
        self.try_recv(Wait::Socket).unwrap()
    }

    pub(crate) fn try_recv(&self, wait: Wait) -> io::Result<Vec<u8>> {
        let mut buffer = vec![0; 4 * ROOM];
        let received = again(|| sys::datagram::recv(self.fd.as_fd(), self.family, &mut buffer, wait))?;
        assert!(!received.truncated);
        buffer.truncate(received.len);
        Ok(buffer)
    }

    pub(crate) fn exchange(&self, bytes: &[u8]) -> Vec<u8> {
        self.send(bytes);
        self.recv()
    }
}

/// The rings by which other tests of this process look for io_uring interrupt calls here when they end.
fn again<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

/// An exchange with an `echo` server from a socket of its own.
pub(crate) fn canary(server: &Server) {
    assert_eq!(Socket::to(server).exchange(b"canary"), b"canary");
}

fn every_size_comes_back_whole(on: Subject) {
    let server = Server::start(on, "echo");
    let client = Socket::to(&server);
    let text = payload(65_507);
    for size in [0, 0, 0, 1, 2, 512, 1472, 1473, 8192, 65_506, 65_507] {
        assert!(client.exchange(&text[..size]) == text[..size], "{size}");
    }
    canary(&server);
}

fn ask(kind: Kind, size: u64) -> Ask {
    Ask { kind, size, work: None, path: None, host: String::new(), close: false, seed: 7 }
}

fn every_service_answers_and_says_whose_the_answer_is(on: Subject) {
    for kind in [Kind::Greeting, Kind::Echo, Kind::Sized] {
        let server = Server::start(on, kind.name());
        for size in [1, 100, 20_000] {
            let ask = ask(kind, size);
            let (client, socket) = (DatagramClient::new(&ask, size as u32).unwrap(), Socket::to(&server));
            let mut message = Vec::new();
            for seq in 0..3 {
                client.request(seq, &mut message);
                let seen = client.check(seq, &socket.exchange(&message)).unwrap();
                assert!(
                    seen == Seen::Answer(seq) || (seen == Seen::Untagged && !client.is_tagged()),
                    "{seen:?}"
                );
            }
        }
        if kind == Kind::Sized {
            let answer = Socket::to(&server).exchange(b"nonsense\n");
            assert!(answer.starts_with(b"error: "), "{}", answer.escape_ascii());
            for work in ["spin=300us", "sleep=3ms"] {
                let start = std::time::Instant::now();
                let answer = Socket::to(&server).exchange(format!("5 {work}\n").as_bytes());
                assert!(answer.len() == 5 && start.elapsed() >= Duration::from_micros(300), "{work}");
            }
        }
    }
}

fn handler_work_of_the_server_is_done_before_each_answer(on: Subject) {
    let server = Server::with(on, "echo", &["--work", "sleep:20ms", "--workers", "4"], &Begin::default());
    let clients: Vec<_> = (0..4).map(|_| Socket::to(&server)).collect();
    let start = std::time::Instant::now();
    for (at, client) in clients.iter().enumerate() {
        client.send(&payload(1000 + at));
    }
    for (at, client) in clients.iter().enumerate() {
        assert!(client.recv() == payload(1000 + at));
    }
    assert!(start.elapsed() >= Duration::from_millis(20), "{:?}", start.elapsed());
}

fn many_clients_get_their_own_answers(on: Subject) {
    let server = Server::start(on, "echo");
    let ask = ask(Kind::Echo, 300);
    let clients: Vec<_> =
        (0..64).map(|n| (DatagramClient::new(&ask, n).unwrap(), Socket::to(&server))).collect();
    let mut message = Vec::new();
    for round in 0..2_u64 {
        for seq in round * 2..round * 2 + 2 {
            for (client, socket) in &clients {
                client.request(seq, &mut message);
                socket.send(&message);
            }
        }
        for (client, socket) in &clients {
            let mut seen: Vec<_> = (0..2).map(|_| client.check(round * 2, &socket.recv()).unwrap()).collect();
            // Models that answer in several threads may change the order.
            seen.sort_by_key(|seen| if let Seen::Answer(seq) = seen { *seq } else { u64::MAX });
            assert_eq!(seen, [Seen::Answer(round * 2), Seen::Answer(round * 2 + 1)]);
        }
    }
}

fn what_was_queued_at_once_is_all_answered(on: Subject) {
    let server = Server::start(on, "echo");
    canary(&server);
    server.signal_all(SIGSTOP);
    let clients: Vec<_> = (0..4).map(|_| Socket::to(&server)).collect();
    let mut queued = vec![Vec::new(); clients.len()];
    for size in (0..32).map(|n| 1 + n * 40) {
        let at = size / 40 % clients.len();
        match clients[at].try_send(&payload(size), Wait::No) {
            Ok(()) => queued[at].push(size),
            // Unix: the queue pushes back (net.unix.max_dgram_qlen).
            Err(error) => {
                assert!(
                    on.family == Family::Unixgram && error.kind() == io::ErrorKind::WouldBlock,
                    "{error}"
                );
            }
        }
    }
    let all = queued.iter().flatten().count();
    assert!(all == 32 || (on.family == Family::Unixgram && all >= 2), "{queued:?}");
    server.signal_all(SIGCONT);
    for (client, sent) in clients.iter().zip(queued) {
        let mut came: Vec<usize> = sent.iter().map(|_| client.recv().len()).collect();
        came.sort_unstable();
        assert_eq!(came, sent);
    }
}

/// More than a Unix client's queue takes (net.unix.max_dgram_qlen), and it looks only when the server has had time to fill it. A server
/// waits no long time, and the machine may be busy: of a few tries one must do. Not connected: the queue of a socket that is connected to
/// the sender has no such limit.
fn a_client_that_is_busy_for_a_moment_loses_no_answer(on: Subject) {
    let server = Server::start(on, "echo");
    let asked: Vec<Vec<u8>> = (0..20).map(|n| vec![n]).collect();
    let loses_none = || {
        let how = Client { connected: false, ..Client::default() };
        let client = Socket::open(&server.url.address, on.family, how);
        socket2::SockRef::from(&client.fd).set_read_timeout(Some(Duration::from_millis(300))).unwrap();
        asked.iter().for_each(|message| client.send(message));
        sys::clock::pause(Duration::from_millis(2));
        let mut came: Vec<Vec<u8>> = asked.iter().map_while(|_| client.try_recv(Wait::Socket).ok()).collect();
        came.sort_unstable();
        came == asked
    };
    assert!((0..8).any(|_| loses_none()));
}

fn stopping_and_going_on_is_no_error(on: Subject) {
    let server = Server::start(on, "echo");
    for _ in 0..10 {
        server.signal_all(SIGSTOP);
        let client = Socket::to(&server);
        client.send(b"x");
        server.signal_all(SIGCONT);
        assert_eq!(client.recv(), b"x");
    }
}

each_datagram_model!(
    every_size_comes_back_whole,
    every_service_answers_and_says_whose_the_answer_is,
    handler_work_of_the_server_is_done_before_each_answer,
    many_clients_get_their_own_answers,
    what_was_queued_at_once_is_all_answered,
    stopping_and_going_on_is_no_error,
);
each_datagram_model!(unixgram: a_client_that_is_busy_for_a_moment_loses_no_answer);

#[test]
fn a_ring_with_few_buffers_answers_all_the_same() {
    crate::where_it_runs("uring-multishot", |model| {
        for family in [Family::Udp, Family::Unixgram] {
            let server =
                Server::with(Subject { model, family }, "echo", &["--buffers", "2"], &Begin::default());
            for _ in 0..3 {
                server.signal(SIGSTOP);
                let clients: Vec<_> = (0..10).map(|_| Socket::to(&server)).collect();
                clients.iter().enumerate().for_each(|(n, client)| client.send(&payload(n * 900)));
                server.signal(SIGCONT);
                for (n, client) in clients.iter().enumerate() {
                    assert!(client.recv() == payload(n * 900), "{family} {n}");
                }
            }
        }
    });
}

#[test]
fn the_suite_covers_the_models_that_serve_datagrams() {
    let serving = |family| {
        let of = |entry: &&servers::registry::Entry| entry.model.serves(family);
        servers::MODELS.iter().filter(of).map(|entry| entry.model.name).collect::<Vec<_>>()
    };
    let both = [
        "iterative",
        "fork",
        "inetd",
        "prefork",
        "prefork-flock",
        "prefork-mutex",
        "thread",
        "prethread",
        "prethread-mutex",
        "thread-pool",
        "leader-follower",
        "rayon-pool",
        "select",
        "poll",
        "sigio",
        "epoll",
        "epoll-et",
        "epoll-oneshot",
        "epoll-reactors",
        "epoll-shared",
        "epoll-exclusive",
        "epoll-offload",
        "async",
        "async-current",
        "async-per-core",
        "smol",
        "uring",
        "uring-multishot",
        "compio",
        "dgram-batched",
    ];
    let udp_only =
        ["prefork-reuseport", "epoll-reuseport", "uring-reuseport", "dgram-gso", "dgram-connected"];
    assert_eq!(serving(Family::Unixgram), both, "keep @both of each_datagram_model! in step");
    let udp: Vec<_> = serving(Family::Udp).into_iter().filter(|name| !both.contains(name)).collect();
    assert_eq!(udp, udp_only, "keep @udp_only of each_datagram_model! in step");
}
