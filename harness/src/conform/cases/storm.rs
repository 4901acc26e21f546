//! Group 4, half-close and abort, from the server's side of the end: does it close, does it close well, and many at once. One client: `half`.

use super::super::case::{BASE, Case, LASTING, Level, Need, Outcome};
use super::super::evidence;
use super::super::fault::Fault;
use super::super::freeze::Frozen;
use super::super::peer::{End, Peer};
use super::super::scene::Scene;
use super::super::target::Target;
use super::fair::{bound, lateness, ms};
use crate::spawn::sockets::CLOSE_WAIT;
use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};
use service::Kind;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// 4.2
pub(super) static SERVER_CLOSES: Case = Case {
    id: "half/server-closes",
    number: "4.2",
    needs: Need::SameHost,
    requirement: "A server closes its side when the client has closed the other: no connection stays in CLOSE_WAIT (RFC 9293, 3.6; Thunder #1933)",
    acceptable: "none in CLOSE_WAIT after 2 s: closed after an answer, after a large one, and without a word",
    probe: server_closes,
    ..BASE
};

fn server_closes(scene: &mut Scene<'_>) -> Result<Outcome, Fault> {
    let target = scene.target()?;
    let settle = scene.settle();
    let pid = scene.running()?.id.map(|id| id.pid);
    let mut ways = vec![("without a word", None), ("after an answer", Some(64))];
    if target.sizable() {
        ways.push(("after 1 MiB", Some(1 << 20)));
    }
    for (how, bytes) in ways {
        let mut peer = Peer::connect(&target, 1)?;
        if let Some(bytes) = bytes {
            peer.exchange(bytes)?;
        }
        // The service may have closed first, which is well too.
        let _ = peer.finish();
        let Some(own) = peer.address() else { return Err(Fault::harness("a connection without an address")) };
        let waits = || {
            let rows = evidence::rows_of(target.ip(), pid);
            rows.iter().any(|row| row.remote.port() == own.port() && row.state == CLOSE_WAIT)
        };
        // What it still sends is taken, so that nothing but its own will keeps it from closing.
        let (end, _) = peer.drain(settle)?;
        if waits() && !evidence::settle(settle, || !waits()) {
            return Ok(Outcome::Violates(format!("a client that left {how} stays in CLOSE_WAIT")));
        }
        if end == End::Open {
            return Ok(Outcome::Violates(format!("a client that left {how} sees no end within {settle:?}")));
        }
    }
    Ok(Outcome::Holds("closes after the client has, and leaves nothing in CLOSE_WAIT".to_owned()))
}

/// 4.6
pub(super) static STORM: Case = Case {
    id: "abort/storm",
    timing: true,
    number: "4.6",
    services: LASTING,
    lasting: true,
    requirement: "Clients that break off in every way do not hurt those that go on (Jepsen's nemesis; Go TestTCPSpuriousConnSetupCompletion)",
    acceptable: "1000 of them beside 20 that check every byte: no error, and answers within 10 times their usual worst, or that of the control, plus 50 ms, at least 1 s; one at a time: survival",
    probe: storm,
    ..BASE
};

/// Those that go on.
const VICTIMS: u64 = 20;

fn storm(scene: &mut Scene<'_>) -> Result<Outcome, Fault> {
    let target = scene.target()?;
    let count = scene.count(1_000, 200);
    let seed = scene.seed;
    if scene.serial() {
        nemesis(&target, count, seed)?;
        target.canary(1).map_err(|f| f.during(format!("after {count} aborts")))?;
        return Ok(Outcome::Holds(format!(
            "serves after {count} aborts; one at a time, nobody was beside them"
        )));
    }
    let others = scene.at_once(VICTIMS);
    let usual = lateness(&target, others, Duration::from_millis(200))?;
    let control = lateness(&scene.control.target, others, Duration::from_millis(200))?;
    let over = AtomicBool::new(false);
    let (aborts, victims) = std::thread::scope(|threads| {
        let aborting = threads.spawn(|| {
            let result = nemesis(&target, count, seed);
            over.store(true, Ordering::Relaxed);
            result
        });
        let victims = beside(&target, others, &over);
        over.store(true, Ordering::Relaxed);
        (aborting.join().unwrap_or_else(|_| Err(Fault::harness("the storm panicked"))), victims)
    });
    if let Some(how) = scene.running()?.ended() {
        return Ok(Outcome::Violates(format!("the server {how} within {count} aborts")));
    }
    let (worst, answers) = victims.map_err(|f| f.during(format!("a client beside {count} aborts")))?;
    aborts?;
    // A process for each of a thousand clients takes its time on a busy machine; who is held up waits for longer than that.
    let bound = bound(usual, control).max(scene.reply() / 2);
    let text = format!(
        "{answers} answers beside {count} aborts, the worst after {:.1} ms, {:.1} ms without",
        ms(worst),
        ms(usual)
    );
    Ok(if worst <= bound {
        Outcome::Holds(text)
    } else if scene.control.pace().trusted() {
        Outcome::Violates(format!("{text}; allowed {:.0} ms", ms(bound)))
    } else {
        Outcome::Inconclusive(format!("{text}, and the control is slow too"))
    })
}

/// `count` clients, one after the other, that break off in a seeded mix of ways.
fn nemesis(target: &Target, count: u64, seed: u64) -> Result<(), Fault> {
    let mut random = SmallRng::seed_from_u64(seed);
    for n in 0..count {
        let mut peer =
            Peer::connect(target, 10_000 + n).map_err(|f| f.during(format!("abort {} of {count}", n + 1)))?;
        let mut pending = peer.prepare(if target.sizable() { 20_000 } else { 64 });
        let way = random.random_range(0..5);
        let most = if way % 2 == 0 { u64::MAX } else { pending.out.len() / 2 };
        // It may have closed already; that is a way too.
        let _ = peer.fill(&mut pending.out, most, Duration::ZERO);
        match way {
            0 | 1 => peer.reset(),
            2 => {
                let _ = peer.finish();
            }
            3 => drop(peer),
            _ => {
                let _ = peer.complete(&mut pending);
                peer.reset();
            }
        }
    }
    Ok(())
}

