//! The engine against servers that behave and servers that do not.

use crate::peer::{self, Peer};
use crate::{check_accounting, config, errors, open_loop, skipped};
use loadgen::{Error, Stop, run};
use record::{Exit, VerdictState};
use service::{Kind, Work};
use std::net::TcpListener;
use std::num::NonZeroU64;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

#[test]
fn every_service_is_spoken_in_both_loops() {
    for kind in Kind::ALL {
        let peer = match kind {
            Kind::Greeting => Peer::service(service::greeting::Greeting::default()),
            Kind::Echo => Peer::echo(),
            Kind::Sized => Peer::service(service::sized::SizedService::default()),
            Kind::Http => Peer::service(service::http::Http::default()),
        };
        for pacing in [loadgen::Pacing::Closed, open_loop(500.0)] {
            let mut config = config(&peer, kind);
            config.pacing = pacing;
            config.threads = 2;
            let load = run(&config).unwrap();
            check_accounting(&load);
            assert!(load.requests.completed > 50, "{kind} {pacing:?} {:?}", load.requests);
            assert_eq!(load.errors, [], "{kind} {pacing:?}");
            assert_eq!(load.connections.made > 0, kind == Kind::Greeting);
        }
    }
}

#[test]
fn replies_larger_than_any_buffer_are_checked_to_the_end() {
    let sized = Peer::service(service::sized::SizedService::default());
    for (peer, kind) in [(sized, Kind::Sized), (Peer::echo(), Kind::Echo)] {
        let mut config = config(&peer, kind);
        config.ask.size = 3 << 20;
        config.connections = 2;
        let load = run(&config).unwrap();
        check_accounting(&load);
        assert!(load.requests.completed > 0 && load.errors.is_empty(), "{kind} {:?}", load.errors);
        assert!(load.bytes.received >= load.requests.completed * (3 << 20));
    }
}

#[test]
fn connections_end_after_the_requests_they_are_given() {
    for (kind, each) in [(Kind::Sized, 5), (Kind::Http, 1)] {
        let peer = match kind {
            Kind::Http => Peer::service(service::http::Http::default()),
            _ => Peer::service(service::sized::SizedService::default()),
        };
        let mut config = config(&peer, kind);
        config.requests_per_connection = NonZeroU64::new(each);
        config.stop = Stop::Requests(200);
        let load = run(&config).unwrap();
        check_accounting(&load);
        assert_eq!(load.requests.completed, 200);
        let made = peer.accepted.load(SeqCst);
        assert!((200 / each..=200 / each + 8).contains(&made), "{kind}: {made} connections");
        assert!(load.connect_ns.count > 0);
    }
}

#[test]
fn a_number_of_requests_is_kept_exactly() {
    let peer = Peer::echo();
    for pacing in [loadgen::Pacing::Closed, open_loop(5_000.0)] {
        let mut config = config(&peer, Kind::Echo);
        config.pacing = pacing;
        config.threads = 3;
        config.warm_up = Duration::from_millis(50);
        config.stop = Stop::Requests(1_001);
        let load = run(&config).unwrap();
        check_accounting(&load);
        assert_eq!((load.requests.scheduled, load.requests.completed), (1_001, 1_001));
    }
}

#[test]
fn handler_work_shows_in_the_latency() {
    let peer = Peer::service(service::sized::SizedService::default());
    let mut config = config(&peer, Kind::Sized);
    config.ask.work = Some(Work::Sleep(Duration::from_millis(5)));
    let load = run(&config).unwrap();
    check_accounting(&load);
    assert!(load.latency_ns.min.unwrap() >= 5_000_000, "{:?}", load.latency_ns);
}

#[test]
fn errors_are_told_apart() {
    for (peer, phase, cause) in [
        (Peer::resetting(), "receive", "ECONNRESET"),
        (Peer::closing_early(), "receive", "eof-mid-reply"),
        (Peer::replying(|bytes| bytes.iter().map(|b| b ^ 1).collect()), "content", "wrong-content"),
        (Peer::replying(|bytes| bytes.repeat(2)), "content", "extra-bytes"),
    ] {
        let mut config = config(&peer, Kind::Echo);
        config.stop = Stop::After(Duration::from_millis(100));
        let load = run(&config).unwrap();
        check_accounting(&load);
        assert!(errors(&load, phase, cause) > 0, "{phase} {cause}: {:?}", load.errors);
        assert_eq!(load.collateral_errors, 0, "nothing was aborted");
        // Extra bytes spoil the connection and not the reply in front of them.
        let failed = cause != "extra-bytes";
        assert_eq!(load.requests.completed == 0, failed, "{cause}");
        assert_eq!(load.verdict.state == VerdictState::Invalid, failed, "{cause}: {:?}", load.verdict);
    }
}

