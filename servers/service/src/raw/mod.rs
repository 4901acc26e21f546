//! `raw`: what the user gives is said, and what the user expects is checked: redis, SMTP, or a protocol of one's own.
//! Client side only: there is no server that speaks it. Not here: files and flags (see crate `loadgen`).
//!
//! ```text
//! send    text with \r \n \t \0 \\ \{ \xNN; {seq} is the request's number, {conn} the connection's, in decimal
//! expect  bytes:TEXT                     these bytes (escapes and placeholders as above)
//!         delim:TEXT                     everything up to TEXT and with it
//!         length:TYPE[@OFFSET][+ADD|-SUB]  a number of TYPE behind OFFSET bytes, and so many bytes behind it, corrected by ADD;
//!                                        TYPE is u8, u16be, u16le, u32be, u32le, u64be or u64le
//!         count:N                        N bytes
//!         regex:RE                       the shortest beginning of the reply in which RE matches, at most 64 KiB of it
//!         eof                            everything until the server closes
//! ```
//!
//! A dialogue is one or more steps of send and expect; a request is the whole dialogue. What a reply is does not depend on how it
//! was cut: each expectation eats bytes one behind the other, and none looks at how many there are (S1, from the other side).

mod client;
mod expect;
pub(crate) mod pattern;
mod text;

pub use client::RawClient;
pub use expect::Expect;
pub use pattern::Pattern;
pub use text::Template;

/// Longest reply of a `length` or `delim` expectation, in bytes: more is a broken frame, or another protocol.
pub const LONGEST: u64 = 1 << 30;

/// One step of a dialogue.
#[derive(Clone, Debug)]
pub struct Turn {
    /// What is said; empty where the server speaks next.
    pub send: Template,
    /// What must come before the next step.
    pub expect: Expect,
}

/// A conversation that every request goes through once.
#[derive(Clone, Debug)]
pub struct Dialogue {
    /// What the server says first on a new connection, before any request.
    pub banner: Option<Expect>,
    /// At least one.
    pub turns: Vec<Turn>,
}

impl Dialogue {
    /// True where a request is one message and one reply, so that the next may be sent before the reply has come.
    #[must_use]
    pub fn can_pipeline(&self) -> bool {
        self.turns.len() == 1 && self.banner.is_none() && !self.ends_connection()
    }

    /// True where a reply ends with the connection.
    #[must_use]
    pub fn ends_connection(&self) -> bool {
        self.turns.iter().any(|turn| matches!(turn.expect, Expect::End))
    }

    /// Bytes of the longest message, without what placeholders add.
    #[must_use]
    pub fn longest_message(&self) -> usize {
        self.turns.iter().map(|turn| turn.send.len()).max().unwrap_or(0)
    }
}
