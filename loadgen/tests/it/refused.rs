//! Datagram targets that refuse: nobody there, a server that goes, one that comes again. Not here: what else becomes of a datagram (see
//! `datagrams`).

use crate::datagrams::{FAMILIES, closed, counted};
use crate::postman::{Postman, fresh};
use crate::{check_accounting, config_at, errors};
use loadgen::{Error, Stop, run};
use service::Kind;
use service::datagram::DatagramService as _;
use service::echo::Echo;
use service::sized::SizedService;
use std::time::{Duration, Instant};
use sys::Family;

#[test]
fn nobody_there_is_said_at_once() {
    let gone = |url: &str| {
        let start = Instant::now();
        let mut config = config_at(url, Kind::Echo);
        config.stop = Stop::After(Duration::from_secs(600));
        let error = run(&config).unwrap_err();
        assert!(start.elapsed() < Duration::from_secs(20));
        assert!(matches!(error, Error::Unreachable { .. }), "{error}");
        error.to_string()
    };
    let url = Postman::echo(Family::Udp).url.clone();
    assert!(gone(&url).ends_with("no datagram was answered (ECONNREFUSED)"), "{}", gone(&url));
    assert!(gone(&fresh(Family::Unixgram)).ends_with("(ECONNREFUSED)"));
    assert!(gone("unixgram:/nowhere/at/all").ends_with("(ENOENT)"));
}

#[test]
fn a_server_that_ends_is_a_refusal_and_the_run_goes_on_to_its_end() {
    for family in FAMILIES {
        let postman = Postman::until(&fresh(family), |n, message, route| {
            (n < 50).then(|| vec![(route, message.to_vec())])
        });
        let mut config = closed(&postman, 2, 1, 1);
        config.stop = Stop::After(Duration::from_millis(400));
        config.timeout = Duration::from_millis(100);
        let load = run(&config).unwrap();
        check_accounting(&load);
        let (r, datagrams) = (&load.requests, load.datagrams.clone().unwrap());
        let refused = errors(&load, "receive", "ECONNREFUSED") + errors(&load, "send", "ECONNREFUSED");
        assert_eq!(r.completed, 50, "{family}");
        assert!(
            r.failed > 0 && refused >= r.failed && datagrams.refused >= refused,
            "{datagrams:?} {load:?}"
        );
        assert!(
            load.after.as_ref().is_some_and(|after| !after.answers && after.tries > 0),
            "{:?}",
            load.after
        );
        // It is not hammered: each socket rests twice as long as before.
        assert!(r.sent < 50 + 2 * 12, "{r:?}");
    }
}

/// Batches that find nobody are refused one by one: what is lost is what the server had taken and not answered when it went.
#[test]
fn of_many_that_are_refused_together_each_is_named() {
    for kind in [Kind::Echo, Kind::Sized] {
        let postman = Postman::until(&fresh(Family::Udp), move |n, message, route| {
            let reply = match kind {
                Kind::Sized => SizedService::default().answer(message).reply,
                _ => Echo::default().answer(message).reply,
            };
            (n < 200).then(|| vec![(route, reply.pieces(message).concat())])
        });
        let mut config = closed(&postman, 2, 16, 1);
        (config.ask.kind, config.stop) = (kind, Stop::After(Duration::from_millis(400)));
        config.timeout = Duration::from_millis(100);
        let (load, datagrams) = counted(&config);
        let r = &load.requests;
        let refused = errors(&load, "receive", "ECONNREFUSED") + errors(&load, "send", "ECONNREFUSED");
        assert_eq!((r.completed, r.failed, datagrams.refused), (200, refused, refused), "{load:?}");
        assert!(datagrams.lost <= 2 * 16 && refused >= 4 * 16, "{datagrams:?}");
    }
}

#[test]
fn a_unix_server_that_comes_again_is_found_again() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("unixgram:{}", folder.path().join("s").display());
    let echo = |_, message: &[u8], route| Some(vec![(route, message.to_vec())]);
    let first =
        Postman::until(&url, move |n, message, route| if n < 20 { echo(n, message, route) } else { None });
    let mut config = closed(&first, 2, 1, 100);
    config.timeout = Duration::from_secs(2);
    let load = std::thread::scope(|scope| {
        let run = scope.spawn(|| run(&config).unwrap());
        first.ended();
        let second = Postman::until(&url, echo);
        let load = run.join().unwrap();
        drop(second);
        load
    });
    check_accounting(&load);
    assert!(
        load.requests.completed > 20 && load.requests.failed > 0,
        "{:?} {:?}",
        load.requests,
        load.errors
    );
}
