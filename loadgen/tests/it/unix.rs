//! Load over Unix sockets: every service, the aborts that differ, a full queue. Not here: what is the same for every family.

use crate::peer::speak;
use crate::{check_accounting, config_at};
use loadgen::abort::Plan;
use loadgen::{Config, Stop, run};
use record::Load;
use service::Kind;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::num::NonZeroU64;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// A server in threads of this process, at a path of its own.
struct Peer {
    folder: tempfile::TempDir,
}

impl Peer {
    fn start(serve: impl Fn(UnixStream) -> io::Result<()> + Send + Sync + 'static) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(folder.path().join("s")).unwrap();
        let serve = Arc::new(serve);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let serve = Arc::clone(&serve);
                std::thread::spawn(move || serve(stream));
            }
        });
        Self { folder }
    }

    fn of(kind: Kind) -> Self {
        Self::start(move |stream| match kind {
            Kind::Greeting => speak(&service::greeting::Greeting::default(), stream),
            Kind::Echo => speak(&service::echo::Echo::default(), stream),
            Kind::Sized => speak(&service::sized::SizedService::default(), stream),
            Kind::Http => speak(&service::http::Http::default(), stream),
        })
    }

    fn config(&self, kind: Kind) -> Config {
        config_at(&url(&self.folder.path().join("s")), kind)
    }
}

fn url(path: &Path) -> String {
    format!("unix:{}", path.display())
}

#[test]
fn every_service_is_spoken_on_connections_that_stay_and_that_do_not() {
    for kind in [Kind::Greeting, Kind::Echo, Kind::Sized, Kind::Http] {
        let peer = Peer::of(kind);
        for limit in [None, NonZeroU64::new(1)] {
            let mut config = peer.config(kind);
            config.requests_per_connection = limit;
            config.stop = Stop::Requests(200);
            let load = run(&config).unwrap();
            check_accounting(&load);
            assert_eq!((load.requests.completed, load.errors.len()), (200, 0), "{kind} {:?}", load.errors);
        }
    }
}

#[test]
fn http_asks_for_the_root_of_localhost() {
    let (tell, heard) = channel();
    let peer = Peer::start(move |mut stream| {
        let mut head = [0; 1024];
        let n = stream.read(&mut head)?;
        let _ = tell.send(String::from_utf8_lossy(&head[..n]).into_owned());
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    });
    #[expect(clippy::disallowed_methods, reason = "the command itself is under test, and ends by itself")]
    let mut command = Command::new(env!("CARGO_BIN_EXE_loadgen"));
    let target = url(&peer.folder.path().join("s"));
    let output = command.args(["-q", "-n", "1", "-c", "1", "--service", "http", &target]).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let head = heard.recv().unwrap().to_ascii_lowercase();
    assert!(head.starts_with("get / http/1.1\r\n") && head.contains("host: localhost\r\n"), "{head}");
}

#[test]
fn nobody_there_is_unreachable_with_the_cause() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    let missing = run(&config_at(&url(&path), Kind::Echo)).unwrap_err().to_string();
    assert!(missing.contains("ENOENT"), "{missing}");
    drop(UnixListener::bind(&path).unwrap());
    let dead = run(&config_at(&url(&path), Kind::Echo)).unwrap_err().to_string();
    assert!(dead.contains("ECONNREFUSED"), "{dead}");
}

/// Echo behind a queue of one, from which nothing is taken for `pause` after the first connection: two fill it, and others are turned
/// away.
fn behind_a_short_queue(url: &str, pause: Duration) {
    let listening = sys::listen(&url.parse().unwrap(), 1, sys::Stack::Dual).unwrap();
    std::thread::spawn(move || {
        let (listener, _claim) = (UnixListener::from(listening.fd), listening.claim);
        let first = listener.accept().map(|(stream, _)| stream);
        sys::clock::pause(pause);
        for stream in std::iter::once(first).chain(listener.incoming()).flatten() {
            std::thread::spawn(move || speak(&service::echo::Echo::default(), stream));
        }
    });
}

