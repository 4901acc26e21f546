//! Slow and mute clients beside healthy ones, and what is said of the server after them. Not here: clients that go away.

use crate::peer::{Peer, speak};
use crate::{check_accounting, cli, config, open_loop};
use loadgen::abort::Plan;
use loadgen::misfit::{Family, Misfit};
use loadgen::{Config, Stop, run, run_until};
use record::Load;
use record::misfit::Misfits;
use service::Kind;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

fn among_twenty(peer: &Peer, kind: Kind, shares: &[(Family, &str)]) -> Config {
    let mut config = config(peer, kind);
    config.connections = 20;
    config.misfits = shares.iter().map(|(family, share)| Misfit::parse(*family, share).unwrap()).collect();
    config
}

fn family(load: &Load, name: &str) -> Misfits {
    load.misfits.iter().find(|m| m.family == name).unwrap().clone()
}

#[test]
fn the_healthy_are_measured_and_the_others_counted_apart() {
    let peer = Peer::service(service::sized::SizedService::default());
    let shares = [
        (Family::SlowRead, "10%:1M"),
        (Family::SlowWrite, "10%:500"),
        (Family::Trickle, "10%:2ms"),
        (Family::Partial, "10%"),
    ];
    let mut config = among_twenty(&peer, Kind::Sized, &shares);
    config.pacing = open_loop(500.0);
    config.stop = Stop::After(Duration::from_millis(400));
    let load = run(&config).unwrap();
    check_accounting(&load);
    assert_eq!((load.requests.completed, load.requests.scheduled, load.errors.len()), (200, 200, 0));
    assert_eq!((load.config.connections, load.connections.wanted), (20, 12));
    for name in Family::ALL.map(Family::name) {
        let m = family(&load, name);
        assert_eq!((m.planned, m.done, m.not_reached, m.ended_by_server), (2, 2, 0, 0), "{m:?}");
        assert_eq!(m.errors, [], "{name}");
    }
    // "64\n" at 500 bytes a second is 4 ms at the least, at 2 ms a byte as much; 8 MiB and more at 1 MiB/s take longer than the run.
    for (name, least_ns) in [("slow-write", 4_000_000), ("trickle", 4_000_000)] {
        let m = family(&load, name);
        assert!(m.exchanges > 5 && m.latency_ns.min.unwrap() >= least_ns, "{m:?}");
        assert_eq!((m.latency_ns.count, m.connections), (m.exchanges, 2), "{m:?}");
    }
    assert_eq!((family(&load, "slow-read").exchanges, family(&load, "partial").exchanges), (0, 0));
    let after = load.after.unwrap();
    assert!(after.accepts && after.answers && after.accepted_after_ns < after.answered_after_ns, "{after:?}");
}

#[test]
fn the_server_sees_what_the_family_says() {
    for (share, expected) in [
        ((Family::Trickle, "5%:1ms"), vec![1; 64]),
        // 10 bytes each 10 ms: a late reader finds two steps in one, and so each is at least one.
        ((Family::SlowWrite, "5%:1000"), vec![10, 10, 10, 10, 10, 10, 4]),
        ((Family::Partial, "5%"), vec![32]),
    ] {
        let (tell, seen) = channel();
        let peer = Peer::start(move |mut stream| {
            let mut buffer = [0; 64];
            let (mut pieces, mut length) = (Vec::new(), 0);
            stream.set_read_timeout(Some(Duration::from_millis(150)))?;
            while length < 64 {
                let Ok(n @ 1..) = stream.read(&mut buffer[length..]) else { break };
                pieces.push(n);
                length += n;
            }
            if pieces.first() == Some(&64) {
                // A healthy one.
                stream.write_all(&buffer)?;
                return std::io::copy(&mut stream.try_clone()?, &mut stream).map(|_| ());
            }
            let _ = tell.send(pieces);
            Ok(())
        });
        let mut config = among_twenty(&peer, Kind::Echo, &[share]);
        config.stop = Stop::After(Duration::from_millis(250));
        let load = run(&config).unwrap();
        check_accounting(&load);
        let m = family(&load, share.0.name());
        assert_eq!((m.planned, m.done), (1, 1), "{m:?}");
        assert!(m.ended_by_server > 0 && m.exchanges == 0, "{m:?}");
        assert_eq!((load.errors.len(), load.collateral_errors), (0, 0), "{:?}", load.errors);
        let pieces: Vec<usize> = seen.recv().unwrap();
        let sum = |pieces: &[usize]| pieces.iter().sum::<usize>();
        assert_eq!(sum(&pieces), sum(&expected), "{share:?} {pieces:?}");
        // A reader that was kept from its processor finds some of them together.
        assert!(pieces.len() * 2 > expected.len(), "{share:?} {pieces:?}");
    }
}

