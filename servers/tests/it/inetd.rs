//! Programs that know nothing of us as handlers. Not here: what all models must do.

use crate::fixture::{Server, eventually, exchange, payload, read_to_end, run};
use std::net::Shutdown;
use std::time::Duration;
use sys::spawn::Begin;

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
