//! Group 5, SIGPIPE: writing to a peer that is gone.

use super::super::case::{BASE, Case, LASTING, Level, Need, Outcome, SIZABLE, STREAMS};
use super::super::fault::Fault;
use super::super::freeze::Frozen;
use super::super::peer::Peer;
use super::super::scene::Scene;
use service::{Kind, MAX_REPLY};
use std::time::Duration;

/// 5.1
pub(super) static FIN: Case = Case {
    id: "sigpipe/fin",
    families: STREAMS,
    number: "5.1",
    level: Level::Must,
    needs: Need::Address,
    services: SIZABLE,
    sizes: true,
    quick: true,
    requirement: "A client that closes before it is answered does not end the server (UNP 5.13; send(2), EPIPE and MSG_NOSIGNAL)",
    acceptable: "the server, and every worker, lives; NON-STRICT where a worker died and was replaced",
    probe: fin,
    ..BASE
};

/// An answer that no send buffer holds, so that the server must write again after the client's kernel has answered with RST.
/// The first write after FIN succeeds; only the next meets EPIPE (measured: conformance.md, section 2, 1).
const ANSWER: u64 = MAX_REPLY;
/// What fits a fresh receive window while the server is stopped: several writes for a server that reads less at a time.
const FRESH: u64 = 48 * 1024;
/// What fits the window once the kernel has widened it for a connection that moved bulk: also for large read buffers.
const WIDENED: u64 = 256 * 1024;
/// Bulk that widens it.
const WARM_UP: u64 = 4 << 20;
/// How long the FIN may take to be acknowledged.
const ARRIVES: Duration = Duration::from_millis(100);

fn fin(scene: &mut Scene<'_>) -> Result<Outcome, Fault> {
    let rounds = scene.count(20, 6);
    let mut proven = 0;
    for n in 0..rounds {
        proven += u64::from(leave(scene, n)?);
        // The server has then seen the write fail, or soon will: the aftermath looks once more.
        let canary = scene.target()?.canary(1_000 + n);
        if let Some(how) = scene.running()?.ended() {
            return Ok(Outcome::Violates(format!("the server {how} when client {} had closed", n + 1)));
        }
        canary.map_err(|f| f.during(format!("a fresh connection, after {} clients had closed", n + 1)))?;
    }
    if proven == 0 {
        return Ok(Outcome::Inconclusive("no FIN was seen to arrive before the answer".to_owned()));
    }
    Ok(Outcome::Holds(format!("{proven} of {rounds} clients were gone before their answers were written")))
}

/// One client that asks, sends FIN and is gone; says whether its FIN was proven to have arrived before it went (FIN_WAIT2).
fn leave(scene: &mut Scene<'_>, n: u64) -> Result<bool, Fault> {
    let target = scene.target()?;
    let mut peer = Peer::connect(&target, n)?;
    let echo = target.kind == Kind::Echo;
    let bytes = match (echo, n % 3) {
        (false, _) => ANSWER,
        (true, 0 | 2) => FRESH,
        (true, _) => {
            peer.exchange(WARM_UP).map_err(|f| f.during("bulk before the client leaves"))?;
            WIDENED
        }
    };
    let mut pending = peer.prepare(bytes);
    // Where the process is known, everything arrives while it is stopped: no race is left.
    let frozen = Frozen::tree(scene.running()?)?;
    if frozen.is_some() {
        peer.fill(&mut pending.out, u64::MAX, Duration::from_millis(50))?;
        peer.finish()?;
    } else {
        peer.send_and_finish(&mut pending)?;
    }
    let arrived = peer.fin_arrived(ARRIVES);
    drop(peer);
    drop(frozen);
    Ok(arrived)
}

/// 5.3
pub(super) static RST: Case = Case {
    id: "sigpipe/rst",
    number: "5.3",
    level: Level::Must,
    needs: Need::Address,
    services: SIZABLE,
    sizes: true,
    requirement: "A client that resets before it is answered does not end the server (send(2), ECONNRESET, then EPIPE)",
    acceptable: "the server, and every worker, lives",
    probe: rst,
    ..BASE
};

fn rst(scene: &mut Scene<'_>) -> Result<Outcome, Fault> {
    let rounds = scene.count(20, 6);
    for n in 0..rounds {
        let target = scene.target()?;
        let mut peer = Peer::connect(&target, n)?;
        let mut pending = peer.prepare(if target.kind == Kind::Echo { FRESH } else { ANSWER });
        let frozen = Frozen::tree(scene.running()?)?;
        peer.fill(&mut pending.out, u64::MAX, Duration::from_millis(50))?;
        peer.reset();
        drop(frozen);
        let canary = target.canary(1_000 + n);
        if let Some(how) = scene.running()?.ended() {
            return Ok(Outcome::Violates(format!("the server {how} when client {} had reset", n + 1)));
        }
        canary.map_err(|f| f.during(format!("a fresh connection, after {} clients had reset", n + 1)))?;
    }
    Ok(Outcome::Holds(format!("{rounds} clients reset before their answers were written")))
}

/// 5.4
pub(super) static DISPOSITION: Case = Case {
    id: "sigpipe/disposition",
    families: STREAMS,
    number: "5.4",
    level: Level::Info,
    needs: Need::Pid,
    services: LASTING,
    requirement: "How the server guards against SIGPIPE, read from SigIgn and SigCgt in /proc/PID/status (proc(5))",
    acceptable: "INFO: ignored, caught, or the default (then by MSG_NOSIGNAL, if 5.1 holds)",
    probe: disposition,
    ..BASE
};

/// SIGPIPE is 13, bit 12 of the masks.
const SIGPIPE_BIT: u64 = 1 << 12;

fn disposition(scene: &mut Scene<'_>) -> Result<Outcome, Fault> {
    let pid = scene.process()?.pid;
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).map_err(Fault::harness)?;
    let has = |name: &str| {
        let mask = status.lines().find_map(|l| l.strip_prefix(name)).unwrap_or_default();
        u64::from_str_radix(mask.trim(), 16).is_ok_and(|mask| mask & SIGPIPE_BIT != 0)
    };
    let text = match (has("SigIgn:"), has("SigCgt:")) {
        (true, _) => "SIGPIPE is ignored",
        (false, true) => "SIGPIPE is caught",
        (false, false) => "SIGPIPE has its default action: death, but for MSG_NOSIGNAL",
    };
    Ok(Outcome::Info(text.to_owned()))
}
