//! Planned aborts, seen from the server's side.

use crate::peer::Peer;
use crate::{check_accounting, config};
use loadgen::abort::Plan;
use loadgen::{Stop, run};
use record::Load;
use service::Kind;
use std::io::{ErrorKind, Read as _, Write as _};
use std::num::NonZeroU64;
use std::sync::mpsc::{Receiver, channel};

fn plan(rule: &str) -> Plan {
    Plan::new(vec![rule.parse().unwrap()]).unwrap()
}

/// What the server met: how many bytes came before the end of input or error, and how its writes ended.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    bytes: usize,
    read: Result<(), ErrorKind>,
    write: Option<ErrorKind>,
}

/// Reads to the end of input, then writes until that fails or all of 16 MiB is written; tells what it met.
fn witness() -> (Peer, Receiver<Seen>) {
    let (tell, seen) = channel();
    let peer = Peer::start(move |mut stream| {
        let mut bytes = Vec::new();
        let read = stream.read_to_end(&mut bytes).map(|_| ()).map_err(|error| error.kind());
        let piece = [0; 65536];
        let write = (0..256).find_map(|_| stream.write_all(&piece).err()).map(|error| error.kind());
        let _ = tell.send(Seen { bytes: bytes.len(), read, write });
        Ok(())
    });
    (peer, seen)
}

fn abort_all(peer: &Peer, kind: Kind, rule: &str, requests: u64) -> Load {
    let mut config = config(peer, kind);
    config.aborts = plan(rule);
    config.stop = Stop::Requests(requests);
    let load = run(&config).unwrap();
    check_accounting(&load);
    load
}

#[test]
fn after_the_request_the_fin_comes_first_and_the_write_meets_a_broken_pipe() {
    let (peer, seen) = witness();
    let load = abort_all(&peer, Kind::Sized, "after-request:100%", 20);
    assert_eq!((load.requests.aborted, load.aborts.fin_proven), (20, 20), "{:?}", load.aborts);
    assert_eq!(load.aborts.by_kind["after-request:fin"], 20);
    assert_eq!((load.latency_ns.count, load.errors.len()), (0, 0));
    for _ in 0..20 {
        let seen = seen.recv().unwrap();
        // "16777216\n" or less: the whole request, then its FIN, then EPIPE; never ECONNRESET.
        assert!(seen.bytes >= 8, "{seen:?}");
        assert_eq!((seen.read, seen.write), (Ok(()), Some(ErrorKind::BrokenPipe)));
    }
}

#[test]
fn a_connection_made_for_the_abort_behaves_the_same() {
    let (peer, seen) = witness();
    let mut config = config(&peer, Kind::Sized);
    config.aborts = plan("after-request:100%");
    config.requests_per_connection = NonZeroU64::new(1);
    config.stop = Stop::Requests(10);
    let load = run(&config).unwrap();
    check_accounting(&load);
    assert_eq!((load.requests.aborted, load.aborts.fin_proven), (10, 10), "{:?}", load.aborts);
    for _ in 0..10 {
        assert_eq!(seen.recv().unwrap().write, Some(ErrorKind::BrokenPipe));
    }
}

#[test]
fn each_phase_and_kind_is_what_it_says() {
    for (rule, bytes, read, write) in [
        ("connect:1:fin", 0, Ok(()), Some(ErrorKind::BrokenPipe)),
        ("connect:1:rst", 0, Err(ErrorKind::ConnectionReset), Some(ErrorKind::BrokenPipe)),
        ("mid-request:1:fin", 32, Ok(()), Some(ErrorKind::BrokenPipe)),
        ("mid-request:1:rst", 32, Err(ErrorKind::ConnectionReset), Some(ErrorKind::BrokenPipe)),
        ("after-request:1:rst", 256 * 1024, Err(ErrorKind::ConnectionReset), Some(ErrorKind::BrokenPipe)),
    ] {
        let (peer, seen) = witness();
        let load = abort_all(&peer, Kind::Echo, rule, 8);
        assert_eq!((load.aborts.planned, load.aborts.done), (8, 8), "{rule}");
        for _ in 0..8 {
            let seen = loop {
                let seen = seen.recv().unwrap();
                // Connections made before the run that a `connect` abort let go in good order.
                if rule.starts_with("connect") && seen.read.is_ok() && read.is_err() {
                    continue;
                }
                break seen;
            };
            // An RST may overtake bytes that the server did not read yet.
            assert!(seen.bytes == bytes || (read.is_err() && seen.bytes <= bytes), "{rule} {seen:?}");
            assert_eq!((&seen.read, seen.write), (&read, write), "{rule}");
        }
    }
}

#[test]
fn replies_are_interrupted_while_the_server_writes() {
    for (rule, proven) in [
        ("mid-response:100%", 0),
        ("mid-response:100%:fin", 12),
        ("mid-response:100%:unread", 0),
        ("after-request:100%:unread", 0),
        ("mid-response:100%:half-read", 0),
        ("after-request:100%:half-read", 0),
    ] {
        let (tell, seen) = channel();
        let peer = Peer::start(move |mut stream| {
            let mut byte = [0];
            while byte != *b"\n" {
                stream.read_exact(&mut byte)?;
            }
            let piece = [0; 65536];
            let _ =
                tell.send((0..256).find_map(|_| stream.write_all(&piece).err()).map(|error| error.kind()));
            Ok(())
        });
        let load = abort_all(&peer, Kind::Sized, rule, 12);
        assert_eq!((load.requests.aborted, load.aborts.fin_proven), (12, proven), "{rule} {:?}", load.aborts);
        for _ in 0..12 {
            let error = seen.recv().unwrap();
            assert!(
                matches!(error, Some(ErrorKind::ConnectionReset | ErrorKind::BrokenPipe)),
                "{rule} {error:?}"
            );
        }
    }
}

#[test]
fn the_other_requests_are_served_as_ever() {
    let peer = Peer::service(service::http::Http::default());
    let mut config = config(&peer, Kind::Http);
    let rules = ["connect:5%", "mid-request:5%", "after-request:5%", "mid-response:5%", "idle:5%:fin"];
    config.aborts = Plan::new(rules.map(|rule| rule.parse().unwrap()).into()).unwrap();
    config.stop = Stop::Requests(1_000);
    config.threads = 2;
    let load = run(&config).unwrap();
    check_accounting(&load);
    assert_eq!((load.requests.failed, load.collateral_errors), (0, 0), "{:?}", load.errors);
    assert!(load.aborts.done > 150 && load.aborts.by_kind.len() == 5, "{:?}", load.aborts);
    assert_eq!(load.requests.completed, 1_000 - load.aborts.done);
    // The same seed, the same choice; another, another.
    assert_eq!(run(&config).unwrap().aborts.planned, load.aborts.planned);
    config.ask.seed = 99;
    assert_ne!(run(&config).unwrap().aborts.by_kind, load.aborts.by_kind);
}

#[test]
fn what_has_no_middle_is_not_reached() {
    let peer = Peer::service(service::greeting::Greeting::default());
    let load = abort_all(&peer, Kind::Greeting, "mid-request:100%", 10);
    assert_eq!((load.aborts.not_reached, load.requests.completed), (10, 10));
}

crate::also_over_uring!(
    after_the_request_the_fin_comes_first_and_the_write_meets_a_broken_pipe,
    a_connection_made_for_the_abort_behaves_the_same,
    each_phase_and_kind_is_what_it_says,
    replies_are_interrupted_while_the_server_writes,
    the_other_requests_are_served_as_ever,
    what_has_no_middle_is_not_reached,
);