#[test]
fn an_absent_server_is_said_to_be_unreachable() {
    for requests_per_connection in [None, NonZeroU64::new(1)] {
        let mut config = config(&Peer::absent(), Kind::Echo);
        config.requests_per_connection = requests_per_connection;
        config.stop = Stop::After(Duration::from_secs(30));
        let error = run(&config).unwrap_err();
        assert!(matches!(error, Error::Unreachable { .. }), "{error}");
        assert!(error.to_string().contains("ECONNREFUSED"), "{error}");
        assert_eq!(error.exit(), Exit::Unfit);
    }
}

#[test]
fn silence_is_counted_with_its_age() {
    let peer = Peer::silent();
    for stop in [Stop::After(Duration::from_millis(100)), Stop::Requests(4)] {
        let mut config = config(&peer, Kind::Echo);
        config.stop = stop;
        config.timeout = Duration::from_millis(50);
        let load = run(&config).unwrap();
        check_accounting(&load);
        assert_eq!((load.requests.unanswered, load.requests.completed), (4, 0));
        assert_eq!(errors(&load, "timeout", "no-reply"), 4);
        assert!(load.latency_ns.min.unwrap() >= 50_000_000, "{:?}", load.latency_ns);
        assert_eq!(load.verdict.state, VerdictState::Invalid);
    }
}

#[test]
fn late_replies_keep_their_latency() {
    let peer =
        Peer::service(service::sized::SizedService { work: Some(Work::Sleep(Duration::from_millis(80))) });
    let mut config = config(&peer, Kind::Sized);
    config.timeout = Duration::from_millis(40);
    config.stop = Stop::Requests(8);
    let load = run(&config).unwrap();
    check_accounting(&load);
    assert_eq!((load.requests.completed, load.requests.late), (8, 8));
    assert!(load.latency_ns.min.unwrap() >= 80_000_000);
}

#[test]
fn more_than_the_server_takes_is_unsent_and_said() {
    let peer =
        Peer::service(service::sized::SizedService { work: Some(Work::Sleep(Duration::from_millis(10))) });
    let mut config = config(&peer, Kind::Sized);
    config.connections = 1;
    config.pacing = open_loop(1_000.0);
    let load = run(&config).unwrap();
    check_accounting(&load);
    assert_eq!(load.requests.scheduled, 200);
    assert!(load.requests.unsent > 150, "{:?}", load.requests);
    // Half of the arrivals had waited for 100 ms and more when the window closed, and that is what the median says.
    assert!(load.latency_ns.p50.unwrap() > 60_000_000, "{:?}", load.latency_ns);
    assert!(load.service_ns.p50.unwrap() < 50_000_000, "{:?}", load.service_ns);
    assert_eq!(load.verdict.state, VerdictState::Suspect);
}

#[test]
fn a_target_may_have_an_ipv6_address() {
    let Ok(listener) = TcpListener::bind("[::1]:0") else {
        return skipped("[::1]: this machine has no IPv6");
    };
    let service = service::http::Http::default();
    let peer = Peer::behind(listener, move |stream| peer::speak(&service, stream));
    for limit in [None, NonZeroU64::new(1)] {
        let mut config = config(&peer, Kind::Http);
        config.requests_per_connection = limit;
        config.stop = Stop::Requests(200);
        let load = run(&config).unwrap();
        check_accounting(&load);
        assert_eq!((load.requests.completed, load.errors.len()), (200, 0), "{limit:?} {:?}", load.errors);
    }
}
crate::also_over_uring!(
    every_service_is_spoken_in_both_loops,
    replies_larger_than_any_buffer_are_checked_to_the_end,
    connections_end_after_the_requests_they_are_given,
    a_number_of_requests_is_kept_exactly,
    handler_work_shows_in_the_latency,
    errors_are_told_apart,
    an_absent_server_is_said_to_be_unreachable,
    silence_is_counted_with_its_age,
    late_replies_keep_their_latency,
    more_than_the_server_takes_is_unsent_and_said,
    a_target_may_have_an_ipv6_address,
);
