//! What the client of `http` makes of replies as other servers write them, for every cut of them. Not here: our own server's.

use crate::clients::{ask, client};
use crate::driver::{cut, receive};
use service::client::{Ask, Client as _, Mismatch, Progress};
use service::{Kind, Output};

type Verdict = Result<Progress, Mismatch>;

const KEEP: Verdict = Ok(Progress::Done { reusable: true });
const LAST: Verdict = Ok(Progress::Done { reusable: false });

fn malformed(what: &'static str) -> Verdict {
    Err(Mismatch::Malformed(what))
}

fn check(ask: &Ask, reply: &[u8], verdict: Verdict) {
    let judge = |segments: &[&[u8]]| receive(&mut client(ask).0, segments).0;
    let shown = String::from_utf8_lossy(&reply[..reply.len().min(200)]);
    assert_eq!(judge(&[reply]), verdict, "{shown:?}");
    // Every cut of a short reply; of a long one, enough of them.
    for at in (0..=reply.len()).step_by(1 + reply.len() / 500) {
        assert_eq!(judge(&cut(reply, &[at])), verdict, "cut at {at}: {shown:?}");
    }
    assert_eq!(judge(&reply.chunks(1).collect::<Vec<_>>()), verdict, "byte by byte: {shown:?}");
}

/// For a path whose content is not known.
fn path() -> Ask {
    Ask { path: Some("/index.html".into()), ..ask(Kind::Http, 0) }
}

#[test]
fn framings() {
    for (reply, verdict) in [
        // As nginx writes it.
        (
            "HTTP/1.1 200 OK\r\nServer: nginx\r\nDate: Tue, 25 Nov 2025 00:00:00 GMT\r\nContent-Type: text/html\r\n\
             Content-Length: 5\r\nLast-Modified: Tue, 25 Nov 2025 00:00:00 GMT\r\nConnection: keep-alive\r\n\
             ETag: \"1\"\r\nAccept-Ranges: bytes\r\n\r\nhello",
            KEEP,
        ),
        ("HTTP/1.1 200 OK\r\ncontent-length:0\r\n\r\n", KEEP),
        ("HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", KEEP),
        ("HTTP/1.1 200 OK\nContent-Length: 2\n\nok", KEEP),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok", KEEP),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: x, Close\r\n\r\nok", LAST),
        ("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", LAST),
        ("HTTP/1.0 200 OK\r\nContent-Length: 2\r\nConnection: Keep-Alive\r\n\r\nok", KEEP),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n1;x=y\r\n!\r\n0\r\nSum: 1\r\n\r\n",
            KEEP,
        ),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, Chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", KEEP),
        ("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", LAST),
        ("HTTP/1.1 200 OK\r\n\r\nto the end", LAST),
        ("HTTP/1.1 200 OK\r\n\r\n", LAST),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nto the end", LAST),
        ("HTTP/1.1 204 No Content\r\n\r\n", KEEP),
        ("HTTP/1.1 304 Not Modified\r\nContent-Length: 500\r\n\r\n", KEEP),
        ("HTTP/1.1 301 Moved\r\nLocation: /\r\nContent-Length: 2\r\n\r\nok", KEEP),
        (
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 204 x\r\n\r\n",
            KEEP,
        ),
    ] {
        check(&path(), reply.as_bytes(), verdict);
    }
}

#[test]
fn replies_that_are_wrong() {
    let head = "HTTP/1.1 200 OK\r\n";
    for (reply, verdict) in [
        (String::new(), Err(Mismatch::EarlyEnd { received: 0 })),
        (format!("{head}Content-Le"), Err(Mismatch::EarlyEnd { received: 27 })),
        (format!("{head}Content-Length: 3\r\n\r\nok"), Err(Mismatch::EarlyEnd { received: 40 })),
        (
            format!("{head}Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n"),
            Err(Mismatch::EarlyEnd { received: 54 }),
        ),
        ("HTTP/1.1 100 Continue\r\n\r\n".into(), Err(Mismatch::EarlyEnd { received: 25 })),
        ("HTTP/1.1 101 Switching\r\n\r\n".into(), Err(Mismatch::Status(101))),
        ("HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno".into(), Err(Mismatch::Status(404))),
        ("HTTP/1.1 503 Busy\r\n\r\n".into(), Err(Mismatch::Status(503))),
        ("HTTP/1.1 600 What\r\n\r\n".into(), Err(Mismatch::Status(600))),
        ("SSH-2.0-x\r\n".into(), malformed("not an HTTP/1 reply")),
        ("\r\nHTTP/1.1 204 x\r\n\r\n".into(), malformed("not an HTTP/1 reply")),
        ("HTTP/2 200\r\n\r\n".into(), malformed("not an HTTP/1 reply")),
        ("HTTP/1.1 2x0 OK\r\n\r\n".into(), malformed("head does not parse")),
        (format!("{head}No colon\r\n\r\n"), malformed("head does not parse")),
        (format!("{head}No colon"), Err(Mismatch::EarlyEnd { received: 25 })),
        (format!("{head}{}\r\n", "A: b\r\n".repeat(65)), malformed("head has too many fields")),
        (format!("{head}A: {}\r\n\r\n", "b".repeat(17_000)), malformed("head is too long")),
        (format!("{head}Content-Length: 1_0\r\n\r\n"), malformed("Content-Length is not a number")),
        (
            format!("{head}Content-Length: 1\r\nContent-Length: 2\r\n\r\n"),
            malformed("two Content-Length fields that differ"),
        ),
        (
            format!("{head}Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"),
            malformed("Content-Length beside Transfer-Encoding"),
        ),
        (
            format!("{head}Transfer-Encoding: chunked\r\n\r\n0x2\r\n"),
            malformed("chunked framing does not parse"),
        ),
        (
            format!("{head}Transfer-Encoding: chunked\r\n\r\n0\r\n{}", "A: b\r\n".repeat(900)),
            malformed("trailers are too long"),
        ),
    ] {
        check(&path(), reply.as_bytes(), verdict);
    }
}

