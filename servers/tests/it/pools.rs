//! What only pools have: workers that die, that take turns, that are fewer than the clients. Not here: what all models must do.

use crate::fixture::{Server, eventually, exchange, read_to_end, state};
use std::net::Shutdown;
use sys::spawn::Begin;

const WORKERS: usize = 4;

fn start(model: &str) -> Server {
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
fn sleeps(workers: &[String]) -> Vec<u64> {
    eventually("all workers wait", || workers.iter().all(|w| state(w) == Some('S')).then_some(()));
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
    let mut before = sleeps(&workers);
    let mut woken = Vec::new();
    for _ in 0..connections {
        let mut stream = server.connect();
        stream.shutdown(Shutdown::Write).unwrap();
        assert_eq!(read_to_end(&mut stream), b"");
        let after = sleeps(&workers);
        woken.push((0..workers.len()).filter(|&i| after[i] > before[i]).collect());
        before = after;
    }
    woken
}

/// models.md 2.1: blocking accept wakes one worker a connection, and each in its turn.
fn accept_is_exactly_even(model: &str) {
    let woken = woken(&start(model), 5 * WORKERS);
    let order: Vec<usize> = woken.iter().map(|w| w[0]).collect();
    assert!(woken.iter().all(|w| w.len() == 1), "{model}: more than one was woken: {woken:?}");
    assert!(order.iter().zip(&order[WORKERS..]).all(|(a, b)| a == b), "{model}: not in turn: {order:?}");
    assert!((0..WORKERS).all(|w| order.iter().filter(|&&o| o == w).count() == 5), "{model}: {order:?}");
}

#[test]
fn blocking_accept_is_exactly_even_over_processes() {
    accept_is_exactly_even("prefork");
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
    let server = start("prefork");
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
    server.canary();
}

#[test]
fn no_worker_outlives_a_killed_parent() {
    for model in pools(true) {
        let mut server = start(model);
        let workers = workers(&server);
        server.signal(sys::process::SIGKILL);
        server.ended();
        // Whoever adopts them may take its time to reap them.
        eventually("the workers are gone", || {
            workers.iter().all(|w| matches!(state(w), None | Some('Z'))).then_some(())
        });
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
