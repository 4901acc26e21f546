//! The idle crowd, and where connections come from.

use crate::cli::{output, stderr};
use crate::peer::Peer;
use crate::{check_accounting, config, errors};
use loadgen::run;
use record::VerdictState;
use service::Kind;
use std::collections::BTreeSet;
use std::net::{IpAddr, TcpListener};
use std::num::NonZeroU64;
use std::os::unix::net::UnixListener;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Mutex};
use std::time::Duration;

#[test]
fn the_crowd_is_made_and_leaves_no_trace_in_the_results() {
    let peer = Peer::echo();
    let mut config = config(&peer, Kind::Echo);
    config.threads = 2;
    config.idle = 101;
    let load = run(&config).unwrap();
    check_accounting(&load);
    let idle = load.idle.as_ref().unwrap();
    assert_eq!((idle.wanted, idle.made), (101, 101));
    assert!(idle.closed.is_empty() && idle.first_closed_ns.is_none());
    assert_eq!((load.connections.peak, load.errors.len()), (4, 0));
    assert_eq!(peer.accepted.load(SeqCst), 105);
    assert!(load.intervals.iter().all(|i| i.living.is_some_and(|n| n <= 4.0)));
}

#[test]
fn the_crowd_stands_in_the_exports_and_each_interval_has_its_connections() {
    let peer = Peer::echo();
    let url = format!("tcp://{}", peer.address);
    let base = ["-q", "-d", "300ms", "-c", "4", "--idle", "9", &url];
    let text =
        |format: &str| String::from_utf8(output(&[&base[..], &[format, "-"]].concat()).stdout).unwrap();
    let page = text("--openmetrics");
    for line in [
        "loadgen_connections{which=\"wanted\"} 4",
        "loadgen_idle_connections{which=\"made\"} 9",
        "loadgen_idle_connections{which=\"closed\"} 0",
    ] {
        assert!(page.lines().any(|l| l == line), "{line} is not in {page}");
    }
    let csv = text("--csv");
    let mut rows = csv.lines().map(|row| row.rsplit(',').take(2).collect::<Vec<_>>());
    assert_eq!(rows.next().unwrap(), ["living", "wanted"]);
    assert_eq!(rows.clone().count(), 3, "{csv}");
    assert!(
        rows.all(|row| row[1] == "4" && row[0].parse::<f64>().is_ok_and(|n| (3.9..=4.0).contains(&n))),
        "{csv}"
    );
}

#[test]
fn what_the_server_does_to_the_crowd_is_counted_with_when() {
    // Answers those who ask, and closes each connection whose first word has not come after 80 ms.
    let peer = Peer::start(|mut stream| {
        use std::io::{Read as _, Write as _};
        let mut buffer = [0; 64];
        stream.set_read_timeout(Some(Duration::from_millis(80)))?;
        loop {
            match stream.read(&mut buffer)? {
                0 => return Ok(()),
                n => stream.write_all(&buffer[..n])?,
            }
            stream.set_read_timeout(None)?;
        }
    });
    let mut config = config(&peer, Kind::Echo);
    config.idle = 20;
    config.stop = loadgen::Stop::After(Duration::from_millis(600));
    let load = run(&config).unwrap();
    check_accounting(&load);
    let idle = load.idle.as_ref().unwrap();
    assert_eq!((idle.made, idle.closed.len()), (20, 1), "{idle:?}");
    assert_eq!((idle.closed[0].cause.as_str(), idle.closed[0].count), ("eof", 20));
    assert!(idle.youngest_closed_ns > Some(70_000_000), "{idle:?}");
    assert!(idle.youngest_closed_ns <= idle.oldest_closed_ns, "{idle:?}");
    assert!(idle.first_closed_ns <= idle.last_closed_ns, "{idle:?}");
    assert!(load.requests.completed > 0);
}

#[test]
fn a_crowd_that_cannot_be_had_makes_the_run_suspect() {
    // Four are served; then nobody accepts any more, and the queue takes two. A Unix socket's, since over TCP a client may be connected
    // whose last segment of the handshake found the queue full.
    let folder = tempfile::tempdir().unwrap();
    let url = format!("unix:{}", folder.path().join("socket").display());
    let listening = sys::listen(&url.parse().unwrap(), 1, sys::Stack::Dual).unwrap();
    let (listener, _claim) = (UnixListener::from(listening.fd), listening.claim);
    let (over, wait) = std::sync::mpsc::channel::<()>();
    let server = std::thread::spawn(move || {
        for stream in listener.incoming().flatten().take(4) {
            std::thread::spawn(move || crate::peer::speak(&service::echo::Echo::default(), stream));
        }
        // Ends when the test does.
        let _ = wait.recv();
    });
    let mut config = crate::config_at(&listening.url.to_string(), Kind::Echo);
    config.idle = 10;
    let load = run(&config).unwrap();
    drop(over);
    server.join().unwrap();
    check_accounting(&load);
    let idle = load.idle.as_ref().unwrap();
    let count = |rows: &[record::load::ErrorCount]| rows.iter().map(|row| row.count).sum::<u64>();
    assert!(idle.made < 10 && idle.made + count(&idle.refused) == 10, "{idle:?}");
    assert_eq!(idle.refused[0].cause, "no-connection");
    assert!(load.verdict.state >= VerdictState::Suspect);
    assert!(load.verdict.reasons.iter().any(|r| r.contains("of 10 idle connections")), "{:?}", load.verdict);
    assert_eq!(load.requests.failed, 0);
}

