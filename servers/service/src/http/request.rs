//! What the head of a request asks for: its fields, its framing and its target judged (RFC 9110, RFC 9112). Not here: where a head ends.

use super::fields::{has_token, tokens};
use super::head::{Head, Method, RequestLine};
use super::reply::{Connection, Content, Reply, Status};
use super::{MAX_BODY, MAX_FIELDS};
use crate::digits;
use crate::{MAX_REPLY, Work};

/// A request whose framing can be trusted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request {
    pub(super) body: Body,
    /// The client waits for `100 Continue` before it sends the content.
    pub(super) continues: bool,
    pub(super) reply: Reply,
}

/// How the content of a request is delimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Body {
    /// This many bytes; 0 where there is no content.
    Length(u64),
    Chunked,
}

/// The fields that matter.
#[derive(Default)]
struct Fields<'a> {
    host: Option<&'a [u8]>,
    length: Option<&'a [u8]>,
    coding: Coding,
    close: bool,
    keep_alive: bool,
    continues: bool,
    expects_more: bool,
    repeated: bool,
}

/// What the Transfer-Encoding fields say.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Coding {
    #[default]
    None,
    Chunked,
    /// Only codings that are not implemented.
    Unknown,
    /// `chunked` twice, or not last, or no coding at all.
    Bad,
}

impl Coding {
    fn add(self, value: &[u8]) -> Self {
        let mut coding = self;
        let mut empty = true;
        for token in tokens(value) {
            empty = false;
            coding = match (coding, token.eq_ignore_ascii_case(b"chunked")) {
                (Self::None, true) => Self::Chunked,
                (Self::None | Self::Unknown, false) => Self::Unknown,
                // `gzip, chunked`: the framing is plain, the content is not ours to read.
                (Self::Unknown, true) => Self::Unknown,
                (Self::Chunked | Self::Bad, _) => Self::Bad,
            };
        }
        if empty { Self::Bad } else { coding }
    }
}

