//! A case as a script that needs nothing but Python 3: it starts the server, does what the probe did, and says what became of it. For
//! a bug report. Not here: verdicts; a script shows, it does not judge.
//!
//! What the probe sent is in the script byte by byte, as far as the log of the case kept it; where it did not, the script says so.

use super::aftermath::CLEAN;
use super::kit::Template;
use super::subject::{Origin, Subject};
use super::wire::{Act, Event};
use record::conform::CaseResult;
use std::fmt::Write as _;
use std::time::Duration;
use sys::Url;

/// What the note that parts a case from its aftermath begins with.
pub(super) const AFTERWARDS: &str = "aftermath";
/// Pauses of the probe that are made again; shorter ones were its own computing.
const PAUSE: Duration = Duration::from_millis(5);
/// The longest pause that is made again.
const LONGEST: Duration = Duration::from_secs(3);

/// The script; `None` for a subject whose address a script could not know.
#[must_use]
pub(super) fn script(subject: &Subject, result: &CaseResult, events: &[Event]) -> Option<String> {
    let url: Url = subject.address.as_deref()?.parse().ok()?;
    let ip = url.ip()?;
    let (command, port) = match &subject.origin {
        Origin::Address { .. } => (None, ip.port()),
        Origin::Ours { program, args } => {
            let mut words = vec![program.display().to_string()];
            words.extend(args.iter().map(|a| a.to_string_lossy().into_owned()));
            words.extend(["--listen".into(), format!("tcp://{}:{{port}}", host(&url)), "--service".into()]);
            words.push(subject.kind.name().to_owned());
            (Some(words), 0)
        }
        Origin::Foreign { argv, url, .. } => {
            let words = argv.iter().map(|a| subject.kit.in_folder(&a.to_string_lossy()).ok());
            (Some(words.collect::<Option<_>>()?), url.ip().map_or(0, |ip| ip.port()))
        }
    };
    let mut out = String::new();
    let command = command.map_or_else(|| "None".to_owned(), |words| list(&words));
    let seen = result.seen().replace(['\n', '\r'], " ");
    // Writing to a String does not fail.
    let _ = write!(
        out,
        "#!/usr/bin/env python3\n# {} {}: {}\n# Seen: {seen}\n",
        result.number, result.id, result.requirement,
    );
    let _ = write!(
        out,
        "# Needs Python 3.9 or newer on Linux. Exit: 1 when the server ended, refuses a fresh connection, keeps what connections left\n# behind, spins, or echoes too little or something else; 0 where the bug does not show in that.\n\n{HEAD}\nCOMMAND = {command}\nHOST, PORT, KIND = {}, {port}, \"{}\"\nFILES = {}\nSEEN = {}\n\nSTEPS = [\n",
        text(&host(&url)),
        subject.kind,
        files(subject)?,
        text(&seen),
    );
    // Reading on could undo what broke the server afterwards: a peer that does not read.
    steps(&mut out, events, result.aftermath == CLEAN);
    let _ = write!(out, "]\n\n{TAIL}");
    Some(out)
}

/// The host as an URL has it.
fn host(url: &Url) -> String {
    url.ip().map_or_else(String::new, |ip| match ip.ip() {
        std::net::IpAddr::V4(ip) => ip.to_string(),
        std::net::IpAddr::V6(ip) => format!("[{ip}]"),
    })
}

/// `read_on`: on the connection with which the case ended, what comes yet is waited for.
fn steps(out: &mut String, events: &[Event], read_on: bool) {
    let end = events.iter().position(|e| matches!(&e.act, Act::Note(note) if note.starts_with(AFTERWARDS)));
    let events = &events[..end.unwrap_or(events.len())];
    let talk =
        |e: &Event| !matches!(e.act, Act::Note(_) | Act::Error(_) | Act::Closed | Act::Reset | Act::Released);
    let last = events.iter().rposition(talk).filter(|_| read_on);
    let mut time = Duration::ZERO;
    let mut gone: Vec<u64> = Vec::new();
    for (index, event) in events.iter().enumerate() {
        let pause = event.at.saturating_sub(time);
        let n = event.connection;
        let step = match &event.act {
            Act::Note(_) | Act::Error(_) => continue,
            Act::Closed | Act::Reset if gone.contains(&n) => continue,
            act => step(act, n),
        };
        if matches!(event.act, Act::Closed | Act::Reset) {
            gone.push(n);
        }
        if pause >= PAUSE {
            let _ = writeln!(out, "    (\"pause\", {:.3}),", pause.min(LONGEST).as_secs_f64());
        }
        time = event.at;
        let _ = writeln!(out, "    {step},");
        if last == Some(index) && matches!(event.act, Act::Sent(..) | Act::Received(..)) {
            let _ = writeln!(out, "    (\"await\", {n}),");
        }
    }
}

