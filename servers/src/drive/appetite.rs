//! How large a receive buffer is where each connection has one of its own: small while little comes at a time, so that those who wait
//! cost little memory. Not here: buffers that connections share.

/// Bytes of a small buffer.
pub const SMALL: usize = 512;

/// Receives in a row that would have fitted, after which a connection goes back to a small one: who sends much now and then has no buffer
/// made for each of its requests.
const PATIENCE: u8 = 16;

/// What a connection has been seen to send.
#[derive(Clone, Copy, Debug, Default)]
pub struct Appetite {
    /// Receives for which the buffer stays large.
    large: u8,
}

impl Appetite {
    /// So many bytes came.
    pub fn note(&mut self, received: usize) {
        if received >= SMALL {
            self.grow();
        } else {
            self.large = self.large.saturating_sub(1);
        }
    }

    /// What came did not fit.
    pub fn grow(&mut self) {
        self.large = PATIENCE;
    }

    /// Whether the buffer for the next receive is to be a large one.
    #[must_use]
    pub fn is_large(self) -> bool {
        self.large > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_grows_at_once_and_shrinks_late() {
        let mut appetite = Appetite::default();
        let mut large_after = |bytes| {
            appetite.note(bytes);
            appetite.is_large()
        };
        assert!(!large_after(SMALL - 1) && large_after(SMALL));
        assert!((1..PATIENCE).all(|_| large_after(1)) && large_after(SMALL));
        assert!((1..PATIENCE).all(|_| large_after(1)) && !large_after(1));
    }
}
