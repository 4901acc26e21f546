//! Who accepts: the accept topologies as the kernel makes them, without load. Not here: what all models do alike.
//!
//! Sequential connections, each after the one before has ended and every worker of the server has gone to sleep again: then the outcome
//! is the kernel's rule and not a race. (Cloudflare 2017; repeated for `reference/models.md` 2.1, whose numbers these are.)

use crate::fixture::{Server, aloud, eventually, exchange};
use servers::counters::{Counts, Reader};

/// Connections and workers of the table in `reference/models.md` 2.1.
const CONNECTIONS: usize = 200;
const WORKERS: usize = 8;

/// What a run of connections showed.
#[derive(Debug)]
struct Run {
    workers: Vec<Counts>,
    /// Of each thread, how often the kernel switched to another meanwhile.
    switches: Vec<u64>,
}

impl Run {
    fn accepted(&self) -> Vec<u64> {
        self.workers.iter().map(|w| w.accepted).collect()
    }

    fn spurious(&self) -> u64 {
        self.workers.iter().map(|w| w.spurious).sum()
    }

    /// Threads that ran for nearly each of the table's connections.
    fn woken_always(&self) -> usize {
        self.switches.iter().filter(|&&n| n >= CONNECTIONS as u64 * 9 / 10).count()
    }

    /// Pearson's statistic against a spread in which all workers are alike.
    fn chi_squared(&self) -> f64 {
        let expected = CONNECTIONS as f64 / WORKERS as f64;
        self.accepted().iter().map(|&n| (n as f64 - expected).powi(2) / expected).sum()
    }
}

/// The table's row of a model.
fn row(model: &str) -> Run {
    workers_after(CONNECTIONS, false, model, &["--workers", &WORKERS.to_string()])
}

/// Makes connections one after the other, keeps them open or ends each, and returns what the workers have counted.
fn workers_after(connections: usize, keep: bool, model: &str, more: &[&str]) -> Run {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("counters");
    let args = [&["--counters", file.to_str().unwrap()], more].concat();
    let mut server = Server::with_stderr(model, "echo", &args);
    let reader = Reader::open(&file).unwrap();
    let ended = || reader.read().iter().map(Counts::all_ended).sum::<u64>();
    let rest = |over: usize| {
        eventually("the connection has ended and every worker sleeps", || {
            (ended() == over as u64 && server.all_asleep()).then_some(())
        });
    };
    rest(0);
    let before = server.threads();
    let mut open = Vec::new();
    for number in 0..connections {
        rest(if keep { 0 } else { number });
        let mut client = server.connect();
        assert_eq!(exchange(&mut client, b"x"), b"x");
        if keep {
            open.push(client);
        }
    }
    let switches = server.threads().iter().zip(before).map(|((_, n), (_, before))| n - before).collect();
    let (status, text) = server.stop_and_read();
    assert_eq!(status.code(), Some(0), "{text}");
    let run = Run { workers: reader.read(), switches };
    assert_eq!(run.accepted().iter().sum::<u64>(), connections as u64, "{run:?}");
    run
}

#[test]
fn blocking_accept_is_exactly_even() {
    for model in ["prefork", "prethread"] {
        let run = row(model);
        assert_eq!(run.accepted(), [25; WORKERS], "{model}: who has waited longest is woken (FIFO)");
        assert_eq!(run.spurious(), 0, "{model}: {run:?}");
    }
}

#[test]
fn exclusive_gives_nearly_all_to_one_and_wakes_nobody_in_vain() {
    let run = row("epoll-exclusive");
    let most = run.accepted().into_iter().max().unwrap();
    assert!(most > 180 && run.spurious() == 0 && run.woken_always() == 1, "{run:?}");
}

#[test]
fn a_shared_listener_wakes_the_herd() {
    let run = row("epoll-shared");
    assert_eq!(run.woken_always(), WORKERS, "each connection wakes all: {run:?}");
    // Seven of eight have run in vain. Whether their loops see it, or the kernel looks again before it returns and sends the thread
    // back to sleep, is a race (ep_send_events): on a quiet machine of two processors half of the connections show it.
    if run.spurious() == 0 {
        aloud(
            "epoll-shared: no wake-up in vain came as far as a loop; the machine is busy, or has one processor",
        );
    }
}

#[test]
fn reuseport_spreads_evenly_by_chance_and_wakes_nobody_in_vain() {
    for model in ["epoll-reuseport", "prefork-reuseport"] {
        let run = row(model);
        // With 7 degrees of freedom a uniform spread is beyond this once in 800,000 runs.
        assert!(run.chi_squared() < 40.0 && run.spurious() == 0, "{model}: {run:?}");
    }
}

#[test]
fn an_acceptor_hands_over_by_its_policy() {
    for policy in ["round-robin", "least-connections"] {
        let run = workers_after(12, true, "epoll-reactors", &["--workers", "4", "--hand-off", policy]);
        assert!(run.workers.iter().all(|w| w.accepted == 3), "{policy}: {run:?}");
    }
    let run = workers_after(12, true, "epoll-reactors", &["--workers", "4", "--hand-off", "two-choices"]);
    assert!(run.workers.iter().all(|w| w.accepted < 12), "{run:?}");
    // Nobody is there when the next one comes: the first seat is always the least loaded.
    let run =
        workers_after(12, false, "epoll-reactors", &["--workers", "4", "--hand-off", "least-connections"]);
    assert!(run.workers[0].accepted >= 8, "{run:?}");
}
