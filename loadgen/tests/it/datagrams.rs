//! Datagram targets: everything that can become of a request is told from everything else, and counted exactly. Not here: the
//! project's own servers, and what a client's side checks (see `service::datagram`).

use crate::cli::output;
use crate::postman::{Letters, Postman};
use crate::{check_accounting, checked, config_at, errors, open_loop};
use loadgen::{Config, Pacing, Stop, run};
use record::load::Datagrams;
use record::{Load, VerdictState};
use service::Kind;
use service::sized::SizedService;
use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use sys::Family;
use sys::datagram::Route;

pub(crate) const FAMILIES: [Family; 2] = [Family::Udp, Family::Unixgram];

/// A closed loop of `requests` on `sockets`, `depth` at a time on each.
pub(crate) fn closed(postman: &Postman, sockets: u32, depth: u32, requests: u64) -> Config {
    let mut config = config_at(&postman.url, Kind::Echo);
    config.connections = sockets;
    config.pipeline = depth;
    config.stop = Stop::Requests(requests);
    config.timeout = Duration::from_secs(5);
    config
}

/// Runs it; the sums hold, whatever happens.
pub(crate) fn counted(config: &Config) -> (Load, Datagrams) {
    let load = run(config).unwrap();
    check_accounting(&load);
    let datagrams = load.datagrams.clone().unwrap();
    let r = &load.requests;
    assert_eq!(datagrams.lost, r.unanswered, "{r:?} {datagrams:?}");
    assert_eq!(errors(&load, "timeout", "no-reply"), datagrams.lost);
    assert_eq!(errors(&load, "content", "duplicated-reply"), datagrams.duplicated);
    assert_eq!(errors(&load, "content", "crossed-reply"), datagrams.crossed);
    assert_eq!(errors(&load, "content", "truncated-reply"), datagrams.truncated);
    assert_eq!((datagrams.stray, datagrams.dropped_here), (0, 0), "{datagrams:?}");
    (load, datagrams)
}

fn without_trouble(sent: u64) -> Datagrams {
    Datagrams { sent, received: sent, ..Datagrams::default() }
}

#[test]
fn every_service_size_and_loop_is_served_without_trouble() {
    for family in FAMILIES {
        for (kind, size) in [
            (Kind::Echo, 1),
            (Kind::Echo, 16),
            (Kind::Echo, 65_507),
            (Kind::Sized, 3),
            (Kind::Sized, 1_472),
            (Kind::Greeting, 0),
        ] {
            let postman = match kind {
                Kind::Echo => Postman::echo(family),
                Kind::Sized => Postman::service(family, SizedService::default()),
                _ => Postman::service(family, service::greeting::Greeting::default()),
            };
            for (pacing, threads) in [(Pacing::Closed, 1), (open_loop(2_000.0), 2)] {
                let mut config = closed(&postman, 4, 1, 60);
                (config.ask.kind, config.ask.size) = (kind, size);
                (config.pacing, config.threads) = (pacing, threads);
                let (load, datagrams) = counted(&config);
                assert_eq!(datagrams, without_trouble(60), "{family} {kind} {size} {pacing:?}");
                assert_eq!((load.requests.completed, load.errors.len()), (60, 0));
                if kind != Kind::Greeting {
                    let received = load.bytes.received;
                    assert_eq!(received, 60 * size);
                }
            }
        }
    }
}

/// Requests that leave as one and answers that come as one are counted, checked and told apart as any others: the postman gets them one by
/// one, drops one in four and answers one in four twice.
#[test]
fn joined_datagrams_are_the_same_requests() {
    for (size, pacing) in [(16, Pacing::Closed), (1_400, Pacing::Closed), (64, open_loop(20_000.0))] {
        let postman = Postman::start(Family::Udp, |n, message, route| match n % 4 {
            1 => Letters::new(),
            2 => vec![(route, message.to_vec()), (route, message.to_vec())],
            _ => vec![(route, message.to_vec())],
        });
        let mut config = closed(&postman, 2, 16, 400);
        (config.gso, config.pacing, config.ask.size) = (true, pacing, size);
        config.timeout = Duration::from_millis(100);
        let (load, datagrams) = counted(&config);
        let late = datagrams.late;
        let expected = Datagrams { received: 400, lost: 100, duplicated: 100, late, ..without_trouble(400) };
        assert_eq!(Datagrams { reordered: 0, ..datagrams }, expected, "{size} {pacing:?}");
        assert_eq!((load.requests.completed, load.bytes.received), (300, 400 * size));
        assert!(load.config.gso);
    }
}

