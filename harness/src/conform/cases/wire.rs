//! Group 3, stream semantics, as TCP has them: urgent data, small segments, two families. The order of events: `order`.

use super::super::case::{ANY, BASE, Case, Level, Need, Outcome};
use super::super::evidence;
use super::super::fault::Fault;
use super::super::freeze::Frozen;
use super::super::peer::Peer;
use super::super::scene::Scene;
use super::super::subject::Origin;
use super::super::target::Target;
use service::Kind;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use sys::spawn::Begin;

/// 3.7
pub(super) static OOB: Case = Case {
    id: "stream/oob",
    number: "3.7",
    level: Level::Should,
    services: &[Kind::Echo],
    requirement: "Urgent data that nobody asked for changes nothing in the stream (tcp(7); RFC 9293, 3.8.5; RFC 6093)",
    acceptable: "`ab`, an urgent byte, `cd`: abcd comes back, and the server rests; INFO where the urgent byte comes too",
    probe: oob,
    ..BASE
};

fn oob(scene: &mut Scene<'_>) -> Result<Outcome, Fault> {
    let target = scene.target()?;
    let mut peer = Peer::connect(&target, 1)?;
    // All of it is there before the server reads: a read ends at the mark, and one who waits for an edge then has none for what is behind it.
    let frozen = Frozen::tree(scene.running()?)?;
    peer.send(b"ab")?;
    sys::option::send_urgent(peer.fd(), b'X').map_err(Fault::harness)?;
    peer.send(b"cd")?;
    drop(frozen);
    let (mut got, mut buffer) = (Vec::new(), [0; 16]);
    while got.len() < 4 {
        let n = peer.read(&mut buffer).map_err(|f| f.during("the echo of a stream with an urgent byte"))?;
        if n == 0 {
            let text = String::from_utf8_lossy(&got).into_owned();
            return Ok(Outcome::Violates(format!("closed after `{text}` of a stream with an urgent byte")));
        }
        got.extend_from_slice(&buffer[..n]);
    }
    // One that comes inline makes five.
    evidence::settle(Duration::from_millis(50), || peer.unread() > 0);
    if peer.unread() > 0 {
        let n = peer.read(&mut buffer)?;
        got.extend_from_slice(&buffer[..n]);
    }
    let running = scene.running()?;
    let tree = running.tree();
    if !tree.is_empty() {
        let share = evidence::least_busy(|| running.tree(), Duration::from_millis(100));
        if share >= evidence::SPINS {
            return Ok(Outcome::Violates(format!(
                "busy {:.0} % of the time with an urgent byte unread",
                share * 100.0
            )));
        }
    }
    Ok(match got.as_slice() {
        b"abcd" => Outcome::Holds("abcd came back without the urgent byte".to_owned()),
        b"abXcd" => Outcome::Info("the urgent byte is taken inline (SO_OOBINLINE)".to_owned()),
        other => Outcome::Violates(format!("`{}` came back", String::from_utf8_lossy(other))),
    })
}

/// 3.10
pub(super) static NAGLE: Case = Case {
    id: "stream/nagle",
    number: "3.10",
    level: Level::Should,
    services: &[Kind::Sized, Kind::Http],
    lasting: true,
    timing: true,
    requirement: "A small answer does not wait for the acknowledgement of the one before (RFC 9293, 3.7.4; TCP_NODELAY; async-h1 #199)",
    acceptable: "two requests in one segment, a client that acknowledges late: both answered in 10 ms, or 10 times the control's time, by the median of 20",
    probe: nagle,
    ..BASE
};

/// An answer held up by a delayed acknowledgement is late by 40 ms.
const PROMPT: Duration = Duration::from_millis(10);

fn nagle(scene: &mut Scene<'_>) -> Result<Outcome, Fault> {
    let target = scene.target()?;
    let rounds = scene.count(20, 9);
    let control = median(&scene.control.target, rounds)?;
    let own = median(&target, rounds)?;
    let bound = PROMPT.max(control * 10);
    let text = format!(
        "two small answers after {} us, the control's after {} us",
        own.as_micros(),
        control.as_micros()
    );
    Ok(if own > bound { Outcome::Violates(text) } else { Outcome::Holds(text) })
}

/// The median time that a pair of requests in one segment takes, with acknowledgements put off.
fn median(target: &Target, rounds: u64) -> Result<Duration, Fault> {
    let mut peer = Peer::connect(target, 1)?;
    let mut times = Vec::new();
    for _ in 0..rounds {
        let mut pair = [peer.prepare(20), peer.prepare(30)];
        let bytes: Vec<u8> = pair.iter_mut().flat_map(|p| p.out.take(&[])).collect();
        sys::option::delay_acknowledgements(peer.fd()).map_err(Fault::harness)?;
        let start = Instant::now();
        peer.send(&bytes)?;
        for pending in &mut pair {
            peer.complete(pending)?;
        }
        times.push(start.elapsed());
    }
    times.sort_unstable();
    Ok(times.get(times.len() / 2).copied().unwrap_or_default())
}

/// 3.11
pub(super) static DUAL_STACK: Case = Case {
    id: "stream/dual-stack",
    number: "3.11",
    level: Level::Info,
    needs: Need::Command,
    services: ANY,
    requirement: "Which addresses reach a server that listens on [::] (ipv6(7), IPV6_V6ONLY; Go tcpServerTests)",
    acceptable: "INFO: by ::1, by 127.0.0.1, or both",
    probe: dual_stack,
    ..BASE
};

fn dual_stack(scene: &mut Scene<'_>) -> Result<Outcome, Fault> {
    if std::net::TcpListener::bind("[::1]:0").is_err() {
        return Ok(Outcome::Skipped("this machine has no IPv6 loopback".to_owned()));
    }
    if !matches!(scene.subject.origin, Origin::Ours { .. }) {
        return Ok(Outcome::Skipped("the address stands in the command's own words".to_owned()));
    }
    let target = scene.target()?;
    let within = scene.pace.scale(Duration::from_secs(5));
    let any = target.url.at(SocketAddr::from(([0_u16; 8], 0)));
    let child = match scene.subject.launch(&Begin::default(), Some(&any), within) {
        Ok(Some(child)) => child,
        Ok(None) => return Err(Fault::harness("nothing was started")),
        Err(fault) => return Ok(Outcome::Info(format!("does not start at [::]: {fault}"))),
    };
    let url: sys::Url = child.url().parse().map_err(Fault::harness)?;
    let port = url.ip().map_or(0, |ip| ip.port());
    let reach = |host: &str| -> Result<String, Fault> {
        let ip: SocketAddr = format!("{host}:{port}").parse().map_err(Fault::harness)?;
        Ok(match (Target { url: url.at(ip), ..target.clone() }).canary(1) {
            Ok(()) => format!("{host}: served"),
            Err(fault) => format!("{host}: {fault}"),
        })
    };
    Ok(Outcome::Info(format!("at [::], {}, {}", reach("127.0.0.1")?, reach("[::1]")?)))
}
