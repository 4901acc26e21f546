//! What only pools have: workers that die, that take turns, that are fewer than the clients. Not here: what all models must do.

use crate::fixture::{Server, eventually, exchange, read_to_end, state};
use std::net::Shutdown;
use sys::spawn::Begin;

const WORKERS: usize = 4;

fn start(model: &'static str) -> Server {
    Server::with(model, "echo", &["--workers", "4"], &Begin::default())
}

/// The models with a fixed number of workers, or those of them that are processes.
fn pools(processes: bool) -> impl Iterator<Item = &'static str> {
    let all = servers::MODELS.iter().map(|entry| entry.model);
    all.filter(move |m| m.capacity.workers().is_some() && (!processes || m.axes.isolation == "process"))
        .map(|m| m.name)
}

/// Folders in /proc of the workers: the children, or the threads but the first.
fn workers(server: &Server) -> Vec<String> {
    let children = server.child_pids();
    if !children.is_empty() {
        return children.iter().map(|pid| format!("/proc/{pid}")).collect();
    }
    let main = server.pid();
    let tasks = std::fs::read_dir(format!("/proc/{main}/task")).unwrap().flatten();
    let tids = tasks.map(|task| task.file_name().into_string().unwrap());
    tids.filter(|tid| *tid != main.to_string()).map(|tid| format!("/proc/{main}/task/{tid}")).collect()
}

/// Times each worker has gone to sleep, once all sleep: one whose number has grown has been woken.
fn sleeps(parent: &str, workers: &[String]) -> Vec<u64> {
    // A worker that reports to its parent has woken it before it sleeps itself.
    let all = || workers.iter().map(String::as_str).chain([parent]);
    eventually("all wait", || all().all(|w| state(w) == Some('S')).then_some(()));
    let count = |worker: &String| {
        let status = std::fs::read_to_string(format!("{worker}/status")).unwrap();
        let line = status.lines().find(|l| l.starts_with("voluntary_ctxt_switches")).unwrap().to_owned();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    };
    workers.iter().map(count).collect()
}

/// Which workers each of `connections` connections wakes, one connection after the other. The client sends nothing and reads the
/// server's close, so a worker waits in accept only; the next connection comes when it is there again.
fn woken(server: &Server, connections: usize) -> Vec<Vec<usize>> {
    let workers = workers(server);
    let parent = format!("/proc/{}", server.pid());
    let mut before = sleeps(&parent, &workers);
    let mut woken = Vec::new();
    for _ in 0..connections {
        let mut stream = server.connect();
        stream.shutdown(Shutdown::Write).unwrap();
        assert_eq!(read_to_end(&mut stream), b"");
        let after = sleeps(&parent, &workers);
        woken.push((0..workers.len()).filter(|&i| after[i] > before[i]).collect());
        before = after;
    }
    woken
}

/// Who served each of 20 connections, where each has woken one worker and no other.
fn order(server: &Server) -> Vec<usize> {
    let woken = woken(server, 5 * WORKERS);
    assert!(woken.iter().all(|w| w.len() == 1), "more than one was woken: {woken:?}");
    woken.concat()
}

fn is_in_turn(order: &[usize]) -> bool {
    order.iter().zip(&order[WORKERS..]).all(|(a, b)| a == b)
        && (0..WORKERS).all(|w| order.iter().filter(|&&o| o == w).count() == order.len() / WORKERS)
}

/// Linux wakes those who wait in accept first in, first out: one a connection, and exactly as many each.
#[test]
fn blocking_accept_is_exactly_even() {
    for model in ["prefork", "prethread"] {
        let order = order(&start(model));
        assert!(is_in_turn(&order), "{model}: {order:?}");
    }
}

/// With a lock, one is woken by the connection and one by the lock; first come, first served holds for the mutex of std and pthread
/// only while nobody overtakes, so nothing is said about who.
#[test]
fn a_mutex_round_accept_wakes_a_second_worker() {
    for model in ["prefork-mutex", "prethread-mutex"] {
        let woken = woken(&start(model), 5 * WORKERS);
        assert!(woken.iter().all(|w| w.len() == 2), "{model}: {woken:?}");
    }
}

#[test]
fn the_leader_names_the_follower_that_came_last() {
    let woken = woken(&start("leader-follower"), 5 * WORKERS);
    let mut all = woken.concat();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), 2, "{woken:?}");
}