#[test]
fn what_is_dropped_is_lost_and_frees_its_place() {
    for family in FAMILIES {
        for depth in [1, 4] {
            let postman = Postman::start(family, |n, message, route| match n % 3 {
                1 => Letters::new(),
                _ => vec![(route, message.to_vec())],
            });
            let mut config = closed(&postman, 3, depth, 60);
            config.timeout = Duration::from_millis(60);
            let (load, datagrams) = counted(&config);
            // On a busy machine an answer may take as long as the timeout by itself.
            let late = datagrams.late;
            assert_eq!(datagrams, Datagrams { received: 40, lost: 20, late, ..without_trouble(60) });
            assert_eq!((load.requests.completed, load.requests.failed), (40, 0));
            assert!(
                load.after.as_ref().is_some_and(|after| after.answers),
                "one in three is dropped: {:?}",
                load.after
            );
            // Their ages are lower bounds of the latencies; the answered stand beside them.
            assert_eq!((load.latency_ns.count, load.service_ns.count), (60, 40));
            assert!(load.latency_ns.max >= Some(60_000_000) && postman.received.load(SeqCst) >= 60);
        }
    }
}

#[test]
fn an_open_loop_does_not_wait_for_what_is_lost() {
    let postman = Postman::start(Family::Udp, |_, _, _| Letters::new());
    let mut config = closed(&postman, 2, 1, 1);
    config.pacing = open_loop(1_000.0);
    config.stop = Stop::After(Duration::from_millis(200));
    config.timeout = Duration::from_millis(400);
    let (load, datagrams) = counted(&config);
    assert_eq!((load.requests.scheduled, load.requests.sent, datagrams.lost), (200, 200, 200));
    assert_eq!(load.verdict.state, VerdictState::Invalid);
    assert!(load.verdict.reasons.iter().any(|r| r.contains("no request was completed")));
}

#[test]
fn an_answer_that_comes_twice_is_counted_as_one_and_a_double() {
    for family in FAMILIES {
        for depth in [1, 8] {
            let double =
                |_, message: &[u8], route| vec![(route, message.to_vec()), (route, message.to_vec())];
            let postman = Postman::start(family, double);
            let (load, datagrams) = counted(&closed(&postman, 2, depth, 200));
            let expected = Datagrams { duplicated: 200, received: 400, ..without_trouble(200) };
            assert_eq!(datagrams, expected, "{family} {depth}");
            assert_eq!((load.requests.completed, load.requests.failed), (200, 0));
        }
    }
}

#[test]
fn answers_in_another_order_are_told_from_those_in_order() {
    let mut held: Letters = Vec::new();
    let postman = Postman::start(Family::Udp, move |_, message, route| {
        held.insert(0, (route, message.to_vec()));
        if held.len() < 4 { Letters::new() } else { std::mem::take(&mut held) }
    });
    // Of four in reverse, three come behind the answer to a later request.
    let (load, datagrams) = counted(&closed(&postman, 1, 4, 100));
    assert_eq!(datagrams, Datagrams { reordered: 75, ..without_trouble(100) });
    assert_eq!((load.requests.completed, load.errors.len()), (100, 0));
}

#[test]
fn an_answer_to_the_wrong_socket_is_crossed_and_its_request_is_lost() {
    let mut held: Option<(Route, Vec<u8>)> = None;
    let postman = Postman::start(Family::Udp, move |_, message, route| match held.take() {
        None => {
            held = Some((route, message.to_vec()));
            Letters::new()
        }
        // Two sockets with one request each: whoever came second is not the first.
        Some((first, early)) => vec![(first, message.to_vec()), (route, early)],
    });
    // Fewer rounds than it takes to give up.
    let mut config = closed(&postman, 2, 1, 6);
    config.timeout = Duration::from_millis(60);
    let (load, datagrams) = counted(&config);
    assert_eq!(datagrams, Datagrams { crossed: 6, lost: 6, ..without_trouble(6) });
    assert_eq!(load.requests.completed, 0);
}

#[test]
fn wrong_answers_fail_their_requests_and_are_named() {
    type Spoil = fn(&mut Vec<u8>);
    let spoils: [(&str, Spoil); 5] = [
        ("truncated-reply", |bytes| bytes.truncate(20)),
        ("truncated-reply", Vec::clear),
        ("extra-bytes", |bytes| bytes.push(0)),
        ("wrong-content", |bytes| bytes[40] ^= 1),
        ("wrong-content", |bytes| bytes[3] ^= 1),
    ];
    for family in FAMILIES {
        for (name, spoil) in spoils {
            let postman = Postman::start(family, move |n, message, route| {
                let mut bytes = message.to_vec();
                if n % 2 == 1 {
                    spoil(&mut bytes);
                }
                vec![(route, bytes)]
            });
            let (load, datagrams) = counted(&closed(&postman, 2, 4, 100));
            assert_eq!((load.requests.completed, load.requests.failed), (50, 50), "{family} {name}");
            assert_eq!((errors(&load, "content", name), load.errors.len()), (50, 1), "{:?}", load.errors);
            assert_eq!((datagrams.received, datagrams.lost), (100, 0));
        }
    }
}

