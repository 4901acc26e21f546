//! The receive buffer of a connection that has one of its own. Not here: how large it is (see `appetite`); provided buffers, which all
//! connections share (see `sys::uring`).

use super::CHUNK;
use crate::drive::appetite::{Appetite, SMALL};

/// Large buffers kept for the next connection that wants one.
const SPARES: usize = 64;

/// A connection's buffer, while nothing is received or sent with it.
#[derive(Debug, Default)]
pub(super) struct Own {
    buffer: Option<Vec<u8>>,
    appetite: Appetite,
}

impl Own {
    /// So many bytes came.
    pub(super) fn note(&mut self, received: usize) {
        self.appetite.note(received);
    }

    /// The buffer for the next receive. In the steady state it is the one that was given back, or one of the `spares`.
    pub(super) fn take(&mut self, spares: &mut Vec<Vec<u8>>) -> Vec<u8> {
        let size = if self.appetite.is_large() { CHUNK as usize } else { SMALL };
        match self.buffer.take() {
            Some(buffer) if buffer.len() == size => return buffer,
            Some(buffer) if buffer.len() > SMALL && spares.len() < SPARES => spares.push(buffer),
            _ => {}
        }
        let spare = if size > SMALL { spares.pop() } else { None };
        spare.unwrap_or_else(|| vec![0; size])
    }

    /// Nothing is received or sent with it any more.
    pub(super) fn give_back(&mut self, buffer: Vec<u8>) {
        self.buffer = Some(buffer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_large_for_those_who_fill_it_and_small_again_for_those_who_do_not() {
        let (mut own, mut spares) = (Own::default(), Vec::new());
        let mut receive = |own: &mut Own, bytes: usize| {
            let buffer = own.take(&mut spares);
            let size = buffer.len();
            own.note(bytes.min(size));
            own.give_back(buffer);
            (size, spares.len())
        };
        assert_eq!(receive(&mut own, 64), (SMALL, 0));
        assert_eq!(receive(&mut own, 5_000), (SMALL, 0));
        assert_eq!(receive(&mut own, 64), (CHUNK as usize, 0));
        while own.appetite.is_large() {
            receive(&mut own, 64);
        }
        assert_eq!(receive(&mut own, SMALL), (SMALL, 1), "the large one is kept");
        assert_eq!(receive(&mut own, 64), (CHUNK as usize, 0), "and used again");
    }
}
