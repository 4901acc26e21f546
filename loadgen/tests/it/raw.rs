//! The raw service against servers that speak other protocols. Not here: the texts themselves (see crate `service`).

use crate::peer::Peer;
use crate::{checked, errors};
use std::io::{BufRead as _, BufReader, Write as _};

/// Answers as redis does to inline commands.
fn redis() -> Peer {
    Peer::start(|stream| {
        let mut writer = stream.try_clone()?;
        for line in BufReader::new(stream).lines() {
            match line?.split_once(' ') {
                None => writer.write_all(b"+PONG\r\n")?,
                Some((_, text)) => write!(writer, "${}\r\n{text}\r\n", text.len())?,
            }
        }
        Ok(())
    })
}

/// Greets, and answers three commands.
fn mail() -> Peer {
    Peer::start(|stream| {
        let mut writer = stream.try_clone()?;
        writer.write_all(b"220 peer ESMTP\r\n")?;
        for line in BufReader::new(stream).lines() {
            match &line?[..4] {
                "EHLO" => writer.write_all(b"250-peer\r\n250 SIZE\r\n")?,
                "QUIT" => return writer.write_all(b"221 bye\r\n"),
                _ => writer.write_all(b"250 ok\r\n")?,
            }
        }
        Ok(())
    })
}

#[test]
fn redis_is_asked_in_each_way() {
    let url = format!("tcp://{}", redis().address);
    for (send, expect) in [
        ("PING\\r\\n", "bytes:+PONG\\r\\n"),
        ("PING\\r\\n", "delim:\\r\\n"),
        ("PING\\r\\n", "regex:^\\+PONG\\r\\n"),
        ("PING\\r\\n", "count:7"),
        ("ECHO {seq}\\r\\n", "regex:^\\$\\d+\\r\\n\\d+\\r\\n"),
    ] {
        let load = checked(&["-n", "300", "-c", "3", "--send", send, "--expect", expect, &url]);
        assert_eq!((load.requests.completed, load.config.service.as_str()), (300, "raw"), "{expect}");
        assert!(load.errors.is_empty(), "{expect}: {:?}", load.errors);
    }
}

#[test]
fn a_wrong_reply_is_found() {
    let url = format!("tcp://{}", redis().address);
    let load = checked(&["-n", "20", "--send", "PING\\r\\n", "--expect", "bytes:+PANG\\r\\n", &url]);
    assert_eq!((load.requests.failed, errors(&load, "content", "wrong-content")), (20, 20));
}

#[test]
fn mail_is_a_dialogue_with_a_banner() {
    let url = format!("tcp://{}", mail().address);
    let dialogue = [
        "--banner",
        "regex:^220 .*\\r\\n",
        "--send",
        "EHLO x\\r\\n",
        "--expect",
        "regex:(?m)^250 .*\\r\\n",
        "--send",
        "NOOP\\r\\n",
        "--expect",
        "bytes:250 ok\\r\\n",
    ];
    for more in [&["-c", "3"][..], &["-c", "2", "--requests-per-connection", "1"], &["-R", "2000"]] {
        let load = checked(&[&["-n", "100"], more, &dialogue[..], &[&url]].concat());
        assert_eq!(load.requests.completed, 100, "{more:?} {:?}", load.errors);
        assert!(load.errors.is_empty(), "{more:?} {:?}", load.errors);
    }
}

#[test]
fn a_dialogue_may_end_with_the_connection() {
    let url = format!("tcp://{}", mail().address);
    let load =
        checked(&["-n", "30", "--banner", "delim:\\n", "--send", "QUIT\\r\\n", "--expect", "eof", &url]);
    assert_eq!((load.requests.completed, load.connections.made), (30, 30), "{:?}", load.errors);
}

crate::also_over_uring!(
    redis_is_asked_in_each_way,
    a_wrong_reply_is_found,
    mail_is_a_dialogue_with_a_banner,
    a_dialogue_may_end_with_the_connection,
);
