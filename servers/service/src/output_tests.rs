//! Segments against every way of taking them. Not here: protocols.

use super::*;

#[test]
fn gives_back_what_was_put_in() {
    let input = b"..abc..";
    let mut out = Output::new();
    out.set_base(2);
    out.input(0, 3);
    out.fixed(b"def");
    out.copy(b"ghi");
    out.pattern(65_520, 2);
    out.fixed(b"");
    assert_eq!((out.len(), out.segments()), (11, 4));
    let mut slots = [IoSlice::new(&[]); 8];
    assert_eq!(out.slices(input, &mut slots), 5, "the payload text wraps");
    assert_eq!(out.slices(input, &mut slots[..2]), 2);
    out.advance(4);
    out.detach(input);
    assert_eq!(out.take(b""), [b"efghi", pattern::piece(65_520, 1), pattern::piece(0, 1)].concat());
    assert!(out.is_empty());
}

#[test]
fn detaches_what_refers_to_the_input() {
    let mut out = Output::new();
    out.copy(b"1");
    out.input(0, 2);
    out.advance(2);
    out.detach(b"xy");
    out.copy(b"2");
    assert_eq!(out.take(b""), b"y2");
}

#[test]
fn hands_over_as_much_as_is_taken() {
    let mut out = Output::new();
    out.input(1, 3);
    assert_eq!(out.only_input(), Some(1..3));
    out.fixed(b"def");
    out.copy(b"ghi");
    out.pattern(65_520, 2);
    assert_eq!(out.only_input(), None);
    let mut got = Vec::new();
    let mut room = 4;
    out.hand_over(b".bc.", |stretch| {
        let (Stretch::Fixed(bytes) | Stretch::Brief(bytes)) = stretch;
        room -= 1;
        if room >= 0 {
            got.extend_from_slice(bytes);
        }
        room >= 0
    });
    assert_eq!(got, [b"bcdefghi", pattern::piece(65_520, 1)].concat());
    assert_eq!(out.take(b""), pattern::piece(0, 1));
}

#[test]
fn is_full_by_bytes_and_by_segments() {
    let mut out = Output::new();
    out.pattern(0, crate::HIGH_WATER - 1);
    assert!(!out.is_full());
    out.fixed(b"x");
    assert!(out.is_full());
    let mut out = Output::new();
    for _ in 0..MAX_SEGMENTS {
        assert!(!out.is_full());
        out.fixed(b"x");
    }
    assert!(out.is_full());
}

/// A reader who is always a little behind must not make the scratch grow with everything that was ever sent.
#[test]
fn stays_small_when_it_never_runs_empty() {
    let mut out = Output::new();
    let mut got = Vec::new();
    for i in 0..10_000u32 {
        out.copy(&[i as u8; 200]);
        let keep = 100 + u64::from(i % 50);
        while out.len() > keep {
            let n = (out.first(b"").len() as u64).min(130).min(out.len() - keep) as usize;
            got.extend_from_slice(&out.first(b"")[..n]);
            out.advance(n);
        }
        assert!(!out.is_empty());
    }
    got.extend(out.take(b""));
    let want: Vec<u8> = (0..10_000u32).flat_map(|i| [i as u8; 200]).collect();
    assert!(got == want);
    assert!(out.scratch.capacity() <= 4 * RECLAIM, "{}", out.scratch.capacity());
}
