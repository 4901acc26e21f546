//! `raw`: each kind of expectation, at every split of its reply; dialogues and banners. Not here: escapes (see the unit tests).

use crate::driver::{cut, receive};
use service::Output;
use service::client::{Client, Mismatch, Progress};
use service::raw::{Dialogue, Expect, RawClient, Template, Turn};
use std::sync::Arc;

fn turn(send: &str, expect: &str) -> Turn {
    Turn { send: Template::parse(send).unwrap(), expect: Expect::parse(expect).unwrap() }
}

fn client(banner: Option<&str>, turns: &[(&str, &str)]) -> RawClient {
    let banner = banner.map(|text| Expect::parse(text).unwrap());
    let turns = turns.iter().map(|(send, expect)| turn(send, expect)).collect();
    RawClient::new(Arc::new(Dialogue { banner, turns }), 3)
}

fn asked(expect: &str) -> RawClient {
    let mut client = client(None, &[("PING {seq}\\r\\n", expect)]);
    let mut out = Output::new();
    client.request(12, &mut out);
    assert_eq!(out.take(&[]), b"PING 12\r\n");
    client
}

const RIGHT: [(&str, &[u8]); 11] = [
    ("bytes:PONG {seq} {conn}\\r\\n", b"PONG 12 3\r\n"),
    ("delim:\\r\\n", b"a\rb\n\r\r\n"),
    ("delim:aab", b"aaab"),
    ("length:u8", b"\x03abc"),
    ("length:u16be@1+2", b"x\x00\x01abc"),
    ("length:u32le-4", b"\x06\0\0\0ab"),
    ("length:u64be", b"\0\0\0\0\0\0\0\0"),
    ("length:u32be@4", b"head\0\0\0\x02ab"),
    ("count:5", b"12345"),
    ("regex:^\\+OK (\\d+)\\r\\n", b"+OK 12\r\n"),
    ("regex:END\\n", b"any\xff\x00END\n"),
];

#[test]
fn a_right_reply_is_right_for_every_cut_and_ends_where_it_ends() {
    for (expect, reply) in RIGHT {
        for at in 0..=reply.len() {
            for segments in [cut(reply, &[at]), cut(reply, &[at / 2, at]), reply.chunks(1).collect()] {
                let got = receive(&mut asked(expect), &segments);
                assert_eq!(got, (Ok(Progress::Done { reusable: true }), 0), "{expect} {at}");
            }
            // What stands behind it is left alone.
            let longer = [reply, b"zz"].concat();
            let (result, left) = receive(&mut asked(expect), &cut(&longer, &[at]));
            assert!(result.is_ok() && left <= 2, "{expect} {at}: {result:?} {left}");
        }
    }
}

#[test]
fn each_early_end_is_found() {
    for (expect, reply) in RIGHT {
        for len in 0..reply.len() {
            let got = receive(&mut asked(expect), &cut(&reply[..len], &[len / 2])).0;
            assert_eq!(got, Err(Mismatch::EarlyEnd { received: len as u64 }), "{expect} {len}");
        }
    }
}

#[test]
fn wrong_bytes_and_lengths_are_found_for_any_cut() {
    let long = vec![b'a'; 70_000];
    for (expect, reply, want) in [
        ("bytes:PONG", &b"PING"[..], Mismatch::Content { offset: 1 }),
        ("length:u8-5", b"\x02ab", Mismatch::Malformed("the length in the reply is out of range")),
        ("length:u64le", &[0xff; 8], Mismatch::Malformed("the length in the reply is out of range")),
        (
            "regex:b",
            &long,
            Mismatch::Malformed("the expression does not match in the first 64 KiB of the reply"),
        ),
    ] {
        for segments in [vec![reply], reply.chunks(3).collect()] {
            assert_eq!(receive(&mut asked(expect), &segments).0, Err(want), "{expect}");
        }
    }
}

