//! Several requests out on one connection: replies in order, each with its own latency, and what is told apart where they are not.

use crate::peer::Peer;
use crate::{check_accounting, checked, config, errors, open_loop};
use loadgen::{Pacing, Stop, run};
use record::Load;
use service::{Kind, Work};
use std::io::{Read as _, Write as _};
use std::num::NonZeroU64;
use std::time::Duration;

#[test]
fn every_stream_service_is_pipelined_in_both_loops() {
    for kind in [Kind::Echo, Kind::Sized, Kind::Http] {
        let peer = match kind {
            Kind::Http => Peer::service(service::http::Http::default()),
            Kind::Sized => Peer::service(service::sized::SizedService::default()),
            _ => Peer::echo(),
        };
        for (pacing, size) in [(Pacing::Closed, 64), (open_loop(20_000.0), 64), (Pacing::Closed, 100_000)] {
            let mut config = config(&peer, kind);
            (config.pacing, config.ask.size) = (pacing, size);
            config.pipeline = 16;
            config.stop = Stop::Requests(1_500);
            config.threads = 2;
            let load = run(&config).unwrap();
            check_accounting(&load);
            assert_eq!(load.requests.completed, 1_500, "{kind} {pacing:?} {:?}", load.errors);
            assert!(load.errors.is_empty(), "{kind} {pacing:?} {:?}", load.errors);
        }
    }
    let url = format!("tcp://{}", Peer::echo().address);
    let load =
        checked(&["-n", "500", "--pipeline", "8", "--send", "{seq}\\n", "--expect", "bytes:{seq}\\n", &url]);
    assert_eq!(load.requests.completed, 500);
}

/// The server works on one request of a connection at a time, so a request waits for those before it, and that is its latency.
#[test]
fn each_reply_counts_from_its_own_start() {
    let peer =
        Peer::service(service::sized::SizedService { work: Some(Work::Sleep(Duration::from_millis(5))) });
    let mut config = config(&peer, Kind::Sized);
    config.connections = 1;
    config.pipeline = 8;
    config.stop = Stop::Requests(40);
    let load = run(&config).unwrap();
    check_accounting(&load);
    assert_eq!(load.requests.completed, 40);
    assert!(load.latency_ns.min.unwrap() >= 5_000_000, "{:?}", load.latency_ns);
    assert!(load.latency_ns.max.unwrap() >= 40_000_000, "eight were out: {:?}", load.latency_ns);
}

#[test]
fn the_limit_of_a_connection_holds() {
    let peer = Peer::echo();
    let mut config = config(&peer, Kind::Echo);
    config.pipeline = 4;
    config.requests_per_connection = NonZeroU64::new(10);
    config.stop = Stop::Requests(400);
    let load = run(&config).unwrap();
    check_accounting(&load);
    assert_eq!((load.requests.completed, load.errors.len()), (400, 0));
    let accepted = peer.accepted.load(std::sync::atomic::Ordering::SeqCst);
    assert!((40..=44).contains(&accepted), "{accepted} connections");
}

#[test]
fn what_is_out_when_a_connection_ends_has_failed() {
    let peer = Peer::start(|mut stream| {
        let mut message = [0; 64];
        for _ in 0..3 {
            stream.read_exact(&mut message)?;
            stream.write_all(&message)?;
        }
        sys::socket::reset_on_close(std::os::fd::AsFd::as_fd(&stream))
    });
    let mut config = config(&peer, Kind::Echo);
    config.pipeline = 5;
    config.stop = Stop::Requests(100);
    let load = run(&config).unwrap();
    check_accounting(&load);
    assert!(load.requests.failed > 20 && load.requests.unanswered == 0, "{:?}", load.requests);
}

/// Takes 4 messages of 64 bytes at a time and answers with what `order` makes of them.
fn confused(order: impl Fn(&[[u8; 64]]) -> Vec<[u8; 64]> + Send + Sync + 'static) -> Load {
    let peer = Peer::start(move |mut stream| {
        loop {
            let mut messages = [[0; 64]; 4];
            for message in &mut messages {
                stream.read_exact(message)?;
            }
            stream.write_all(order(&messages).as_flattened())?;
        }
    });
    let mut config = config(&peer, Kind::Echo);
    (config.pipeline, config.connections) = (4, 2);
    config.stop = Stop::Requests(64);
    let load = run(&config).unwrap();
    check_accounting(&load);
    load
}

#[test]
fn doubled_reordered_and_crossed_replies_are_told_apart() {
    let load = confused(|m| vec![m[0], m[0], m[1], m[2]]);
    assert!(errors(&load, "content", "duplicated-reply") > 0, "{:?}", load.errors);
    let load = confused(|m| vec![m[1], m[0], m[2], m[3]]);
    assert!(errors(&load, "content", "reordered-reply") > 0, "{:?}", load.errors);
    let seen = std::sync::Mutex::new([0; 64]);
    let load = confused(move |m| {
        let mut seen = seen.lock().unwrap();
        vec![m[0], std::mem::replace(&mut *seen, m[1]), m[2], m[3]]
    });
    let crossed = errors(&load, "content", "crossed-reply") + errors(&load, "content", "duplicated-reply");
    assert!(crossed > 0, "{:?}", load.errors);
    let load = confused(|m| vec![m[0].map(|byte| byte ^ 1), m[1], m[2], m[3]]);
    assert!(errors(&load, "content", "wrong-content") > 0, "{:?}", load.errors);
}

crate::also_over_uring!(
    every_stream_service_is_pipelined_in_both_loops,
    each_reply_counts_from_its_own_start,
    the_limit_of_a_connection_holds,
    what_is_out_when_a_connection_ends_has_failed,
    doubled_reordered_and_crossed_replies_are_told_apart,
);