/// The worst answer, and the number of them, that `clients` get until it is `over`.
fn beside(target: &Target, clients: u64, over: &AtomicBool) -> Result<(Duration, u64), Fault> {
    let mut peers = (0..clients).map(|n| Peer::connect(target, n)).collect::<Result<Vec<_>, _>>()?;
    let (mut worst, mut answers) = (Duration::ZERO, 0);
    while !over.load(Ordering::Relaxed) || answers == 0 {
        for peer in &mut peers {
            let start = Instant::now();
            peer.exchange(64)?;
            worst = worst.max(start.elapsed());
            answers += 1;
        }
        sys::clock::pause(Duration::from_millis(2));
    }
    Ok((worst, answers))
}

/// 4.7
pub(super) static CLOSE_UNREAD: Case = Case {
    id: "abort/close-unread",
    number: "4.7",
    level: Level::Should,
    services: &[Kind::Http],
    requirement: "A server that refuses and closes with input unread lets its answer be read: FIN first, not RST (RFC 9112, 9.6; gunicorn #3590)",
    acceptable: "a malformed head with 40 KiB behind it: the whole answer, then the end",
    probe: close_unread,
    ..BASE
};

/// Behind the head; with it, it fits a fresh receive window while the server is stopped.
const UNREAD: usize = 40 * 1024;

fn close_unread(scene: &mut Scene<'_>) -> Result<Outcome, Fault> {
    let target = scene.target()?;
    let mut peer = Peer::connect(&target, 1)?;
    let mut bytes = format!("GET / HTTP/1.1\r\nHost : {}\r\n\r\n", target.host).into_bytes();
    bytes.resize(bytes.len() + UNREAD, b'x');
    let frozen = Frozen::tree(scene.running()?)?;
    peer.send(&bytes)?;
    drop(frozen);
    let (end, answer) = peer.rest(scene.settle())?;
    let status = answer.starts_with(b"HTTP/1.");
    let size = answer.len();
    Ok(match end {
        End::Reset if size == 0 => Outcome::Violates("reset without an answer".to_owned()),
        End::Reset => Outcome::Violates(format!(
            "{size} bytes of answer, then RST: what was not yet read of it is lost"
        )),
        End::Closed if status => Outcome::Holds(format!("{size} bytes of answer, then the end")),
        End::Closed if size == 0 => Outcome::Info("closed without an answer".to_owned()),
        End::Closed => Outcome::Violates("what comes is no answer".to_owned()),
        End::Open if size > 0 => Outcome::Info("answered, and the connection stays open".to_owned()),
        End::Open => Outcome::Inconclusive("neither answered nor closed; see case 11.5".to_owned()),
    })
}

/// 4.8
pub(super) static HALF_OPEN: Case = Case {
    id: "abort/half-open",
    number: "4.8",
    level: Level::Info,
    needs: Need::Pid,
    services: LASTING,
    lasting: true,
    requirement: "How a server finds out that a peer has vanished without a word (RFC 9293, 3.8.4; UNP 5.14; nsq #698)",
    acceptable: "INFO: SO_KEEPALIVE, TCP_USER_TIMEOUT, or never, as read from its socket; its own timeouts: case 6.8",
    probe: half_open,
    ..BASE
};

fn half_open(scene: &mut Scene<'_>) -> Result<Outcome, Fault> {
    let target = scene.target()?;
    let mut peer = Peer::connect(&target, 1)?;
    peer.exchange(64)?;
    let running = scene.running()?;
    let Some(own) = peer.address() else { return Err(Fault::harness("a connection without an address")) };
    let rows = evidence::rows_of(target.ip(), running.id.map(|id| id.pid));
    let inode = rows.iter().find(|row| row.remote.port() == own.port()).map(|row| row.inode);
    let holder = running.tree().into_iter().find_map(|id| {
        let is = |fd: &i32| inode.is_some() && evidence::socket_inode(&evidence::link(id.pid, *fd)) == inode;
        evidence::descriptors(id.pid).into_iter().find(is).map(|fd| (id.pid, fd))
    });
    let Some((pid, fd)) = holder else {
        return Ok(Outcome::Skipped(
            "its socket is not among its descriptors (io_uring's own table)".to_owned(),
        ));
    };
    let copy = sys::process::open(pid)
        .and_then(|handle| sys::process::copy_descriptor(std::os::fd::AsFd::as_fd(&handle), fd));
    let watch = match copy.and_then(|socket| sys::option::watch(std::os::fd::AsFd::as_fd(&socket))) {
        Ok(watch) => watch,
        Err(error) => return Ok(Outcome::Skipped(format!("its socket cannot be looked at: {error}"))),
    };
    let mut ways = Vec::new();
    ways.extend(
        watch.keepalive.map(|time| format!("SO_KEEPALIVE, the first probe after {} s", time.as_secs())),
    );
    ways.extend(watch.user_timeout.map(|time| format!("TCP_USER_TIMEOUT of {} ms", time.as_millis())));
    Ok(Outcome::Info(if ways.is_empty() {
        "by the kernel never: neither SO_KEEPALIVE nor TCP_USER_TIMEOUT".to_owned()
    } else {
        ways.join(", ")
    }))
}