/// Content that is known is checked in every framing, and no status but 200 can carry it.
#[test]
fn known_content() {
    let ask = ask(Kind::Http, 5);
    let text: Vec<u8> = (5..10).map(|i| service::pattern::piece(i, 1)[0]).collect();
    let with = |head: &str, parts: &[&[u8]]| {
        [format!("HTTP/1.1 {head}\r\n\r\n").as_bytes(), &parts.concat()].concat()
    };
    let wrong_size = malformed("content is not of the size that was asked for");
    let whole: [&[u8]; 4] = [b"2\r\n", &text[..2], b"\r\n3\r\n", &text[2..]];
    let short: [&[u8]; 4] = [b"2\r\n", &text[..2], b"\r\n2\r\n", &text[2..4]];
    let last: &[u8] = b"\r\n0\r\n\r\n";
    let mut wrong = text.clone();
    wrong[3] ^= 1;
    for (reply, verdict) in [
        (with("200 OK\r\nContent-Length: 5", &[&text]), KEEP),
        (with("200 OK\r\nTransfer-Encoding: chunked", &[&whole.concat(), last]), KEEP),
        (with("200 OK", &[&text]), LAST),
        (with("200 OK\r\nContent-Length: 4", &[&text]), wrong_size),
        (with("200 OK\r\nContent-Length: 6", &[&text]), wrong_size),
        (with("200 OK\r\nTransfer-Encoding: chunked", &[&short.concat(), last]), wrong_size),
        (with("200 OK\r\nTransfer-Encoding: chunked", &[b"5\r\n", &text, b"\r\n1\r\nx\r\n"]), wrong_size),
        (with("200 OK", &[&text[..4]]), Err(Mismatch::EarlyEnd { received: 23 })),
        (with("200 OK\r\nContent-Length: 5", &[&wrong]), Err(Mismatch::Content { offset: 3 })),
        (
            with("200 OK\r\nTransfer-Encoding: chunked", &[b"5\r\n", &wrong]),
            Err(Mismatch::Content { offset: 3 }),
        ),
        (with("200 OK", &[&wrong]), Err(Mismatch::Content { offset: 3 })),
        (with("204 No Content", &[]), Err(Mismatch::Status(204))),
        (with("206 Partial\r\nContent-Length: 5", &[&text]), Err(Mismatch::Status(206))),
        (with("302 Found\r\nContent-Length: 0", &[]), Err(Mismatch::Status(302))),
    ] {
        check(&ask, &reply, verdict);
    }
}

/// A client that asked for the connection to be closed sends nothing more on it, whatever the server says (RFC 9112, 9.6).
#[test]
fn asked_to_close_is_never_reusable() {
    let ask = Ask { close: true, ..path() };
    check(&ask, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", LAST);
    check(&ask, b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", LAST);
}

/// What follows a reply belongs to the next one and is not touched.
#[test]
fn stops_at_the_end_of_a_reply() {
    for reply in [
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        "HTTP/1.1 204 No Content\r\n\r\n",
    ] {
        let twice = reply.repeat(2);
        assert_eq!(receive(&mut client(&path()).0, &[twice.as_bytes()]), (KEEP, reply.len()));
    }
}

/// A head that was seen before is known again, and one that differs from it in a byte, an end or nothing but the cut is not taken for it.
#[test]
fn what_was_said_before_makes_no_difference() {
    let replies: [(&str, Verdict); 8] = [
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", KEEP),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno", KEEP),
        ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nyes", KEEP),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok", LAST),
        ("HTTP/1.1 500 OK\r\nContent-Length: 2\r\n\r\nok", Err(Mismatch::Status(500))),
        ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", KEEP),
        ("HTTP/1.1 204 No Content\r\n\r\n", KEEP),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok",
            malformed("two Content-Length fields that differ"),
        ),
    ];
    for (before, _) in replies.iter().filter(|(_, verdict)| *verdict == KEEP) {
        for (reply, verdict) in &replies {
            for at in 0..=reply.len() {
                let mut client = client(&path()).0;
                let mut out = Output::new();
                for _ in 0..2 {
                    assert_eq!(receive(&mut client, &[before.as_bytes()]).0, KEEP, "{before:?}");
                    client.request(1, &mut out);
                }
                let judged = receive(&mut client, &cut(reply.as_bytes(), &[at])).0;
                assert_eq!(judged, *verdict, "{reply:?} cut at {at} behind {before:?}");
            }
        }
    }
}
