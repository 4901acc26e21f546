//! The clients find each wrong byte, each early end and each byte too many, for any cut of a reply. Not here: other servers' HTTP.

use crate::driver::{converse, cut, receive};
use proptest::prelude::*;
use service::client::{AnyClient, Ask, Client, Mismatch, Progress};
use service::{Kind, MAX_REPLY, Output, Work};
use std::time::Duration;

pub(crate) fn ask(kind: Kind, size: u64) -> Ask {
    Ask { kind, size, work: None, path: None, host: "x".into(), close: false, seed: 7 }
}

/// A client with request 1 queued, and the request.
pub(crate) fn client(ask: &Ask) -> (AnyClient, Vec<u8>) {
    let mut client = AnyClient::new(ask, 3);
    let mut out = Output::new();
    client.request(1, &mut out);
    let request = out.take(&[]);
    (client, request)
}

/// What our server of the kind replies to `request`.
fn reply(kind: Kind, request: &[u8]) -> Vec<u8> {
    match kind {
        Kind::Greeting => converse(&service::greeting::Greeting::default(), &[request], false, 1).sent,
        Kind::Echo => converse(&service::echo::Echo::default(), &[request], false, 1).sent,
        Kind::Sized => converse(&service::sized::SizedService::default(), &[request], false, 1).sent,
        Kind::Http => converse(&service::http::Http::default(), &[request], false, 1).sent,
    }
}

/// Of each kind, an `Ask` with a reply of a few hundred bytes.
fn asks() -> impl Iterator<Item = Ask> {
    Kind::ALL.into_iter().map(|kind| ask(kind, 300))
}

