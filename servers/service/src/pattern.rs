//! The bytes of payloads: a fixed pseudo-random text that never has to be stored twice. Not here: who sends it.
//!
//! Byte `i` of the text is `TABLE[i mod PERIOD]`. The period is a prime, so that a block that is lost, doubled or moved by any
//! power of two shows. Both sides know the text, so a reply of 16 MiB costs neither memory to send nor memory to check.

/// Length of the text before it repeats. A prime below 64 KiB.
pub const PERIOD: usize = 65_521;

static TABLE: [u8; PERIOD] = make();

const fn make() -> [u8; PERIOD] {
    let mut table = [0; PERIOD];
    let mut state: u32 = 0x9E37_79B9;
    let mut i = 0;
    while i < PERIOD {
        // xorshift32 (Marsaglia 2003): any fixed generator with no short cycle would do.
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        table[i] = (state >> 24) as u8;
        i += 1;
    }
    table
}

/// The longest run of the text from position `at` that lies in one piece, cut to `len` bytes.
///
/// Never empty unless `len` is 0.
#[must_use]
pub fn piece(at: u64, len: u64) -> &'static [u8] {
    let start = (at % PERIOD as u64) as usize;
    let len = len.min((PERIOD - start) as u64) as usize;
    &TABLE[start..start + len]
}

/// Compares `bytes` with the text from position `at`; the index of the first difference, or `None` where they are equal.
#[must_use]
pub fn first_difference(at: u64, bytes: &[u8]) -> Option<usize> {
    let mut done = 0;
    while done < bytes.len() {
        let want = piece(at + done as u64, (bytes.len() - done) as u64);
        let got = &bytes[done..done + want.len()];
        if want != got {
            return Some(done + want.iter().zip(got).take_while(|(a, b)| a == b).count());
        }
        done += want.len();
    }
    None
}

/// Where in the text `bytes` stand in one piece; `None` where they are no part of it.
#[must_use]
pub fn position(bytes: &[u8]) -> Option<u64> {
    memchr::memmem::find(&TABLE, bytes).map(|at| at as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wraps_at_the_period() {
        let text: Vec<u8> = (0..200_000u64).map(|i| piece(i, 1)[0]).collect();
        assert_eq!(first_difference(0, &text), None);
        assert_eq!(first_difference(PERIOD as u64 * 7, &text), None);
        assert_eq!(piece(PERIOD as u64 - 1, 10).len(), 1);
    }

    #[test]
    fn shows_any_shift_and_any_wrong_byte() {
        let text: Vec<u8> = (0..5_000u64).map(|i| piece(i, 1)[0]).collect();
        for shift in [1, 2, 64, 512, 4096, 16_384, 65_520] {
            assert!(first_difference(shift, &text).is_some(), "{shift}");
        }
        let mut wrong = text;
        wrong[4_321] ^= 1;
        assert_eq!(first_difference(0, &wrong), Some(4_321));
    }
}
