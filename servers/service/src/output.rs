//! What a protocol wants sent, as segments, so that echo copies nothing and a large reply takes no memory.
//! Not here: the sending.

use crate::pattern;
use std::collections::VecDeque;
use std::io::IoSlice;
use std::ops::Range;

/// Segments queued above this many make the output full, however short they are.
const MAX_SEGMENTS: usize = 64;

/// Scratch bytes below which nothing is reclaimed while output is still queued.
const RECLAIM: usize = 16 * 1024;

#[derive(Clone, Copy, Debug)]
enum Segment {
    /// A range of the driver's input buffer.
    Input { start: usize, end: usize },
    /// Bytes that live as long as the program.
    Static(&'static [u8]),
    /// A range of `scratch`.
    Scratch { start: usize, end: usize },
    /// A stretch of the payload text.
    Pattern { at: u64, len: u64 },
}

impl Segment {
    fn len(&self) -> u64 {
        match *self {
            Self::Input { start, end } | Self::Scratch { start, end } => (end - start) as u64,
            Self::Static(bytes) => bytes.len() as u64,
            Self::Pattern { len, .. } => len,
        }
    }

    fn advance(&mut self, n: u64) {
        match self {
            Self::Input { start, .. } | Self::Scratch { start, .. } => *start += n as usize,
            Self::Static(bytes) => *bytes = &bytes[n as usize..],
            Self::Pattern { at, len } => {
                *at += n;
                *len -= n;
            }
        }
    }
}

/// A stretch of output, by how long it lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stretch<'a> {
    /// As long as the program.
    Fixed(&'static [u8]),
    /// As long as the input buffer or this output does.
    Brief(&'a [u8]),
}

/// The unsent output of one connection.
#[derive(Debug, Default)]
pub struct Output {
    /// What is sent first. Most replies are one segment: it stands here, and costs no memory of its own and no queue.
    first: Option<Segment>,
    /// What is sent after it; empty where there is no first.
    rest: VecDeque<Segment>,
    scratch: Vec<u8>,
    len: u64,
    /// Where the slice that the protocol sees begins in the driver's input buffer.
    base: usize,
}

impl Output {
    /// An empty output; allocates nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    // ---- the protocol's side

    /// Queues bytes `start..end` of the input that the protocol was shown.
    #[inline]
    pub fn input(&mut self, start: usize, end: usize) {
        self.push(Segment::Input { start: self.base + start, end: self.base + end });
    }

    /// Queues bytes that live as long as the program.
    pub fn fixed(&mut self, bytes: &'static [u8]) {
        self.push(Segment::Static(bytes));
    }

    /// Queues a copy of `bytes`; for heads, not for payloads.
    pub fn copy(&mut self, bytes: &[u8]) {
        let start = self.scratch.len();
        self.scratch.extend_from_slice(bytes);
        self.push(Segment::Scratch { start, end: self.scratch.len() });
    }

    /// Queues `len` bytes of the payload text from position `at` (see [`pattern`]).
    pub fn pattern(&mut self, at: u64, len: u64) {
        self.push(Segment::Pattern { at, len });
    }

    #[inline]
    fn push(&mut self, segment: Segment) {
        let len = segment.len();
        if len > 0 {
            self.len += len;
            if self.first.is_none() {
                self.first = Some(segment);
            } else {
                self.rest.push_back(segment);
            }
        }
    }

    fn each(&self) -> impl Iterator<Item = &Segment> {
        self.first.iter().chain(&self.rest)
    }

    fn each_mut(&mut self) -> impl Iterator<Item = &mut Segment> {
        self.first.iter_mut().chain(&mut self.rest)
    }

    // ---- the driver's side

    /// Bytes not yet sent.
    #[must_use]
    #[inline]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// True when everything is sent.
    #[must_use]
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// True when the driver must send before it shows more input (S4).
    #[must_use]
    #[inline]
    pub fn is_full(&self) -> bool {
        self.len >= crate::HIGH_WATER || self.rest.len() >= MAX_SEGMENTS - 1
    }

    /// Says where in its input buffer the slice begins that the driver is about to show to the protocol.
    #[inline]
    pub fn set_base(&mut self, base: usize) {
        self.base = base;
    }

    /// Fills `slots` with what is to be sent first; returns how many were filled. `input` is the driver's input buffer.
    pub fn slices<'a>(&'a self, input: &'a [u8], slots: &mut [IoSlice<'a>]) -> usize {
        let mut filled = 0;
        for segment in self.each() {
            match *segment {
                Segment::Pattern { mut at, mut len } => {
                    while len > 0 && filled < slots.len() {
                        let bytes = pattern::piece(at, len);
                        slots[filled] = IoSlice::new(bytes);
                        filled += 1;
                        at += bytes.len() as u64;
                        len -= bytes.len() as u64;
                    }
                }
                _ if filled < slots.len() => {
                    slots[filled] = IoSlice::new(self.bytes(segment, input));
                    filled += 1;
                }
                _ => {}
            }
            if filled == slots.len() {
                break;
            }
        }
        filled
    }

