//! What a send operation sends, owned so that it outlives the operation. Not here: the operation.

use super::Provided;
use std::ops::{Deref, Range};

/// Pieces in one [`Gather`].
pub const PIECES: usize = 16;

/// What a receive operation brought.
#[derive(Debug)]
pub enum Chunk {
    /// In a buffer of the caller's: that many bytes at its start.
    Own(Vec<u8>, usize),
    /// In a buffer that the kernel chose.
    Provided(Provided),
}

impl Deref for Chunk {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Own(bytes, len) => &bytes[..*len],
            Self::Provided(bytes) => bytes,
        }
    }
}

/// What is to be sent.
#[derive(Debug)]
pub enum Outgoing {
    /// This range of what was received, from the buffer that it was received into.
    Chunk(Chunk, Range<usize>),
    /// Pieces from several places.
    Gather(Box<Gather>),
}

impl Outgoing {
    /// Takes the first `n` bytes as sent.
    pub fn advance(&mut self, n: usize) {
        match self {
            Self::Chunk(_, range) => range.start = (range.start + n).min(range.end),
            Self::Gather(gather) => gather.advance(n),
        }
    }

    /// True when all of it is sent.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Chunk(_, range) => range.is_empty(),
            Self::Gather(gather) => gather.is_empty(),
        }
    }
}

#[derive(Clone, Debug)]
enum Piece {
    Fixed(&'static [u8]),
    Copied(Range<usize>),
}

/// Up to [`PIECES`] pieces that are sent in one call, and the memory that the kernel reads them from.
#[derive(Debug)]
pub struct Gather {
    pieces: [Piece; PIECES],
    /// The pieces not yet sent are `pieces[first..end]`.
    first: usize,
    end: usize,
    copied: Vec<u8>,
    slices: [libc::iovec; PIECES],
    header: libc::msghdr,
}

impl Default for Gather {
    fn default() -> Self {
        const NONE: libc::iovec = libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 };
        Self {
            pieces: [const { Piece::Fixed(&[]) }; PIECES],
            first: 0,
            end: 0,
            copied: Vec::new(),
            slices: [NONE; PIECES],
            // SAFETY: a C structure of numbers and pointers, for which zero is a value: no name, no slices, no control data.
            header: unsafe { std::mem::zeroed() },
        }
    }
}

impl Gather {
    /// Makes it empty, for use again; keeps at most `keep` bytes of memory.
    pub fn clear(&mut self, keep: usize) {
        (self.first, self.end) = (0, 0);
        self.copied.clear();
        self.copied.shrink_to(keep);
    }

    /// Adds bytes that live as long as the program; false when there is no room for a further piece.
    #[must_use]
    pub fn fixed(&mut self, bytes: &'static [u8]) -> bool {
        self.push(Piece::Fixed(bytes))
    }

    /// Adds a copy of bytes that do not; false when there is no room for a further piece.
    #[must_use]
    pub fn copy(&mut self, bytes: &[u8]) -> bool {
        let start = self.copied.len();
        let end = start + bytes.len();
        if self.end > self.first
            && let Piece::Copied(last) = &mut self.pieces[self.end - 1]
            && last.end == start
        {
            last.end = end;
        } else if !self.push(Piece::Copied(start..end)) {
            return false;
        }
        self.copied.extend_from_slice(bytes);
        true
    }

    fn push(&mut self, piece: Piece) -> bool {
        let room = self.end < PIECES;
        if room {
            self.pieces[self.end] = piece;
            self.end += 1;
        }
        room
    }

    fn bytes(&self, piece: &Piece) -> &[u8] {
        match piece {
            Piece::Fixed(bytes) => bytes,
            Piece::Copied(range) => &self.copied[range.clone()],
        }
    }

    fn advance(&mut self, mut n: usize) {
        while let Some(piece) = self.pieces[..self.end].get_mut(self.first) {
            let len = match piece {
                Piece::Fixed(bytes) => bytes.len(),
                Piece::Copied(range) => range.len(),
            };
            if n < len {
                match piece {
                    Piece::Fixed(bytes) => *bytes = &bytes[n..],
                    Piece::Copied(range) => range.start += n,
                }
                return;
            }
            n -= len;
            self.first += 1;
        }
    }

    fn is_empty(&self) -> bool {
        self.first == self.end
    }

    /// The bytes, where there is one piece left: send(2) is cheaper than sendmsg(2).
    pub(super) fn single(&self) -> Option<&[u8]> {
        (self.end - self.first == 1).then(|| self.bytes(&self.pieces[self.first]))
    }

    /// The message header of what is left; good until the next change.
    pub(super) fn message(&mut self) -> *const libc::msghdr {
        let (slices, count) = self.slices();
        self.header.msg_iov = slices;
        self.header.msg_iovlen = count as _;
        &raw const self.header
    }

    /// The slices of what is left, and how many; good until the next change.
    pub(super) fn slices(&mut self) -> (*mut libc::iovec, usize) {
        let count = self.end - self.first;
        for i in 0..count {
            let bytes = self.bytes(&self.pieces[self.first + i]);
            self.slices[i] = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
        }
        (self.slices.as_mut_ptr(), count)
    }
}