#[test]
fn requests_are_these() {
    let text = |ask: &Ask| String::from_utf8(client(ask).1).unwrap();
    let spin = Some(Work::Spin(Duration::from_micros(50)));
    let sleep = Some(Work::Sleep(Duration::from_millis(2)));
    let sized = ask(Kind::Sized, 100);
    assert_eq!(text(&sized), "100\n");
    assert_eq!(text(&Ask { work: spin, ..sized.clone() }), "100 spin=50us\n");
    assert_eq!(text(&Ask { size: 0, ..sized.clone() }), "1\n", "no reply of no bytes can be waited for");
    assert_eq!(text(&Ask { size: u64::MAX, ..sized }), format!("{MAX_REPLY}\n"));
    let http = ask(Kind::Http, 100);
    let path = Some("/a?b".to_owned());
    assert_eq!(text(&http), "GET /bytes/100 HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!(text(&Ask { work: sleep, ..http.clone() }), "GET /sleep/2000us HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!(text(&Ask { path, work: spin, ..http.clone() }), "GET /a?b HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!(
        text(&Ask { close: true, ..http.clone() }),
        "GET /bytes/100 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    );
    assert_eq!(text(&ask(Kind::Greeting, 100)), "");
    assert_eq!(client(&ask(Kind::Echo, 100)).1.len(), 100);
}

#[test]
fn large_requests_ask_for_more_where_the_service_can() {
    for (ask, bytes, expected) in [
        (ask(Kind::Greeting, 10), 1 << 20, ""),
        (ask(Kind::Sized, 10), 1 << 20, "1048576\n"),
        (ask(Kind::Sized, 1 << 21), 1 << 20, "2097152\n"),
        (ask(Kind::Sized, 10), u64::MAX, "16777216\n"),
        (ask(Kind::Http, 10), 1 << 20, "GET /bytes/1048576 HTTP/1.1\r\nHost: x\r\n\r\n"),
        (ask(Kind::Http, 10), u64::MAX, "GET /bytes/16777216 HTTP/1.1\r\nHost: x\r\n\r\n"),
        (
            Ask { path: Some("/a".into()), ..ask(Kind::Http, 10) },
            1 << 20,
            "GET /a HTTP/1.1\r\nHost: x\r\n\r\n",
        ),
    ] {
        let mut client = AnyClient::new(&ask, 3);
        let mut out = Output::new();
        let can = client.request_large(1, bytes, &mut out);
        assert_eq!(can, ask.kind != Kind::Greeting && ask.path.is_none());
        let request = out.take(&[]);
        assert_eq!(String::from_utf8_lossy(&request), expected);
        if can {
            let reply = reply(ask.kind, &request);
            assert!(reply.len() as u64 >= bytes.min(MAX_REPLY));
            assert_eq!(receive(&mut client, &[&reply]).0, Ok(Progress::Done { reusable: true }));
        }
    }
}

#[test]
fn a_right_reply_is_right_for_every_cut() {
    for ask in asks() {
        let (_, request) = client(&ask);
        let reply = reply(ask.kind, &request);
        let reusable = ask.kind != Kind::Greeting;
        let check = |segments: &[&[u8]]| {
            let (mut client, _) = client(&ask);
            assert_eq!(
                receive(&mut client, segments),
                (Ok(Progress::Done { reusable }), 0),
                "{:?}",
                ask.kind
            );
        };
        for at in 0..=reply.len() {
            check(&cut(&reply, &[at]));
            check(&cut(&reply, &[at / 3, at]));
        }
        check(&reply.chunks(1).collect::<Vec<_>>());
    }
}

/// Where the checked content of a reply begins.
fn content_start(kind: Kind, reply: &[u8]) -> usize {
    if kind == Kind::Http { reply.windows(4).position(|w| w == b"\r\n\r\n").unwrap() + 4 } else { 0 }
}

#[test]
fn each_wrong_byte_is_found() {
    for ask in asks() {
        let (_, request) = client(&ask);
        let right = reply(ask.kind, &request);
        let start = content_start(ask.kind, &right);
        for i in start..right.len() {
            let mut wrong = right.clone();
            wrong[i] ^= 0x10;
            let expected = Err(Mismatch::Content { offset: (i - start) as u64 });
            for segments in [vec![&wrong[..]], wrong.chunks(7).collect()] {
                let (mut client, _) = client(&ask);
                assert_eq!(receive(&mut client, &segments).0, expected, "{:?}", ask.kind);
            }
        }
    }
}

#[test]
fn each_early_end_is_found() {
    for ask in asks() {
        let (_, request) = client(&ask);
        let reply = reply(ask.kind, &request);
        for len in 0..reply.len() {
            let expected = Err(Mismatch::EarlyEnd { received: len as u64 });
            for at in [0, len / 2, len.saturating_sub(1)] {
                let (mut client, _) = client(&ask);
                assert_eq!(
                    receive(&mut client, &cut(&reply[..len], &[at])).0,
                    expected,
                    "{:?} {len}",
                    ask.kind
                );
            }
        }
    }
}

#[test]
fn bytes_too_many_are_found() {
    for ask in asks() {
        let (mut client, request) = client(&ask);
        let mut reply = reply(ask.kind, &request);
        reply.push(b'\n');
        match receive(&mut client, &[&reply]) {
            // The greeting ends with the connection, so one byte more is wrong at once.
            (Err(Mismatch::Extra), _) => assert_eq!(ask.kind, Kind::Greeting),
            (Ok(Progress::Done { .. }), left) => {
                assert_eq!(left, 1);
                assert_eq!(client.on_reply(b"\n"), Err(Mismatch::Extra));
                assert_eq!(client.on_reply(b""), Ok((0, Progress::Done { reusable: true })));
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn an_end_between_requests_is_no_mismatch() {
    for ask in asks() {
        let (mut client, request) = client(&ask);
        let reply = reply(ask.kind, &request);
        if receive(&mut client, &[&reply]).0 == Ok(Progress::Done { reusable: true }) {
            assert_eq!(client.on_end(), Ok(Progress::Done { reusable: false }));
        }
    }
}

/// A client goes on with a new connection after a reply that it never saw the end of.
#[test]
fn a_request_begins_anew() {
    for ask in asks() {
        let (mut client, request) = client(&ask);
        let reply = reply(ask.kind, &request);
        assert!(client.on_reply(&reply[..reply.len() / 2]).is_ok());
        let mut out = Output::new();
        client.request(1, &mut out);
        assert_eq!(out.take(&[]), request);
        let reusable = ask.kind != Kind::Greeting;
        assert_eq!(receive(&mut client, &[&reply]).0, Ok(Progress::Done { reusable }));
    }
}

#[test]
fn a_refusal_by_sized_is_a_mismatch() {
    let (mut client, _) = client(&ask(Kind::Sized, 100));
    let refusal = reply(Kind::Sized, b"what?\n");
    assert!(refusal.starts_with(b"error: ") && refusal.ends_with(b"\n"));
    assert!(matches!(receive(&mut client, &[&refusal]).0, Err(Mismatch::Content { offset: 0..4 })));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever a reply is, the verdict does not depend on how it was cut.
    #[test]
    fn no_cut_shows_in_a_verdict(
        kind in prop::sample::select(&Kind::ALL[..]),
        change in prop::option::of((any::<prop::sample::Index>(), any::<u8>())),
        len in any::<prop::sample::Index>(),
        at in prop::collection::vec(0..500usize, 0..9),
    ) {
        let ask = ask(kind, 200);
        let (mut whole, request) = client(&ask);
        let mut reply = reply(kind, &request);
        if let Some((i, byte)) = change {
            let i = i.index(reply.len());
            reply[i] = byte;
            reply.truncate(len.index(reply.len() + 1).max(i));
        }
        let expected = receive(&mut whole, &[&reply]).0;
        let (mut client, _) = client(&ask);
        prop_assert_eq!(receive(&mut client, &cut(&reply, &at)).0, expected);
    }
}