#[test]
fn a_full_queue_is_waited_out_and_counts_as_latency() {
    let folder = tempfile::tempdir().unwrap();
    let pause = Duration::from_millis(150);
    for limit in [NonZeroU64::new(1), None] {
        let url = url(&folder.path().join(format!("{limit:?}")));
        behind_a_short_queue(&url, pause);
        let mut config = config_at(&url, Kind::Echo);
        config.connections = 8;
        config.requests_per_connection = limit;
        config.stop = Stop::Requests(40);
        config.timeout = Duration::from_secs(10);
        let load = run(&config).unwrap();
        check_accounting(&load);
        assert_eq!((load.requests.completed, load.errors.len()), (40, 0), "{:?}", load.errors);
        if limit.is_none() {
            assert_eq!(load.connections.peak, 8);
        } else {
            // Connections that are made for a request are made within its latency.
            let most_ns = load.connect_ns.max.unwrap().min(load.latency_ns.max.unwrap());
            assert!(Duration::from_nanos(most_ns) > pause / 3, "{most_ns}");
        }
    }
}

/// What the server met: the bytes that came, how reading ended, and how writing did.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    bytes: usize,
    read: Result<(), ErrorKind>,
    write: Option<ErrorKind>,
}

/// Reads to the end, then writes until that fails. With `reply`: answers a little as soon as something has come.
fn witness(reply: bool) -> (Peer, Receiver<Seen>) {
    let (tell, seen) = channel();
    let peer = Peer::start(move |mut stream| {
        let mut bytes = vec![0; 1 << 20];
        let first = stream.read(&mut bytes)?;
        if reply {
            // A client that has not waited for it is told from the others by what follows.
            let _ = stream.write_all(b"ab");
        }
        let mut rest = Vec::new();
        let read =
            if first == 0 { Ok(()) } else { stream.read_to_end(&mut rest).map(|_| ()).map_err(|e| e.kind()) };
        // Not the first write, strictly: with `fin`, one may slip in between the client's shutdown and its close.
        let piece = [0; 65536];
        let write = (0..256).find_map(|_| stream.write_all(&piece).err()).map(|error| error.kind());
        let _ = tell.send(Seen { bytes: first + rest.len(), read, write });
        Ok(())
    });
    (peer, seen)
}

fn abort_all(peer: &Peer, kind: Kind, rule: &str) -> Load {
    let mut config = peer.config(kind);
    config.aborts = Plan::new(vec![rule.parse().unwrap()]).unwrap();
    config.stop = Stop::Requests(8);
    let load = run(&config).unwrap();
    check_accounting(&load);
    assert_eq!((load.aborts.done, load.aborts.fin_proven), (8, 0), "{rule} {:?}", load.aborts);
    load
}

#[test]
fn each_abort_is_what_the_table_in_method_md_says() {
    use ErrorKind::{BrokenPipe, ConnectionReset};
    for (rule, reply, read) in [
        ("connect:1:fin", false, Ok(())),
        ("connect:1:rst", false, Ok(())),
        ("mid-request:1:fin", false, Ok(())),
        ("mid-request:1:rst", false, Ok(())),
        ("after-request:1:fin", false, Ok(())),
        ("after-request:1:rst", true, Err(ConnectionReset)),
        ("mid-response:1:rst", true, Err(ConnectionReset)),
        ("after-request:1:unread", true, Err(ConnectionReset)),
        ("mid-response:1:unread", true, Err(ConnectionReset)),
    ] {
        let (peer, seen) = witness(reply);
        abort_all(&peer, Kind::Sized, rule);
        for _ in 0..8 {
            // The look after the run asks for 64 bytes, in 3, and not for a large reply.
            let seen = seen.iter().find(|seen| seen.bytes != 3).unwrap();
            assert_eq!((&seen.read, seen.write), (&read, Some(BrokenPipe)), "{rule} {seen:?}");
        }
    }
}

