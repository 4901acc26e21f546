//! A driver in memory: does for a protocol what the documentation of `Protocol` says that a driver does. Not here: expectations.

use service::client::{Client, Mismatch, Progress};
use service::{MAX_HEAD, Output, Protocol, Service, Step, Work};
use std::io::IoSlice;

/// Numbers that vary and can be had again (Knuth's MMIX generator).
pub(crate) struct Numbers(u64);

impl Numbers {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number from 0 to `below - 1`.
    pub(crate) fn next(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) % below as u64) as usize
    }
}

/// The server's end of one connection.
pub(crate) struct ServerEnd<P> {
    conn: P,
    out: Output,
    input: Vec<u8>,
    /// How much of `input` is consumed.
    start: usize,
    /// `Read`, or what ended the conversation.
    pub(crate) step: Step,
    pub(crate) works: Vec<Work>,
    ended: bool,
    told: bool,
    numbers: Numbers,
}

impl<P: Protocol> ServerEnd<P> {
    /// Opens a connection; `seed` varies in which pieces the output is drained.
    pub(crate) fn open<S: Service<Conn = P>>(service: &S, seed: u64) -> Self {
        let mut end = Self {
            conn: service.open(),
            out: Output::new(),
            input: Vec::new(),
            start: 0,
            step: Step::Read,
            works: Vec::new(),
            ended: false,
            told: false,
            numbers: Numbers::new(seed),
        };
        let step = end.conn.on_open(&mut end.out);
        end.follow(step);
        end
    }

    /// Bytes arrive.
    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        if self.step == Step::Read {
            self.input.extend_from_slice(bytes);
            self.pump();
        }
    }

    /// The peer's FIN arrives.
    pub(crate) fn feed_end(&mut self) {
        self.ended = true;
        self.pump();
    }

    /// True while nothing waits to be sent.
    pub(crate) fn is_drained(&self) -> bool {
        self.out.is_empty()
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.conn.is_idle()
    }

    /// Sends at most `max` bytes, as one vectored write would.
    pub(crate) fn pull(&mut self, max: usize) -> Vec<u8> {
        let mut sent = Vec::new();
        let mut slots = [IoSlice::new(&[]); 5];
        let room = 1 + self.numbers.next(slots.len());
        let filled = self.out.slices(&self.input, &mut slots[..room]);
        for slot in &slots[..filled] {
            assert!(!slot.is_empty(), "an empty slice would look like the end");
            let n = slot.len().min(max - sent.len());
            sent.extend_from_slice(&slot[..n]);
        }
        let first = self.out.first(&self.input);
        let common = first.len().min(sent.len());
        assert_eq!(first[..common], sent[..common]);
        self.out.advance(sent.len());
        self.pump();
        sent
    }

    /// Sends everything, in pieces of varied size.
    pub(crate) fn pull_all(&mut self) -> Vec<u8> {
        let mut sent = Vec::new();
        while !self.is_drained() {
            let max = match self.numbers.next(4) {
                0 => 1,
                1 => 1 + self.numbers.next(100),
                _ => 1 + self.numbers.next(200_000),
            };
            sent.extend(self.pull(max));
        }
        sent
    }

    fn pump(&mut self) {
        while self.step == Step::Read && !self.out.is_full() {
            let shown = &self.input[self.start..];
            if shown.is_empty() {
                break;
            }
            self.out.set_base(self.start);
            let (used, step) = self.conn.on_input(shown, &mut self.out);
            assert!(used <= shown.len(), "consumed more than was shown");
            if used == 0 && step == Step::Read {
                assert!(shown.len() < MAX_HEAD, "S4: {} bytes are held", shown.len());
                break;
            }
            self.start += used;
            self.follow(step);
        }
        if self.step == Step::Read && self.ended && !self.told && !self.out.is_full() {
            self.told = true;
            let step = self.conn.on_eof(&self.input[self.start..], &mut self.out);
            self.follow(step);
        }
        // A driver that wants its buffer back at any moment.
        if self.numbers.next(3) == 0 {
            self.out.detach(&self.input);
            self.input.drain(..self.start);
            self.start = 0;
        }
    }

    fn follow(&mut self, step: Step) {
        match step {
            Step::Work(work) => {
                self.works.push(work);
                let next = self.conn.on_work_done(&mut self.out);
                assert!(!matches!(next, Step::Work(_)), "work without a request");
                self.step = next;
            }
            step => self.step = step,
        }
    }
}

/// What a whole conversation came to.
#[derive(PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) sent: Vec<u8>,
    pub(crate) step: Step,
}

impl std::fmt::Debug for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = String::from_utf8_lossy(&self.sent[..self.sent.len().min(600)]);
        write!(f, "{:?} after {} bytes: {text:?}", self.step, self.sent.len())
    }
}

/// Shows `segments` one after the other, then the end of input where `end` is set. Some of the output is drained in between.
pub(crate) fn converse<S: Service>(service: &S, segments: &[&[u8]], end: bool, seed: u64) -> Outcome {
    let mut server = ServerEnd::open(service, seed);
    let mut sent = Vec::new();
    for segment in segments {
        server.feed(segment);
        if server.numbers.next(2) == 0 {
            let max = 1 + server.numbers.next(300);
            sent.extend(server.pull(max));
        }
    }
    if end {
        server.feed_end();
    }
    sent.extend(server.pull_all());
    Outcome { sent, step: server.step }
}

/// Cuts `bytes` at the given positions.
pub(crate) fn cut<'a>(bytes: &'a [u8], at: &[usize]) -> Vec<&'a [u8]> {
    let mut at: Vec<usize> = at.iter().map(|i| i % (bytes.len() + 1)).collect();
    at.sort_unstable();
    let mut from = 0;
    let mut segments = Vec::new();
    for to in at.into_iter().chain([bytes.len()]) {
        segments.push(&bytes[from..to]);
        from = to;
    }
    segments
}

/// Shows a reply in `segments` to a client, then the end; what it came to, and how many bytes were left over.
///
/// A client that is `Done` is shown nothing more, as a generator would do.
pub(crate) fn receive(client: &mut impl Client, segments: &[&[u8]]) -> (Result<Progress, Mismatch>, usize) {
    let total: usize = segments.iter().map(|s| s.len()).sum();
    let mut pending = Vec::new();
    let mut used = 0;
    for segment in segments {
        pending.extend_from_slice(segment);
        match client.on_reply(&pending) {
            Ok((n, Progress::More)) => {
                used += n;
                pending.drain(..n);
                assert!(pending.len() < MAX_HEAD, "S4: {} bytes are held", pending.len());
            }
            Ok((n, done)) => return (Ok(done), total - used - n),
            Err(mismatch) => return (Err(mismatch), 0),
        }
    }
    (client.on_end(), 0)
}
