//! `sized`: a line `N` is answered with N bytes (UNP chapter 30, `web_child`). Not here: more than one kind of reply.
//!
//! ```text
//! request = size [ SP work ] [ CR ] LF          at most 64 bytes
//! size    = 1*DIGIT                             0 to 16777216 (MAX_REPLY)
//! work    = ( "spin=" / "sleep=" ) time         time as in Work::from_parts: 50us, 50, 2ms, 1s
//! reply   = N bytes of the payload text, from its position N
//! ```
//!
//! Any number of requests, one behind the other or pipelined. A line that is not a request is answered with one line,
//! `error: …`, and ends the connection (S5): a client that expects the payload text finds it wrong within a few bytes.

use crate::client::{Ask, Client, Mismatch, Progress};
use crate::digits::{self, Digits};
use crate::{MAX_REPLY, Output, Protocol, Service, Step, Work, pattern};

/// Longest request, in bytes, with its end of line.
pub const MAX_LINE: usize = 64;

/// The server side.
#[derive(Clone, Copy, Debug, Default)]
pub struct SizedService {
    /// Work done before each reply whose request does not say otherwise.
    pub work: Option<Work>,
}

impl Service for SizedService {
    type Conn = SizedConn;

    fn open(&self) -> SizedConn {
        SizedConn { work: self.work, pending: None, over: false }
    }
}

/// One connection of [`SizedService`].
#[derive(Debug)]
pub struct SizedConn {
    work: Option<Work>,
    /// The size of the reply whose work is being done.
    pending: Option<u64>,
    /// A bad request has ended the conversation.
    over: bool,
}

impl Protocol for SizedConn {
    fn on_input(&mut self, input: &[u8], out: &mut Output) -> (usize, Step) {
        if self.over {
            return (input.len(), Step::Linger);
        }
        match next_request(input) {
            Ok(None) => (0, Step::Read),
            Ok(Some(request)) => match request.work.or(self.work) {
                Some(work) => {
                    self.pending = Some(request.size);
                    (request.consumed, Step::Work(work))
                }
                None => {
                    out.pattern(request.size, request.size);
                    (request.consumed, Step::Read)
                }
            },
            Err(words) => {
                self.over = true;
                out.fixed(words);
                (input.len(), Step::Linger)
            }
        }
    }

    fn on_work_done(&mut self, out: &mut Output) -> Step {
        if let Some(size) = self.pending.take() {
            out.pattern(size, size);
        }
        Step::Read
    }

    fn is_idle(&self) -> bool {
        self.pending.is_none()
    }
}

struct Request {
    size: u64,
    work: Option<Work>,
    consumed: usize,
}

const NOT_A_NUMBER: &[u8] = b"error: a request is a number of bytes and a newline\n";
const LINE_TOO_LONG: &[u8] = b"error: a request is at most 64 bytes long\n";
const TOO_LARGE: &[u8] = b"error: a reply is at most 16777216 bytes long\n";
const BAD_WORK: &[u8] = b"error: handler work is spin=TIME or sleep=TIME, at most 10s\n";

/// The first request in `input`, `None` where it is unfinished, or the words for a peer whose line is no request.
///
/// The checks go in the order of the bytes, so that the same line meets the same words however it was cut (S1).
fn next_request(input: &[u8]) -> Result<Option<Request>, &'static [u8]> {
    match input.first() {
        None => return Ok(None),
        // Judged before the line is complete: a peer that speaks something else may never send a newline.
        Some(first) if !first.is_ascii_digit() => return Err(NOT_A_NUMBER),
        Some(_) => {}
    }
    let window = &input[..input.len().min(MAX_LINE)];
    let Some(end) = memchr::memchr(b'\n', window) else {
        return if window.len() < MAX_LINE { Ok(None) } else { Err(LINE_TOO_LONG) };
    };
    let line = window[..end].strip_suffix(b"\r").unwrap_or(&window[..end]);
    let (number, work) = match memchr::memchr(b' ', line) {
        None => (line, None),
        Some(at) => (&line[..at], Some(parse_work(&line[at + 1..]).ok_or(BAD_WORK)?)),
    };
    let size = digits::parse(number).ok_or(NOT_A_NUMBER)?;
    if size > MAX_REPLY {
        return Err(TOO_LARGE);
    }
    Ok(Some(Request { size, work, consumed: end + 1 }))
}

pub(crate) fn parse_work(text: &[u8]) -> Option<Work> {
    let (kind, time) = std::str::from_utf8(text).ok()?.split_once('=')?;
    Work::from_parts(kind, time).ok()
}

/// The client side: asks for `ask.size` bytes and checks each of them.
///
/// A size of 0 is taken as 1, since a reply of no bytes cannot be waited for; sizes above [`MAX_REPLY`] are taken as [`MAX_REPLY`].
#[derive(Debug)]
pub struct SizedClient {
    size: u64,
    work: Option<Work>,
    /// The usual request, made once.
    request: Vec<u8>,
    /// Size of the reply that is being checked, and how much of it has come.
    expected: u64,
    received: u64,
}

impl SizedClient {
    /// A client that asks for replies of `ask.size` bytes, after `ask.work`.
    #[must_use]
    pub fn new(ask: &Ask, _connection: u64) -> Self {
        let size = ask.size.clamp(1, MAX_REPLY);
        let mut request = Vec::new();
        write_request(&mut request, size, ask.work);
        Self { size, work: ask.work, request, expected: 0, received: 0 }
    }
}

fn write_request(request: &mut Vec<u8>, size: u64, work: Option<Work>) {
    request.extend_from_slice(Digits::new(size).as_bytes());
    if let Some(work) = work {
        request.extend_from_slice(format!(" {}={}us", work.name(), work.duration().as_micros()).as_bytes());
    }
    request.push(b'\n');
}

impl Client for SizedClient {
    fn write(&mut self, _seq: u64, out: &mut Output) {
        out.copy(&self.request);
    }

    fn expect(&mut self, _seq: u64) {
        self.expected = self.size;
        self.received = 0;
    }

    /// Asks for the larger of `bytes` and the usual size, at most [`MAX_REPLY`]; always true.
    fn request_large(&mut self, _seq: u64, bytes: u64, out: &mut Output) -> bool {
        self.expected = bytes.max(self.size).min(MAX_REPLY);
        self.received = 0;
        let mut request = Vec::new();
        write_request(&mut request, self.expected, self.work);
        out.copy(&request);
        true
    }

    fn on_reply(&mut self, input: &[u8]) -> Result<(usize, Progress), Mismatch> {
        let left = self.expected - self.received;
        if left == 0 {
            return if input.is_empty() {
                Ok((0, Progress::Done { reusable: true }))
            } else {
                Err(Mismatch::Extra)
            };
        }
        let take = (input.len() as u64).min(left) as usize;
        if let Some(i) = pattern::first_difference(self.expected + self.received, &input[..take]) {
            return Err(Mismatch::Content { offset: self.received + i as u64 });
        }
        self.received += take as u64;
        let progress =
            if self.received == self.expected { Progress::Done { reusable: true } } else { Progress::More };
        Ok((take, progress))
    }

    fn on_end(&mut self) -> Result<Progress, Mismatch> {
        if self.received == self.expected {
            Ok(Progress::Done { reusable: false })
        } else {
            Err(Mismatch::EarlyEnd { received: self.received })
        }
    }
}
