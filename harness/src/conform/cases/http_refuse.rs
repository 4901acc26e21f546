//! Group 11, HTTP/1.1: what must not be answered as if it were well. What must be: `http`.

use super::super::case::{BASE, Case, Level, Outcome, STREAMS};
use super::super::fault::{Fault, What};
use super::super::peer::{End, Peer};
use super::super::scene::Scene;
use super::super::target::Target;
use super::http::{Came, HTTP, Replies, path};
use std::time::Duration;

/// 11.5
pub(super) static REJECT: Case = Case {
    id: "http/reject",
    number: "11.5",
    families: STREAMS,
    services: HTTP,
    requirement: "What is no request is refused, soon (RFC 9112, 2.2, 3, 3.2 and 5.1)",
    acceptable: "4xx, 5xx or the end of the connection; success is FAILED for no Host, two Hosts and a blank before a colon, NON-STRICT for what else is no request; silence is FAILED",
    probe: reject,
    ..BASE
};

/// How a server is bound to refuse: some by a MUST of RFC 9112, the others by the SHOULD of its section 2.2.
struct Bad {
    what: &'static str,
    must: bool,
    text: String,
}

fn bad_requests(target: &Target) -> Vec<Bad> {
    let (path, host) = (path(target), &target.host);
    let bad = |what, must, text: String| Bad { what, must, text };
    let get = |fields: &str| format!("GET {path} HTTP/1.1\r\n{fields}\r\n");
    vec![
        bad("no Host", true, get("")),
        bad("two Hosts", true, get(&format!("Host: {host}\r\nHost: other\r\n"))),
        bad("a blank before a colon", true, get(&format!("Host: {host}\r\nAccept : text/plain\r\n"))),
        bad("a version that does not exist", false, format!("GET {path} HTTP/1.x\r\nHost: {host}\r\n\r\n")),
        bad("a field without a colon", false, get(&format!("Host: {host}\r\nnonsense\r\n"))),
        bad("a request line of one word", false, "nonsense\r\n\r\n".to_owned()),
    ]
}

fn reject(scene: &mut Scene<'_>) -> Result<Outcome, Fault> {
    let target = scene.target()?;
    let (mut refused, mut closed, mut broken) = (0, 0, false);
    let mut taken = Vec::new();
    for Bad { what, must, text } in bad_requests(&target) {
        match answer(&target, text.as_bytes())? {
            Came::Reply(reply) if reply.status >= 400 => refused += 1,
            Came::Reply(reply) => {
                broken |= must;
                taken.push(format!("{what} is answered with status {}", reply.status));
            }
            Came::Ended(..) => closed += 1,
            Came::Silence => {
                broken = true;
                taken.push(format!("{what}: neither answered nor closed within {:?}", target.reply));
            }
            Came::Malformed(why) => {
                broken = true;
                taken.push(format!("{what}: what comes is no reply: {why}"));
            }
        }
    }
    Ok(match (taken.is_empty(), broken) {
        (true, _) => Outcome::Holds(format!("{refused} refused with a status, {closed} by closing")),
        (false, true) => Outcome::Violates(taken.join("; ")),
        (false, false) => Outcome::Tolerable(taken.join("; ")),
    })
}

/// What comes when `bytes` are sent on a connection of their own.
fn answer(target: &Target, bytes: &[u8]) -> Result<Came, Fault> {
    let mut peer = Peer::connect(target, 1)?;
    peer.send(bytes)?;
    Replies::default().next(&mut peer, false, target.reply)
}

/// 11.6
pub(super) static AMBIGUOUS_LENGTH: Case = Case {
    id: "http/ambiguous-length",
    number: "11.6",
    families: STREAMS,
    services: HTTP,
    requirement: "A request whose length can be read in two ways is refused, and what is behind it is no request (RFC 9112, 6.1, 6.3 and 7.1; http-garden)",
    acceptable: "4xx, 5xx or the end of the connection; both lengths at once, and chunks of no size, may be answered once and closed; never a second reply",
    probe: ambiguous_length,
    ..BASE
};

