//! Group 7, resources: memory, threads, the epoll set, and descriptors in the wrong hands. Descriptors and zombies: `leak`.

use super::super::case::{BASE, Case, LASTING, Level, Need, Outcome, STREAMS};
use super::super::evidence;
use super::super::fault::Fault;
use super::super::peer::{End, Peer};
use super::super::scene::Scene;
use crate::spawn::Identity;
use crate::spawn::sockets::{self, TIME_WAIT};
use std::collections::HashSet;
use std::time::Duration;

/// 7.2
pub(super) static RSS_THREADS: Case = Case {
    id: "leak/rss-threads",
    families: STREAMS,
    number: "7.2",
    needs: Need::Pid,
    requirement: "Memory and threads come back, however many connections there were (CPython #81374, #75416)",
    acceptable: "3 rounds of 1000 connections: after the first memory grows by less than 1 KiB a connection, or 1 MiB; as many threads and processes as before, give or take 2",
    probe: rss_threads,
    ..BASE
};

/// What a connection may leave behind, in bytes, and what is no leak.
const LEFT: (u64, u64) = (1_024, 1 << 20);

/// Rounds of connections in which memory has to stop growing.
const ROUNDS: u64 = 10;

fn rss_threads(scene: &mut Scene<'_>) -> Result<Outcome, Fault> {
    let target = scene.target()?;
    let settle = scene.settle();
    let count = scene.count(1_000, 300);
    let running = scene.running()?;
    let tasks = |tree: &[Identity]| tree.iter().map(|id| evidence::threads(id.pid).len()).sum::<usize>();
    let before = tasks(&running.tree());
    let limit = LEFT.1.max(2 * count * LEFT.0);
    let (mut memory, mut grown) = (Vec::new(), 0);
    // What is collected now and then grows and comes back; what leaks grows in every round.
    for round in 0..ROUNDS {
        for n in 0..count {
            target
                .canary(round * count + n)
                .map_err(|f| f.during(format!("connection {} of round {}", n + 1, round + 1)))?;
        }
        let back = || tasks(&running.tree()) <= before + 2;
        if !evidence::settle(settle, back) {
            let now = tasks(&running.tree());
            return Ok(Outcome::Violates(format!(
                "{now} threads after {count} connections, {before} before"
            )));
        }
        let now = evidence::own_memory(&running.tree());
        memory.push(now);
        let Some(then) = memory.len().checked_sub(3).map(|at| memory[at]) else { continue };
        grown = now.saturating_sub(then);
        if grown <= limit {
            break;
        }
    }
    let text = format!(
        "{} KiB more own memory in the last {} of {} connections; {before} threads",
        grown >> 10,
        2 * count,
        memory.len() as u64 * count
    );
    Ok(if grown > limit { Outcome::Violates(text) } else { Outcome::Holds(text) })
}

/// 7.4
pub(super) static EPOLL_SET: Case = Case {
    id: "leak/epoll-set",
    families: STREAMS,
    number: "7.4",
    level: Level::Should,
    needs: Need::Pid,
    requirement: "What is closed leaves the epoll set (epoll(7), Q6; h2o #1100)",
    acceptable: "as many registrations (tfd lines in /proc/PID/fdinfo) after 150 connections as before",
    probe: epoll_set,
    ..BASE
};

/// Registrations in all epoll instances of a tree; `None` where there is no instance.
fn registrations(tree: &[Identity]) -> Option<usize> {
    let mut found = None;
    for id in tree {
        for fd in evidence::descriptors(id.pid) {
            if evidence::link(id.pid, fd) == "anon_inode:[eventpoll]" {
                let text =
                    std::fs::read_to_string(format!("/proc/{}/fdinfo/{fd}", id.pid)).unwrap_or_default();
                let lines = text.lines().filter(|line| line.starts_with("tfd:")).count();
                *found.get_or_insert(0) += lines;
            }
        }
    }
    found
}

fn epoll_set(scene: &mut Scene<'_>) -> Result<Outcome, Fault> {
    let target = scene.target()?;
    let settle = scene.settle();
    let running = scene.running()?;
    let Some(before) = registrations(&running.tree()) else {
        return Ok(Outcome::Skipped("it has no epoll instance".to_owned()));
    };
    for n in 0..150 {
        let mut peer = Peer::connect(&target, n)?;
        match n % 3 {
            0 => drop(peer.exchange(64)?),
            1 => {
                let mut pending = peer.prepare(64);
                peer.fill(&mut pending.out, u64::MAX, Duration::ZERO)?;
                peer.reset();
            }
            _ => drop(peer.finish()),
        }
    }
    let now = || registrations(&running.tree()).unwrap_or(0);
    let back = evidence::settle(settle, || now() <= before);
    let text = format!("{} registrations after 150 connections, {before} before", now());
    Ok(if back { Outcome::Holds(text) } else { Outcome::Violates(text) })
}

