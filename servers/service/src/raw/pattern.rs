//! A regular expression over a stream: fed byte by byte, holds no input. Not here: what a match means.
//!
//! The automaton is built whole, before the run, within a stated size; a step is a table look-up. What it answers is whether the
//! expression matches somewhere in the bytes so far, so the shortest beginning that matches is the same for any cut.

use regex_automata::dfa::{Automaton as _, StartKind, dense};
use regex_automata::util::primitives::StateID;
use regex_automata::util::{start, syntax};
use regex_automata::{Anchored, MatchKind};
use std::fmt;
use std::sync::Arc;

/// Most memory of an automaton, and of what builds it, in bytes.
const LIMIT: usize = 4 << 20;

/// A compiled expression, shared by the connections that look for it.
#[derive(Clone)]
pub struct Pattern {
    dfa: Arc<dense::DFA<Vec<u32>>>,
    text: Arc<str>,
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pattern({:?})", self.text)
    }
}

/// How far a stream has come in an automaton.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place(StateID);

impl Pattern {
    /// Compiles `text`: the syntax of crate `regex` over bytes; `\d`, `\w` and `.` are ASCII's, and matching is case-sensitive.
    ///
    /// # Errors
    /// One sentence on why it cannot be used.
    pub fn new(text: &str) -> Result<Self, String> {
        let bad = |why: String| format!("the regular expression `{text}` cannot be used: {why}");
        let config = dense::Config::new()
            .match_kind(MatchKind::All)
            .start_kind(StartKind::Unanchored)
            .dfa_size_limit(Some(LIMIT))
            .determinize_size_limit(Some(LIMIT));
        let syntax = syntax::Config::new().unicode(false).utf8(false);
        let mut builder = dense::Builder::new();
        builder.configure(config).syntax(syntax);
        builder
            .thompson(regex_automata::nfa::thompson::Config::new().utf8(false).nfa_size_limit(Some(LIMIT)));
        let dfa = builder.build(text).map_err(|error| {
            // The library's text draws the place on lines of its own; its last line says what is wrong.
            let text = match std::error::Error::source(&error) {
                Some(source) => source.to_string(),
                None => error.to_string(),
            };
            bad(text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned())
        })?;
        let pattern = Self { dfa: Arc::new(dfa), text: text.into() };
        if pattern.matches_nothing() {
            return Err(bad("it matches where there is nothing".to_owned()));
        }
        Ok(pattern)
    }

    /// The beginning of a stream.
    pub(crate) fn start(&self) -> Place {
        // Fails for quit bytes and unsupported anchors only; this automaton has neither.
        let state = self.dfa.start_state(&start::Config::new().anchored(Anchored::No));
        Place(state.unwrap_or_default())
    }

    fn matches_nothing(&self) -> bool {
        let Place(state) = self.start();
        self.dfa.is_match_state(self.dfa.next_eoi_state(state))
    }

    /// Eats `input` up to and with the byte by which the expression matches; how many bytes that took, `None` where it does not.
    pub(crate) fn find(&self, place: &mut Place, input: &[u8]) -> Option<usize> {
        for (i, byte) in input.iter().enumerate() {
            place.0 = self.dfa.next_state(place.0, *byte);
            // A match is told one byte late, or at the end of what there is.
            if self.dfa.is_match_state(place.0) || self.dfa.is_match_state(self.dfa.next_eoi_state(place.0)) {
                return Some(i + 1);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shortest(text: &str, input: &[u8], at: usize) -> Option<usize> {
        let pattern = Pattern::new(text).unwrap();
        let mut place = pattern.start();
        match pattern.find(&mut place, &input[..at]) {
            Some(n) => Some(n),
            None => pattern.find(&mut place, &input[at..]).map(|n| at + n),
        }
    }

    #[test]
    fn the_shortest_beginning_is_the_same_for_any_cut() {
        for (text, input, want) in [
            (r"^\+PONG\r\n", "+PONG\r\nmore", Some(7)),
            (r"\d+", "abc123", Some(4)),
            ("a+b", "aaab", Some(4)),
            ("ab?c$", "xxabc", Some(5)),
            (r"(?m)^250 .*$", "250-a\n250 b", Some(10)),
            ("^b", "ab", None),
            (r"\xff\x00", "", None),
        ] {
            for at in 0..=input.len() {
                assert_eq!(shortest(text, input.as_bytes(), at), want, "{text} {at}");
            }
        }
        assert_eq!(shortest(r"\xff\x00", b"a\xff\x00b", 2), Some(3));
    }

    #[test]
    fn what_cannot_be_used_is_said_in_one_line() {
        for text in ["(", "a*", "", r"(a|b){5000}{500}"] {
            let error = Pattern::new(text).unwrap_err();
            assert!(!error.contains('\n') && error.contains("cannot be used: "), "{error}");
        }
    }
}