#[test]
fn an_answer_after_the_timeout_is_late_and_has_its_true_latency() {
    let mut held = Letters::new();
    let mut first = None;
    let postman = Postman::start(Family::Udp, move |_, message, route| {
        // Everything of the first quarter of a second is answered at its end, all else at once.
        let since = first.get_or_insert_with(Instant::now).elapsed();
        held.push((route, message.to_vec()));
        if since < Duration::from_millis(250) { Letters::new() } else { std::mem::take(&mut held) }
    });
    let mut config = closed(&postman, 4, 1, 1);
    config.pacing = open_loop(200.0);
    config.stop = Stop::After(Duration::from_millis(500));
    config.timeout = Duration::from_millis(100);
    let (load, datagrams) = counted(&config);
    assert_eq!((load.requests.sent, load.requests.completed, datagrams.lost), (100, 100, 0));
    assert_eq!((datagrams.received, datagrams.duplicated), (100, 0));
    // Those of the first 150 ms, and nothing of the second half; a busy machine holds some up.
    assert!((25..=60).contains(&datagrams.late), "{datagrams:?}");
    // From the intended start, which may lie before the sending.
    assert!(load.requests.late >= datagrams.late);
    assert!(load.latency_ns.max >= Some(240_000_000));
}

#[test]
fn sockets_come_from_the_addresses_that_are_named() {
    let seen = Arc::new(Mutex::new(BTreeMap::new()));
    let book = Arc::clone(&seen);
    let postman = Postman::start(Family::Udp, move |_, message, route| {
        let ip = route.peer.ip().unwrap().ip().to_string();
        *book.lock().unwrap().entry(ip).or_insert(0) += 1;
        vec![(route, message.to_vec())]
    });
    let mut config = closed(&postman, 4, 1, 400);
    config.sources = Some("127.0.0.2,127.0.0.3".parse().unwrap());
    (config.threads, config.requests_per_connection) = (2, NonZeroU64::new(10));
    let (load, datagrams) = counted(&config);
    assert_eq!((load.requests.completed, datagrams), (400, without_trouble(400)));
    assert_eq!(load.config.source.as_deref(), Some("127.0.0.2,127.0.0.3"));
    let seen = seen.lock().unwrap();
    // The two threads of a closed loop may go at different speeds; one of them has one of the addresses.
    assert!(seen.len() == 2 && seen.values().sum::<u64>() >= 400, "{seen:?}");
}

#[test]
fn an_abort_closes_the_socket_behind_its_request() {
    let postman = Postman::start(Family::Unixgram, |_, message, route| {
        // By now the client that goes has gone.
        sys::clock::sleep(Duration::from_millis(2));
        vec![(route, message.to_vec())]
    });
    let mut config = closed(&postman, 2, 1, 60);
    config.aborts = loadgen::abort::Plan::new(vec!["after-request:30%".parse().unwrap()]).unwrap();
    let (load, datagrams) = counted(&config);
    let aborted = load.requests.aborted;
    assert!(aborted > 5 && load.aborts.by_kind["after-request:fin"] == aborted);
    assert_eq!((load.requests.completed, datagrams.sent), (60 - aborted, 60));
    assert_eq!(load.connections.made, aborted);
    let returned = postman.returned.load(SeqCst);
    assert!(returned > 0 && returned <= aborted, "{returned} of {aborted}");
}

/// How a run ends in which one client in five leaves by plan, and every third datagram gets the answer that `spoil` makes of it.
fn beside_aborts(family: Family, fail_on: &str, spoil: fn(&[u8]) -> Option<Vec<u8>>) -> (Option<i32>, Load) {
    let postman = Postman::start(family, move |n, message, route| {
        let answer = if n % 3 == 1 { spoil(message) } else { Some(message.to_vec()) };
        answer.map(|bytes| (route, bytes)).into_iter().collect()
    });
    let plan = ["--abort", "after-request:20%:fin", "--timeout", "60ms", "-n", "60", "-c", "4"];
    let args = [&plan[..], &["-q", "--json", "-", "--fail-on", fail_on, &postman.url]].concat();
    let run = output(&args);
    (run.status.code(), serde_json::from_slice(&run.stdout).unwrap())
}