#[test]
fn a_reset_that_waits_in_vain_for_a_reply_is_a_plain_close() {
    let (peer, seen) = witness(false);
    abort_all(&peer, Kind::Sized, "after-request:1:rst");
    for _ in 0..8 {
        assert_eq!(seen.recv().unwrap().read, Ok(()));
    }
}

#[test]
fn one_that_is_shut_for_reading_breaks_the_first_write() {
    let (tell, seen) = channel();
    let peer = Peer::start(move |mut stream| {
        let n = stream.read(&mut [0; 64])?;
        let _ = tell.send((n > 0, stream.write_all(b"a").map_err(|error| error.kind())));
        Ok(())
    });
    abort_all(&peer, Kind::Sized, "after-request:1:half-read");
    // Beside the look after the run, which is answered.
    let broken = seen.iter().filter(|(asked, _)| *asked).take(8);
    assert!(broken.into_iter().all(|(_, write)| write == Err(ErrorKind::BrokenPipe)));
}

#[test]
fn one_that_vanished_takes_nothing_and_does_not_end() {
    let (tell, seen) = channel();
    let peer = Peer::start(move |mut stream| {
        let n = stream.read(&mut [0; 64])?;
        stream.set_write_timeout(Some(Duration::from_millis(50)))?;
        stream.set_read_timeout(Some(Duration::from_millis(1)))?;
        let piece = [0; 65536];
        let write = (0..256).find_map(|_| stream.write_all(&piece).err()).map(|error| error.kind());
        let _ = tell.send((n, write, stream.read(&mut [0]).map_err(|error| error.kind())));
        Ok(())
    });
    let mut config = peer.config(Kind::Sized);
    config.aborts = Plan::new(vec!["after-request:0.5:vanish".parse().unwrap()]).unwrap();
    config.pacing = crate::open_loop(20.0);
    config.stop = Stop::After(Duration::from_millis(700));
    config.connections = 20;
    let load = run(&config).unwrap();
    assert!(load.aborts.done > 2, "{:?}", load.aborts);
    assert_eq!(load.aborts.vanished_closed_by.as_deref(), Some("close"));
    // The first of them: the window was open long enough for its write to give up.
    let met = seen.iter().find(|(n, write, _)| *n > 0 && *write == Some(ErrorKind::WouldBlock)).unwrap();
    assert_eq!(met.2, Err(ErrorKind::WouldBlock), "no end, no reset");
}

#[test]
fn a_half_closed_one_is_answered_and_ended() {
    let peer = Peer::of(Kind::Echo);
    for rule in ["after-request:1:half", "mid-response:1:half", "idle:1:half", "connect:1:half"] {
        assert_eq!(abort_all(&peer, Kind::Echo, rule).errors, [], "{rule}");
    }
}

#[test]
fn the_others_are_served_as_ever() {
    let peer = Peer::of(Kind::Sized);
    let mut config = peer.config(Kind::Sized);
    let rules = ["connect:5%", "mid-request:5%", "after-request:5%", "mid-response:5%", "idle:5%:fin"];
    config.aborts = Plan::new(rules.map(|rule| rule.parse().unwrap()).into()).unwrap();
    config.stop = Stop::Requests(1_000);
    config.threads = 2;
    let load = run(&config).unwrap();
    check_accounting(&load);
    assert_eq!((load.requests.failed, load.collateral_errors), (0, 0), "{:?}", load.errors);
    assert!(load.aborts.done > 150 && load.aborts.by_kind.len() == 5, "{:?}", load.aborts);
}

crate::also_over_uring!(
    every_service_is_spoken_on_connections_that_stay_and_that_do_not,
    nobody_there_is_unreachable_with_the_cause,
    a_full_queue_is_waited_out_and_counts_as_latency,
    each_abort_is_what_the_table_in_method_md_says,
    a_reset_that_waits_in_vain_for_a_reply_is_a_plain_close,
    one_that_is_shut_for_reading_breaks_the_first_write,
    one_that_vanished_takes_nothing_and_does_not_end,
    a_half_closed_one_is_answered_and_ended,
    the_others_are_served_as_ever,
);