/// Answers, and writes down where connections come from.
fn asking_whence(address: &str) -> Option<(Peer, Arc<Mutex<Vec<IpAddr>>>)> {
    let listener = TcpListener::bind(address).ok()?;
    let seen = Arc::new(Mutex::new(Vec::new()));
    let book = Arc::clone(&seen);
    let peer = Peer::behind(listener, move |stream| {
        book.lock().unwrap().push(stream.peer_addr()?.ip());
        crate::peer::speak(&service::echo::Echo::default(), stream)
    });
    Some((peer, seen))
}

#[test]
fn connections_come_from_the_sources_in_turn() {
    let (peer, seen) = asking_whence("127.0.0.1:0").unwrap();
    let mut config = config(&peer, Kind::Echo);
    config.connections = 6;
    config.threads = 2;
    config.idle = 6;
    config.sources = Some("127.3.0.0/29,127.4.0.9".parse().unwrap());
    let load = run(&config).unwrap();
    check_accounting(&load);
    let from: BTreeSet<_> = seen.lock().unwrap().iter().copied().collect();
    let wanted: BTreeSet<IpAddr> =
        ["127.3.0.1", "127.3.0.2", "127.3.0.3", "127.3.0.4", "127.3.0.5", "127.3.0.6", "127.4.0.9"]
            .map(|ip| ip.parse().unwrap())
            .into();
    assert!(from.is_subset(&wanted) && from.len() >= 6, "{from:?}");
    assert_eq!(load.config.source.as_deref(), Some("127.3.0.0/29,127.4.0.9"));
    assert_eq!(load.ports.as_ref().unwrap().sources, 7);
}

#[test]
fn short_connections_to_this_machine_come_from_many_addresses_by_themselves() {
    let (peer, seen) = asking_whence("127.0.0.1:0").unwrap();
    let mut config = config(&peer, Kind::Echo);
    let one = run(&config).unwrap();
    assert_eq!(seen.lock().unwrap().iter().filter(|ip| ip.to_string() != "127.0.0.1").count(), 0);
    assert_eq!(one.config.source, None);
    config.requests_per_connection = NonZeroU64::new(1);
    let many = run(&config).unwrap();
    let from: BTreeSet<_> = seen.lock().unwrap().iter().copied().collect();
    assert!(from.len() > 4, "{from:?}");
    assert_eq!(many.ports.unwrap().sources, 200);
}

#[test]
fn sources_of_ipv6_work_too() {
    let Some((peer, seen)) = asking_whence("[::1]:0") else {
        return crate::skipped("no IPv6 here");
    };
    let mut config = config(&peer, Kind::Echo);
    config.sources = Some("::1".parse().unwrap());
    config.requests_per_connection = NonZeroU64::new(2);
    let load = run(&config).unwrap();
    check_accounting(&load);
    assert!(load.requests.completed > 0 && seen.lock().unwrap().iter().all(|ip| ip.to_string() == "::1"));
}

#[test]
fn sources_that_cannot_be_are_refused_before_the_run() {
    let peer = Peer::echo();
    let url = format!("tcp://{}", peer.address);
    for (source, word) in
        [("192.0.2.77", "ip address"), ("::1", "IPv6"), ("127.0.0.0/8,10.0.0", "no address")]
    {
        let output = output(&["-n", "1", "--source", source, &url]);
        assert_eq!(output.status.code(), Some(2), "{source}");
        assert!(
            stderr(&output).contains(word) && stderr(&output).lines().count() == 1,
            "{}",
            stderr(&output)
        );
    }
    let output = output(&["-n", "1", "--source", "127.0.0.1", "unix:/nowhere"]);
    assert!(output.status.code() == Some(2) && stderr(&output).contains("Unix"), "{}", stderr(&output));
}

#[test]
fn ports_that_run_out_are_forecast_and_blamed_on_the_generator() {
    let peer = Peer::echo();
    let per_source = {
        let config = config(&peer, Kind::Echo);
        run(&config).unwrap().ports.unwrap().per_source
    };
    // More than one address has, each for a second at the least.
    let rate = format!("{}", per_source * 3);
    let args =
        ["-d", "1s", "-R", &rate, "--requests-per-connection", "1", "--source", "127.0.0.1", "-c", "50"];
    let output = output(&[&args[..], &["--json", "-", &format!("tcp://{}", peer.address)]].concat());
    let text = stderr(&output);
    assert!(text.starts_with("loadgen: warning: source ports will run out (EADDRNOTAVAIL)"), "{text}");
    assert!(text.lines().next().unwrap().ends_with("--source 127.0.0.0/8"), "{text}");
    let load: record::Load = serde_json::from_slice(&output.stdout).unwrap();
    assert!(load.ports.as_ref().unwrap().warning.is_some());
    // Whether it comes to that depends on how fast the machine is; if it does, it is the generator's own.
    if errors(&load, "connect", "EADDRNOTAVAIL") > 0 {
        assert_eq!(load.verdict.state, VerdictState::Invalid);
        assert!(load.verdict.reasons.iter().any(|r| r.contains("own machine")), "{:?}", load.verdict);
    }
}

crate::also_over_uring!(
    the_crowd_is_made_and_leaves_no_trace_in_the_results,
    what_the_server_does_to_the_crowd_is_counted_with_when,
    connections_come_from_the_sources_in_turn,
);
