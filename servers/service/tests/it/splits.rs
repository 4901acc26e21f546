//! S1: for every cut of every message the same bytes are sent and the conversation ends the same way. Not here: whether they are right.

use crate::driver::{converse, cut};
use crate::messages;
use proptest::prelude::*;
use service::echo::Echo;
use service::greeting::Greeting;
use service::http::Http;
use service::sized::SizedService;
use service::{Service, Work};
use std::time::Duration;

const SPIN: Option<Work> = Some(Work::Spin(Duration::from_micros(3)));

/// One cut at every position (or every `stride`th), all bytes one by one, and a few thirds.
fn check<S: Service>(service: &S, message: &[u8], stride: usize) {
    for end in [false, true] {
        let whole = converse(service, &[message], end, 0);
        let same = |segments: &[&[u8]], what: &str| {
            let got = converse(service, segments, end, message.len() as u64);
            assert_eq!(
                got,
                whole,
                "{what}, {:?}",
                String::from_utf8_lossy(&message[..message.len().min(200)])
            );
        };
        for at in (0..=message.len()).step_by(stride) {
            same(&cut(message, &[at]), &format!("cut at {at}"));
            same(&cut(message, &[at / 2, at]), &format!("cut at {} and {at}", at / 2));
        }
        same(&message.chunks(1).collect::<Vec<_>>(), "byte by byte");
        same(&message.chunks(2).collect::<Vec<_>>(), "in pairs");
    }
}

#[test]
fn greeting_does_not_depend_on_the_cut() {
    for message in messages::ANY {
        check(&Greeting::default(), message.as_bytes(), 1);
        check(&Greeting { work: SPIN }, message.as_bytes(), 1);
    }
}

#[test]
fn echo_does_not_depend_on_the_cut() {
    for message in messages::ANY {
        check(&Echo::default(), message.as_bytes(), 1);
        check(&Echo { work: SPIN }, message.as_bytes(), 1);
    }
}

#[test]
fn sized_does_not_depend_on_the_cut() {
    for message in messages::SIZED {
        check(&SizedService::default(), message.as_bytes(), 1);
        check(&SizedService { work: SPIN }, message.as_bytes(), 1);
    }
}

#[test]
fn http_does_not_depend_on_the_cut() {
    for message in messages::HTTP {
        check(&Http::default(), message.as_bytes(), 1);
        check(&Http { work: SPIN }, message.as_bytes(), 1);
    }
}

#[test]
fn http_with_large_heads_does_not_depend_on_the_cut() {
    for message in messages::large_http() {
        check(&Http::default(), message.as_bytes(), 997);
    }
}

/// A message with some of its bytes replaced: nearly right, which is where parsers differ.
fn mutated(messages: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
    let odd = prop_oneof![
        Just(b'\r'),
        Just(b'\n'),
        Just(b' '),
        Just(b':'),
        Just(b','),
        Just(b';'),
        Just(0u8),
        Just(b'0'),
        any::<u8>()
    ];
    let changes = prop::collection::vec((any::<prop::sample::Index>(), odd, any::<bool>()), 0..4);
    (prop::sample::select(messages), changes).prop_map(|(message, changes)| {
        let mut bytes = message.as_bytes().to_vec();
        for (at, byte, insert) in changes {
            if insert || bytes.is_empty() {
                bytes.insert(at.index(bytes.len() + 1), byte);
            } else {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
        }
        bytes
    })
}

fn cuts() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(0..400usize, 0..12)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_cut_shows_in_http(message in mutated(messages::HTTP), at in cuts(), seed in any::<u64>(), end in any::<bool>()) {
        let whole = converse(&Http::default(), &[&message], end, 0);
        prop_assert_eq!(converse(&Http::default(), &cut(&message, &at), end, seed), whole);
    }

    #[test]
    fn no_cut_shows_in_sized(message in mutated(messages::SIZED), at in cuts(), seed in any::<u64>(), end in any::<bool>()) {
        let whole = converse(&SizedService::default(), &[&message], end, 0);
        prop_assert_eq!(converse(&SizedService::default(), &cut(&message, &at), end, seed), whole);
    }

    #[test]
    fn no_cut_shows_in_echo(message in any::<Vec<u8>>(), at in cuts(), seed in any::<u64>(), end in any::<bool>()) {
        let whole = converse(&Echo { work: SPIN }, &cut(&message, &at), end, seed);
        prop_assert_eq!(whole.sent, message);
    }
}
