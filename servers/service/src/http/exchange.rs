//! What is asked of any HTTP server, and which answers will do: method, header fields, content, paths, status, content expected.
//! Not here: framing (see `client`), and our own paths with content that is known.

use crate::client::mix;
use crate::raw::Pattern;
use crate::raw::pattern::Place;
use std::ops::RangeInclusive;

/// Keeps the first path of a run apart from its payloads.
const STREAM: u64 = 0x70_61_74_68;

/// What each request of a run says, beside its path, and what its answer must be.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// A token (RFC 9110, 9.1), as `GET`.
    pub method: String,
    /// Header fields beside Host, as `Name: value` without line ends.
    pub fields: Vec<String>,
    /// Content of the request; `None` sends none, and no Content-Length.
    pub body: Option<Vec<u8>>,
    /// Asked for in turn, beginning at one that the seed chooses; at least one.
    pub paths: Vec<String>,
    /// Status codes that will do; empty for 200 to 399.
    pub status: Vec<RangeInclusive<u16>>,
    /// What the content of an answer must be.
    pub expect: Option<Content>,
}

/// What the content of an answer must be.
#[derive(Clone, Debug)]
pub enum Content {
    /// These bytes.
    Exactly(Vec<u8>),
    /// Bytes in which an expression matches.
    Matching(Pattern),
}

impl Exchange {
    /// Path number of request `seq`: round robin, so that each path is asked for equally often.
    pub(super) fn path_of(&self, seed: u64, seq: u64) -> usize {
        let count = self.paths.len().max(1) as u64;
        ((mix(seed, STREAM, 0) % count + seq % count) % count) as usize
    }

    /// The bytes of the request for `path`.
    pub(super) fn request(&self, path: &str, host: &str, close: bool) -> Vec<u8> {
        let has = |name: &str| self.fields.iter().any(|field| is_named(field, name));
        let mut request = format!("{} {path} HTTP/1.1\r\n", self.method);
        if !has("host") {
            request += &format!("Host: {host}\r\n");
        }
        for field in &self.fields {
            request += field;
            request += "\r\n";
        }
        if close && !has("connection") {
            request += "Connection: close\r\n";
        }
        let body = self.body.as_deref();
        if let Some(body) = body
            && !has("content-length")
        {
            request += &format!("Content-Length: {}\r\n", body.len());
        }
        [request.as_bytes(), b"\r\n", body.unwrap_or_default()].concat()
    }

    /// Whether an answer of this status will do.
    pub(super) fn accepts(&self, status: u16) -> bool {
        match &self.status[..] {
            [] => (200..=399).contains(&status),
            some => some.iter().any(|range| range.contains(&status)),
        }
    }

    /// Whether an answer holds no content, whatever its head says (RFC 9112, 6.3).
    pub(super) fn is_head(&self) -> bool {
        self.method == "HEAD"
    }
}

/// Whether a header field, `Name: value`, has this name.
fn is_named(field: &str, name: &str) -> bool {
    field.split_once(':').is_some_and(|(found, _)| found.trim().eq_ignore_ascii_case(name))
}

/// How far the content of an answer has come in what it must be.
#[derive(Clone, Copy, Debug, Default)]
pub(super) enum Course {
    /// Anything will do, or the end of what must come was reached.
    #[default]
    Any,
    /// So many bytes were right.
    Right(usize),
    Looking(Place),
}

impl Course {
    pub(super) fn of(exchange: Option<&Exchange>) -> Self {
        match exchange.and_then(|exchange| exchange.expect.as_ref()) {
            None => Self::Any,
            Some(Content::Exactly(_)) => Self::Right(0),
            Some(Content::Matching(pattern)) => Self::Looking(pattern.start()),
        }
    }

    /// Eats content; the index of the first wrong byte.
    pub(super) fn take(&mut self, exchange: &Exchange, data: &[u8]) -> Option<usize> {
        match (&exchange.expect, &mut *self) {
            (Some(Content::Exactly(want)), Self::Right(right)) => {
                let want = want.get(*right..).unwrap_or_default();
                let common = want.iter().zip(data).take_while(|(a, b)| a == b).count();
                *right += common;
                (common < data.len()).then_some(common)
            }
            (Some(Content::Matching(pattern)), Self::Looking(place)) => {
                if pattern.find(place, data).is_some() {
                    *self = Self::Any;
                }
                None
            }
            _ => None,
        }
    }

    /// Whether the content may end here.
    pub(super) fn is_complete(self, exchange: &Exchange) -> bool {
        match (&exchange.expect, self) {
            (Some(Content::Exactly(want)), Self::Right(right)) => right == want.len(),
            (_, Self::Looking(_)) => false,
            _ => true,
        }
    }
}
