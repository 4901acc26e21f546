//! HTTP as it is asked of any server: method, fields, content, paths, and which answers will do.

use crate::cli::output;
use crate::peer::Peer;
use crate::{checked, errors};
use std::io::{Read as _, Write as _};
use std::sync::mpsc::{Receiver, channel};

/// Answers each request with `status` and its own first line as content, in two pieces; tells the requests.
fn mirror(status: &'static str) -> (Peer, Receiver<String>) {
    let (tell, seen) = channel();
    let peer = Peer::start(move |mut stream| {
        let mut bytes = Vec::new();
        loop {
            let mut piece = [0; 4096];
            let end = loop {
                let head = bytes.windows(4).position(|w: &[u8]| w == b"\r\n\r\n").map(|at| at + 4);
                if let Some(head) = head {
                    let text = String::from_utf8_lossy(&bytes[..head]).into_owned();
                    let length =
                        text.lines().find_map(|line| line.strip_prefix("Content-Length: ")?.parse().ok());
                    let end = head + length.unwrap_or(0);
                    if bytes.len() >= end {
                        break end;
                    }
                }
                match stream.read(&mut piece)? {
                    0 => return Ok(()),
                    n => bytes.extend_from_slice(&piece[..n]),
                }
            };
            let request: Vec<u8> = bytes.drain(..end).collect();
            let text = String::from_utf8(request).unwrap();
            let line = text.lines().next().unwrap().to_owned();
            let _ = tell.send(text);
            write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n", line.len())?;
            if !line.starts_with("HEAD") {
                stream.write_all(&line.as_bytes()[..3])?;
                stream.write_all(&line.as_bytes()[3..])?;
            }
        }
    });
    (peer, seen)
}

#[test]
fn method_fields_and_content_are_sent() {
    let (peer, seen) = mirror("201 Created");
    let url = format!("http://{}/a", peer.address);
    let load = checked(&[
        "-n",
        "40",
        "-H",
        "X-A:b",
        "-H",
        "Host: example.org",
        "--body",
        "k=v\\n",
        "--expect-status",
        "201",
        &url,
    ]);
    assert_eq!((load.requests.completed, load.errors.len()), (40, 0));
    assert_eq!(
        seen.recv().unwrap(),
        "POST /a HTTP/1.1\r\nX-A: b\r\nHost: example.org\r\nContent-Length: 4\r\n\r\nk=v\n"
    );
    let load = checked(&["-n", "40", "--method", "HEAD", "--pipeline", "4", &url]);
    assert_eq!((load.requests.completed, load.errors.len()), (40, 0));
}

#[test]
fn paths_are_asked_for_in_turn() {
    let (peer, seen) = mirror("200 OK");
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "/b\n\n/c?d\n").unwrap();
    let paths = format!("@{}", file.path().display());
    let url = format!("http://{}/a", peer.address);
    let load = checked(&["-n", "300", "-c", "3", "--path", &paths, "--path", "/e", &url]);
    assert_eq!(load.requests.completed, 300);
    let mut counts = std::collections::BTreeMap::new();
    for request in seen.try_iter() {
        *counts.entry(request.split(' ').nth(1).unwrap().to_owned()).or_insert(0) += 1;
    }
    let paths: Vec<_> = counts.keys().map(String::as_str).collect();
    assert_eq!(paths, ["/a", "/b", "/c?d", "/e"]);
    assert!(counts.values().all(|n| *n == 75), "{counts:?}");
}

#[test]
fn answers_are_judged_by_status_and_content() {
    let (peer, _seen) = mirror("404 Not Found");
    let url = format!("http://{}/a", peer.address);
    for (args, cause) in [
        (&["--method", "GET"][..], Some("status-4xx")),
        (&["--expect-status", "200,4xx"], None),
        (&["--expect-status", "404", "--expect-body", "GET /a HTTP/1.1"], None),
        (&["--expect-status", "404", "--expect-body", "GET /a HTTP/1.0"], Some("wrong-content")),
        (&["--expect-status", "404", "--expect-body", "GET /a HTTP/1.1 "], Some("wrong-content")),
        (&["--expect-status", "404", "--expect-body", "GET /a"], Some("wrong-content")),
        (&["--expect-status", "404", "--expect-body", r"regex:/a HTTP/1\.\d$"], None),
        (&["--expect-status", "404", "--expect-body", "regex:/b"], Some("wrong-content")),
    ] {
        let load = checked(&[&["-n", "20"], args, &[&url]].concat());
        let failed = cause.map_or(0, |cause| errors(&load, "content", cause));
        assert_eq!(
            (load.requests.failed, failed),
            (failed, if cause.is_some() { 20 } else { 0 }),
            "{args:?} {:?}",
            load.errors
        );
    }
}

#[test]
fn mistakes_are_said() {
    for (args, word) in [
        (&["--method", "A B", "http://127.0.0.1:1"][..], "no method"),
        (&["-H", "novalue", "http://127.0.0.1:1"], "Name: value"),
        (&["--path", "x", "http://127.0.0.1:1"], "no path"),
        (&["--expect-status", "9xx", "http://127.0.0.1:1"], "no status"),
        (&["--expect-body", "regex:(", "http://127.0.0.1:1"], "cannot be used"),
        (&["--body", "x", "tcp://127.0.0.1:1"], "belong to http"),
        (&["--body", "{seq}", "http://127.0.0.1:1"], "placeholders"),
        (&["--body", "x", "--size", "5", "http://127.0.0.1:1"], "--path"),
    ] {
        let output = output(args);
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{args:?}: {text}");
        assert!(text.lines().count() == 1 && text.contains(word), "{args:?}: {text}");
    }
}

crate::also_over_uring!(
    method_fields_and_content_are_sent,
    paths_are_asked_for_in_turn,
    answers_are_judged_by_status_and_content,
);
