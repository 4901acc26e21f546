//! Who accepts: the accept topologies of the multi-loop models as the kernel makes them, without load. Not here: one-loop models.
//!
//! Sequential connections, each after every thread of the server has gone to sleep again: then the outcome is the kernel's rule
//! and not a race. (Cloudflare 2017; repeated for `reference/models.md` 2.1.)

use crate::fixture::{Server, eventually, exchange};
use servers::counters::{Counts, Reader};

/// What a run of connections showed.
#[derive(Debug)]
struct Run {
    workers: Vec<Counts>,
    /// Of each thread, how often the kernel switched to another meanwhile.
    switches: Vec<u64>,
}

impl Run {
    fn spurious(&self) -> u64 {
        self.workers.iter().map(|w| w.spurious).sum()
    }

    /// Threads that ran for nearly each of 30 connections.
    fn woken_always(&self) -> usize {
        self.switches.iter().filter(|&&n| n >= 27).count()
    }
}

/// Makes connections one after the other, holds `held` of them open, and returns what the workers have counted.
fn workers_after(connections: usize, keep: bool, model: &str, more: &[&str]) -> Run {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("counters");
    let args = [&["--workers", "4", "--counters", file.to_str().unwrap()], more].concat();
    let mut server = Server::with_stderr(model, "echo", &args);
    let reader = Reader::open(&file).unwrap();
    eventually("every thread sleeps", || server.all_asleep().then_some(()));
    let before = server.threads();
    let mut open = Vec::new();
    for _ in 0..connections {
        eventually("every thread sleeps", || server.all_asleep().then_some(()));
        let mut client = server.connect();
        assert_eq!(exchange(&mut client, b"x"), b"x");
        if keep {
            open.push(client);
        }
    }
    let switches = server.threads().iter().zip(before).map(|((_, n), (_, before))| n - before).collect();
    let (status, text) = server.stop_and_read();
    assert_eq!(status.code(), Some(0), "{text}");
    let workers = reader.read();
    assert_eq!(workers.len(), 4);
    assert_eq!(workers.iter().map(|w| w.accepted).sum::<u64>(), connections as u64, "{workers:?}");
    Run { workers, switches }
}

#[test]
fn exclusive_gives_nearly_all_to_one_and_wakes_nobody_in_vain() {
    let run = workers_after(30, false, "epoll-exclusive", &[]);
    let most = run.workers.iter().map(|w| w.accepted).max().unwrap();
    assert!(most > 27 && run.spurious() == 0 && run.woken_always() == 1, "{run:?}");
}

#[test]
fn a_shared_listener_wakes_the_herd() {
    // Whether a loop sees a wake-up for nothing, or the kernel looks again before it returns and sends the thread back to sleep,
    // is a race (ep_send_events): on a busy machine it is all the latter. The thread has run either way.
    let run = workers_after(30, false, "epoll-shared", &[]);
    assert_eq!(run.woken_always(), 4, "{run:?}");
}

#[test]
fn reuseport_uses_several_listeners_and_wakes_nobody_in_vain() {
    // All on one of four by chance: once in 4^29.
    let run = workers_after(30, false, "epoll-reuseport", &[]);
    let used = run.workers.iter().filter(|w| w.accepted > 0).count();
    assert!(used > 1 && run.spurious() == 0, "{run:?}");
}

#[test]
fn an_acceptor_hands_over_by_its_policy() {
    for policy in ["round-robin", "least-connections"] {
        let run = workers_after(12, true, "epoll-reactors", &["--hand-off", policy]);
        assert!(run.workers.iter().all(|w| w.accepted == 3), "{policy}: {run:?}");
    }
    let run = workers_after(12, true, "epoll-reactors", &["--hand-off", "two-choices"]);
    assert!(run.workers.iter().all(|w| w.accepted < 12), "{run:?}");
    // Nobody is there when the next one comes: the first seat is always the least loaded.
    let run = workers_after(12, false, "epoll-reactors", &["--hand-off", "least-connections"]);
    assert!(run.workers[0].accepted >= 8, "{run:?}");
}
