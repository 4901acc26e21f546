//! Decimal numbers as bytes, without the heap. Not here: signs, separators and other bases, which no protocol of ours has.

/// A number in decimal, on the stack.
pub(crate) struct Digits {
    bytes: [u8; 20],
    start: usize,
}

impl Digits {
    pub(crate) fn new(mut n: u64) -> Self {
        let mut bytes = [b'0'; 20];
        let mut start = bytes.len();
        loop {
            start -= 1;
            bytes[start] = b'0' + (n % 10) as u8;
            n /= 10;
            if n == 0 {
                return Self { bytes, start };
            }
        }
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes[self.start..]
    }
}

/// Reads one or more digits and nothing else; `None` for anything else.
///
/// A number beyond `u64` reads as `u64::MAX`: every caller has a limit far below, and it is the limit that such a number breaks.
pub(crate) fn parse(bytes: &[u8]) -> Option<u64> {
    if bytes.is_empty() {
        return None;
    }
    bytes.iter().try_fold(0u64, |n, b| {
        b.is_ascii_digit().then(|| n.saturating_mul(10).saturating_add(u64::from(b - b'0')))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_what_the_standard_library_writes() {
        for n in [0, 1, 9, 10, 99, 100, 4_096, 16_777_216, u64::MAX] {
            assert_eq!(Digits::new(n).as_bytes(), n.to_string().as_bytes());
            assert_eq!(parse(n.to_string().as_bytes()), Some(n));
        }
    }

    #[test]
    fn reads_digits_only() {
        for bad in ["", " 1", "1 ", "+1", "-1", "1_0", "0x1", "1.0", "\u{661}"] {
            assert_eq!(parse(bad.as_bytes()), None, "{bad}");
        }
        assert_eq!(parse(b"007"), Some(7));
        assert_eq!(parse(b"99999999999999999999999"), Some(u64::MAX));
    }
}
