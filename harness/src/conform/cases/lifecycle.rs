//! Group 1, lifecycle: starting beside another, starting again, resting.

use super::super::case::{ANY, BASE, Case, LASTING, Level, Need, Outcome, STREAMS};
use super::super::evidence;
use super::super::fault::{Fault, What};
use super::super::peer::Peer;
use super::super::scene::Scene;
use super::super::subject::Origin;
use crate::spawn::sockets::{LISTEN, TIME_WAIT};
use std::time::{Duration, Instant};
use sys::spawn::Begin;

/// 1.2
pub(super) static BIND_CONFLICT: Case = Case {
    id: "life/bind-conflict",
    number: "1.2",
    level: Level::Must,
    needs: Need::Command,
    services: ANY,
    requirement: "A second instance on the same address fails and says so, and the first goes on (bind(2), EADDRINUSE)",
    acceptable: "exits non-zero with a message on stderr, the first answering all the while; INFO where both share the port",
    probe: bind_conflict,
    ..BASE
};

/// How long a second instance is waited for: two seconds are too strict, some try again for five (conformance.md, section 8).
const SECOND_WITHIN: Duration = Duration::from_secs(6);

fn bind_conflict(scene: &mut Scene<'_>) -> Result<Outcome, Fault> {
    let target = scene.target()?;
    let start = Instant::now();
    let second = scene.subject.launch(&Begin::default(), Some(&target.url), SECOND_WITHIN);
    let took = start.elapsed();
    target.canary(1).map_err(|f| f.during("the first instance, after the second was started"))?;
    match second {
        Ok(Some(child)) => {
            let pid = Some(child.pid());
            let listeners =
                evidence::rows_of(target.ip(), pid).iter().filter(|row| row.state == LISTEN).count();
            Ok(if listeners > 1 {
                Outcome::Info("shares the port: both instances listen (SO_REUSEPORT)".to_owned())
            } else if evidence::holds_listener(child.pid(), target.ip()) {
                Outcome::Violates("the second instance runs with the first one's listener".to_owned())
            } else {
                Outcome::Tolerable("the second instance stays up without the socket".to_owned())
            })
        }
        Ok(None) => Err(Fault::harness("nothing was started")),
        Err(fault) => judge_second(scene, fault, took),
    }
}

fn judge_second(scene: &Scene<'_>, fault: Fault, took: Duration) -> Result<Outcome, Fault> {
    use crate::spawn::SpawnError;
    let error = match fault.what {
        What::NotReady(error) => error,
        what => return Err(what.into()),
    };
    let SpawnError::NotReady { ended, stderr, .. } = *error else { return Err(Fault::harness(error)) };
    let ms = took.as_millis();
    Ok(match ended {
        None if matches!(scene.subject.origin, Origin::Foreign { .. }) => Outcome::Tolerable(format!(
            "the second instance is still there after {ms} ms, without the socket"
        )),
        None => Outcome::Violates(format!("the second instance neither listens nor ends within {ms} ms")),
        Some(ended) if ended.success() => {
            Outcome::Violates("the second instance exits with status 0, as if it had served".to_owned())
        }
        Some(ended) if ended.killed_by.is_some() => Outcome::Violates(format!("the second instance {ended}")),
        Some(ended) if stderr.trim().is_empty() => {
            Outcome::Tolerable(format!("{ended} without a word on stderr"))
        }
        Some(ended) => {
            let pace = scene.pace.scale(Duration::from_secs(5));
            let words = stderr.lines().next_back().unwrap_or_default().to_owned();
            if took <= pace {
                Outcome::Holds(format!("the second {ended} after {ms} ms: {words}"))
            } else {
                Outcome::Tolerable(format!("the second {ended} only after {ms} ms: {words}"))
            }
        }
    })
}

