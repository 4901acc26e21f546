//! Group 12, shutdown: those who come too late, those who wait to be accepted, and how the end itself is. Whether it ends: `stop`.

use super::super::case::{ANY, BASE, Case, Level, Need, Outcome, STREAMS};
use super::super::evidence;
use super::super::fault::{Fault, What};
use super::super::freeze::Frozen;
use super::super::peer::Peer;
use super::super::scene::Scene;
use super::process::alarm;
use super::stop::{CONNECTED, take, under_way};
use crate::spawn::{Child, identity};
use service::Kind;
use std::time::{Duration, Instant};

/// 12.3
pub(super) static REFUSE_NEW: Case = Case {
    id: "stop/refuse-new",
    number: "12.3",
    level: Level::Should,
    needs: Need::Command,
    services: &[Kind::Sized, Kind::Http],
    sizes: true,
    requirement: "Who comes after SIGTERM learns at once whether he is served (gunicorn #1221, envoy #8031)",
    acceptable: "refused, closed or served while an answer is still under way; not left waiting",
    probe: refuse_new,
    ..BASE
};

fn refuse_new(scene: &mut Scene<'_>) -> Result<Outcome, Fault> {
    let target = scene.target()?;
    if scene.serial() {
        return Ok(Outcome::Info(
            "serial: whoever comes waits for the client in hand, and for nothing after it".to_owned(),
        ));
    }
    let Some(busy) = under_way(scene, 1)? else {
        return Ok(Outcome::Inconclusive("no answer was under way".to_owned()));
    };
    let mut quick = target.clone();
    quick.reply = scene.pace.scale(Duration::from_secs(1));
    let mut child = take(scene)?;
    child.signal(identity::TERM);
    // It is to have seen the signal, and to be still there.
    sys::clock::pause(Duration::from_millis(100));
    let came = Peer::connect(&quick, 2).and_then(|mut peer| peer.exchange(64));
    let there = child.try_ended().is_none();
    drop(busy);
    Ok(match came {
        Ok(_) => Outcome::Holds("a newcomer is still served during the drain".to_owned()),
        Err(Fault { what: What::Refused, .. }) if there => {
            Outcome::Holds("a newcomer is refused during the drain".to_owned())
        }
        Err(Fault { what: What::Refused | What::Reset(_), .. }) if !there => {
            Outcome::Inconclusive("it ended at once, with the answer unsent; see case 12.2".to_owned())
        }
        Err(Fault { what: What::Reset(_) | What::Wrong(_), .. }) => {
            Outcome::Holds("a newcomer's connection is closed during the drain".to_owned())
        }
        Err(fault) if fault.is_silence() => {
            Outcome::Violates(format!("a newcomer during the drain: {fault}"))
        }
        Err(fault) => return Err(fault.during("a newcomer during the drain")),
    })
}

/// 12.5
pub(super) static QUEUED: Case = Case {
    id: "stop/queued",
    number: "12.5",
    level: Level::Info,
    needs: Need::Command,
    services: ANY,
    requirement: "What becomes of clients whose connection is complete and not yet accepted at SIGTERM (gunicorn #3612, granian #567)",
    acceptable: "INFO: how many of 16 are served, closed and reset; with SO_REUSEPORT some are lost by nature",
    probe: queued,
    ..BASE
};

/// Connections in the queue.
const QUEUE: u64 = 16;

fn queued(scene: &mut Scene<'_>) -> Result<Outcome, Fault> {
    let target = scene.target()?;
    let limit = scene.pace.scale(CONNECTED);
    let mut quick = target.clone();
    quick.reply = scene.pace.scale(Duration::from_millis(200));
    let Some(frozen) = Frozen::tree(scene.running()?)? else {
        return Err(Fault::harness("the subject has no process"));
    };
    let mut asked = Vec::new();
    for n in 0..QUEUE {
        let Ok(mut peer) = Peer::connect(&quick, n) else { break };
        let mut pending = peer.prepare(64);
        peer.fill(&mut pending.out, u64::MAX, Duration::ZERO)?;
        asked.push((peer, pending.within(target.reply)));
    }
    let waiting = evidence::queued(target.ip(), scene.running()?.id.map(|id| id.pid));
    let mut child = take(scene)?;
    child.signal(identity::TERM);
    drop(frozen);
    if waiting == 0 {
        return Ok(Outcome::Inconclusive("no connection was queued".to_owned()));
    }
    let (mut served, mut closed, mut reset, mut silent) = (0, 0, 0, 0);
    for (mut peer, mut pending) in asked {
        match peer.complete(&mut pending) {
            Ok(_) => served += 1,
            Err(Fault { what: What::Wrong(_), .. }) => closed += 1,
            Err(Fault { what: What::Reset(_) | What::Refused, .. }) => reset += 1,
            Err(fault) if fault.is_silence() => silent += 1,
            Err(fault) => return Err(fault),
        }
    }
    child.wait(limit);
    Ok(Outcome::Info(format!(
        "of {waiting} queued {served} served, {closed} closed, {reset} reset, {silent} left waiting"
    )))
}

/// 12.7
pub(super) static CLEAN_EXIT: Case = Case {
    id: "stop/clean-exit",
    number: "12.7",
    families: STREAMS,
    needs: Need::Command,
    services: ANY,
    requirement: "A server that is asked to end does so without a fault, and says nothing of one (nginx-tests Nginx.pm DESTROY)",
    acceptable: "no death by a fault, no panic and no sanitizer's report on stderr, after a client or two; told besides: what a second SIGTERM does to a drain",
    probe: clean_exit,
    ..BASE
};

fn clean_exit(scene: &mut Scene<'_>) -> Result<Outcome, Fault> {
    let limit = scene.pace.scale(CONNECTED);
    let target = scene.target()?;
    target.canary(1)?;
    let mut child = take(scene)?;
    child.signal(identity::TERM);
    if let Some(text) = bad_end(&mut child, limit) {
        return Ok(Outcome::Violates(text));
    }
    if !matches!(target.kind, Kind::Sized | Kind::Http) || target.path.is_some() {
        return Ok(Outcome::Holds("ends without a fault".to_owned()));
    }
    scene.subject.ensure()?;
    let Some(busy) = under_way(scene, 2)? else {
        return Ok(Outcome::Holds("ends without a fault".to_owned()));
    };
    let mut child = take(scene)?;
    child.signal(identity::TERM);
    sys::clock::pause(Duration::from_millis(100));
    let again = Instant::now();
    child.signal(identity::TERM);
    let hurried = child.wait(scene.pace.scale(Duration::from_secs(1))).is_some();
    let took = again.elapsed();
    // Without its reader the drain is over.
    drop(busy);
    let bad = bad_end(&mut child, limit);
    let second = if hurried {
        format!("a second SIGTERM ends a drain after {} ms", took.as_millis())
    } else {
        "a second SIGTERM does not hurry a drain".to_owned()
    };
    Ok(match bad {
        Some(text) => Outcome::Violates(format!("in a drain: {text}")),
        None => Outcome::Holds(format!("ends without a fault; {second}")),
    })
}

/// What is wrong with the end of a child that was asked for it, if something is.
fn bad_end(child: &mut Child, limit: Duration) -> Option<String> {
    // That it does not end is case 12.1's matter.
    let ended = child.wait(limit)?;
    if ended.killed_by.as_deref().is_some_and(|signal| signal != "SIGTERM") {
        return Some(ended.to_string());
    }
    evidence::settle(Duration::from_millis(500), || child.hung_up());
    alarm(&child.stderr()).map(|line| format!("stderr says: {line}"))
}
