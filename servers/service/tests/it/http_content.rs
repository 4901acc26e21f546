//! The rules of HTTP about the content of requests, a row each: lengths, codings, chunks, expectations. Not here: heads, cuts.

use crate::http_rules::{CLOSE, LINGER, OPEN, Row, ask, check};
use service::Step;

/// The rule, the fields that frame the content, the content, the statuses, and what the connection does.
type Content = (&'static str, &'static str, &'static str, &'static [u16], Step);

/// Content is framed, dropped, and followed by a GET: one reply too many would be a request smuggled in.
fn check_content(rows: &[Content]) {
    const GET: &str = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    for (rule, fields, content, statuses, step) in rows {
        for method in ["POST", "PUT", "GET"] {
            let fields = if fields.is_empty() { String::new() } else { format!("{fields}\r\n") };
            let request = format!("{method} / HTTP/1.1\r\nHost: x\r\n{fields}\r\n{content}{GET}");
            let (answers, got) = ask(&request);
            let found: Vec<u16> = answers.iter().map(|a| a.status).collect();
            assert_eq!((found.as_slice(), got), (*statuses, *step), "{rule}: {request:?}");
        }
    }
}

#[test]
fn lengths() {
    check_content(&[
        ("RFC 9112, 6.2", "Content-Length: 5", "hello", &[200, 200], OPEN),
        ("RFC 9112, 6.2", "content-length: 00005", "GET /", &[200, 200], OPEN),
        ("RFC 9112, 6.3", "", "", &[200, 200], OPEN),
        ("RFC 9110, 8.6: digits", "Content-Length: 0x5", "hello", &[400], LINGER),
        ("RFC 9110, 8.6: digits", "Content-Length: +5", "hello", &[400], LINGER),
        ("RFC 9110, 8.6: digits", "Content-Length: 1_0", "hello", &[400], LINGER),
        ("RFC 9110, 8.6: digits", "Content-Length: -5", "hello", &[400], LINGER),
        ("RFC 9110, 8.6: digits", "Content-Length:", "hello", &[400], LINGER),
        ("RFC 9110, 8.6: a list", "Content-Length: 5, 5", "hello", &[400], LINGER),
        (
            "RFC 9110, 8.6: two, even if alike",
            "Content-Length: 5\r\nContent-Length: 5",
            "hello",
            &[400],
            LINGER,
        ),
        ("RFC 9112, 6.3: two that differ", "Content-Length: 5\r\nContent-Length: 0", "hello", &[400], LINGER),
        ("RFC 9110, 15.5.14", "Content-Length: 16777217", "", &[413], LINGER),
        ("RFC 9110, 15.5.14", "Content-Length: 99999999999999999999999", "", &[413], LINGER),
    ]);
}

#[test]
fn transfer_codings() {
    check_content(&[
        (
            "RFC 9112, 6.1: both",
            "Transfer-Encoding: chunked\r\nContent-Length: 5",
            "0\r\n\r\n",
            &[400],
            LINGER,
        ),
        ("RFC 9112, 6.1: both", "Content-Length: 5\r\nTransfer-Encoding: x", "0\r\n\r\n", &[400], LINGER),
        ("RFC 9112, 6.1: unknown", "Transfer-Encoding: gzip", "", &[501], LINGER),
        ("RFC 9112, 6.1: unknown", "Transfer-Encoding: gzip, chunked", "0\r\n\r\n", &[501], LINGER),
        ("RFC 9112, 6.1: unknown", "Transfer-Encoding: xchunked", "0\r\n\r\n", &[501], LINGER),
        ("RFC 9112, 7.1: twice", "Transfer-Encoding: chunked, chunked", "0\r\n\r\n", &[400], LINGER),
        (
            "RFC 9112, 7.1: twice",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
            "",
            &[400],
            LINGER,
        ),
        ("RFC 9112, 6.3: not last", "Transfer-Encoding: chunked, gzip", "0\r\n\r\n", &[400], LINGER),
        ("RFC 9112, 6.3: none", "Transfer-Encoding:", "0\r\n\r\n", &[400], LINGER),
    ]);
}

