//! Server and client of each service, joined in memory, with the sizes at which buffers and the payload text wrap. Not here: faults.

use crate::clients::ask;
use crate::driver::{Numbers, ServerEnd};
use service::client::{AnyClient, Ask, Client, Progress};
use service::echo::Echo;
use service::greeting::Greeting;
use service::http::Http;
use service::sized::SizedService;
use service::{Kind, MAX_HEAD, Output, Service, Step, Work};
use std::time::Duration;

const SIZES: [u64; 15] =
    [0, 1, 63, 64, 65, 4_095, 4_096, 4_097, 65_519, 65_520, 65_521, 65_522, 65_523, 1 << 20, 16 << 20];

/// Holds `requests` exchanges with a client for `ask`; new connections are opened as they are needed. Returns how many were.
fn join<S: Service>(service: &S, ask: &Ask, requests: u64) -> usize {
    let mut numbers = Numbers::new(ask.size);
    let mut client = AnyClient::new(ask, 5);
    let mut connections = 0;
    let mut connection: Option<ServerEnd<S::Conn>> = None;
    for seq in 0..requests {
        let mut server = connection.take().unwrap_or_else(|| {
            connections += 1;
            ServerEnd::open(service, seq)
        });
        let mut out = Output::new();
        client.request(seq, &mut out);
        if exchange(&mut server, &mut client, &mut out, &mut numbers, ask.size) {
            connection = Some(server);
        }
    }
    connections
}

/// One request and its reply in pieces of varied size; whether the connection can be used again.
fn exchange<P: service::Protocol>(
    server: &mut ServerEnd<P>,
    client: &mut AnyClient,
    out: &mut Output,
    numbers: &mut Numbers,
    size: u64,
) -> bool {
    let largest = if size > 1 << 20 { 100_000 } else { 5_000 };
    let mut arrived = Vec::new();
    loop {
        let piece = out.first(&[]);
        let n = piece.len().min(1 + numbers.next(largest));
        server.feed(&piece[..n]);
        out.advance(n);

        arrived.extend(server.pull(1 + numbers.next(largest)));
        let (used, progress) = client.on_reply(&arrived).expect("the reply is right");
        arrived.drain(..used);
        assert!(arrived.len() < MAX_HEAD, "S4: {} bytes are held", arrived.len());
        if let Progress::Done { reusable } = progress {
            assert!(out.is_empty() && server.is_drained() && arrived.is_empty(), "nothing is left over");
            assert_eq!(
                reusable,
                server.step == Step::Read,
                "both sides agree on what becomes of the connection"
            );
            return reusable;
        }
        if server.is_drained() && server.step != Step::Read {
            assert_eq!(client.on_end(), Ok(Progress::Done { reusable: false }));
            return false;
        }
    }
}

#[test]
fn greeting() {
    let work = Some(Work::Spin(Duration::from_micros(1)));
    assert_eq!(join(&Greeting::default(), &ask(Kind::Greeting, 0), 10), 10);
    assert_eq!(join(&Greeting { work }, &ask(Kind::Greeting, 0), 10), 10);
}

#[test]
fn echo() {
    let work = Some(Work::Spin(Duration::from_micros(1)));
    for size in SIZES {
        assert_eq!(join(&Echo::default(), &ask(Kind::Echo, size), 3), 1, "{size}");
    }
    assert_eq!(join(&Echo { work }, &ask(Kind::Echo, 70_000), 3), 1);
}

#[test]
fn sized() {
    let work = Some(Work::Sleep(Duration::from_micros(1)));
    for size in SIZES {
        assert_eq!(join(&SizedService::default(), &ask(Kind::Sized, size), 3), 1, "{size}");
    }
    assert_eq!(join(&SizedService { work }, &Ask { work, ..ask(Kind::Sized, 70_000) }, 3), 1);
}

#[test]
fn http() {
    let work = Some(Work::Sleep(Duration::from_micros(1)));
    for size in SIZES {
        assert_eq!(join(&Http::default(), &ask(Kind::Http, size), 3), 1, "{size}");
        assert_eq!(join(&Http::default(), &Ask { close: true, ..ask(Kind::Http, size) }, 3), 3, "{size}");
    }
    assert_eq!(join(&Http { work }, &ask(Kind::Http, 70_000), 3), 1);
    assert_eq!(join(&Http::default(), &Ask { work, ..ask(Kind::Http, 0) }, 3), 1);
    assert_eq!(join(&Http::default(), &Ask { path: Some("/".into()), ..ask(Kind::Http, 0) }, 3), 1);
}
