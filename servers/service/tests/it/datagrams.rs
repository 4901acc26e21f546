//! Datagrams: what each service answers, and that the client finds each thing that can be wrong with an answer. Not here: sockets.

use crate::clients::ask;
use proptest::prelude::*;
use service::client::Mismatch;
use service::datagram::client::{DatagramClient, HEAD, Seen};
use service::datagram::{Answer, DatagramService, MAX_DATAGRAM, Reply, TAG};
use service::echo::Echo;
use service::greeting::{GREETING, Greeting};
use service::sized::SizedService;
use service::{Kind, Work, pattern};
use std::time::Duration;

fn sent(answer: Answer, message: &[u8]) -> Vec<u8> {
    let bytes = answer.reply.pieces(message).concat();
    assert_eq!(answer.reply.len(message), bytes.len());
    bytes
}

fn reply(kind: Kind, message: &[u8]) -> Vec<u8> {
    let answer = match kind {
        Kind::Echo => Echo::default().answer(message),
        Kind::Greeting => Greeting::default().answer(message),
        Kind::Sized => SizedService::default().answer(message),
        Kind::Http => unreachable!("not in datagrams"),
    };
    sent(answer, message)
}

fn client(kind: Kind, size: u64) -> DatagramClient {
    DatagramClient::new(&ask(kind, size), 3).unwrap()
}

fn request(client: &DatagramClient, seq: u64) -> Vec<u8> {
    let mut message = vec![1, 2, 3];
    client.request(seq, &mut message);
    message
}

#[test]
fn http_needs_a_stream() {
    assert!(DatagramClient::new(&ask(Kind::Http, 10), 0).is_none());
    assert_eq!(Kind::ALL.map(Kind::in_datagrams), [true, true, true, false]);
}

#[test]
fn each_service_answers_and_its_client_is_content() {
    for kind in [Kind::Echo, Kind::Greeting, Kind::Sized] {
        for size in [1, 2, 15, 16, 17, 64, 1_472, 8_192, MAX_DATAGRAM as u64] {
            let client = client(kind, size);
            for seq in [0, 1, 77, u64::MAX] {
                let message = request(&client, seq);
                let answer = reply(kind, &message);
                let expected =
                    if kind == Kind::Greeting || size < 16 { Seen::Untagged } else { Seen::Answer(seq) };
                assert_eq!(client.check(seq, &answer), Ok(expected), "{kind} {size} {seq}");
                assert_eq!(client.is_tagged(), expected != Seen::Untagged);
                // From its head, as an ICMP message quotes it.
                let head = &message[..message.len().min(HEAD)];
                assert_eq!(client.asked(head), client.is_tagged().then_some(seq), "{kind} {size}");
                if kind != Kind::Greeting {
                    assert_eq!(answer.len() as u64, size);
                }
            }
        }
    }
}

#[test]
fn an_empty_datagram_is_answered() {
    assert_eq!(reply(Kind::Echo, b""), b"");
    assert_eq!(reply(Kind::Greeting, b""), GREETING);
    assert!(reply(Kind::Sized, b"").starts_with(b"error: "));
}

#[test]
fn sized_requests_are_read_strictly() {
    let tag = "000102030405060708090a0b0c0d0eFF";
    let tagged = format!("20 spin=5us tag={tag}\n");
    let answer = SizedService::default().answer(tagged.as_bytes());
    assert_eq!(answer.work, Some(Work::Spin(Duration::from_micros(5))));
    let bytes = sent(answer, b"");
    assert_eq!(&bytes[..TAG], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 255]);
    assert_eq!(pattern::first_difference(20, &bytes[TAG..]), None);
    for (request, size) in [("5", 5), ("5\n", 5), ("5\r\n", 5), ("0", 0), ("65507\n", MAX_DATAGRAM)] {
        let answer = reply(Kind::Sized, request.as_bytes());
        assert_eq!((answer.len(), pattern::first_difference(size as u64, &answer)), (size, None));
    }
    assert_eq!(reply(Kind::Sized, format!("4 tag={tag}").as_bytes()), [0, 1, 2, 3]);
    let default = SizedService { work: Some(Work::Sleep(Duration::from_millis(1))) };
    assert_eq!(default.answer(b"5").work, default.work);
    for bad in [
        " 5",
        "5 ",
        "-1",
        "5 rest=1us",
        "5 tag=00",
        "5 tag=zz0102030405060708090a0b0c0d0e0f",
        "5\n\n",
        "5 spin=1us spin=1us",
        "65508",
        "99999999999999999999999",
        &format!("5 tag={tag} spin=1us"),
        &format!("5 tag={tag} tag={tag}"),
        &"1".repeat(129),
    ] {
        let answer = SizedService::default().answer(bad.as_bytes());
        let Reply::Fixed(words) = answer.reply else { panic!("{bad}") };
        assert!(words.starts_with(b"error: ") && words.ends_with(b"\n"), "{bad}");
    }
}

#[test]
fn a_crossed_answer_is_told_from_a_wrong_one() {
    for kind in [Kind::Echo, Kind::Sized] {
        let mine = client(kind, 64);
        let other = DatagramClient::new(&ask(kind, 64), 4).unwrap();
        let answer = reply(kind, &request(&other, 9));
        assert_eq!(mine.check(9, &answer), Err(Mismatch::Crossed));
        let mut stranger_ask = ask(kind, 64);
        stranger_ask.seed ^= 1;
        let stranger = DatagramClient::new(&stranger_ask, 3).unwrap();
        let answer = reply(kind, &request(&stranger, 9));
        assert_eq!(mine.check(9, &answer), Err(Mismatch::Content { offset: 0 }), "of another run");
        assert_eq!(mine.names(&answer), None);
        let mut spoilt = reply(kind, &request(&mine, 7));
        spoilt[40] ^= 1;
        assert_eq!((mine.names(&spoilt), other.names(&spoilt)), (Some(7), None));
        spoilt.truncate(16);
        assert_eq!((mine.names(&spoilt), mine.names(&spoilt[..15])), (Some(7), None));
        let late = reply(kind, &request(&mine, 2));
        assert_eq!(
            mine.check(9, &late),
            Ok(Seen::Answer(2)),
            "reordered, doubled or late: the caller's to say"
        );
    }
}

proptest! {
    #[test]
    fn any_wrong_byte_and_any_wrong_length_is_found(
        kind in prop::sample::select(vec![Kind::Echo, Kind::Greeting, Kind::Sized]),
        size in 1u64..200,
        seq: u64,
        at: prop::sample::Index,
        flip in 1u8..=255,
    ) {
        let client = client(kind, size);
        let right = reply(kind, &request(&client, seq));
        let at = at.index(right.len());
        let mut wrong = right.clone();
        wrong[at] ^= flip;
        // A flipped byte of the connection's number or of seq no longer fits the check.
        prop_assert!(client.check(seq, &wrong).is_err());
        prop_assert!(client.check(seq, &right[..at]).is_err());
        let mut long = right;
        long.push(flip);
        prop_assert_eq!(client.check(seq, &long), Err(Mismatch::Extra));
    }
}
