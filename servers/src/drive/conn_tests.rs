//! The connection state machine against a stream that cuts, blocks and ends wherever it likes. Not here: sockets.

use super::*;
use service::{Service, pattern};
use std::time::Duration;

/// A stream by script: input in pieces, room for output in portions.
struct Script {
    input: Vec<u8>,
    at: usize,
    /// Bytes that one read brings.
    piece: usize,
    /// Bytes that one write takes, and whether the next one blocks.
    room: usize,
    blocked: bool,
    /// The peer sends FIN behind its input.
    ends: bool,
    output: Vec<u8>,
    finished: bool,
    reset: bool,
}

impl Script {
    fn new(input: &[u8], piece: usize, room: usize) -> Self {
        Self {
            input: input.to_vec(),
            at: 0,
            piece,
            room,
            blocked: false,
            ends: true,
            output: Vec::new(),
            finished: false,
            reset: false,
        }
    }
}

impl Io for Script {
    fn recv(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = &self.input[self.at..];
        if left.is_empty() && !self.ends {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let n = left.len().min(self.piece).min(buffer.len());
        buffer[..n].copy_from_slice(&left[..n]);
        self.at += n;
        Ok(n)
    }

    fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // Every other write finds the buffer full: whatever can be left over is left over.
        self.blocked = !self.blocked;
        if !self.blocked {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let n = bytes.len().min(self.room);
        self.output.extend_from_slice(&bytes[..n]);
        Ok(n)
    }

    fn send_slices(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let all: Vec<u8> = slices.iter().flat_map(|slice| slice.iter().copied()).take(self.room).collect();
        self.send(&all)
    }

    fn finish(&mut self) -> io::Result<()> {
        self.finished = true;
        Ok(())
    }

    fn reset(&mut self) {
        self.reset = true;
    }
}

fn event(interest: Interest) -> Event {
    Event { key: 0, read: interest.read, write: interest.write, hang_up: false }
}

/// Drives a connection to its end, giving it what it waits for and nothing else.
fn drive(conn: &mut Conn<impl Protocol>, io: &mut Script, scratch: usize) {
    let mut scratch = vec![0; scratch];
    let mut next = conn.on_open(io);
    for _ in 0..2_000_000 {
        next = match next {
            Next::Done => return,
            Next::Wait(interest) => {
                assert!(interest.read || interest.write, "waits for nothing, and without a time");
                conn.on_event(event(interest), io, &mut scratch)
            }
            Next::WaitUntil(interest, at) if interest == Interest::NONE => conn.on_time(at, io),
            Next::WaitUntil(interest, _) => conn.on_event(event(interest), io, &mut scratch),
        };
    }
    panic!("the connection did not come to an end");
}

#[test]
fn echo_comes_back_whole_however_it_is_cut() {
    let message: Vec<u8> = pattern::piece(0, 5_000).to_vec();
    for piece in [1, 2, 3, 63, 64, 1_000, 5_000] {
        for room in [1, 7, 64, 4_096, 1 << 20] {
            let mut io = Script::new(&message, piece, room);
            drive(&mut Conn::new(service::echo::Echo::default().open()), &mut io, 4_096);
            assert!(io.output == message, "pieces of {piece}, room for {room}");
        }
    }
}

#[test]
fn pipelined_requests_are_answered_in_order_and_half_close_loses_none() {
    let request = b"3\n0\n70000\n12 spin=1us\n5 sleep=1us\n1\n";
    let mut want = Vec::new();
    for n in [3_u64, 0, 70_000, 12, 5, 1] {
        let mut out = Output::new();
        let mut conn = service::sized::SizedService { work: None }.open();
        let (_, step) = conn.on_input(format!("{n}\n").as_bytes(), &mut out);
        assert_eq!(step, Step::Read);
        want.extend(out.take(&[]));
    }
    for piece in 1..=request.len() {
        for room in [130, 4_096, 1 << 20] {
            let mut io = Script::new(request, piece, room);
            drive(&mut Conn::new(service::sized::SizedService { work: None }.open()), &mut io, 4_096);
            assert!(io.output == want, "pieces of {piece}, room for {room}");
        }
    }
}

#[test]
fn while_output_is_unsent_nothing_is_read() {
    let mut io = Script::new(b"100000\n7\n", 100, 10);
    io.ends = false;
    let mut conn = Conn::new(service::sized::SizedService { work: None }.open());
    let mut scratch = [0; 100];
    assert_eq!(conn.on_open(&mut io), Next::Wait(Interest::READ));
    assert_eq!(conn.on_event(event(Interest::READ), &mut io, &mut scratch), Next::Wait(Interest::WRITE));
    assert!(!conn.is_idle());
}

#[test]
fn an_error_while_the_handler_sleeps_ends_the_connection_instead_of_spinning() {
    let mut io = Script::new(b"1 sleep=5s\n", 100, 100);
    io.ends = false;
    let mut conn = Conn::new(service::sized::SizedService { work: None }.open());
    let mut scratch = [0; 100];
    let _ = conn.on_open(&mut io);
    let next = conn.on_event(event(Interest::READ), &mut io, &mut scratch);
    assert!(matches!(next, Next::WaitUntil(Interest::NONE, _)), "{next:?}");
    let broken = Event { key: 0, read: true, write: true, hang_up: true };
    assert_eq!(conn.on_event(broken, &mut io, &mut scratch), Next::Done);
}

#[test]
fn a_bad_request_is_answered_then_lingers_and_drops_what_still_comes() {
    let mut input = b"GET / HTTP/1.1\r\n\r\n".to_vec();
    input.extend_from_slice(&[b'x'; 10_000]);
    let mut io = Script::new(&input, 500, 1 << 20);
    io.ends = false;
    let mut conn = Conn::new(service::http::Http { work: None }.open());
    let mut scratch = [0; 500];
    let mut next = conn.on_open(&mut io);
    while let Next::Wait(interest) = next {
        next = conn.on_event(event(interest), &mut io, &mut scratch);
    }
    assert!(io.finished && io.output.starts_with(b"HTTP/1.1 400"));
    let Next::WaitUntil(interest, until) = next else { panic!("{next:?}") };
    assert!(interest == Interest::READ && until <= Instant::now() + LINGER);
    while io.at < input.len() {
        assert!(matches!(conn.on_event(event(interest), &mut io, &mut scratch), Next::WaitUntil(..)));
    }
    assert_eq!(conn.on_time(until + Duration::from_millis(1), &mut io), Next::Done);
}

#[test]
fn a_waiting_connection_owns_no_buffer_and_is_idle() {
    let mut io = Script::new(b"hello", 100, 100);
    io.ends = false;
    io.blocked = false;
    let mut conn = Conn::new(service::echo::Echo::default().open());
    let _ = conn.on_open(&mut io);
    assert_eq!(conn.on_event(event(Interest::READ), &mut io, &mut [0; 100]), Next::Wait(Interest::READ));
    assert!(conn.is_idle() && conn.held.capacity() == 0);
}

#[test]
fn work_for_a_helper_is_given_out_once_and_nothing_is_said_before_it_is_done() {
    let mut io = Script::new(b"2\n3 spin=5s\n", 100, 100);
    io.ends = false;
    let mut conn = Conn::offloading(service::sized::SizedService { work: None }.open());
    let mut scratch = [0; 100];
    let _ = conn.on_open(&mut io);
    assert_eq!(conn.on_event(event(Interest::READ), &mut io, &mut scratch), Next::Wait(Interest::NONE));
    assert_eq!(conn.take_work(), Some(Work::Spin(Duration::from_secs(5))));
    assert_eq!(conn.take_work(), None);
    assert!(io.output.len() == 2 && !conn.is_idle(), "what was asked before is answered before");
    assert_eq!(conn.on_event(event(Interest::NONE), &mut io, &mut scratch), Next::Wait(Interest::NONE));
    io.blocked = false;
    assert_eq!(conn.on_done(&mut io), Next::Wait(Interest::READ));
    assert!(io.output.len() == 5 && conn.is_idle());
    let broken = Event { key: 0, read: true, write: true, hang_up: true };
    io.input.extend_from_slice(b"1 sleep=5s\n");
    let _ = conn.on_event(event(Interest::READ), &mut io, &mut scratch);
    assert_eq!(conn.on_event(broken, &mut io, &mut scratch), Next::Done);
}