#[test]
fn a_hash_wakes_one_worker_and_spreads_over_all() {
    let server = start("prefork-reuseport");
    let mut used = order(&server);
    used.extend(order(&server));
    used.extend(order(&server));
    // The chance that 60 fair throws miss one of four is 1 in 8 million.
    assert!((0..WORKERS).all(|w| used.contains(&w)), "{used:?}");
}

#[test]
fn the_parent_hands_out_by_the_policy_asked_for() {
    for (policy, even) in [("first-free", false), ("round-robin", true), ("least-connections", true)] {
        let more = ["--workers", "4", "--hand-off", policy];
        let order = order(&Server::with("prefork-fdpass", "echo", &more, &Begin::default()));
        let as_wanted = if even { is_in_turn(&order) } else { order.iter().all(|o| *o == order[0]) };
        assert!(as_wanted, "{policy}: {order:?}");
    }
}

#[test]
fn a_client_in_the_queue_outlives_the_worker_it_waits_for() {
    for model in pools(true) {
        let server = Server::with(model, "echo", &["--workers", "1"], &Begin::default());
        let mut served = server.connect();
        assert_eq!(exchange(&mut served, b"x"), b"x");
        let mut waiting = server.connect();
        sys::process::kill(server.child_pids()[0], sys::process::SIGKILL).unwrap();
        assert_eq!(exchange(&mut waiting, b"mine now"), b"mine now", "{model}");
    }
}

#[test]
fn a_connection_that_a_dying_worker_has_not_taken_goes_to_another() {
    let server = Server::with("prefork-fdpass", "echo", &["--workers", "2"], &Begin::default());
    for _ in 0..3 {
        // First free: while nobody is served it is the first of those that are free, whichever that is by now.
        let free = server.child_pids();
        for pid in &free {
            sys::process::kill(*pid, sys::process::SIGSTOP).unwrap();
        }
        eventually("they are halted", || server.children().iter().all(|s| *s == 'T').then_some(()));
        let mut halted = server.connect();
        // Handed over, for the parent has taken it out of the queue: it waits again.
        eventually("the parent waits", || {
            (state(&format!("/proc/{}", server.pid())) == Some('S')).then_some(())
        });
        for pid in &free {
            sys::process::kill(*pid, sys::process::SIGKILL).unwrap();
        }
        assert_eq!(exchange(&mut halted, b"not lost"), b"not lost");
        eventually("both are replaced", || {
            let now = server.child_pids();
            (now.len() == 2 && now.iter().all(|pid| !free.contains(pid))).then_some(())
        });
    }
}

#[test]
fn what_is_queued_when_the_order_to_stop_comes_is_served() {
    for model in pools(false) {
        let more = ["--workers", "1", "--work", "sleep:50ms"];
        let mut server = Server::with(model, "greeting", &more, &Begin::default());
        let mut clients: Vec<_> = (0..4).map(|_| server.connect()).collect();
        server.signal(sys::process::SIGTERM);
        for client in &mut clients {
            assert_eq!(read_to_end(client), b"thank you for connecting\n", "{model}");
        }
        assert_eq!(server.ended().0.code(), Some(0), "{model}");
    }
}

/// A worker that is busy keeps the process, not the address: once the queue is empty, newcomers are refused. Where each worker has
/// a queue of its own, that of a busy one cannot be known to be empty.
#[test]
fn a_stopping_pool_refuses_newcomers_while_it_drains() {
    for model in pools(false).filter(|model| *model != "prefork-reuseport") {
        let mut server = Server::with(model, "sized", &["--workers", "4"], &Begin::default());
        let mut slow = server.connect();
        std::io::Write::write_all(&mut slow, b"16777216\n").unwrap();
        std::io::Read::read_exact(&mut slow, &mut [0; 1]).unwrap();
        server.signal(sys::process::SIGTERM);
        eventually("newcomers are refused", || {
            std::net::TcpStream::connect(server.url.ip().unwrap()).is_err().then_some(())
        });
        assert_eq!(read_to_end(&mut slow).len(), 16_777_215, "{model}");
        assert_eq!(server.ended().0.code(), Some(0), "{model}");
    }
}