impl<'a> Fields<'a> {
    fn read(fields: &[httparse::Header<'a>]) -> Self {
        let mut found = Self::default();
        for &httparse::Header { name, value } in fields {
            // The length tells most fields apart from those that matter, at the price of one comparison.
            match name.len() {
                4 if name.eq_ignore_ascii_case("host") => {
                    found.repeated |= found.host.replace(value).is_some()
                }
                6 if name.eq_ignore_ascii_case("expect") => {
                    let known = value.eq_ignore_ascii_case(b"100-continue");
                    found.continues |= known;
                    found.expects_more |= !known;
                }
                10 if name.eq_ignore_ascii_case("connection") => {
                    found.close |= has_token(value, b"close");
                    found.keep_alive |= has_token(value, b"keep-alive");
                }
                14 if name.eq_ignore_ascii_case("content-length") => {
                    found.repeated |= found.length.replace(value).is_some();
                }
                17 if name.eq_ignore_ascii_case("transfer-encoding") => {
                    found.coding = found.coding.add(value)
                }
                _ => {}
            }
        }
        found
    }

    /// How the content is delimited (RFC 9112, 6.3), or why that cannot be told.
    fn body(&self, old: bool) -> Result<Body, Status> {
        match (self.coding, self.length) {
            (Coding::None, None) => Ok(Body::Length(0)),
            (Coding::None, Some(length)) => match digits::parse(length) {
                None => Err(Status::BadRequest),
                Some(length) if length > MAX_BODY => Err(Status::ContentTooLarge),
                Some(length) => Ok(Body::Length(length)),
            },
            (_, Some(_)) | (Coding::Bad, None) => Err(Status::BadRequest),
            // HTTP/1.0 has no transfer codings: the framing is faulty (RFC 9112, 6.1).
            _ if old => Err(Status::BadRequest),
            (Coding::Unknown, None) => Err(Status::NotImplemented),
            (Coding::Chunked, None) => Ok(Body::Chunked),
        }
    }
}

impl Request {
    /// Judges a head; `work` is what the server does before every reply whose target does not say otherwise.
    ///
    /// # Errors
    /// The refusal where it cannot be trusted what follows the head.
    pub(super) fn read(head: &Head<'_>, work: Option<Work>) -> Result<Self, Reply> {
        let line = head.line;
        let head_only = line.method == Method::Head;
        let refuse = |status| Reply::refusal(status, head_only);
        let mut storage = [httparse::EMPTY_HEADER; MAX_FIELDS];
        let fields = match httparse::parse_headers(head.fields, &mut storage) {
            Ok(httparse::Status::Complete((_, fields))) => Fields::read(fields),
            Err(httparse::Error::TooManyHeaders) => return Err(refuse(Status::FieldsTooLarge)),
            Ok(httparse::Status::Partial) | Err(_) => return Err(refuse(Status::BadRequest)),
        };
        if fields.repeated || !host_is_valid(fields.host, line.old) {
            return Err(refuse(Status::BadRequest));
        }
        let body = fields.body(line.old).map_err(refuse)?;
        let verdict =
            if fields.expects_more && !line.old { Err(Status::ExpectationFailed) } else { route(&line) };
        let connection = match (fields.close, line.old) {
            (true, _) => Connection::Close,
            (false, false) => Connection::Stay,
            (false, true) if fields.keep_alive => Connection::StayTold,
            (false, true) => Connection::Close,
        };
        // An HTTP/1.0 client does not know the expectation (RFC 9110, 10.1.1), and without content there is nothing to wait for.
        let waits = fields.continues && !line.old && body != Body::Length(0);
        match verdict {
            Ok((content, own)) => {
                let reply = Reply { status: Status::Ok, content, work: own.or(work), head_only, connection };
                Ok(Self { body, continues: waits, reply })
            }
            // A malformed target, or the content will never be asked for.
            Err(status) if waits || status == Status::BadRequest => Err(refuse(status)),
            Err(status) => {
                let reply = Reply { status, content: Content::Short, work: None, head_only, connection };
                Ok(Self { body, continues: false, reply })
            }
        }
    }
}

/// RFC 9112, 3.2: HTTP/1.1 has a Host field, which may be empty; its value is a host and a port.
fn host_is_valid(host: Option<&[u8]>, old: bool) -> bool {
    match host {
        None => old,
        // The characters of RFC 3986, 3.2.2 and 3.2.3, without its grammar.
        Some(host) => host.iter().all(|b| b.is_ascii_alphanumeric() || b"-._~%!$&'()*+,;=:[]".contains(b)),
    }
}

/// What a target is answered with, and the work that it asks for.
fn route(line: &RequestLine<'_>) -> Result<(Content, Option<Work>), Status> {
    let path = match (line.method, line.target) {
        (Method::Unknown, _) => return Err(Status::NotImplemented),
        // The authority form belongs to CONNECT, and `*` to OPTIONS (RFC 9112, 3.2.3 and 3.2.4): both are refused like the rest.
        (Method::Connect, _) | (Method::Options, b"*") => return Err(Status::MethodNotAllowed),
        (_, target) => path_of(target).ok_or(Status::BadRequest)?,
    };
    let found = match path {
        b"/" => (Content::Short, None),
        _ => resource(path).ok_or(Status::NotFound)?,
    };
    match line.method {
        Method::Get | Method::Head | Method::Upload => Ok(found),
        _ => Err(Status::MethodNotAllowed),
    }
}

/// The path of a target in origin form or absolute form, without the query (RFC 9112, 3.2.1 and 3.2.2).
fn path_of(target: &[u8]) -> Option<&[u8]> {
    let path = if target.starts_with(b"/") {
        target
    } else {
        let scheme = [&b"http://"[..], b"https://"]
            .into_iter()
            .find(|s| target.get(..s.len()).is_some_and(|t| t.eq_ignore_ascii_case(s)))?;
        let rest = &target[scheme.len()..];
        match rest.iter().position(|b| matches!(b, b'/' | b'?')).unwrap_or(rest.len()) {
            0 => return None,
            at => &rest[at..],
        }
    };
    let end = memchr::memchr(b'?', path).unwrap_or(path.len());
    Some(if end == 0 { b"/" } else { &path[..end] })
}

fn resource(path: &[u8]) -> Option<(Content, Option<Work>)> {
    let path = std::str::from_utf8(path.strip_prefix(b"/")?).ok()?;
    let (kind, argument) = path.split_once('/')?;
    if kind == "bytes" {
        let size = digits::parse(argument.as_bytes()).filter(|size| *size <= MAX_REPLY)?;
        return Some((Content::Payload(size), None));
    }
    Work::from_parts(kind, argument).ok().map(|work| (Content::Short, Some(work)))
}
