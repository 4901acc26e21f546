//! The head of a reply: found, parsed, and known again. Not here: what follows it (see `client`).

use super::MAX_FIELDS;
use super::fields::{has_token, tokens};
use crate::client::Mismatch;
use crate::{MAX_HEAD, digits};
use std::mem::MaybeUninit;

/// Longest head that is remembered, in bytes: there is one a connection.
const REMEMBERED: usize = 1024;

/// How the content of a reply is delimited.
#[derive(Clone, Copy, Debug)]
pub(super) enum Body {
    Length(u64),
    Chunked,
    ToEnd,
}

/// What matters of the head of a reply.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    pub(super) status: u16,
    pub(super) body: Body,
    /// The server will keep the connection open.
    pub(super) persistent: bool,
    pub(super) len: usize,
}

/// Heads of one connection. A server says the same head again and again, but for the date once a second: one that begins as the last
/// whole one did, byte by byte to its empty line, means the same, and is not parsed.
#[derive(Debug, Default)]
pub(super) struct Heads {
    bytes: Vec<u8>,
    head: Option<Head>,
}

impl Heads {
    /// The head that begins `input`, `None` while it is unfinished; `scanned` as for [`find_head`].
    pub(super) fn find(&mut self, input: &[u8], scanned: &mut usize) -> Result<Option<Head>, Mismatch> {
        if self.head.is_some() && input.starts_with(&self.bytes) {
            return Ok(self.head);
        }
        let found = find_head(input, scanned)?;
        if let Some(head) = found {
            self.head = found.filter(|head| head.len <= REMEMBERED);
            self.bytes.clear();
            self.bytes.extend_from_slice(&input[..head.len.min(REMEMBERED)]);
        }
        Ok(found)
    }
}

/// The head that begins `input`, `None` while it is unfinished.
///
/// The parser runs on the first sight of a head, which nearly always is all of it; a head in pieces is parsed again only
/// when its end has come. What is wrong with a head is therefore said when it is complete, so that the verdict does not
/// depend on the cut; what is no HTTP/1 at all is told at once.
fn find_head(input: &[u8], scanned: &mut usize) -> Result<Option<Head>, Mismatch> {
    let window = &input[..input.len().min(MAX_HEAD)];
    if window.iter().zip(b"HTTP/1.").any(|(got, want)| got != want) {
        return Err(Mismatch::Malformed("not an HTTP/1 reply"));
    }
    if *scanned == 0 || has_end(&window[scanned.saturating_sub(2)..]) {
        match parse_head(window) {
            Ok(None) => {}
            Err(_) if !has_end(window) => {}
            found => return found,
        }
    }
    if window.len() == MAX_HEAD {
        return Err(Mismatch::Malformed("head is too long"));
    }
    *scanned = window.len();
    Ok(None)
}

/// Whether an empty line ends in `bytes`; a bare LF counts, as the parser lets servers have it (RFC 9112, 2.2).
fn has_end(bytes: &[u8]) -> bool {
    memchr::memchr_iter(b'\n', bytes).any(|i| matches!(&bytes[i + 1..], [b'\n', ..] | [b'\r', b'\n', ..]))
}

fn parse_head(input: &[u8]) -> Result<Option<Head>, Mismatch> {
    let mut storage = [const { MaybeUninit::<httparse::Header<'_>>::uninit() }; MAX_FIELDS];
    let mut response = httparse::Response::new(&mut []);
    let parser = httparse::ParserConfig::default();
    let len = match parser.parse_response_with_uninit_headers(&mut response, input, &mut storage) {
        Ok(httparse::Status::Complete(len)) => len,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(httparse::Error::TooManyHeaders) => return Err(Mismatch::Malformed("head has too many fields")),
        Err(_) => return Err(Mismatch::Malformed("head does not parse")),
    };
    let status = response.code.unwrap_or(0);
    let old = response.version == Some(0);
    let (mut length, mut coding, mut close, mut keep_alive) = (None, None, false, false);
    for &httparse::Header { name, value } in response.headers.iter() {
        match name.len() {
            10 if name.eq_ignore_ascii_case("connection") => {
                close |= has_token(value, b"close");
                keep_alive |= has_token(value, b"keep-alive");
            }
            14 if name.eq_ignore_ascii_case("content-length") => {
                let new =
                    digits::parse(value).ok_or(Mismatch::Malformed("Content-Length is not a number"))?;
                if length.replace(new).is_some_and(|first| first != new) {
                    return Err(Mismatch::Malformed("two Content-Length fields that differ"));
                }
            }
            17 if name.eq_ignore_ascii_case("transfer-encoding") => coding = Some(value),
            _ => {}
        }
    }
    // RFC 9112, 6.3: in this order.
    let body = match (status, coding, length) {
        (100..=199 | 204 | 304, _, _) => Body::Length(0),
        (_, Some(_), Some(_)) => return Err(Mismatch::Malformed("Content-Length beside Transfer-Encoding")),
        (_, Some(coding), None) => match tokens(coding).last() {
            Some(last) if last.eq_ignore_ascii_case(b"chunked") => Body::Chunked,
            _ => Body::ToEnd,
        },
        (_, None, Some(length)) => Body::Length(length),
        (_, None, None) => Body::ToEnd,
    };
    // HTTP/1.0 has no transfer codings: such framing is not trusted for a further reply (RFC 9112, 6.1).
    let persistent = !close && (!old || (keep_alive && coding.is_none()));
    Ok(Some(Head { status, body, persistent, len }))
}
