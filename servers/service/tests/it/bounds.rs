//! S3, S4 and S5: half-close is answered, bounds are kept, garbage ends its own connection. Not here: cuts.

use crate::driver::{Numbers, ServerEnd, converse};
use service::echo::Echo;
use service::greeting::{GREETING, Greeting};
use service::http::Http;
use service::sized::SizedService;
use service::{HIGH_WATER, MAX_REPLY, Service, Step, Work, pattern};
use std::time::Duration;

fn payload(at: u64, len: u64) -> Vec<u8> {
    (at..at + len).map(|i| pattern::piece(i, 1)[0]).collect()
}

#[test]
fn a_request_before_the_end_of_input_is_answered() {
    let got = converse(&SizedService::default(), &[b"3\n2 spin=1us\n"], true, 1);
    assert_eq!((got.sent, got.step), ([payload(3, 3), payload(2, 2)].concat(), Step::Close));
    let got = converse(&Echo::default(), &[b"last words"], true, 1);
    assert_eq!((got.sent.as_slice(), got.step), (&b"last words"[..], Step::Close));
    let got = converse(&Greeting::default(), &[], true, 1);
    assert_eq!((got.sent.as_slice(), got.step), (GREETING, Step::Close));
    let got = converse(&Http::default(), &[b"GET /spin/1us HTTP/1.1\r\nHost: x\r\n\r\n"], true, 1);
    assert!(got.sent.ends_with(b"Hello, World!"));
    assert_eq!(got.step, Step::Close);
}

#[test]
fn the_largest_reply_survives_a_half_close() {
    let got = converse(&SizedService::default(), &[b"16777216\n"], true, 1);
    assert_eq!(got.sent.len() as u64, MAX_REPLY);
    assert_eq!(pattern::first_difference(MAX_REPLY, &got.sent), None);
    assert_eq!(got.step, Step::Close);
}

#[test]
fn nothing_asked_is_nothing_said() {
    for end in [&b""[..], b"12"] {
        let got = converse(&SizedService::default(), &[end], true, 1);
        assert_eq!((got.sent.len(), got.step), (0, Step::Close));
    }
    let got = converse(&Http::default(), &[b"\r\n"], true, 1);
    assert_eq!((got.sent.len(), got.step), (0, Step::Close));
}

#[test]
fn work_is_done_once_for_each_request() {
    let spin = |us| Work::Spin(Duration::from_micros(us));
    let own = Work::Sleep(Duration::from_millis(2));
    let mut server = ServerEnd::open(&SizedService { work: Some(spin(7)) }, 1);
    server.feed(b"1\n1 sleep=2ms\n1\n");
    assert_eq!(server.works, [spin(7), own, spin(7)]);

    let mut server = ServerEnd::open(&Http { work: Some(spin(7)) }, 1);
    server.feed(b"GET / HTTP/1.1\r\nHost: x\r\n\r\nGET /sleep/2ms HTTP/1.1\r\nHost: x\r\n\r\nGET /no HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!(server.works, [spin(7), own], "no work for a 404");

    let server = ServerEnd::open(&Greeting { work: Some(spin(7)) }, 1);
    assert_eq!(server.works, [spin(7)]);

    let mut server = ServerEnd::open(&Echo { work: Some(spin(7)) }, 1);
    server.feed(b"a");
    server.feed(b"b");
    assert_eq!(server.works, [spin(7), spin(7)]);
}

/// A peer that never reads gets no more than the high-water mark and one reply queued.
#[test]
fn unread_replies_stop_the_reading() {
    let mut server = ServerEnd::open(&SizedService::default(), 1);
    for _ in 0..10_000 {
        server.feed(b"1000\n");
    }
    let queued = HIGH_WATER / 1000 + 1;
    let mut sent = Vec::new();
    assert!(!server.is_drained());
    for _ in 0..queued {
        sent.extend(server.pull(1000));
    }
    assert!(!server.is_drained(), "reading went on as soon as there was room");
    sent.extend(server.pull_all());
    assert_eq!(sent.len(), 10_000_000);
}

#[test]
fn is_idle_between_requests_only() {
    let mut server = ServerEnd::open(&Http::default(), 1);
    assert!(server.is_idle());
    server.feed(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\na");
    assert!(!server.is_idle());
    server.feed(b"b");
    assert!(server.is_idle());
    server.feed(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
    assert!(!server.is_idle());
    server.feed(b"0\r\n\r\n");
    assert!(server.is_idle());
}

fn survives<S: Service>(service: &S, garbage: &[u8], seed: u64) {
    // The driver asserts what may be held.
    let got = converse(service, &[garbage], seed.is_multiple_of(2), seed);
    assert!(matches!(got.step, Step::Read | Step::Close | Step::Linger), "{got:?}");
    let pieces: Vec<&[u8]> = garbage.chunks(1 + (seed as usize % 700)).collect();
    assert_eq!(converse(service, &pieces, seed.is_multiple_of(2), seed), got);
}

#[test]
fn garbage_ends_its_own_connection_and_nothing_else() {
    let mut numbers = Numbers::new(4);
    for seed in 0..400 {
        let len = numbers.next(if seed % 20 == 0 { 70_000 } else { 500 });
        // From all bytes to a few that the protocols know.
        let alphabet: &[u8] = match seed % 4 {
            0 => b"",
            1 => b"0123456789abcdef\r\n :;",
            2 => b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
            _ => b"0123456789 \n",
        };
        let garbage: Vec<u8> = (0..len)
            .map(|_| {
                if alphabet.is_empty() {
                    numbers.next(256) as u8
                } else {
                    alphabet[numbers.next(alphabet.len())]
                }
            })
            .collect();
        survives(&Http::default(), &garbage, seed);
        survives(&SizedService::default(), &garbage, seed);
        survives(&Echo::default(), &garbage, seed);
        survives(&Greeting::default(), &garbage, seed);
        // Behind a head that promises chunks.
        let mut chunks = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
        chunks.extend_from_slice(&garbage);
        survives(&Http::default(), &chunks, seed);
    }
}