/// 1.3
pub(super) static RESTART_TIMEWAIT: Case = Case {
    id: "life/restart-timewait",
    alone: true,
    number: "1.3",
    level: Level::Must,
    needs: Need::Command,
    services: LASTING,
    quick: true,
    requirement: "A server can be started again at once on a port that still has connections in TIME_WAIT (socket(7), SO_REUSEADDR)",
    acceptable: "ready within 5 s on the same port, with a TIME_WAIT row there",
    probe: restart_timewait,
    ..BASE
};

fn restart_timewait(scene: &mut Scene<'_>) -> Result<Outcome, Fault> {
    let target = scene.target()?;
    let settle = scene.settle();
    let count = scene.beside(3);
    let mut peers = Vec::new();
    for n in 0..count {
        let mut peer = Peer::connect(&target, n)?;
        peer.exchange(64)?;
        peers.push(peer);
    }
    let Some(mut running) = scene.subject.take() else {
        return Err(Fault::harness("the subject does not run"));
    };
    if let Some(child) = &mut running.child {
        // Killed and not asked: its kernel sends FIN first, whatever the server would do, and whoever holds a connection ends too.
        child.kill();
    }
    for peer in &mut peers {
        peer.drain(settle)?;
    }
    drop(peers);
    if !evidence::settle(settle, || evidence::count_in_state(target.ip(), None, TIME_WAIT) > 0) {
        return Ok(Outcome::Inconclusive("no connection of the port is in TIME_WAIT".to_owned()));
    }
    let rows = evidence::count_in_state(target.ip(), None, TIME_WAIT);
    match scene.subject.start(&Begin::default(), Some(&target.url)) {
        Ok(()) => {
            scene.target()?.canary(9)?;
            Ok(Outcome::Holds(format!(
                "started again on port {} with {rows} rows in TIME_WAIT",
                target.ip().port()
            )))
        }
        Err(fault) => {
            let text = format!("not started again with {rows} rows in TIME_WAIT: {fault}");
            Ok(Outcome::Violates(text))
        }
    }
}

/// 1.6
pub(super) static IDLE_CPU: Case = Case {
    id: "life/idle-cpu",
    families: STREAMS,
    number: "1.6",
    level: Level::Must,
    needs: Need::Pid,
    services: ANY,
    timing: true,
    requirement: "A server with nothing to do rests, with and without idle connections (libuv test-tcp-unexpected-read.c)",
    acceptable: "runs or waits to run at most 2 % of the time; more is NON-STRICT, 50 % FAILED",
    probe: idle_cpu,
    ..BASE
};

/// Share of the time that an idle server may be busy: timers tick, and the kernel's accounts are not exact.
const REST: f64 = 0.02;
/// Idle connections beside which it is watched.
const IDLE: u64 = 50;

fn idle_cpu(scene: &mut Scene<'_>) -> Result<Outcome, Fault> {
    let target = scene.target()?;
    let window = Duration::from_millis(scene.count(1_000, 400));
    let running = scene.running()?;
    let least = |running: &super::super::subject::Running| {
        let first = evidence::busy_share(|| running.tree(), window);
        // The exchanges of the preparation may still have been echoing in its threads.
        if first <= REST { first } else { first.min(evidence::busy_share(|| running.tree(), window)) }
    };
    let empty = least(running);
    let mut peers = Vec::new();
    // Of a server that serves one at a time, so many as its queue takes.
    let idle = match scene.facts().backlog {
        Some(backlog) if scene.serial() => IDLE.min(backlog.into()),
        _ => scene.at_once(IDLE),
    };
    for n in 0..idle {
        match Peer::connect(&target, n) {
            Ok(peer) => peers.push(peer),
            Err(fault) if fault.is_silence() && scene.few() => break,
            Err(fault) => return Err(fault),
        }
    }
    let full = least(scene.running()?);
    let text = format!(
        "busy {:.1} % of the time, with {} idle connections {:.1} %",
        empty * 100.0,
        peers.len(),
        full * 100.0
    );
    let worst = empty.max(full);
    Ok(if worst >= 0.5 {
        Outcome::Violates(text)
    } else if worst > REST {
        Outcome::Tolerable(text)
    } else {
        Outcome::Holds(text)
    })
}
