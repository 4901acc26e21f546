//! Group 6, fairness under load: slow writers, greedy clients, newcomers. A client that does not read: `fair`.

use super::super::case::{BASE, Case, LASTING, Level, Outcome, SIZABLE, STREAMS};
use super::super::fault::Fault;
use super::super::peer::Peer;
use super::super::scene::Scene;
use super::super::subject::Nature;
use super::super::target::Target;
use super::fair::{OTHERS, bound, lateness, ms};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// 6.2
pub(super) static SLOW_WRITER: Case = Case {
    id: "fair/slow-writer",
    families: STREAMS,
    number: "6.2",
    level: Level::Should,
    services: LASTING,
    lasting: true,
    requirement: "Clients that send their requests byte by byte hold up nobody else (slowloris; hyper #368)",
    acceptable: "a canary is answered beside 48 of them; INFO where so many idle clients hold it up just as well, few being served at a time",
    probe: slow_writer,
    ..BASE
};

/// Fewer than the workers of a pool that is started to be checked.
const SLOW: u64 = 48;

fn slow_writer(scene: &mut Scene<'_>) -> Result<Outcome, Fault> {
    if scene.serial() {
        return Ok(Outcome::Info("serial: everybody waits for the client in hand".to_owned()));
    }
    let target = scene.target()?;
    let slow = scene.at_once(SLOW);
    let mut peers = (0..slow).map(|n| Peer::connect(&target, n)).collect::<Result<Vec<_>, _>>()?;
    if let Err(fault) = target.canary(500) {
        if !fault.is_silence() || scene.subject.nature == Nature::Concurrent {
            return Err(fault.during(format!("a canary beside {slow} idle clients")));
        }
        return Ok(Outcome::Info(format!("capacity below {slow}: idle clients hold it up as well")));
    }
    let mut requests = Vec::new();
    for peer in &mut peers {
        let bytes = peer.prepare(64).out.take(&[]);
        let (start, rest) = bytes.split_at(bytes.len() / 2);
        peer.send(start)?;
        requests.push(rest.to_vec());
    }
    let mut worst = Duration::ZERO;
    for round in 0..scene.count(5, 3) {
        let start = Instant::now();
        target.canary(501 + round).map_err(|f| f.during(format!("a canary beside {slow} slow writers")))?;
        worst = worst.max(start.elapsed());
        for (peer, rest) in peers.iter_mut().zip(&mut requests) {
            // The last byte stays, so that no request is ever whole.
            if rest.len() > 1 {
                peer.send(&[rest.remove(0)])?;
            }
        }
        sys::clock::pause(Duration::from_millis(50));
    }
    Ok(Outcome::Holds(format!("a canary answered within {:.1} ms beside {slow} slow writers", ms(worst))))
}

/// 6.3
pub(super) static GREEDY: Case = Case {
    id: "fair/greedy",
    families: STREAMS,
    number: "6.3",
    services: SIZABLE,
    sizes: true,
    lasting: true,
    timing: true,
    requirement: "A client that always has more to ask for leaves the others their turns (epoll(7), starvation; liburing #1043)",
    acceptable: "beside one that moves all it can, others are answered within 10 times their usual worst, or that of the control beside one, plus 50 ms, at least 250 ms",
    probe: greedy,
    ..BASE
};

/// What the greedy client moves at a time.
const GULP: u64 = 4 << 20;

fn greedy(scene: &mut Scene<'_>) -> Result<Outcome, Fault> {
    if scene.serial() {
        return Ok(Outcome::Info("serial: everybody waits for the client in hand".to_owned()));
    }
    let target = scene.target()?;
    let time = Duration::from_millis(scene.count(1_500, 400));
    let others = scene.at_once(OTHERS);
    let usual = lateness(&target, others, time / 4)?;
    let beside = |target: &Target| {
        with_busy(target, 1, 1, GULP, || lateness(target, others, time))
            .map_err(|f| f.during("beside a greedy client"))
    };
    let (control, _) = beside(&scene.control.target)?;
    let (worst, moved) = beside(&target)?;
    let bound = bound(usual, control);
    let text = format!(
        "worst answer {:.1} ms beside a client that moved {} MiB, {:.1} ms without; allowed {:.0} ms",
        ms(worst),
        (moved * GULP) >> 20,
        ms(usual),
        ms(bound)
    );
    Ok(match (worst > bound, moved) {
        (_, 0) => Outcome::Inconclusive("the greedy client moved nothing".to_owned()),
        (true, _) => Outcome::Violates(text),
        (false, _) => Outcome::Holds(text),
    })
}

