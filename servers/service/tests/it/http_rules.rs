//! One row for each rule of HTTP that the server keeps: request, statuses, what the connection does. Not here: content, cuts.

use crate::driver::{Outcome, converse};
use service::http::Http;
use service::{Output, Protocol, Service, Step, pattern};

/// What the connection does at last.
pub(crate) const OPEN: Step = Step::Read;
pub(crate) const CLOSE: Step = Step::Close;
pub(crate) const LINGER: Step = Step::Linger;

pub(crate) struct Answer {
    pub(crate) status: u16,
    head: String,
    content: Vec<u8>,
}

/// Takes a stream of replies apart by nothing but RFC 9112; `methods` says which of them are to HEAD.
fn answers(sent: &[u8], is_head: impl Fn(usize) -> bool) -> Vec<Answer> {
    let mut rest = sent;
    let mut found: Vec<Answer> = Vec::new();
    while !rest.is_empty() {
        let end = rest.windows(4).position(|w| w == b"\r\n\r\n").expect("a head ends") + 4;
        let head = String::from_utf8(rest[..end].to_vec()).unwrap();
        let status: u16 = head.strip_prefix("HTTP/1.1 ").unwrap()[..3].parse().unwrap();
        let finals = found.iter().filter(|a| a.status >= 200).count();
        let declared: usize = match head.lines().find_map(|l| l.strip_prefix("Content-Length: ")) {
            Some(number) => number.parse().unwrap(),
            None => {
                assert_eq!(status, 100, "only an interim reply has no length");
                0
            }
        };
        let len = if is_head(finals) { 0 } else { declared };
        let content = rest[end..end + len].to_vec();
        rest = &rest[end + len..];
        found.push(Answer { status, head, content });
    }
    found
}

pub(crate) fn ask(request: &str) -> (Vec<Answer>, Step) {
    let Outcome { sent, step } = converse(&Http::default(), &[request.as_bytes()], false, 3);
    let methods: Vec<bool> =
        request.split("\r\n").filter(|l| l.contains(" HTTP/1")).map(|l| l.starts_with("HEAD ")).collect();
    (answers(&sent, |i| methods.get(i) == Some(&true)), step)
}