/// With planned misbehaviour as without: loss is shown, and is trouble where that was asked for alone; wrong answers are, and silence is.
#[test]
fn loss_beside_planned_ends_is_loss_and_no_trouble() {
    for family in FAMILIES {
        for (fail_on, exit) in [("trouble", 0), ("collateral", 0), ("unanswered", 1), ("errors", 1)] {
            let (code, load) = beside_aborts(family, fail_on, |_| None);
            assert_eq!(code, Some(exit), "{family} {fail_on} {:?}", load.errors);
            let lost = load.datagrams.as_ref().unwrap().lost;
            assert!(lost > 0 && load.aborts.done > 0, "{:?}", load.requests);
            assert_eq!((load.collateral_errors, errors(&load, "timeout", "no-reply")), (0, lost));
        }
        let (code, load) = beside_aborts(family, "trouble", |message| {
            let mut wrong = message.to_vec();
            *wrong.last_mut()? ^= 1;
            Some(wrong)
        });
        assert!(code == Some(1) && load.collateral_errors > 0, "{family} {code:?} {:?}", load.errors);
    }
}

#[test]
fn silence_and_refusal_beside_planned_ends_are_trouble() {
    let plan = ["-q", "--abort", "after-request:20%:fin", "--timeout", "60ms", "-n", "20", "-c", "2"];
    for family in FAMILIES {
        let mute = Postman::start(family, |_, _, _| Letters::new());
        assert_eq!(output(&[&plan[..], &[&mute.url]].concat()).status.code(), Some(3), "{family}");
        // It answers ten and is gone.
        let leaving = Postman::until(&crate::postman::fresh(family), |n, message, route| {
            (n < 10).then(|| vec![(route, message.to_vec())])
        });
        let run = output(&[&plan[..], &["--json", "-", &leaving.url]].concat());
        let load: Load = serde_json::from_slice(&run.stdout).unwrap();
        assert_eq!(run.status.code(), Some(1), "{family} {:?}", load.errors);
        assert!(load.datagrams.is_some_and(|d| d.refused > 0) && load.collateral_errors > 0, "{family}");
    }
}

#[test]
fn a_socket_of_few_requests_is_followed_by_another() {
    for family in FAMILIES {
        let postman = Postman::echo(family);
        let mut config = closed(&postman, 2, 1, 60);
        config.requests_per_connection = NonZeroU64::new(3);
        let (load, datagrams) = counted(&config);
        assert_eq!((datagrams, load.requests.completed), (without_trouble(60), 60));
        assert!((18..=20).contains(&load.connections.made), "{:?}", load.connections);
    }
}

#[test]
fn who_thinks_asks_no_more_often_than_that() {
    let postman = Postman::echo(Family::Udp);
    let mut config = closed(&postman, 4, 1, 1);
    config.think = loadgen::draw::Draw::parse_time("20ms").ok();
    config.stop = Stop::After(Duration::from_millis(300));
    let (load, _) = counted(&config);
    // Four sockets, 15 rests each at the most; a busy machine makes it fewer.
    assert!((8..=64).contains(&load.requests.completed), "{:?}", load.requests);
}

#[test]
fn raw_datagrams_are_said_and_checked() {
    let postman = Postman::start(Family::Udp, |_, message, route| {
        let n = String::from_utf8_lossy(message).trim_start_matches("get ").to_owned();
        vec![(route, format!("VALUE {n}").into_bytes())]
    });
    let args = ["--send", "get {seq}", "--expect", "bytes:VALUE {seq}", "-n", "40", "-c", "2"];
    let load = checked(&[&args[..], &[&postman.url]].concat());
    assert_eq!((load.requests.completed, load.datagrams), (40, Some(without_trouble(40))));
    let args = ["--send", "get {seq}", "--expect", "bytes:VALUES", "-n", "10", "-c", "2"];
    let load = checked(&[&args[..], &[&postman.url]].concat());
    assert_eq!((load.requests.failed, errors(&load, "content", "wrong-content")), (10, 10));
}

#[test]
fn the_result_says_what_became_of_the_datagrams() {
    let postman = Postman::start(Family::Udp, |n, message, route| match n % 10 {
        0 => Letters::new(),
        _ => vec![(route, message.to_vec())],
    });
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("metrics");
    let output = output(&[
        &postman.url,
        "-n",
        "50",
        "-c",
        "5",
        "--timeout",
        "50ms",
        "--openmetrics",
        file.to_str().unwrap(),
    ]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("datagrams: 50 sent, 45 received, 10.0000 % lost, 5 lost"), "{text}");
    assert!(text.contains("5 sockets"), "{text}");
    let metrics = std::fs::read_to_string(file).unwrap();
    assert!(metrics.contains("loadgen_datagram_troubles_total{what=\"lost\"} 5"), "{metrics}");
}