#[test]
fn a_reply_until_the_end_ends_with_the_connection() {
    let got = receive(&mut asked("eof"), &[b"any", b"thing"]);
    assert_eq!(got.0, Ok(Progress::Done { reusable: false }));
}

/// Shows `input` in pieces of `size` bytes and says what the client has to say in between; what it said, and what came of it.
fn hold(client: &mut RawClient, input: &[u8], size: usize) -> (Vec<u8>, Result<Progress, Mismatch>) {
    let (mut said, mut out, mut pending) = (Vec::new(), Output::new(), Vec::new());
    client.request(1, &mut out);
    said.extend(out.take(&[]));
    for piece in input.chunks(size) {
        pending.extend_from_slice(piece);
        match client.on_reply(&pending) {
            Ok((used, Progress::More)) => drop(pending.drain(..used)),
            Ok((_, done)) => return (said, Ok(done)),
            Err(mismatch) => return (said, Err(mismatch)),
        }
        client.say(&mut out);
        said.extend(out.take(&[]));
    }
    (said, Ok(Progress::More))
}

const MAIL: [(&str, &str); 3] = [
    ("EHLO x\\r\\n", "regex:(?m)^250 .*\\r\\n"),
    ("NOOP\\r\\n", "delim:\\r\\n"),
    ("QUIT\\r\\n", "bytes:221\\r\\n"),
];

#[test]
fn a_dialogue_waits_for_the_banner_and_for_each_reply() {
    let mut client = client(Some("delim:\\r\\n"), &MAIL);
    let (said, result) = hold(&mut client, b"220 hi\r\n250-a\r\n250 b\r\n250 ok\r\n221\r\n", 1);
    assert_eq!(String::from_utf8(said).unwrap(), "EHLO x\r\nNOOP\r\nQUIT\r\n");
    assert_eq!(result, Ok(Progress::Done { reusable: true }));
    // The banner is said once a connection.
    let (said, result) = hold(&mut client, b"250 b\r\n250 ok\r\n221\r\n", 1);
    assert_eq!((said.len(), result), (20, Ok(Progress::Done { reusable: true })));
    client.open();
    let (_, result) = hold(&mut client, b"220 hi\r\n250 b\r\n250 ok\r\n221\r\n", 1);
    assert_eq!(result, Ok(Progress::Done { reusable: true }));
}

#[test]
fn a_banner_may_come_before_the_request() {
    let mut client = client(Some("bytes:hello\\n"), &[("x", "count:1")]);
    assert_eq!(client.on_idle(b"hel"), Ok(3));
    assert_eq!(client.on_idle(b"lo\n"), Ok(3));
    assert_eq!(client.on_idle(b"more"), Err(Mismatch::Extra));
    let (said, result) = hold(&mut client, b"y", 1);
    assert_eq!((&said[..], result), (&b"x"[..], Ok(Progress::Done { reusable: true })));
    client.open();
    assert_eq!(client.on_idle(b"hello\nmore"), Err(Mismatch::Extra));
}

#[test]
fn a_server_that_answers_before_it_was_asked_is_found() {
    let mut client = client(None, &MAIL);
    let (_, result) = hold(&mut client, b"250 b\r\n250 ok\r\n", 64);
    assert_eq!(result, Err(Mismatch::Extra));
}

#[test]
fn what_cannot_be_expected_is_said() {
    for (text, why) in [
        ("", "no expectation"),
        ("bytes:", "at least 1 byte"),
        ("delim:", "delim:\\r\\n"),
        ("delim:{seq}", "placeholders"),
        ("length:u24be", "u32be@4+8"),
        ("length:u32be@x", "u32be@4+8"),
        ("length:u32be@4+x", "u32be@4+8"),
        ("length:u32be@5000", "u32be@4+8"),
        ("count:0", "above 0"),
        ("regex:(", "cannot be used"),
        ("words:x", "regex"),
    ] {
        let error = Expect::parse(text).unwrap_err();
        assert!(error.contains(why), "{text}: {error}");
    }
}
