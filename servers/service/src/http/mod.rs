//! `http`: HTTP/1.1, the part of it that a benchmark needs (RFC 9110, RFC 9112), both sides. Not here: TLS, HTTP/2, caching, ranges.
//!
//! | target | reply |
//! |---|---|
//! | `/` | 200, the 13 bytes [`HELLO`] |
//! | `/bytes/N` | 200, N bytes of the payload text from its position N; N from 0 to [`MAX_REPLY`](crate::MAX_REPLY) |
//! | `/spin/TIME`, `/sleep/TIME` | the work ([`Work::from_parts`](crate::Work::from_parts)), then 200, [`HELLO`] |
//! | anything else | 404 |
//!
//! GET, HEAD, POST and PUT are served, all alike: the content of a request is read and dropped before the reply (so that
//! uploads can be measured), and HEAD leaves the content out of the reply. A query is ignored. The scheme and the
//! authority of an absolute target are not looked at.
//!
//! Choices where the RFCs leave one:
//! - **No `Date`.** A service has no clock (RFC 9110, 6.6.1 lets such a server leave it out).
//! - **Strict framing.** A line ends with CRLF; a bare LF, folded fields, a second Content-Length and
//!   Content-Length beside Transfer-Encoding are refused. That is stricter than RFC 9112, 2.2 asks, and it is what makes a
//!   head mean one thing only.
//! - **Judged in the order of the bytes.** The method is judged as it comes, the request line when it is complete, the
//!   fields at the end of the head. So garbage is answered at once, and always in the same way however it was cut (S1).
//! - **After a request whose framing cannot be trusted** the connection is closed with [`Step::Linger`](crate::Step::Linger);
//!   404, 405, 417 and an unknown method leave it open, since it is clear where the next request begins.
//! - **A request cut short by the end of input** is answered 400 (RFC 9112, 8).
//!
//! The bounds (S4): a head and an unfinished line at most [`MAX_HEAD`](crate::MAX_HEAD), 64 fields, content of a request
//! [`MAX_BODY`], a chunk's size line 256 bytes, trailers 4 KiB, a method 32 bytes.

mod chunked;
mod client;
mod exchange;
mod fields;
mod head;
mod reply;
mod reply_head;
mod request;
mod server;

pub use client::HttpClient;
pub use exchange::{Content, Exchange};
pub use reply::HELLO;
pub use server::{Http, HttpConn};

/// Largest content of a request, in bytes: as much as a reply may be. A larger one is refused with 413.
pub const MAX_BODY: u64 = crate::MAX_REPLY;

/// Most fields in a head.
const MAX_FIELDS: usize = 64;
