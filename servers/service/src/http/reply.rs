//! The replies of the server, written without the heap. Not here: which reply a request gets.

use crate::digits::Digits;
use crate::{Output, Step, Work};

/// The content of every short reply with status 200.
pub const HELLO: &[u8] = b"Hello, World!";

/// The statuses that the server answers with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    Ok,
    BadRequest,
    NotFound,
    MethodNotAllowed,
    ContentTooLarge,
    UriTooLong,
    ExpectationFailed,
    FieldsTooLarge,
    NotImplemented,
    VersionNotSupported,
}

impl Status {
    /// Code and reason with a newline: also the content of a reply that is not 200.
    fn text(self) -> &'static [u8] {
        match self {
            Self::Ok => b"200 OK\n",
            Self::BadRequest => b"400 Bad Request\n",
            Self::NotFound => b"404 Not Found\n",
            Self::MethodNotAllowed => b"405 Method Not Allowed\n",
            Self::ContentTooLarge => b"413 Content Too Large\n",
            Self::UriTooLong => b"414 URI Too Long\n",
            Self::ExpectationFailed => b"417 Expectation Failed\n",
            Self::FieldsTooLarge => b"431 Request Header Fields Too Large\n",
            Self::NotImplemented => b"501 Not Implemented\n",
            Self::VersionNotSupported => b"505 HTTP Version Not Supported\n",
        }
    }
}

/// What a reply carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// [`HELLO`], or the status in words.
    Short,
    /// This many bytes of the payload text, from the position of the same number.
    Payload(u64),
}

/// What becomes of the connection after a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Connection {
    /// It stays open, which HTTP/1.1 takes for granted.
    Stay,
    /// It stays open, and an HTTP/1.0 client has to be told.
    StayTold,
    /// It closes, as was asked.
    Close,
    /// It closes, although the client may still be sending.
    Refuse,
}

/// One reply, decided but not written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reply {
    pub(super) status: Status,
    pub(super) content: Content,
    /// Work to be done before it is written.
    pub(super) work: Option<Work>,
    /// The request was HEAD.
    pub(super) head_only: bool,
    pub(super) connection: Connection,
}

impl Reply {
    /// The reply to a request whose framing cannot be trusted.
    pub(super) fn refusal(status: Status, head_only: bool) -> Self {
        Self { status, content: Content::Short, work: None, head_only, connection: Connection::Refuse }
    }

    /// Queues the reply, head and content together, so that they can leave in one send; says what comes next.
    pub(super) fn write(&self, out: &mut Output) -> Step {
        let text = self.status.text();
        let mut head = Buffer::new();
        head.push(b"HTTP/1.1 ");
        head.push(&text[..text.len() - 1]);
        head.push(match self.content {
            Content::Short => b"\r\nContent-Type: text/plain\r\nContent-Length: ",
            Content::Payload(_) => b"\r\nContent-Type: application/octet-stream\r\nContent-Length: ",
        });
        let short = if self.status == Status::Ok { HELLO } else { text };
        let len = match self.content {
            Content::Short => short.len() as u64,
            Content::Payload(len) => len,
        };
        head.push(Digits::new(len).as_bytes());
        if self.status == Status::MethodNotAllowed {
            head.push(b"\r\nAllow: GET, HEAD, POST, PUT");
        }
        head.push(match self.connection {
            Connection::Stay => b"\r\n\r\n",
            Connection::StayTold => b"\r\nConnection: keep-alive\r\n\r\n",
            Connection::Close | Connection::Refuse => b"\r\nConnection: close\r\n\r\n",
        });
        match self.content {
            Content::Short if !self.head_only => head.push(short),
            _ => {}
        }
        out.copy(head.as_bytes());
        match self.content {
            Content::Payload(len) if !self.head_only => out.pattern(len, len),
            _ => {}
        }
        match self.connection {
            Connection::Stay | Connection::StayTold => Step::Read,
            Connection::Close => Step::Close,
            Connection::Refuse => Step::Linger,
        }
    }
}

/// Room for the longest head and short content; a test writes them all.
struct Buffer {
    bytes: [u8; 256],
    len: usize,
}

impl Buffer {
    fn new() -> Self {
        Self { bytes: [0; 256], len: 0 }
    }

    fn push(&mut self, piece: &[u8]) {
        self.bytes[self.len..self.len + piece.len()].copy_from_slice(piece);
        self.len += piece.len();
    }

    fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATUSES: [Status; 10] = [
        Status::Ok,
        Status::BadRequest,
        Status::NotFound,
        Status::MethodNotAllowed,
        Status::ContentTooLarge,
        Status::UriTooLong,
        Status::ExpectationFailed,
        Status::FieldsTooLarge,
        Status::NotImplemented,
        Status::VersionNotSupported,
    ];

    fn text(reply: &Reply) -> String {
        let mut out = Output::new();
        let _ = reply.write(&mut out);
        String::from_utf8_lossy(&out.take(&[])).into_owned()
    }

    #[test]
    fn every_reply_fits_and_states_its_length() {
        for status in STATUSES {
            for content in [Content::Short, Content::Payload(crate::MAX_REPLY)] {
                for connection in
                    [Connection::Stay, Connection::StayTold, Connection::Close, Connection::Refuse]
                {
                    let mut reply = Reply { status, content, work: None, head_only: true, connection };
                    let head = text(&reply);
                    reply.head_only = false;
                    let mut out = Output::new();
                    let _ = reply.write(&mut out);
                    assert!(head.ends_with("\r\n\r\n"), "{head}");
                    let content = out.len() - head.len() as u64;
                    assert!(head.contains(&format!("Content-Length: {content}\r\n")), "{head}");
                }
            }
        }
    }

    #[test]
    fn the_plain_reply_is_this() {
        let reply = Reply {
            status: Status::Ok,
            content: Content::Short,
            work: None,
            head_only: false,
            connection: Connection::Stay,
        };
        assert_eq!(
            text(&reply),
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 13\r\n\r\nHello, World!"
        );
    }
}
