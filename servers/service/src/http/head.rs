//! Where the head of a request ends, and its request line (RFC 9112, 2.2 and 3). Not here: the fields.

use super::fields::is_tchar;
use super::reply::Status;
use crate::MAX_HEAD;

/// Longest method, in bytes. A longer one is none that anybody implements: 501 (RFC 9112, 3).
const MAX_METHOD: usize = 32;

/// The search for the end of one head. It remembers where it stopped, so that a head in segments of one byte costs no more
/// than a head in one piece.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Search {
    /// No line ends in front of here but those that were seen.
    scanned: usize,
    /// Length of the request line with its CRLF, once it is complete and in order.
    line: usize,
}

/// A head that is complete.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head<'a> {
    pub(super) line: RequestLine<'a>,
    /// The fields with the empty line behind them.
    pub(super) fields: &'a [u8],
    /// Length of the whole head in bytes.
    pub(super) len: usize,
}

impl Search {
    /// True until the request line has come.
    pub(super) fn at_start(&self) -> bool {
        self.scanned == 0
    }

    /// Looks for the end of the head that begins `input`; `None` while it is unfinished.
    ///
    /// What is wrong is found in the order of the bytes: the method, the request line, a line that ends without CR, the bound.
    pub(super) fn next<'a>(&mut self, input: &'a [u8]) -> Result<Option<Head<'a>>, Status> {
        let window = &input[..input.len().min(MAX_HEAD)];
        if self.line == 0 {
            check_method(window)?;
        }
        while let Some(i) = memchr::memchr(b'\n', &window[self.scanned..]) {
            let end = self.scanned + i + 1;
            let line = window[..end].strip_suffix(b"\r\n").ok_or(Status::BadRequest)?;
            if self.line == 0 {
                RequestLine::parse(line)?;
                self.line = end;
            } else if line.last() == Some(&b'\n') {
                let line = RequestLine::parse(&window[..self.line - 2])?;
                return Ok(Some(Head { line, fields: &window[self.line..end], len: end }));
            }
            self.scanned = end;
        }
        if window.len() == MAX_HEAD {
            return Err(if self.line == 0 { Status::UriTooLong } else { Status::FieldsTooLarge });
        }
        self.scanned = window.len();
        Ok(None)
    }
}

/// Judges as much of a method as is there.
fn check_method(input: &[u8]) -> Result<(), Status> {
    for (i, b) in input.iter().enumerate() {
        match *b {
            b' ' if i > 0 => return Ok(()),
            _ if !is_tchar(*b) => return Err(Status::BadRequest),
            _ if i == MAX_METHOD => return Err(Status::NotImplemented),
            _ => {}
        }
    }
    Ok(())
}

/// The methods that the service tells apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    Get,
    Head,
    /// POST and PUT.
    Upload,
    Connect,
    Options,
    /// Known, and allowed on none of our targets.
    Refused,
    Unknown,
}

/// A request line, taken apart.
#[derive(Clone, Copy, Debug)]
pub(super) struct RequestLine<'a> {
    pub(super) method: Method,
    pub(super) target: &'a [u8],
    /// The version is HTTP/1.0; else it is taken as HTTP/1.1 (RFC 9110, 6.2, on higher minor versions).
    pub(super) old: bool,
}

impl<'a> RequestLine<'a> {
    /// Reads a request line without its CRLF; single spaces, since RFC 9112, 3 warns of lenient splitting.
    pub(super) fn parse(line: &'a [u8]) -> Result<Self, Status> {
        check_method(line)?;
        let space = memchr::memchr(b' ', line).ok_or(Status::BadRequest)?;
        let (method, rest) = (&line[..space], &line[space + 1..]);
        let space = memchr::memchr(b' ', rest).ok_or(Status::BadRequest)?;
        let (target, version) = (&rest[..space], &rest[space + 1..]);
        if target.is_empty() || !target.iter().all(|b| matches!(b, 0x21..=0x7e) && *b != b'#') {
            return Err(Status::BadRequest);
        }
        let old = match version {
            b"HTTP/1.1" => false,
            b"HTTP/1.0" => true,
            [b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
                if major.is_ascii_digit() && minor.is_ascii_digit() =>
            {
                if *major != b'1' {
                    return Err(Status::VersionNotSupported);
                }
                false
            }
            _ => return Err(Status::BadRequest),
        };
        let method = match method {
            b"GET" => Method::Get,
            b"HEAD" => Method::Head,
            b"POST" | b"PUT" => Method::Upload,
            b"CONNECT" => Method::Connect,
            b"OPTIONS" => Method::Options,
            b"DELETE" | b"PATCH" | b"TRACE" => Method::Refused,
            _ => Method::Unknown,
        };
        Ok(Self { method, target, old })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_a_request_line_apart() {
        let line = RequestLine::parse(b"GET /a?b HTTP/1.1").map(|l| (l.method, l.target.to_vec(), l.old));
        assert_eq!(line, Ok((Method::Get, b"/a?b".to_vec(), false)));
        let line = RequestLine::parse(b"PUT * HTTP/1.0").map(|l| (l.method, l.old));
        assert_eq!(line, Ok((Method::Upload, true)));
        assert!(RequestLine::parse(b"GET / HTTP/1.2").is_ok_and(|l| !l.old));
    }

    #[test]
    fn refuses_what_is_no_request_line() {
        for (line, status) in [
            ("", Status::BadRequest),
            ("GET", Status::BadRequest),
            ("GET /", Status::BadRequest),
            ("GET  / HTTP/1.1", Status::BadRequest),
            (" GET / HTTP/1.1", Status::BadRequest),
            ("GET / HTTP/1.1 ", Status::BadRequest),
            ("GET / http/1.1", Status::BadRequest),
            ("GET / HTTP/1", Status::BadRequest),
            ("GET /\u{e9} HTTP/1.1", Status::BadRequest),
            ("GET /#x HTTP/1.1", Status::BadRequest),
            ("G(T / HTTP/1.1", Status::BadRequest),
            ("GET / HTTP/2.0", Status::VersionNotSupported),
            ("GET / HTTP/0.9", Status::VersionNotSupported),
            ("ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFG / HTTP/1.1", Status::NotImplemented),
        ] {
            assert_eq!(RequestLine::parse(line.as_bytes()).map(|_| ()), Err(status), "{line}");
        }
    }
}