fn ambiguous_length(scene: &mut Scene<'_>) -> Result<Outcome, Fault> {
    let target = scene.target()?;
    let chunked = "Transfer-Encoding: chunked\r\n";
    // Fields, content, and whether a server may answer once and close: both lengths at once it may read by the chunks (RFC 9112, 6.1),
    // and a content that it does not read it need not judge.
    let bad = [
        (format!("Content-Length: 4\r\n{chunked}"), "0\r\n\r\n", true),
        ("Content-Length: 5\r\nContent-Length: 0\r\n".to_owned(), "", false),
        ("Content-Length: +0\r\n".to_owned(), "", false),
        ("Content-Length: 0x0\r\n".to_owned(), "", false),
        ("Content-Length: -0\r\n".to_owned(), "", false),
        (chunked.to_owned(), "0x1\r\na\r\n0\r\n\r\n", true),
        (chunked.to_owned(), "+1\r\na\r\n0\r\n\r\n", true),
        (chunked.to_owned(), "1_0\r\n0123456789abcdef\r\n0\r\n\r\n", true),
    ];
    let smuggled = format!("GET {} HTTP/1.1\r\nHost: {}\r\n\r\n", path(&target), target.host);
    let (mut refused, mut closed) = (0, 0);
    for (fields, content, once) in bad {
        let name = format!("{} and `{}`", fields.trim().replace("\r\n", ", "), content.escape_default());
        let head = format!("POST {} HTTP/1.1\r\nHost: {}\r\n{fields}\r\n", path(&target), target.host);
        let mut peer = Peer::connect(&target, 1)?;
        peer.send(format!("{head}{content}{smuggled}").as_bytes())?;
        let mut replies = Replies::default();
        match replies.next(&mut peer, false, target.reply)? {
            Came::Ended(..) => closed += 1,
            Came::Silence => return Ok(Outcome::Violates(format!("{name}: neither answered nor closed"))),
            Came::Malformed(why) => {
                return Ok(Outcome::Violates(format!("{name}: what comes is no reply: {why}")));
            }
            Came::Reply(reply) => {
                let taken = reply.status < 400;
                let second = replies.next(&mut peer, false, Duration::from_millis(200))?;
                match second {
                    Came::Reply(_) => {
                        return Ok(Outcome::Violates(format!(
                            "{name}: two replies, to one request and to what is behind it"
                        )));
                    }
                    Came::Ended(..) if taken && once => closed += 1,
                    _ if taken => {
                        return Ok(Outcome::Violates(format!(
                            "{name}: answered with status {}",
                            reply.status
                        )));
                    }
                    _ => refused += 1,
                }
            }
        }
    }
    Ok(Outcome::Holds(format!("{refused} refused with a status, {closed} by closing")))
}

/// 11.7
pub(super) static OVERSIZE: Case = Case {
    id: "http/oversize",
    number: "11.7",
    families: STREAMS,
    level: Level::Should,
    services: HTTP,
    requirement: "What is too large is refused in a way that can be read (RFC 6585, 5; RFC 9110, 15.5.14 and 15.5.15; RFC 9112, 9.6)",
    acceptable: "a field of 64 KiB, a target of 64 KiB, content of 10 MiB: a whole reply of any status, or FIN; not RST, not silence",
    probe: oversize,
    ..BASE
};

fn oversize(scene: &mut Scene<'_>) -> Result<Outcome, Fault> {
    let target = scene.target()?;
    let (path, host) = (path(&target), &target.host);
    let long = "x".repeat(64 * 1024);
    let content = 10 << 20;
    let mut upload =
        format!("POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {content}\r\n\r\n").into_bytes();
    upload.resize(upload.len() + content, b'x');
    let all = [
        (
            "a field of 64 KiB",
            format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nX: {long}\r\n\r\n").into_bytes(),
        ),
        ("a target of 64 KiB", format!("GET /{long} HTTP/1.1\r\nHost: {host}\r\n\r\n").into_bytes()),
        ("content of 10 MiB", upload),
    ];
    let mut said = Vec::new();
    for (what, bytes) in all {
        let mut peer = Peer::connect(&target, 1)?;
        // Reset in the middle is what is looked for: the reply, if there is one, is read all the same.
        let cut = match peer.send(&bytes) {
            Ok(()) => false,
            Err(Fault { what: What::Reset(_), .. }) => true,
            Err(fault) => return Err(fault.during(what)),
        };
        let came = Replies::default().next(&mut peer, false, target.time_for(bytes.len() as u64))?;
        match came {
            // Whoever does not want 10 MiB need not take them, so long as his reply is read.
            Came::Reply(reply) if cut && bytes.len() > content => {
                said.push(format!("{what}: {}", reply.status))
            }
            Came::Reply(reply) if cut => {
                let text = format!("{what}: status {}, and RST while the client still sends", reply.status);
                return Ok(Outcome::Violates(text));
            }
            Came::Reply(reply) => match peer.drain(Duration::from_millis(50))? {
                (End::Reset, _) => {
                    return Ok(Outcome::Violates(format!("{what}: status {}, then RST", reply.status)));
                }
                _ => said.push(format!("{what}: {}", reply.status)),
            },
            Came::Ended(End::Closed, 0) if !cut => said.push(format!("{what}: closed")),
            Came::Ended(..) => return Ok(Outcome::Violates(format!("{what}: reset without a reply"))),
            Came::Silence => return Ok(Outcome::Violates(format!("{what}: neither answered nor closed"))),
            Came::Malformed(why) => {
                return Ok(Outcome::Violates(format!("{what}: what comes is no reply: {why}")));
            }
        }
    }
    Ok(Outcome::Holds(said.join(", ")))
}
