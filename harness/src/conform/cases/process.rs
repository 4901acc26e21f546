//! Group 10, process and thread hygiene.

use super::super::case::{ANY, BASE, Case, Level, Need, Outcome, STREAMS};
use super::super::evidence;
use super::super::fault::Fault;
use super::super::peer::Peer;
use super::super::scene::Scene;
use rand::RngExt as _;
use std::time::Duration;

/// 10.1
pub(super) static TREE_CLEAN: Case = Case {
    id: "proc/tree-clean",
    families: STREAMS,
    number: "10.1",
    level: Level::Must,
    needs: Need::Command,
    services: ANY,
    requirement: "Nothing of a server outlives it (tenzir #3998, rinetd #10)",
    acceptable: "no process left within 2 s after its end; NON-STRICT where one is left that holds no listener",
    probe: tree_clean,
    ..BASE
};

fn tree_clean(scene: &mut Scene<'_>) -> Result<Outcome, Fault> {
    let target = scene.target()?;
    let settle = scene.settle();
    let Some(mut child) = super::stop::ended(scene)? else {
        return Ok(Outcome::Inconclusive("it did not end on SIGTERM; see case 12.1".to_owned()));
    };
    if evidence::settle(settle, || child.tree().is_empty()) {
        return Ok(Outcome::Holds("nothing is left of it".to_owned()));
    }
    let left = child.tree();
    let holding = left.iter().filter(|id| evidence::holds_listener(id.pid, target.ip())).count();
    child.kill();
    let text = format!("{} of its processes are left, {holding} of them with its listener", left.len());
    Ok(if holding > 0 { Outcome::Violates(text) } else { Outcome::Tolerable(text) })
}

/// 10.6
pub(super) static GARBAGE: Case = Case {
    id: "proc/garbage",
    families: STREAMS,
    number: "10.6",
    level: Level::Must,
    needs: Need::Address,
    services: ANY,
    quick: true,
    requirement: "Bytes that mean nothing end their own connection at most (service rule S5; CPython ErrorHandlerTest)",
    acceptable: "alive, no worker lost, and (where stderr is read) no panic and no sanitizer's report",
    probe: garbage,
    ..BASE
};

/// Words by which a program says that it has a bug. A Python traceback is none: socketserver prints one for every client that
/// resets, and serves on.
const ALARMS: [&str; 5] =
    ["panicked at", "Sanitizer", "stack smashing", "buffer overflow detected", "panic: "];

/// The line by which a program says that it has a bug, if there is one.
pub(super) fn alarm(said: &str) -> Option<&str> {
    said.lines().find(|line| ALARMS.iter().any(|alarm| line.contains(alarm)))
}

fn garbage(scene: &mut Scene<'_>) -> Result<Outcome, Fault> {
    let target = scene.target()?;
    let rounds = scene.count(1_000, 100);
    let mut random = scene.random();
    let heard = scene.running()?.child.as_ref().map_or(0, |c| c.stderr().len());
    for n in 0..rounds {
        let mut peer = Peer::connect(&target, n).map_err(|f| f.during(format!("connection {}", n + 1)))?;
        let mut payload = vec![0_u8; random.random_range(1..=2_048)];
        random.fill(&mut payload[..]);
        match n % 4 {
            // Text that looks like something, and is cut.
            0 => {
                payload = b"GET /bytes/99999999999999999999 HTTP/1.1\r\nContent-Length: -1\r\n: \r\n\r\n"[..]
                    .iter()
                    .copied()
                    .take(random.random_range(1..=66))
                    .collect()
            }
            1 => payload.iter_mut().for_each(|b| *b = b"0123456789 =\r\nspinlep-+"[usize::from(*b) % 23]),
            2 => payload.push(b'\n'),
            _ => {}
        }
        // The server may close or reset in the middle; that is its right.
        let _ = peer.send(&payload);
        match random.random_range(0..3) {
            0 => peer.reset(),
            1 => {
                let _ = peer.finish();
                let _ = peer.drain(Duration::from_millis(5));
            }
            _ => drop(peer),
        }
        if n % 50 == 49
            && let Some(how) = scene.running()?.ended()
        {
            return Ok(Outcome::Violates(format!("the server {how} within {} messages of garbage", n + 1)));
        }
    }
    target
        .canary(rounds)
        .map_err(|f| f.during(format!("a fresh connection, after {rounds} messages of garbage")))?;
    let said = scene.running()?.child.as_ref().map(|c| c.stderr()).unwrap_or_default();
    let said = said.get(heard.min(said.len())..).unwrap_or(&said);
    if let Some(line) = alarm(said) {
        return Ok(Outcome::Violates(format!("stderr says: {line}")));
    }
    Ok(Outcome::Holds(format!("{rounds} messages of garbage, seed {}", scene.seed)))
}
