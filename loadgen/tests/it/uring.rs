//! What io_uring alone brings up: buffers that run out, operations that hold a closed connection open, a kernel that forbids it. Not
//! here: what holds for both engines, which the other tests ask of both.

use crate::peer::Peer;
use crate::{check_accounting, cli, config, over_uring};
use loadgen::abort::Plan;
use loadgen::{Mechanism, Stop, run};
use service::Kind;
use std::io::Read as _;
use std::num::NonZeroU64;
use std::sync::mpsc::channel;
use std::time::Duration;
use sys::spawn::Begin;

#[test]
fn where_it_is_forbidden_one_line_says_so_and_the_exit_is_3() {
    let peer = Peer::echo();
    let url = format!("tcp://{}", peer.address);
    let run = |engine: &str| {
        let mut command = cli::command(&["-q", "-n", "20", "--engine", engine, &url]);
        sys::spawn::prepare(&mut command, &Begin { forbid_uring: true, ..Begin::default() });
        command.output().unwrap()
    };
    let output = run("uring");
    let text = cli::stderr(&output);
    assert_eq!(output.status.code(), Some(3), "{text}");
    assert!(
        text.lines().count() == 1 && text.contains("forbidden") && text.contains("--engine epoll"),
        "{text}"
    );
    assert!(output.stdout.is_empty());
    assert_eq!(run("epoll").status.code(), Some(0));
}

#[test]
fn replies_beyond_the_buffers_of_the_ring_are_all_received() {
    over_uring(|| {
        let peer = Peer::service(service::sized::SizedService::default());
        let mut config = config(&peer, Kind::Sized);
        // 16 replies of 1 MiB are on their way at a time, and the ring has 64 buffers of 16 KiB.
        config.connections = 16;
        config.ask.size = 1 << 20;
        config.stop = Stop::Requests(200);
        config.timeout = Duration::from_secs(20);
        let load = run(&config).unwrap();
        check_accounting(&load);
        assert_eq!((load.requests.completed, load.errors.len()), (200, 0), "{:?}", load.errors);
    });
}

#[test]
fn a_connection_that_is_let_go_ends_for_the_server_too() {
    over_uring(|| {
        for limit in [None, NonZeroU64::new(3)] {
            let (tell, ends) = channel();
            let peer = Peer::start(move |mut stream| {
                let mut buffer = [0; 4096];
                loop {
                    match stream.read(&mut buffer) {
                        Ok(n @ 1..) => std::io::Write::write_all(&mut stream, &buffer[..n])?,
                        end => return tell.send(end.map_err(|e| e.kind())).map_err(std::io::Error::other),
                    }
                }
            });
            let mut config = config(&peer, Kind::Echo);
            config.requests_per_connection = limit;
            config.stop = Stop::Requests(24);
            run(&config).unwrap();
            for _ in 0..peer.accepted.load(std::sync::atomic::Ordering::SeqCst) {
                assert_eq!(ends.recv_timeout(Duration::from_secs(10)).unwrap(), Ok(0), "{limit:?}");
            }
        }
    });
}

#[test]
fn both_engines_choose_the_same_requests_and_end_them_in_the_same_way() {
    over_uring(|| {
        let peer = Peer::service(service::http::Http::default());
        let rules = ["connect:4%", "mid-request:4%", "after-request:4%", "mid-response:4%", "idle:4%:fin"];
        let both = Mechanism::ALL.map(|engine| {
            let mut config = config(&peer, Kind::Http);
            config.engine = engine;
            config.aborts = Plan::new(rules.map(|rule| rule.parse().unwrap()).into()).unwrap();
            config.stop = Stop::Requests(1_000);
            let load = run(&config).unwrap();
            check_accounting(&load);
            load
        });
        let [epoll, uring] = &both;
        assert_eq!(epoll.aborts.by_kind, uring.aborts.by_kind);
        assert_eq!(epoll.requests.completed, uring.requests.completed);
        assert_eq!((epoll.config.engine.as_str(), uring.config.engine.as_str()), ("epoll", "uring"));
    });
}