/// 7.5
pub(super) static CLOEXEC: Case = Case {
    id: "res/cloexec",
    families: STREAMS,
    number: "7.5",
    level: Level::Should,
    needs: Need::Pid,
    services: LASTING,
    requirement: "A program that the server executes does not inherit its sockets: a listener that lives on blocks the next start (open(2), O_CLOEXEC; mojo #606)",
    acceptable: "O_CLOEXEC on every socket and event descriptor above 2",
    probe: cloexec,
    ..BASE
};

/// O_CLOEXEC, as the kernel shows it on the machines that we know.
const O_CLOEXEC: u32 = 0o2_000_000;

fn cloexec(scene: &mut Scene<'_>) -> Result<Outcome, Fault> {
    let target = scene.target()?;
    let mut peer = Peer::connect(&target, 1)?;
    peer.exchange(64)?;
    let (mut looked_at, mut open) = (0, Vec::new());
    for id in scene.running()?.tree() {
        for fd in evidence::descriptors(id.pid).into_iter().filter(|fd| *fd > 2) {
            let link = evidence::link(id.pid, fd);
            if !link.starts_with("socket:") && !link.starts_with("anon_inode:") {
                continue;
            }
            let Some(flags) = evidence::flags(id.pid, fd) else { continue };
            looked_at += 1;
            if flags & O_CLOEXEC == 0 {
                let is_listener = evidence::listeners(id.pid, target.ip()).contains(&fd);
                open.push(if is_listener {
                    format!("{fd} (the listener)")
                } else {
                    format!("{fd} ({link})")
                });
            }
        }
    }
    open.dedup();
    open.truncate(8);
    Ok(match (looked_at, open.as_slice()) {
        (0, _) => Outcome::Inconclusive("no descriptor could be looked at".to_owned()),
        (n, []) => Outcome::Holds(format!("{n} descriptors, all close-on-exec")),
        (_, open) => Outcome::Violates(format!("inherited by whatever it executes: {}", open.join(", "))),
    })
}

/// 7.6
pub(super) static CONNFD_CLOSED: Case = Case {
    id: "res/connfd-closed",
    families: STREAMS,
    number: "7.6",
    services: LASTING,
    lasting: true,
    requirement: "A connection ends when its server closes it: neither parent nor sibling keeps a copy (UNP 4.8; fork(2))",
    acceptable: "one that has sent FIN sees its end while others, begun before and after, go on",
    probe: connfd_closed,
    ..BASE
};

fn connfd_closed(scene: &mut Scene<'_>) -> Result<Outcome, Fault> {
    let target = scene.target()?;
    let serial = scene.serial();
    let mut others = Vec::new();
    for round in 0..scene.beside(4) {
        let mut leaving = Peer::connect(&target, 2 * round)?;
        leaving.exchange(64)?;
        if !serial {
            // Its process is made while the one that leaves is open.
            let mut other = Peer::connect(&target, 2 * round + 1)?;
            other.exchange(64)?;
            others.push(other);
        }
        leaving.finish()?;
        if leaving.drain(target.reply)?.0 == End::Open {
            let text = format!(
                "a client that has left sees no end within {:?}, {} others open",
                target.reply,
                others.len()
            );
            return Ok(Outcome::Violates(text));
        }
    }
    for other in &mut others {
        other.exchange(64).map_err(|f| f.during("a client beside others that left"))?;
    }
    Ok(Outcome::Holds(format!("closed at once, {} other connections going on", others.len())))
}

/// 7.7
pub(super) static CHURN_PORTS: Case = Case {
    id: "res/churn-ports",
    number: "7.7",
    level: Level::Info,
    needs: Need::SameHost,
    requirement: "Who closes first, and so keeps the port in TIME_WAIT (RFC 9293, 3.6; tcp(7))",
    acceptable: "INFO: rows in TIME_WAIT on the server's side and on the clients'",
    probe: churn_ports,
    ..BASE
};

fn churn_ports(scene: &mut Scene<'_>) -> Result<Outcome, Fault> {
    let target = scene.target()?;
    let pid = scene.running()?.id.map(|id| id.pid);
    let count = scene.count(200, 50);
    let port = target.ip().port();
    let mut own = HashSet::new();
    for n in 0..count {
        let mut peer = Peer::connect(&target, n)?;
        peer.exchange(64)?;
        own.extend(peer.address().map(|address| address.port()));
    }
    let sides = || {
        let rows: Vec<_> = sockets::rows(pid).into_iter().filter(|row| row.state == TIME_WAIT).collect();
        let is = |here: u16, there: u16| here == port && own.contains(&there);
        let server = rows.iter().filter(|row| is(row.local.port(), row.remote.port())).count();
        let client = rows.iter().filter(|row| is(row.remote.port(), row.local.port())).count();
        (server, client)
    };
    evidence::settle(scene.settle(), || sides() != (0, 0));
    let (server, client) = sides();
    let who = match (server > client, client > 0) {
        (true, _) => "the server closes first",
        (false, true) => "the client closes first",
        (false, false) => "nothing is left in TIME_WAIT",
    };
    Ok(Outcome::Info(format!(
        "{who}: of {count} connections {server} wait on the server's side, {client} on the clients'"
    )))
}
