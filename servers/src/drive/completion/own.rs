//! The receive buffer of a connection that has one of its own: small while little comes at a time, so that those who wait cost little
//! memory. Not here: provided buffers, which all connections share (see `sys::uring`).

use super::CHUNK;

/// Bytes of a small buffer.
const SMALL: usize = 512;

/// Receives in a row that would have fitted, after which a connection goes back to a small one.
const PATIENCE: u8 = 16;

/// Large buffers kept for the next connection that wants one.
const SPARES: usize = 64;

/// A connection's buffer, while nothing is received or sent with it.
#[derive(Debug, Default)]
pub(super) struct Own {
    buffer: Option<Vec<u8>>,
    /// Receives for which it stays large.
    large: u8,
}

impl Own {
    /// So many bytes came.
    pub(super) fn note(&mut self, received: usize) {
        self.large = if received >= SMALL { PATIENCE } else { self.large.saturating_sub(1) };
    }

    /// The buffer for the next receive. In the steady state it is the one that was given back, or one of the `spares`.
    pub(super) fn take(&mut self, spares: &mut Vec<Vec<u8>>) -> Vec<u8> {
        let size = if self.large > 0 { CHUNK as usize } else { SMALL };
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
        // Now and then a little does not make it small.
        for _ in 0..3 {
            for _ in 1..PATIENCE {
                assert_eq!(receive(&mut own, 64), (CHUNK as usize, 0));
            }
            assert_eq!(receive(&mut own, 4_000), (CHUNK as usize, 0));
        }
        for _ in 0..PATIENCE {
            assert_eq!(receive(&mut own, 64), (CHUNK as usize, 0));
        }
        assert_eq!(receive(&mut own, SMALL), (SMALL, 1), "the large one is kept");
        assert_eq!(receive(&mut own, 64), (CHUNK as usize, 0), "and used again");
    }
}