#[test]
fn chunks() {
    check_content(&[
        ("RFC 9112, 7.1", "Transfer-Encoding: Chunked", "5\r\nhello\r\n0\r\n\r\n", &[200, 200], OPEN),
        (
            "RFC 9112, 7.1.1",
            "Transfer-Encoding: chunked",
            "5 ; a=\"b\"\r\nhello\r\n0;x\r\n\r\n",
            &[200, 200],
            OPEN,
        ),
        (
            "RFC 9112, 7.1.2",
            "Transfer-Encoding: chunked",
            "0\r\nSum: 1\r\nHost: y\r\n\r\n",
            &[200, 200],
            OPEN,
        ),
        (
            "RFC 9112, 7.1.2: a bad trailer",
            "Transfer-Encoding: chunked",
            "0\r\nSum : 1\r\n\r\n",
            &[400],
            LINGER,
        ),
        (
            "RFC 9112, 7.1: beyond 64 bits",
            "Transfer-Encoding: chunked",
            "10000000000000000\r\n",
            &[400],
            LINGER,
        ),
        ("RFC 9112, 7.1: 0x1", "Transfer-Encoding: chunked", "0x1\r\na\r\n0\r\n\r\n", &[400], LINGER),
        ("RFC 9112, 7.1: +1", "Transfer-Encoding: chunked", "+1\r\na\r\n0\r\n\r\n", &[400], LINGER),
        ("RFC 9112, 7.1: 1_0", "Transfer-Encoding: chunked", "1_0\r\na\r\n0\r\n\r\n", &[400], LINGER),
        ("RFC 9112, 7.1: no CRLF behind", "Transfer-Encoding: chunked", "1\r\nab0\r\n\r\n", &[400], LINGER),
        ("RFC 9112, 7.1: bare LF", "Transfer-Encoding: chunked", "1\na\n0\n\n", &[400], LINGER),
        ("RFC 9110, 15.5.14", "Transfer-Encoding: chunked", "1000001\r\n", &[413], LINGER),
    ]);
}

#[test]
fn expectations() {
    check_content(&[
        ("RFC 9110, 10.1.1", "Expect: 100-Continue\r\nContent-Length: 5", "hello", &[100, 200, 200], OPEN),
        (
            "RFC 9110, 10.1.1",
            "Expect: 100-continue\r\nTransfer-Encoding: chunked",
            "0\r\n\r\n",
            &[100, 200, 200],
            OPEN,
        ),
        ("RFC 9110, 10.1.1: nothing to wait for", "Expect: 100-continue", "", &[200, 200], OPEN),
        ("RFC 9110, 15.5.18", "Expect: tea\r\nContent-Length: 5", "hello", &[417, 200], OPEN),
        ("RFC 9110, 10.1.1: refused", "Expect: 100-continue\r\nContent-Length: 16777217", "", &[413], LINGER),
    ]);
}

#[test]
fn content_and_the_rest_of_a_request() {
    const ROWS: &[Row] = &[
        (
            "RFC 9112, 6.1: no codings in 1.0",
            "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            &[400],
            LINGER,
        ),
        (
            "RFC 9110, 10.1.1: not in 1.0",
            "POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nab",
            &[200],
            CLOSE,
        ),
        (
            "RFC 9110, 10.1.1: content that will not be asked for",
            "POST /no HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n",
            &[404],
            LINGER,
        ),
        (
            "RFC 9112, 9.3: content is read before a 404",
            "POST /no HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhelloGET / HTTP/1.1\r\nHost: x\r\n\r\n",
            &[404, 200],
            OPEN,
        ),
        (
            "RFC 9112, 6.3: framing is the same for all methods",
            "BREW / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhelloGET / HTTP/1.1\r\nHost: x\r\n\r\n",
            &[501, 200],
            OPEN,
        ),
    ];
    check(ROWS);
}
