//! Group 6, backpressure and fairness: one client's trouble is its own.

use super::super::case::{Case, Level, Need, Outcome, SIZABLE, STREAMS};
use super::super::fault::Fault;
use super::super::peer::Peer;
use super::super::scene::Scene;
use super::super::target::Target;
use service::Kind;
use std::time::{Duration, Instant};

/// 6.1
pub(super) static SLOW_READER: Case = Case {
    id: "fair/slow-reader",
    families: STREAMS,
    number: "6.1",
    level: Level::Must,
    needs: Need::Address,
    services: SIZABLE,
    sizes: true,
    lasting: true,
    timing: true,
    alone: true,
    quick: true,
    requirement: "A client that does not read its answers holds up nobody else (epoll(7): non-blocking descriptors; Astron #206)",
    acceptable: "others are answered within 10 times their usual worst, or that of the control, plus 50 ms, at least 250 ms",
    probe: slow_reader,
};

/// Others that ask meanwhile.
pub(super) const OTHERS: u64 = 4;
/// Each of them asks this often.
const EVERY: Duration = Duration::from_millis(40);
/// Below this, lateness may be the scheduler's on a shared machine; a server that blocks is late by seconds.
const FLOOR: Duration = Duration::from_millis(250);

fn slow_reader(scene: &mut Scene<'_>) -> Result<Outcome, Fault> {
    if scene.serial() {
        return Ok(Outcome::Info("serial: everybody waits for the client in hand".to_owned()));
    }
    let target = scene.target()?;
    let time = Duration::from_millis(scene.count(1_500, 400));
    let others = scene.at_once(OTHERS);
    let usual = lateness(&target, others, time / 2)?;
    let control = {
        let _stuck = get_stuck(&scene.control.target)?;
        lateness(&scene.control.target, others, time / 2)?
    };
    let bound = bound(usual, control);
    let stuck = get_stuck(&target)?;
    if stuck.unread() == 0 {
        return Ok(Outcome::Inconclusive(
            "no answer was under way to the client that does not read".to_owned(),
        ));
    }
    let worst = match lateness(&target, others, time) {
        Ok(worst) => worst,
        Err(fault) if fault.is_silence() => {
            return Ok(Outcome::Violates(format!("with one client that does not read, another: {fault}")));
        }
        Err(fault) => return Err(fault.during("another client, beside one that does not read")),
    };
    drop(stuck);
    let text = format!(
        "worst answer {:.1} ms beside a client that does not read, {:.1} ms without; allowed {:.0} ms",
        ms(worst),
        ms(usual),
        ms(bound)
    );
    Ok(if worst > bound { Outcome::Violates(text) } else { Outcome::Holds(text) })
}

/// How late an answer may be beside a trouble-maker, by what is usual without it and for the control.
pub(super) fn bound(usual: Duration, control: Duration) -> Duration {
    (usual.max(control) * 10 + Duration::from_millis(50)).max(FLOOR)
}

pub(super) fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}

/// A client that has asked for more than any buffer holds, and reads none of it.
fn get_stuck(target: &Target) -> Result<Peer, Fault> {
    let mut peer = Peer::connect_with(target, 900, Some(4_096))?;
    let quiet = Duration::from_millis(50);
    if target.kind == Kind::Echo {
        let mut pending = peer.prepare(64 << 20);
        peer.fill(&mut pending.out, u64::MAX, quiet)?;
    } else {
        for _ in 0..2 {
            let mut pending = peer.prepare(service::MAX_REPLY);
            peer.fill(&mut pending.out, u64::MAX, quiet)?;
        }
        sys::clock::pause(quiet);
    }
    Ok(peer)
}

/// The slowest answer that `clients` clients get within `time`.
pub(super) fn lateness(target: &Target, clients: u64, time: Duration) -> Result<Duration, Fault> {
    let mut others = Vec::new();
    for n in 0..clients {
        others.push(Peer::connect(target, n)?);
    }
    let end = Instant::now() + time;
    let mut worst = Duration::ZERO;
    while Instant::now() < end {
        let round = Instant::now();
        for peer in &mut others {
            let start = Instant::now();
            peer.exchange(64)?;
            worst = worst.max(start.elapsed());
        }
        sys::clock::pause(EVERY.saturating_sub(round.elapsed()));
    }
    Ok(worst)
}
