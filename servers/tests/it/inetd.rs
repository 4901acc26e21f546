//! Programs that know nothing of us as handlers, of connections and of datagrams. Not here: what all models must do.

use crate::datagram::Socket;
use crate::fixture::{Server, Subject, aloud, eventually, exchange, payload, read_to_end, run};
use std::ffi::OsStr;
use std::net::Shutdown;
use std::time::{Duration, Instant};
use sys::Family;
use sys::spawn::{Begin, can_be_found};

fn cat(more: &[&str]) -> Server {
    let args = [more, &["--exec", "/bin/cat", "-u"]].concat();
    Server::with("inetd", "echo", &args, &Begin::default())
}

#[test]
fn cat_is_an_echo_server() {
    let server = cat(&[]);
    let bytes = payload(100_000);
    let mut streams: Vec<_> = (0..3).map(|_| server.connect()).collect();
    for stream in &mut streams {
        assert!(exchange(stream, &bytes[..30_000]) == bytes[..30_000]);
        stream.shutdown(Shutdown::Write).unwrap();
        assert_eq!(read_to_end(stream), b"");
    }
    eventually("all are reaped", || server.children().is_empty().then_some(()));
}

#[test]
fn a_program_gets_the_signals_it_expects_and_no_descriptor_but_its_streams() {
    let script = "grep -E '^Sig(Blk|Ign)' /proc/self/status; ls /proc/self/fd";
    let server = Server::with("inetd", "echo", &["--exec", "/bin/sh", "-c", script], &Begin::default());
    let text = String::from_utf8(read_to_end(&mut server.connect())).unwrap();
    let words: Vec<_> = text.split_whitespace().collect();
    let [_, blocked, _, ignored, descriptors @ ..] = &words[..] else { panic!("{text}") };
    // Numbers 32 and 33 are the C library's own and cannot be set; whoever runs the tests may have them ignored.
    let standard = |mask: &str| u64::from_str_radix(mask, 16).unwrap() & 0x7FFF_FFFF;
    assert_eq!((standard(blocked), standard(ignored)), (0, 0), "{text}");
    // Number 3 is the folder that ls reads.
    assert_eq!(descriptors, ["0", "1", "2", "3"]);
}

#[test]
fn term_lets_a_program_finish_what_has_arrived() {
    let mut server = cat(&[]);
    let mut idle = server.connect();
    assert_eq!(exchange(&mut idle, b"x"), b"x");
    let (status, took) = server.stop();
    assert_eq!(status.code(), Some(0));
    // The grace is 5 s: cat ends by the end of its input, long before.
    assert!(took < Duration::from_secs(3), "{took:?}");
    assert_eq!(read_to_end(&mut idle), b"");
}

#[test]
fn a_program_that_does_not_end_is_killed_after_the_grace() {
    let args = ["--grace", "0.2", "--exec", "/bin/sh", "-c", "trap '' TERM; echo up; exec sleep 60"];
    let mut server = Server::with("inetd", "echo", &args, &Begin::default());
    let mut stream = server.connect();
    let mut up = [0; 3];
    std::io::Read::read_exact(&mut stream, &mut up).unwrap();
    let (status, took) = server.stop();
    assert_eq!(status.code(), Some(0));
    assert!(took >= Duration::from_millis(150) && took < Duration::from_secs(4), "{took:?}");
    assert_eq!(read_to_end(&mut stream), b"");
}

#[test]
fn a_program_dies_with_the_server() {
    let mut server = cat(&[]);
    let mut stream = server.connect();
    assert_eq!(exchange(&mut stream, b"x"), b"x");
    server.signal(sys::process::SIGKILL);
    server.ended();
    assert_eq!(read_to_end(&mut stream), b"");
}

#[test]
fn a_program_that_does_not_exist_or_is_not_wanted_is_said_at_once() {
    for (args, says) in [
        (vec!["inetd", "--exec", "/nonesuch"], "no such program"),
        (vec!["inetd", "--exec", "nonesuch-nonesuch"], "no such program"),
        (vec!["epoll", "--exec", "cat"], "--exec is for inetd"),
    ] {
        let output = run(&args);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains(says), "{args:?}");
    }
}

/// A server of datagrams whose program is `script`; `None`, said aloud, without a Python to run it.
fn python(family: Family, script: &str) -> Option<Server> {
    if !can_be_found(OsStr::new("python3")) {
        aloud("SKIPPED: python3: this machine does not have it");
        return None;
    }
    let on = Subject { model: "inetd", family };
    Some(Server::with(on, "echo", &["--exec", "python3", "-c", script], &Begin::default()))
}

#[test]
fn a_program_that_answers_one_datagram_and_ends_is_executed_for_each() {
    let script =
        "import socket; s = socket.socket(fileno=0); m, a = s.recvfrom(9000); s.sendto(m.upper(), a)";
    for family in [Family::Udp, Family::Unixgram] {
        let Some(mut server) = python(family, script) else { return };
        let clients = [Socket::to(&server), Socket::to(&server)];
        for client in &clients {
            client.send(b"queued beside the other");
        }
        for client in &clients {
            assert_eq!(client.recv(), b"QUEUED BESIDE THE OTHER");
        }
        eventually("all are reaped", || server.children().is_empty().then_some(()));
        assert_eq!(server.stop().0.code(), Some(0));
    }
}

#[test]
fn a_program_that_takes_no_datagram_is_not_executed_for_ever() {
    let folder = tempfile::tempdir().unwrap();
    let started = folder.path().join("started");
    let line = format!("echo >>{}", started.display());
    let on = Subject { model: "inetd", family: Family::Udp };
    let mut server = Server::with(on, "echo", &["--exec", "/bin/sh", "-c", &line], &Begin::default());
    Socket::to(&server).send(b"x");
    let count = || std::fs::metadata(&started).map_or(0, |file| file.len());
    eventually("it is started again and again", || (count() > 10).then_some(()));
    let (before, start) = (count(), Instant::now());
    sys::clock::pause(Duration::from_millis(1500));
    let (more, seconds) = (count() - before, start.elapsed().as_secs() + 1);
    // 64 in a second, and so many twice where the second begins in between; without a limit it is a thousand.
    assert!(more <= 64 * (seconds + 1), "{more} in {seconds} s");
    assert!(server.alive());
    assert_eq!(server.stop().0.code(), Some(0));
}

#[test]
fn our_own_handler_of_datagrams_ends_when_they_cease_and_comes_again() {
    let on = Subject { model: "inetd", family: Family::Udp };
    let server = Server::with(on, "echo", &["--idle-timeout", "500ms"], &Begin::default());
    let mut before = None;
    for _ in 0..2 {
        assert_eq!(Socket::to(&server).exchange(b"x"), b"x");
        let [pid] = server.child_pids()[..] else { panic!("one child has the socket") };
        assert_ne!(before.replace(pid), Some(pid));
        assert_eq!(Socket::to(&server).exchange(b"y"), b"y");
        assert_eq!(server.child_pids(), [pid], "the same has answered");
        eventually("it has ended", || server.child_pids().is_empty().then_some(()));
    }
}