#[test]
fn three_times_as_many_clients_as_workers_are_all_served() {
    for model in pools(false) {
        let mut server = start(model);
        let clients: Vec<_> = (0..3 * WORKERS).map(|_| server.connect()).collect();
        let served: Vec<_> = clients
            .into_iter()
            .map(|mut client| {
                std::thread::spawn(move || assert_eq!(exchange(&mut client, b"in turn"), b"in turn"))
            })
            .collect();
        served.into_iter().for_each(|client| client.join().unwrap());
        assert_eq!(server.stop().0.code(), Some(0), "{model}");
    }
}

#[test]
fn a_killed_worker_is_replaced_and_the_others_notice_nothing() {
    for model in pools(true) {
        let server = start(model);
        let before = server.child_pids();
        assert_eq!(before.len(), WORKERS, "{model}");
        let mut held = server.connect();
        assert_eq!(exchange(&mut held, b"x"), b"x");
        // The holder of the connection has a descriptor more than it had, and one more than the others.
        let descriptors = |pid: &i32| std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count();
        let holder = *before.iter().max_by_key(|pid| descriptors(pid)).unwrap();
        // One after the other, the one that has a lock in its hands included.
        for victim in before.iter().filter(|pid| **pid != holder) {
            sys::process::kill(*victim, sys::process::SIGKILL).unwrap();
            assert_eq!(exchange(&mut held, b"still here"), b"still here", "{model}");
        }
        eventually("the workers are replaced", || {
            let now = server.child_pids();
            let new = now.len() == WORKERS && before.iter().filter(|p| now.contains(p)).eq([&holder]);
            (new && !server.children().contains(&'Z')).then_some(())
        });
        drop(held);
        (0..2 * WORKERS).for_each(|_| server.canary());
    }
}

#[test]
fn workers_that_die_at_once_are_started_five_times_a_second_at_most() {
    let mut server = Server::with_stderr("prefork", "echo", &["--workers", "4"]);
    let start = std::time::Instant::now();
    let mut seen = std::collections::HashSet::new();
    // Ten deaths: five are made good at once, the others a second later.
    while seen.len() < 10 {
        for pid in server.child_pids() {
            if seen.len() < 10 && seen.insert(pid) {
                // One that is not reaped yet is no error.
                let _ = sys::process::kill(pid, sys::process::SIGKILL);
            }
        }
    }
    assert!(start.elapsed() >= std::time::Duration::from_millis(900), "{:?}", start.elapsed());
    // A dying worker may still take a connection with it.
    eventually("the dead are gone", || server.child_pids().iter().all(|p| !seen.contains(p)).then_some(()));
    server.canary();
    let (status, text) = server.stop_and_read();
    assert_eq!((status.code(), text.matches("end too fast").count()), (Some(0), 1), "{text}");
}

/// Live processes of the server's process group, which is its own.
fn group(leader: i32) -> usize {
    let all = std::fs::read_dir("/proc").unwrap().flatten();
    let stats = all.filter_map(|entry| std::fs::read_to_string(entry.path().join("stat")).ok());
    let fields =
        |stat: String| Some(stat.rsplit_once(") ")?.1.split(' ').map(str::to_owned).collect::<Vec<_>>());
    // Whoever adopts a process may take its time to reap it.
    stats.filter_map(fields).filter(|f| f[0] != "Z" && f[2] == leader.to_string()).count()
}

#[test]
fn no_worker_outlives_a_killed_parent() {
    for model in pools(true) {
        for round in 0..6 {
            let mut server = start(model);
            assert_eq!(group(server.pid()), 1 + WORKERS);
            if round > 0 {
                // The parent dies while it makes new workers: they have not asked yet to die with it.
                for pid in server.child_pids() {
                    sys::process::kill(pid, sys::process::SIGKILL).unwrap();
                }
            }
            server.signal(sys::process::SIGKILL);
            server.ended();
            eventually("the workers are gone", || (group(server.pid()) == 0).then_some(()));
        }
    }
}

#[test]
fn an_idle_pool_stops_at_once_and_leaves_no_worker() {
    for model in pools(false) {
        // Many times, since what is looked for is a worker that slept through the order.
        for _ in 0..20 {
            let mut server = start(model);
            let workers = workers(&server);
            let (status, took) = server.stop();
            assert_eq!(status.code(), Some(0), "{model}");
            // The grace is 5 s: one that was not woken would take that long.
            assert!(took < std::time::Duration::from_secs(2), "{model}: {took:?}");
            assert!(workers.iter().all(|w| state(w).is_none()), "{model}");
        }
    }
}
