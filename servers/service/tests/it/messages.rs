//! Messages to each service: single, several, with content, wrong. Not here: what they are answered with.

/// To `sized`.
pub(crate) const SIZED: &[&str] = &[
    "",
    "0\n",
    "5\n",
    "100\r\n",
    "64 spin=50us\n",
    "64 sleep=1ms\r\n",
    "1\n2\r\n3 spin=1us\n0\n4\n",
    "0000000000000000000000000000000000000000000000000000000000003\n7\n",
    "00000000000000000000000000000000000000000000000000000000000003\r\n",
    "0000000000000000000000000000000000000000000000000000000000000003\n",
    "0000000000000000000000000000000000000000000000000000000000000000000000000000000000",
    "3\n16777217\n3\n",
    "99999999999999999999999\n",
    "3\nthree\n3\n",
    "\n",
    "\r\n",
    "+1\n",
    "12a\n",
    "12 \n",
    "12  spin=1us\n",
    "12 rest=1us\n",
    "12 spin=1h\n",
    "12 spin=11s\n",
    "12\r\r\n",
    "12",
    "5\n12",
    "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
];

/// To `echo` and `greeting`, to which any bytes are as good as any others.
pub(crate) const ANY: &[&str] = &["", "a", "two\nlines\n", "0123456789012345678901234567890123456789"];

/// To `http`.
pub(crate) const HTTP: &[&str] = &[
    "",
    "\r\n\r\n",
    "\r",
    "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n\r\n",
    "HEAD /bytes/10 HTTP/1.1\r\nHost: x\r\n\r\nGET /bytes/70?q HTTP/1.1\r\nHost: x\r\n\r\n",
    "GET /spin/5us HTTP/1.1\r\nHost: x\r\n\r\nGET /sleep/1ms HTTP/1.1\r\nHost: x\r\n\r\nGET /bytes/0 HTTP/1.1\r\nHost: x\r\n\r\n",
    "GET /no HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET / HTTP/1.0\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\n\r\nhello worldGET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "PUT /bytes/3 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\nSum: 1\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\nbodyHEAD / HTTP/1.1\r\nHost: x\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: x\r\n\r\nPOST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\nb",
    "POST /no HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\nbody",
    "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0x1\r\na\r\n0\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n",
    "HEAD / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1000001\r\nab\r\n0\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 16777217\r\n\r\nx",
    "BREW / HTTP/1.1\r\nHost: x\r\n\r\nDELETE / HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "GET / HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: x\r\nBad : space\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: x\r\nBare: line\nfeed: x\r\n\r\n",
    "GET / HTTP/2.0\r\nBare\nfeed\r\n\r\n",
    "GET / HTTP/1.1\nHost: x\n\n",
    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFGHIJKLM\n",
    "garbage\r\n",
    "\u{16}\u{3}\u{1}",
    "GET / HTTP/1.1\r\nHost: x\r\n",
    "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhel",
];

/// To `http`, larger than [`service::MAX_HEAD`]: too long a target, too long a field, too many lines, and one that just fits.
pub(crate) fn large_http() -> Vec<String> {
    let max = service::MAX_HEAD;
    let head = "GET / HTTP/1.1\r\nHost: x\r\nA: ";
    let fits = format!("{head}{}\r\n\r\n", "a".repeat(max - head.len() - 4));
    assert_eq!(fits.len(), max);
    vec![
        format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "a".repeat(65_536)),
        format!("{head}{}\r\n\r\n", "a".repeat(65_536)),
        format!("{head}{}\r\n\r\n", "a".repeat(max - head.len() - 3)),
        format!("GET / HTTP/1.1\r\nHost: x\r\n{}\r\n", "a: b\r\n".repeat(3_000)),
        format!("GET / HTTP/1.1\r\nHost: x\r\n{}\r\n", "a: b\r\n".repeat(64)),
        format!("{fits}{fits}"),
    ]
}