fn step(act: &Act, n: u64) -> String {
    match act {
        Act::Sent(bytes, count) => format!("(\"send\", {n}, {}, {count})", packed(bytes)),
        Act::Received(_, count) => format!("(\"receive\", {n}, {count})"),
        Act::Connect => format!("(\"connect\", {n})"),
        Act::Ended => format!("(\"end\", {n})"),
        Act::Finished => format!("(\"finish\", {n})"),
        Act::Closed => format!("(\"close\", {n})"),
        Act::Reset => format!("(\"reset\", {n})"),
        Act::Stopped => "(\"stop\", 0)".to_owned(),
        Act::Continued => "(\"continue\", 0)".to_owned(),
        Act::Squeezed => "(\"squeeze\", 0)".to_owned(),
        Act::Released => "(\"release\", 0)".to_owned(),
        Act::Note(_) | Act::Error(_) => String::new(),
    }
}

/// Bytes as a Python literal, whose escapes are those of Rust.
fn packed(bytes: &[u8]) -> String {
    format!("b\"{}\"", bytes.escape_ascii())
}

/// Words as a Python list; JSON's strings are Python's.
fn list(words: &[String]) -> String {
    let quoted: Vec<String> = words.iter().map(|w| text(w)).collect();
    format!("[{}]", quoted.join(", "))
}

fn text(word: &str) -> String {
    serde_json::Value::from(word).to_string()
}

fn files(subject: &Subject) -> Option<String> {
    let kit = &subject.kit;
    let entry = |f: &Template| {
        let path = kit.folder().ok()?.join(&f.path);
        Some(format!("{}: {}", text(&path.display().to_string()), text(&kit.in_folder(&f.text).ok()?)))
    };
    let all: Vec<String> = kit.files.iter().map(entry).collect::<Option<_>>()?;
    Some(format!("{{{}}}", all.join(", ")))
}

const HEAD: &str = r"import os, random, resource, signal, socket, struct, subprocess, sys, time
";

/// What every script does with its steps.
const TAIL: &str = include_str!("script.py");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spawn::{Tool, ToolCommand};
    use record::conform::CaseVerdict;
    use std::io::{Read as _, Write as _};

    fn failed() -> CaseResult {
        CaseResult {
            aftermath: "3 descriptors open, 1 before".to_owned(),
            actual: "all is well".to_owned(),
            ..super::super::fixture::result("0.0", "stream/x", CaseVerdict::Failed)
        }
    }

    /// A listener, and a subject that is at its address.
    fn somebody() -> (std::net::TcpListener, Subject) {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let url: Url =
            format!("tcp://{}", listener.local_addr().expect("an address")).parse().expect("an URL");
        let origin = Origin::Address { url: url.clone(), pid: None };
        let mut subject = Subject::new("x", origin, service::Kind::Echo, 1);
        subject.address = Some(url.to_string());
        (listener, subject)
    }

    /// What the script of these events gives when it is run; `None` where that cannot be.
    fn run(subject: &Subject, result: &CaseResult, acts: Vec<Act>) -> Option<crate::spawn::ToolRun> {
        if !sys::spawn::can_be_found("python3".as_ref()) {
            eprintln!("SKIPPED: python3 is not installed");
            return None;
        }
        let event = |act| Event { at: Duration::ZERO, connection: 1, act };
        let events: Vec<Event> = acts.into_iter().map(event).collect();
        let text = script(subject, result, &events).expect("a script");
        assert!(text.contains("# Seen: all is well; afterwards: 3 descriptors open, 1 before\n"), "{text}");
        Some(
            Tool::run(&ToolCommand::new("python3", ["-c", &text]), Duration::from_secs(30)).expect("it runs"),
        )
    }

    #[test]
    fn as_many_bytes_are_sent_as_the_probe_sent_though_not_all_are_known() {
        let (listener, subject) = somebody();
        let received = std::thread::spawn(move || {
            // A first look, the steps, and a last look.
            let all = (0..3).map(|_| {
                let mut bytes = Vec::new();
                listener.accept().and_then(|(mut stream, _)| stream.read_to_end(&mut bytes)).expect("bytes");
                bytes
            });
            all.collect::<Vec<_>>()
        });
        let acts = vec![Act::Connect, Act::Sent(b"ab".to_vec(), 5), Act::Closed];
        let Some(run) = run(&subject, &failed(), acts) else { return };
        assert!(run.ended.success());
        let steps = &received.join().expect("no panic")[1];
        assert_eq!((steps.len(), &steps[..2]), (5, b"ab".as_slice()));
    }

    #[test]
    fn an_answer_that_is_cut_or_wrong_shows() {
        for (answer, shows) in [("ab", "of 4 bytes 2 came back"), ("axcd", "not what was sent came back")] {
            let (listener, subject) = somebody();
            let answering = std::thread::spawn(move || {
                for turn in 0..3 {
                    let (mut stream, _) = listener.accept().expect("a client");
                    if turn == 1 {
                        stream.read_exact(&mut [0; 4]).expect("the request");
                        stream.write_all(answer.as_bytes()).expect("an answer");
                    }
                }
            });
            let acts =
                vec![Act::Connect, Act::Sent(b"abcd".to_vec(), 4), Act::Received(Vec::new(), 2), Act::Ended];
            let Some(run) = run(&subject, &failed(), acts) else { return };
            let words = String::from_utf8_lossy(&run.stdout);
            assert!(run.ended.status == Some(1) && words.contains(shows), "{}: {words}", run.ended);
            answering.join().expect("no panic");
        }
    }
}