/// Does `then` while `threads` threads keep `each` clients busy, `bytes` bytes an exchange; returns its result, and how many exchanges
/// there were. An error of the busy ones counts where `then` has none.
fn with_busy<T>(
    target: &Target,
    threads: u64,
    each: u64,
    bytes: u64,
    then: impl FnOnce() -> Result<T, Fault>,
) -> Result<(T, u64), Fault> {
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let busy = |thread: u64| {
            let over = &over;
            scope.spawn(move || {
                let number = |n| 1_000 * (thread + 1) + n;
                let mut peers =
                    (0..each).map(|n| Peer::connect(target, number(n))).collect::<Result<Vec<_>, _>>()?;
                let mut exchanges = 0;
                while !over.load(Ordering::Relaxed) {
                    for peer in &mut peers {
                        peer.exchange(bytes)?;
                        exchanges += 1;
                    }
                }
                Ok(exchanges)
            })
        };
        let handles: Vec<_> = (0..threads).map(busy).collect();
        let result = then();
        over.store(true, Ordering::Relaxed);
        let mut sum = 0;
        let mut first = None;
        for handle in handles {
            match handle.join().unwrap_or_else(|_| Err(Fault::harness("a busy client panicked"))) {
                Ok(exchanges) => sum += exchanges,
                Err(fault) => first = first.or(Some(fault)),
            }
        }
        let result = result?;
        match first {
            None => Ok((result, sum)),
            Some(fault) => Err(fault.during("a busy client")),
        }
    })
}

/// 6.4
pub(super) static NEW_UNDER_LOAD: Case = Case {
    id: "fair/new-under-load",
    families: STREAMS,
    number: "6.4",
    services: LASTING,
    lasting: true,
    timing: true,
    requirement: "A newcomer is served beside busy clients, and an old client beside a flood of newcomers (epoll(7), starvation)",
    acceptable: "both within 1 s, or 10 times the control's time: beside 32 busy clients, and beside two threads that connect without pause",
    probe: new_under_load,
    ..BASE
};

/// A second is what a user waits.
const SOON: Duration = Duration::from_secs(1);

fn new_under_load(scene: &mut Scene<'_>) -> Result<Outcome, Fault> {
    if scene.serial() {
        return Ok(Outcome::Info("serial: everybody waits for the client in hand".to_owned()));
    }
    let target = scene.target()?;
    let tries = scene.count(20, 8);
    let busy = scene.at_once(BUSY);
    let (control_new, control_old) = both(&scene.control.target, busy, tries)?;
    let (new, old) = both(&target, busy, tries)?;
    let text = format!(
        "a newcomer answered within {:.1} ms beside busy clients, an old client within {:.1} ms beside newcomers",
        ms(new),
        ms(old)
    );
    let late = new > SOON.max(control_new * 10) || old > SOON.max(control_old * 10);
    Ok(if late { Outcome::Violates(text) } else { Outcome::Holds(text) })
}

/// Busy clients beside which newcomers come.
const BUSY: u64 = 32;

/// The worst time of newcomers beside busy clients, and of an old client beside newcomers.
fn both(target: &Target, busy: u64, tries: u64) -> Result<(Duration, Duration), Fault> {
    let threads = busy.min(4);
    let (new, _) = with_busy(target, threads, busy / threads, 64, || {
        let mut worst = Duration::ZERO;
        for n in 0..tries {
            let start = Instant::now();
            target.canary(n).map_err(|f| f.during(format!("a newcomer beside {busy} busy clients")))?;
            worst = worst.max(start.elapsed());
            sys::clock::pause(Duration::from_millis(10));
        }
        Ok(worst)
    })?;
    let mut peer = Peer::connect(target, 900)?;
    peer.exchange(64)?;
    let over = AtomicBool::new(false);
    let old = std::thread::scope(|scope| {
        for thread in 0..2 {
            let over = &over;
            scope.spawn(move || {
                let mut number = thread * 100_000;
                // Whoever finds no room is not who is judged.
                while !over.load(Ordering::Relaxed) && target.canary(number).is_ok() {
                    number += 1;
                }
            });
        }
        let mut worst = Duration::ZERO;
        let result = (0..tries).try_for_each(|_| {
            let start = Instant::now();
            peer.exchange(64)?;
            worst = worst.max(start.elapsed());
            sys::clock::pause(Duration::from_millis(10));
            Ok(())
        });
        over.store(true, Ordering::Relaxed);
        result.map(|()| worst)
    });
    Ok((new, old.map_err(|f: Fault| f.during("an old client beside a flood of newcomers"))?))
}