/// Where the rule stands, the request, the statuses of the replies, and what the connection does after them.
pub(crate) type Row = (&'static str, &'static str, &'static [u16], Step);

pub(crate) fn check(rows: &[Row]) {
    for (rule, request, statuses, step) in rows {
        let (answers, got) = ask(request);
        let found: Vec<u16> = answers.iter().map(|a| a.status).collect();
        assert_eq!((found.as_slice(), got), (*statuses, *step), "{rule}: {request:?}");
        if let Some(last) = answers.last() {
            let says_close = last.head.contains("\r\nConnection: close\r\n");
            assert_eq!(says_close, got != OPEN, "RFC 9112, 9.6: a server that closes says so: {request:?}");
        }
    }
}

#[test]
fn request_lines() {
    check(&[
        ("RFC 9112, 3", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", &[200], OPEN),
        ("RFC 9112, 2.2: empty lines before", "\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n", &[200], OPEN),
        ("RFC 9112, 2.2: bare CR", "\rGET / HTTP/1.1\r\nHost: x\r\n\r\n", &[400], LINGER),
        ("RFC 9112, 2.2: bare LF", "GET / HTTP/1.1\nHost: x\n\n", &[400], LINGER),
        ("RFC 9112, 2.2: space before the first field", "GET / HTTP/1.1\r\n Host: x\r\n\r\n", &[400], LINGER),
        ("RFC 9112, 3: garbage", "garbage\r\n", &[400], LINGER),
        ("RFC 9112, 3: garbage", "\u{0}\u{1}", &[400], LINGER),
        ("RFC 9112, 3: a method is a token", "G(T / HTTP/1.1\r\nHost: x\r\n\r\n", &[400], LINGER),
        ("RFC 9112, 3: single spaces", "GET  / HTTP/1.1\r\nHost: x\r\n\r\n", &[400], LINGER),
        ("RFC 9112, 3: nothing behind", "GET / HTTP/1.1 x\r\nHost: x\r\n\r\n", &[400], LINGER),
        ("RFC 9112, 3: no version is HTTP/0.9", "GET /\r\n\r\n", &[400], LINGER),
        ("RFC 9112, 2.3: the name is HTTP", "GET / http/1.1\r\nHost: x\r\n\r\n", &[400], LINGER),
        ("RFC 9110, 15.6.6", "GET / HTTP/2.0\r\nHost: x\r\n\r\n", &[505], LINGER),
        ("RFC 9110, 15.6.6", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &[505], LINGER),
        ("RFC 9110, 6.2: a higher minor version", "GET / HTTP/1.9\r\nHost: x\r\n\r\n", &[200], OPEN),
        ("RFC 9112, 3: an overlong method", "ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFGHIJ", &[501], LINGER),
    ]);
}

#[test]
fn targets_and_methods() {
    check(&[
        ("RFC 9110, 15.5.5", "GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n", &[404], OPEN),
        ("RFC 9110, 15.5.5", "GET /bytes/x HTTP/1.1\r\nHost: x\r\n\r\n", &[404], OPEN),
        ("RFC 9110, 15.5.5", "GET /bytes/ HTTP/1.1\r\nHost: x\r\n\r\n", &[404], OPEN),
        ("MAX_REPLY", "GET /bytes/16777217 HTTP/1.1\r\nHost: x\r\n\r\n", &[404], OPEN),
        ("MAX_REPLY", "HEAD /bytes/16777216 HTTP/1.1\r\nHost: x\r\n\r\n", &[200], OPEN),
        ("MAX_WORK", "GET /spin/11s HTTP/1.1\r\nHost: x\r\n\r\n", &[404], OPEN),
        ("RFC 9112, 3.2.1: query", "GET /?a=/b HTTP/1.1\r\nHost: x\r\n\r\n", &[200], OPEN),
        (
            "RFC 9112, 3.2.2: absolute form",
            "GET http://x/bytes/3?q HTTP/1.1\r\nHost: y\r\n\r\n",
            &[200],
            OPEN,
        ),
        ("RFC 9112, 3.2.2: absolute form", "GET HTTPS://x HTTP/1.1\r\nHost: x\r\n\r\n", &[200], OPEN),
        ("RFC 9112, 3.2.2: absolute form", "GET http://x?q HTTP/1.1\r\nHost: x\r\n\r\n", &[200], OPEN),
        ("RFC 9110, 4.2.1: empty host", "GET http:///a HTTP/1.1\r\nHost: x\r\n\r\n", &[400], LINGER),
        ("RFC 9112, 3.2: none of the forms", "GET nothing HTTP/1.1\r\nHost: x\r\n\r\n", &[400], LINGER),
        ("RFC 9112, 3.2.4: `*` is for OPTIONS", "GET * HTTP/1.1\r\nHost: x\r\n\r\n", &[400], LINGER),
        ("RFC 3986, 3.5: no fragment", "GET /#top HTTP/1.1\r\nHost: x\r\n\r\n", &[400], LINGER),
        ("RFC 9110, 15.5.6", "DELETE / HTTP/1.1\r\nHost: x\r\n\r\n", &[405], OPEN),
        ("RFC 9110, 15.5.6", "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", &[405], OPEN),
        ("RFC 9110, 15.5.6", "CONNECT x:80 HTTP/1.1\r\nHost: x\r\n\r\n", &[405], OPEN),
        ("RFC 9110, 15.5.5", "DELETE /nothing HTTP/1.1\r\nHost: x\r\n\r\n", &[404], OPEN),
        ("RFC 9110, 15.6.2", "BREW / HTTP/1.1\r\nHost: x\r\n\r\n", &[501], OPEN),
        ("RFC 9110, 9.1: methods have a case", "get / HTTP/1.1\r\nHost: x\r\n\r\n", &[501], OPEN),
    ]);
}

#[test]
fn fields() {
    check(&[
        ("RFC 9112, 3.2: no Host", "GET / HTTP/1.1\r\n\r\n", &[400], LINGER),
        ("RFC 9112, 3.2: two Hosts", "GET / HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n", &[400], LINGER),
        ("RFC 9112, 3.2: two Hosts, 1.0", "GET / HTTP/1.0\r\nHost: x\r\nhost: y\r\n\r\n", &[400], LINGER),
        ("RFC 9112, 3.2: a bad Host", "GET / HTTP/1.1\r\nHost: x y\r\n\r\n", &[400], LINGER),
        ("RFC 9112, 3.2: a bad Host", "GET / HTTP/1.1\r\nHost: http://x/\r\n\r\n", &[400], LINGER),
        ("RFC 9112, 3.2: an empty Host", "GET / HTTP/1.1\r\nHost:\r\n\r\n", &[200], OPEN),
        ("RFC 9110, 7.2: address and port", "GET / HTTP/1.1\r\nHOST: [::1]:80\r\n\r\n", &[200], OPEN),
        ("RFC 9112, 5.1: space before the colon", "GET / HTTP/1.1\r\nHost : x\r\n\r\n", &[400], LINGER),
        ("RFC 9112, 5.2: a folded line", "GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n", &[400], LINGER),
        ("RFC 9110, 5.1: a name is a token", "GET / HTTP/1.1\r\nHost: x\r\na b: c\r\n\r\n", &[400], LINGER),
        ("RFC 9110, 5.1: a name is not empty", "GET / HTTP/1.1\r\nHost: x\r\n: c\r\n\r\n", &[400], LINGER),
        ("RFC 9112, 5: a colon", "GET / HTTP/1.1\r\nHost: x\r\nno colon\r\n\r\n", &[400], LINGER),
        ("RFC 9110, 5.5: NUL", "GET / HTTP/1.1\r\nHost: x\r\nA: \u{0}\r\n\r\n", &[400], LINGER),
        ("RFC 9112, 2.2: bare CR", "GET / HTTP/1.1\r\nHost: x\r\nA: b\rc\r\n\r\n", &[400], LINGER),
        ("RFC 9110, 5.5: obs-text", "GET / HTTP/1.1\r\nHost: x\r\nA: \u{e9}\r\n\r\n", &[200], OPEN),
        ("RFC 9112, 2.2: bare LF", "GET / HTTP/1.1\r\nHost: x\r\nA: b\nC: d\r\n\r\n", &[400], LINGER),
    ]);
}

#[test]
fn persistence() {
    check(&[
        (
            "RFC 9112, 9.3",
            "GET / HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n",
            &[200, 200],
            OPEN,
        ),
        ("RFC 9112, 9.6", "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", &[200], CLOSE),
        ("RFC 9110, 7.6.1", "GET / HTTP/1.1\r\nHost: x\r\nConnection: a, CLOSE\r\n\r\n", &[200], CLOSE),
        (
            "RFC 9110, 7.6.1",
            "GET / HTTP/1.1\r\nHost: x\r\nConnection: a\r\nconnection: close\r\n\r\n",
            &[200],
            CLOSE,
        ),
        ("RFC 9110, 7.6.1", "GET / HTTP/1.1\r\nHost: x\r\nConnection: closed\r\n\r\n", &[200], OPEN),
        ("RFC 9112, 9.3: HTTP/1.0", "GET / HTTP/1.0\r\n\r\n", &[200], CLOSE),
        ("RFC 9112, 9.3: HTTP/1.0", "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", &[200], OPEN),
        ("RFC 9112, 9.3", "GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n", &[200], CLOSE),
        (
            "RFC 9112, 9.6: nothing behind close",
            "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n",
            &[200],
            CLOSE,
        ),
        (
            "a 404 closes when asked to",
            "GET /no HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
            &[404],
            CLOSE,
        ),
    ]);
}

#[test]
fn heads_that_are_too_large() {
    let statuses = |request: &str| {
        let (answers, step) = ask(request);
        (answers.iter().map(|a| a.status).collect::<Vec<_>>(), step)
    };
    let [target, field, byte_too_long, lines, line_too_many, fits] =
        <[String; 6]>::try_from(crate::messages::large_http()).unwrap();
    assert_eq!(statuses(&target), (vec![414], LINGER), "RFC 9110, 15.5.15");
    assert_eq!(statuses(&field), (vec![431], LINGER), "RFC 6585, 5");
    assert_eq!(statuses(&byte_too_long), (vec![431], LINGER));
    assert_eq!(statuses(&lines), (vec![431], LINGER));
    assert_eq!(statuses(&line_too_many), (vec![431], LINGER), "65 fields");
    assert_eq!(statuses(&fits), (vec![200, 200], OPEN));
}

#[test]
fn replies_carry_what_was_asked_for() {
    let (answers, _) = ask("GET /bytes/70000 HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!(answers[0].content.len(), 70_000);
    assert_eq!(pattern::first_difference(70_000, &answers[0].content), None);

    let (answers, _) = ask("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nab");
    assert_eq!(answers[0].content, service::http::HELLO);

    let (answers, _) = ask("DELETE / HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(answers[0].head.contains("\r\nAllow: GET, HEAD, POST, PUT\r\n"), "RFC 9110, 15.5.6");

    let (answers, _) = ask("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    assert!(answers[0].head.contains("\r\nConnection: keep-alive\r\n"), "RFC 9112, 9.3");
}

/// RFC 9110, 9.3.2: the head of HEAD is that of GET, and there is no content.
#[test]
fn head_is_get_without_content() {
    for target in ["/", "/bytes/0", "/bytes/70000", "/spin/1us", "/no"] {
        let (get, _) = ask(&format!("GET {target} HTTP/1.1\r\nHost: x\r\n\r\n"));
        let (head, step) = ask(&format!("HEAD {target} HTTP/1.1\r\nHost: x\r\n\r\n"));
        assert_eq!((head.len(), &head[0].head, step), (1, &get[0].head, OPEN));
    }
    let (answers, step) = ask("HEAD / HTTP/1.1\r\n\r\n");
    assert_eq!((answers[0].status, step), (400, LINGER));
}

/// RFC 9112, 9.3.2: pipelined requests are answered in order, and a further half of one holds nothing back.
#[test]
fn pipelined_requests_are_answered_in_order() {
    let mut requests: String =
        (0..100).map(|n| format!("GET /bytes/{n} HTTP/1.1\r\nHost: x\r\n\r\n")).collect();
    requests.push_str("GET /bytes/100 HT");
    let (answers, step) = ask(&requests);
    let sizes: Vec<usize> = answers.iter().map(|a| a.content.len()).collect();
    assert_eq!(sizes, (0..100).collect::<Vec<_>>());
    assert_eq!(step, OPEN);
}

/// RFC 9112, 8: a request that the end of input cuts short is incomplete.
#[test]
fn a_request_cut_short_is_answered_400() {
    for request in [
        "GET / HTTP/1.1\r\nHost: x\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhell",
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n",
    ] {
        let got = converse(&Http::default(), &[request.as_bytes()], true, 3);
        let answers = answers(&got.sent, |_| false);
        assert_eq!((answers.len(), answers[0].status, got.step), (1, 400, CLOSE), "{request:?}");
    }
}

#[test]
fn nothing_is_said_after_the_last_reply() {
    for (request, step) in [(&b"\0"[..], LINGER), (b"GET / HTTP/1.0\r\n\r\n", CLOSE)] {
        let mut conn = Http::default().open();
        let mut out = Output::new();
        assert_eq!(conn.on_input(request, &mut out), (request.len(), step));
        out.take(request);
        assert_eq!(conn.on_input(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", &mut out), (27, step));
        assert_eq!(conn.on_eof(b"", &mut out), CLOSE);
        assert!(out.is_empty());
    }
}
