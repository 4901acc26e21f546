//! `greeting`: the server speaks first and closes (as daytime, RFC 867, does). Not here: anything that a client could say.

use crate::client::{Ask, Client, Mismatch, Progress};
use crate::{Output, Protocol, Service, Step, Work};

/// What the server says.
pub const GREETING: &[u8] = b"thank you for connecting\n";

/// The server side: says [`GREETING`] as soon as a connection exists, after the work where one is set, and closes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Greeting {
    /// Work done before the words are said.
    pub work: Option<Work>,
}

impl Service for Greeting {
    type Conn = GreetingConn;

    fn open(&self) -> GreetingConn {
        GreetingConn { work: self.work, said: false }
    }
}

/// One connection of [`Greeting`].
#[derive(Debug)]
pub struct GreetingConn {
    work: Option<Work>,
    said: bool,
}

impl Protocol for GreetingConn {
    fn on_open(&mut self, out: &mut Output) -> Step {
        match self.work {
            Some(work) => Step::Work(work),
            None => self.on_work_done(out),
        }
    }

    /// Whatever a client says is dropped.
    fn on_input(&mut self, input: &[u8], _out: &mut Output) -> (usize, Step) {
        (input.len(), Step::Close)
    }

    fn on_work_done(&mut self, out: &mut Output) -> Step {
        out.fixed(GREETING);
        self.said = true;
        Step::Close
    }

    /// A connection was made, so the words are owed until they are said.
    fn is_idle(&self) -> bool {
        self.said
    }
}

/// The client side: says nothing, expects [`GREETING`] and then the end.
#[derive(Debug)]
pub struct GreetingClient {
    received: usize,
}

impl GreetingClient {
    /// A client; nothing can be asked for.
    #[must_use]
    pub fn new(_ask: &Ask, _connection: u64) -> Self {
        Self { received: 0 }
    }
}

impl Client for GreetingClient {
    /// Queues nothing: to connect is the request.
    fn write(&mut self, _seq: u64, _out: &mut Output) {}

    fn expect(&mut self, _seq: u64) {
        self.received = 0;
    }

    /// Always false: the words are what they are.
    fn request_large(&mut self, seq: u64, _bytes: u64, out: &mut Output) -> bool {
        self.request(seq, out);
        false
    }

    /// Never `Done`: the reply is complete when the server has closed, as RFC 867 has it.
    fn on_reply(&mut self, input: &[u8]) -> Result<(usize, Progress), Mismatch> {
        let want = &GREETING[self.received..];
        let common = want.iter().zip(input).take_while(|(a, b)| a == b).count();
        self.received += common;
        match (common == input.len(), common == want.len()) {
            (true, _) => Ok((common, Progress::More)),
            (false, true) => Err(Mismatch::Extra),
            (false, false) => Err(Mismatch::Content { offset: self.received as u64 }),
        }
    }

    fn on_end(&mut self) -> Result<Progress, Mismatch> {
        if self.received == GREETING.len() {
            Ok(Progress::Done { reusable: false })
        } else {
            Err(Mismatch::EarlyEnd { received: self.received as u64 })
        }
    }
}
