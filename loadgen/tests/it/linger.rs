//! Clients that say their last word and listen on, and clients that vanish, seen from the server's side. Not here: those that close.

use crate::peer::Peer;
use crate::{check_accounting, config, errors, open_loop};
use loadgen::abort::Plan;
use loadgen::{Stop, run};
use record::Load;
use service::Kind;
use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::num::NonZeroU64;
use std::os::fd::AsFd as _;
use std::sync::mpsc::channel;
use std::time::Duration;

fn abort_all(peer: &Peer, rule: &str) -> Load {
    let mut config = config(peer, Kind::Echo);
    config.aborts = Plan::new(vec![rule.parse().unwrap()]).unwrap();
    config.stop = Stop::Requests(8);
    let load = run(&config).unwrap();
    check_accounting(&load);
    assert_eq!((load.aborts.done, load.collateral_errors), (8, 0), "{rule} {:?}", load.errors);
    load
}

/// Echoes nothing before the client has shut its side; what comes after is `last`'s affair.
fn patient(last: impl Fn(&mut TcpStream, &[u8]) -> io::Result<()> + Send + Sync + 'static) -> Peer {
    Peer::start(move |mut stream| {
        let mut message = Vec::new();
        stream.read_to_end(&mut message)?;
        last(&mut stream, &message)
    })
}

#[test]
fn a_half_closed_client_is_owed_its_reply_and_an_end() {
    for rule in ["after-request:1:half", "mid-request:1:half", "connect:1:half"] {
        // The read has come to its end before a byte is answered: the client did shut its side, and no more.
        let load = abort_all(&patient(|stream, message| stream.write_all(message)), rule);
        assert_eq!(load.errors, [], "{rule}");
        assert_eq!(load.latency_ns.count, 0, "the healthy population alone is measured");
    }
    for rule in ["mid-response:1:half", "idle:1:half"] {
        let load = abort_all(&Peer::echo(), rule);
        assert_eq!(load.errors, [], "{rule}");
    }
}

#[test]
fn a_half_closed_client_that_is_let_down_says_how() {
    let mute = patient(|_, _| Ok(()));
    assert_eq!(errors(&abort_all(&mute, "after-request:1:half"), "receive", "eof-before-reply"), 8);
    let wrong = patient(|stream, message| stream.write_all(&message[1..]));
    assert_eq!(errors(&abort_all(&wrong, "after-request:1:half"), "content", "wrong-content"), 8);
    let (keep, kept) = channel();
    let endless = patient(move |stream, message| {
        stream.write_all(message)?;
        let _ = keep.send(stream.try_clone()?);
        Ok(())
    });
    assert_eq!(errors(&abort_all(&endless, "after-request:1:half"), "close", "no-end"), 8);
    // And that of the look after the run.
    assert!(kept.try_iter().count() >= 8);
}

#[test]
fn a_client_that_vanished_acknowledges_nothing() {
    let (tell, seen) = channel();
    let peer = Peer::start(move |mut stream| {
        // The message of an abort is larger than those of others; half of it comes in the middle of a request.
        let mut buffer = vec![0; 256 * 1024];
        let mut length = 0;
        stream.set_read_timeout(Some(Duration::from_millis(80)))?;
        let ended = loop {
            match stream.read(&mut buffer) {
                Ok(0) => break true,
                Ok(n) => length += n,
                Err(_) => break false,
            }
        };
        stream.write_all(b"?")?;
        let unheard = sys::socket::unsent(stream.as_fd())?;
        // An RST, which a closed socket answers with, would be an error by now.
        let alive = sys::socket::take_error(stream.as_fd()).is_ok();
        let _ = tell.send((ended, length, alive, unheard));
        Ok(())
    });
    for (rule, bytes) in
        [("connect:1:vanish", 0), ("mid-request:1:vanish", 32), ("after-request:1:vanish", 256 * 1024)]
    {
        let mut config = config(&peer, Kind::Echo);
        config.aborts = Plan::new(vec![rule.parse().unwrap()]).unwrap();
        // The window goes on after the last of them, and so do their sockets.
        config.requests_per_connection = NonZeroU64::new(1);
        config.pacing = open_loop(5.0);
        config.stop = Stop::After(Duration::from_millis(1_200));
        let load = run(&config).unwrap();
        check_accounting(&load);
        assert_eq!(load.aborts.done, 6, "{rule} {:?}", load.errors);
        let how = load.aborts.vanished_closed_by.unwrap();
        assert!(how == "nothing" || how == "rst", "{how}");
        for _ in 0..6 {
            // The look after the run before this one asked for 64 bytes, and went in good order.
            let seen = seen.iter().find(|(_, length, ..)| *length != 64).unwrap();
            assert_eq!(seen, (false, bytes, true, 1), "{rule}");
        }
    }
}

crate::also_over_uring!(
    a_half_closed_client_is_owed_its_reply_and_an_end,
    a_half_closed_client_that_is_let_down_says_how,
);