    /// The first stretch to be sent, or an empty slice: enough for a driver that sends one buffer at a time.
    #[must_use]
    #[inline]
    pub fn first<'a>(&'a self, input: &'a [u8]) -> &'a [u8] {
        self.first.as_ref().map_or(&[], |segment| self.bytes(segment, input))
    }

    /// The range of the driver's input buffer that is all of the output, where it is one: the buffer itself can then be sent.
    #[must_use]
    pub fn only_input(&self) -> Option<Range<usize>> {
        match self.first {
            Some(Segment::Input { start, end }) if self.rest.is_empty() => Some(start..end),
            _ => None,
        }
    }

    /// Gives what is to be sent first to `take`, which says whether it took the stretch; what was taken counts as sent. For a driver
    /// whose sends outlive the call.
    pub fn hand_over(&mut self, input: &[u8], mut take: impl FnMut(Stretch<'_>) -> bool) {
        while let Some(segment) = &self.first {
            let stretch = match *segment {
                Segment::Static(bytes) => Stretch::Fixed(bytes),
                Segment::Pattern { at, len } => Stretch::Fixed(pattern::piece(at, len)),
                _ => Stretch::Brief(self.bytes(segment, input)),
            };
            let (Stretch::Fixed(bytes) | Stretch::Brief(bytes)) = stretch;
            let len = bytes.len();
            if !take(stretch) {
                return;
            }
            self.advance(len);
        }
    }

    /// Number of segments queued; with one, [`first`](Self::first) of a non-pattern segment is everything.
    #[must_use]
    pub fn segments(&self) -> usize {
        usize::from(self.first.is_some()) + self.rest.len()
    }

    #[inline]
    fn bytes<'a>(&'a self, segment: &Segment, input: &'a [u8]) -> &'a [u8] {
        match *segment {
            Segment::Input { start, end } => &input[start..end],
            Segment::Static(bytes) => bytes,
            Segment::Scratch { start, end } => &self.scratch[start..end],
            Segment::Pattern { at, len } => pattern::piece(at, len),
        }
    }

    /// Takes `n` bytes as sent.
    #[inline]
    pub fn advance(&mut self, n: usize) {
        let n = n as u64;
        debug_assert!(n <= self.len, "more sent than queued");
        if n < self.len {
            return self.advance_within(n);
        }
        self.len = 0;
        self.first = None;
        if !self.rest.is_empty() {
            self.rest.clear();
        }
        self.scratch.clear();
    }

    /// Takes `n` bytes as sent, which are not all.
    fn advance_within(&mut self, mut n: u64) {
        self.len -= n;
        while let Some(segment) = &mut self.first {
            let len = segment.len();
            if n < len {
                segment.advance(n);
                return self.reclaim();
            }
            n -= len;
            self.first = self.rest.pop_front();
        }
    }

    /// Moves the scratch bytes still wanted to the front, once they are the lesser half.
    ///
    /// A peer that always has a further request under way may never see the output empty, and scratch would grow for ever (S4).
    fn reclaim(&mut self) {
        if self.scratch.len() < RECLAIM {
            return;
        }
        let starts = self.each().filter_map(|segment| match *segment {
            Segment::Scratch { start, .. } => Some(start),
            _ => None,
        });
        let dead = starts.min().unwrap_or(self.scratch.len());
        if dead < self.scratch.len() / 2 {
            return;
        }
        self.scratch.drain(..dead);
        for segment in self.each_mut() {
            if let Segment::Scratch { start, end } = segment {
                *start -= dead;
                *end -= dead;
            }
        }
    }

    /// Copies what still refers to the driver's input buffer, so that the driver may use the buffer for something else.
    pub fn detach(&mut self, input: &[u8]) {
        let Self { first, rest, scratch, .. } = self;
        for segment in first.iter_mut().chain(rest) {
            if let Segment::Input { start, end } = *segment {
                let at = scratch.len();
                scratch.extend_from_slice(&input[start..end]);
                *segment = Segment::Scratch { start: at, end: scratch.len() };
            }
        }
    }

    /// Gives memory back that a busy moment left behind; for a connection that may now be idle for long.
    pub fn shrink(&mut self) {
        if self.len == 0 && self.scratch.capacity() > 1024 {
            self.scratch = Vec::new();
        }
    }

    /// Everything that is queued, as bytes; takes it as sent. For tests and for the generator's small requests.
    pub fn take(&mut self, input: &[u8]) -> Vec<u8> {
        let mut all = Vec::new();
        while !self.is_empty() {
            let n = {
                let bytes = self.first(input);
                all.extend_from_slice(bytes);
                bytes.len()
            };
            self.advance(n);
        }
        all
    }
}

#[cfg(test)]
#[path = "output_tests.rs"]
mod tests;