#[test]
fn a_slow_reader_leaves_the_server_with_its_reply() {
    let (tell, seen) = channel();
    let service = service::sized::SizedService::default();
    let peer = Peer::start(move |stream| {
        stream.set_write_timeout(Some(Duration::from_millis(100)))?;
        // A write that waited for its time-out, and not one that met a reset.
        let end = speak(&service, stream);
        let stuck = end.is_err_and(|e| matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut));
        let _ = tell.send(stuck);
        Ok(())
    });
    let mut config = among_twenty(&peer, Kind::Sized, &[(Family::SlowRead, "5%:2k/s")]);
    config.stop = Stop::After(Duration::from_secs(60));
    let stop = AtomicBool::new(false);
    let load = std::thread::scope(|scope| {
        let run = scope.spawn(|| run_until(&config, &stop));
        let end = Instant::now() + Duration::from_secs(30);
        let next = || seen.recv_timeout(end.saturating_duration_since(Instant::now())).ok();
        let stuck = std::iter::from_fn(next).any(|stuck| stuck);
        stop.store(true, SeqCst);
        assert!(stuck, "no write had to wait");
        run.join().unwrap().unwrap()
    });
    let m = family(&load, "slow-read");
    assert_eq!((m.planned, m.exchanges), (1, 0), "{m:?}");
}

#[test]
fn a_server_that_is_gone_after_the_run_is_a_finding() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("tcp://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        // It serves what comes at once, and takes no more: the listener is dropped.
        let streams: Vec<_> = (0..2).map(|_| listener.accept().unwrap().0).collect();
        drop(listener);
        let serve = |mut stream: std::net::TcpStream| std::io::copy(&mut stream.try_clone()?, &mut stream);
        let threads = streams.into_iter().map(|s| std::thread::spawn(move || serve(s)));
        threads.collect::<Vec<_>>().into_iter().for_each(|t| drop(t.join()));
    });
    let args = ["-c", "2", "-d", "300ms", "--timeout", "200ms", "--abort", "idle:0.001%:half"];
    let output = cli::output(&[&args[..], &["--fail-on", "recovery", &url]].concat());
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    assert!(text.contains("no longer accepts (ECONNREFUSED)"), "{text}{}", cli::stderr(&output));
    assert_eq!(output.status.code(), Some(1), "{text}{}", cli::stderr(&output));
}

#[test]
fn a_page_of_metrics_has_those_who_misbehaved_apart() {
    let peer = Peer::echo();
    let url = format!("tcp://{}", peer.address);
    let args = ["-q", "-c", "10", "-n", "400", "--abort", "idle:5%:rst", "--slow-write", "10%:2k/s"];
    let output = cli::output(&[&args[..], &["--openmetrics", "-", &url]].concat());
    let page = String::from_utf8(output.stdout.clone()).unwrap();
    let value = |name: &str| {
        let line = page.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("{page}"));
        line.trim().parse::<f64>().unwrap()
    };
    let aborts = value("loadgen_aborts_total{kind=\"idle:rst\"}");
    assert_eq!(aborts + value("loadgen_requests_total{outcome=\"completed\"}"), 400.0, "{page}");
    assert!(aborts > 5.0 && value("loadgen_misfit_exchanges_total{family=\"slow-write\"}") >= 0.0, "{page}");
    assert_eq!(value("loadgen_collateral_errors_total"), 0.0, "{page}");
    assert_eq!(value("loadgen_answers_after_run"), 1.0, "{page}");
}

#[test]
fn a_chosen_request_that_waits_in_vain_is_no_collateral_error() {
    let mut config = config(&Peer::silent(), Kind::Echo);
    config.aborts = Plan::new(vec!["after-request:1:unread".parse().unwrap()]).unwrap();
    config.stop = Stop::After(Duration::from_millis(50));
    config.timeout = Duration::from_millis(50);
    let load = run(&config).unwrap();
    check_accounting(&load);
    assert_eq!((load.requests.unanswered, load.aborts.not_reached, load.collateral_errors), (4, 4, 0));
}

#[test]
fn shares_that_cannot_be_are_refused() {
    let peer = Peer::echo();
    let mut config = among_twenty(&peer, Kind::Echo, &[(Family::Partial, "60%"), (Family::Trickle, "40%")]);
    let why = run(&config).unwrap_err().to_string();
    assert!(why.contains("20 of 20"), "{why}");
    config.connections = 1;
    assert!(run(&config).is_err());
}

crate::also_over_uring!(the_healthy_are_measured_and_the_others_counted_apart);
