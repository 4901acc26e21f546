//! The client side of `http`: requests made once, replies framed and checked. Not here: redirects, retries, when to send.

use super::chunked::{BadChunk, Chunked, Part};
use super::exchange::{Course, Exchange};
use super::reply_head::{Body, Head, Heads};
use crate::client::{Ask, Client, Mismatch, Progress};
use crate::digits::Digits;
use crate::{MAX_REPLY, Output, pattern};
use std::sync::Arc;

/// The client side: asks for `ask.path`, or else for the work, or else for `/bytes/SIZE`.
///
/// The content of `/bytes/SIZE` is known, so every byte of it is checked, and no status but 200 will do. Of everything else
/// the framing and the status are checked, and 2xx and 3xx will do. Sizes above [`MAX_REPLY`] are taken as [`MAX_REPLY`].
/// Path and host are sent as they are: whoever makes the [`Ask`] sees to it that they hold no spaces or line ends.
#[derive(Debug)]
pub struct HttpClient {
    /// The usual request, made once, and the size of its content where that is known.
    request: Vec<u8>,
    size: Option<u64>,
    /// What follows the target in every request.
    tail: Vec<u8>,
    /// Size for `/bytes/SIZE`, where no path is given.
    ask_size: Option<u64>,
    close: bool,
    /// What is asked of any server, and its request for each path.
    exchange: Option<Asked>,
    seed: u64,
    reply: Reply,
    heads: Heads,
}

/// What is asked of any server, and the bytes of its request for each path; shared by the connections of a run.
#[derive(Debug)]
struct Asked {
    exchange: Arc<Exchange>,
    requests: Arc<[Vec<u8>]>,
}

/// The reply that is being received.
#[derive(Debug)]
struct Reply {
    state: State,
    /// Size of the content, where it is known.
    size: Option<u64>,
    /// Bytes of content checked.
    content: u64,
    /// Bytes used of the whole reply, and those last seen but not used.
    used: u64,
    seen: u64,
    reusable: bool,
    course: Course,
}

#[derive(Debug)]
enum State {
    /// No request is out.
    Idle,
    /// Within a head; so much of it has been seen not to hold its end.
    Head(usize),
    Length(u64),
    Chunked(Chunked),
    /// The content ends with the connection.
    ToEnd,
}

const WRONG_SIZE: Mismatch = Mismatch::Malformed("content is not of the size that was asked for");

impl HttpClient {
    /// A client that asks as `ask` says.
    #[must_use]
    pub fn new(ask: &Ask, _connection: u64) -> Self {
        let close = if ask.close { "Connection: close\r\n" } else { "" };
        let tail = format!(" HTTP/1.1\r\nHost: {}\r\n{close}\r\n", ask.host).into_bytes();
        let ask_size = ask.path.is_none().then_some(ask.size.min(MAX_REPLY));
        let (path, size) = match (&ask.path, ask.work) {
            (Some(path), _) => (path.clone(), None),
            (None, Some(work)) => (format!("/{}/{}us", work.name(), work.duration().as_micros()), None),
            (None, None) => (format!("/bytes/{}", ask.size.min(MAX_REPLY)), ask_size),
        };
        let request = [b"GET ", path.as_bytes(), &tail].concat();
        let (exchange, seed) = (None, ask.seed);
        let (reply, heads) = (Reply::idle(), Heads::default());
        Self { request, size, tail, ask_size, close: ask.close, exchange, seed, reply, heads }
    }

    /// The requests of a run that asks as `exchange` says, one for each of its paths; shared by its connections.
    #[must_use]
    pub fn requests(ask: &Ask, exchange: &Exchange) -> Arc<[Vec<u8>]> {
        exchange.paths.iter().map(|path| exchange.request(path, &ask.host, ask.close)).collect()
    }

    /// A client that says one of `requests` and takes the answers that `exchange` will have; of `ask` only seed, host and close count.
    #[must_use]
    pub fn exchanging(ask: &Ask, exchange: Arc<Exchange>, requests: Arc<[Vec<u8>]>) -> Self {
        let ask = Ask { path: Some("/".to_owned()), ..ask.clone() };
        Self { exchange: Some(Asked { exchange, requests }), ..Self::new(&ask, 0) }
    }
}

impl Client for HttpClient {
    fn write(&mut self, seq: u64, out: &mut Output) {
        let request = match &self.exchange {
            Some(asked) => asked.requests.get(asked.exchange.path_of(self.seed, seq)),
            None => None,
        };
        out.copy(request.unwrap_or(&self.request));
    }

    fn expect(&mut self, _seq: u64) {
        let exchange = self.exchange.as_ref().map(|asked| &*asked.exchange);
        self.reply = Reply { course: Course::of(exchange), ..Reply::expected(self.size, !self.close) };
    }

    /// Asks for `/bytes/N`, with N the larger of `bytes` and the usual size, at most [`MAX_REPLY`].
    ///
    /// False where a path was given: how much it holds is the server's to say, so the usual request is sent.
    fn request_large(&mut self, seq: u64, bytes: u64, out: &mut Output) -> bool {
        let Some(size) = self.ask_size else {
            self.request(seq, out);
            return false;
        };
        let size = size.max(bytes).min(MAX_REPLY);
        out.fixed(b"GET /bytes/");
        out.copy(Digits::new(size).as_bytes());
        out.copy(&self.tail);
        self.reply = Reply::expected(Some(size), !self.close);
        true
    }

    fn on_reply(&mut self, input: &[u8]) -> Result<(usize, Progress), Mismatch> {
        self.reply.take(input, self.exchange.as_ref().map(|asked| &*asked.exchange), &mut self.heads)
    }

    fn on_end(&mut self) -> Result<Progress, Mismatch> {
        self.reply.end(self.exchange.as_ref().map(|asked| &*asked.exchange))
    }
}

impl Reply {
    fn idle() -> Self {
        Self {
            state: State::Idle,
            size: None,
            content: 0,
            used: 0,
            seen: 0,
            reusable: true,
            course: Course::Any,
        }
    }

    fn expected(size: Option<u64>, reusable: bool) -> Self {
        Self { state: State::Head(0), size, reusable, ..Self::idle() }
    }

    /// Goes as far through `input` as the reply goes.
    fn take(
        &mut self,
        input: &[u8],
        exchange: Option<&Exchange>,
        heads: &mut Heads,
    ) -> Result<(usize, Progress), Mismatch> {
        let mut at = 0;
        loop {
            let rest = &input[at..];
            let n = match &mut self.state {
                State::Idle if input.is_empty() => return Ok((0, Progress::Done { reusable: true })),
                State::Idle => return Err(Mismatch::Extra),
                State::Head(scanned) => match heads.find(rest, scanned)? {
                    None => 0,
                    Some(head) => {
                        let len = head.len;
                        self.begin(&head, exchange)?;
                        len
                    }
                },
                State::Length(left) => {
                    let n = (*left).min(rest.len() as u64);
                    *left -= n;
                    self.check(&rest[..n as usize], exchange)?;
                    n as usize
                }
                State::Chunked(chunked) => {
                    let (n, part) = chunked.next(rest).map_err(|bad| {
                        Mismatch::Malformed(match bad {
                            BadChunk::Malformed | BadChunk::TooLarge => "chunked framing does not parse",
                            BadChunk::TrailersTooLong => "trailers are too long",
                        })
                    })?;
                    match part {
                        Part::Data(data) => self.check(data, exchange)?,
                        Part::End => self.state = State::Length(0),
                        Part::More => {}
                    }
                    n
                }
                State::ToEnd => {
                    self.check(rest, exchange)?;
                    rest.len()
                }
            };
            at += n;
            self.used += n as u64;
            if matches!(self.state, State::Length(0)) {
                return self.done(at, exchange);
            }
            if n == 0 || at == input.len() {
                self.seen = (input.len() - at) as u64;
                return Ok((at, Progress::More));
            }
        }
    }

    fn done(&mut self, at: usize, exchange: Option<&Exchange>) -> Result<(usize, Progress), Mismatch> {
        self.check_end(exchange)?;
        if self.size.is_some_and(|size| size != self.content) {
            return Err(WRONG_SIZE);
        }
        self.state = State::Idle;
        Ok((at, Progress::Done { reusable: self.reusable }))
    }

    /// The content ends here: is it all that must come?
    fn check_end(&self, exchange: Option<&Exchange>) -> Result<(), Mismatch> {
        match exchange {
            Some(exchange) if !self.course.is_complete(exchange) => {
                Err(Mismatch::Content { offset: self.content })
            }
            _ => Ok(()),
        }
    }

    /// Goes on behind a head.
    fn begin(&mut self, head: &Head, exchange: Option<&Exchange>) -> Result<(), Mismatch> {
        match head.status {
            // A final head follows (RFC 9110, 15.2); 101 would end HTTP on the connection, and was not asked for.
            100 | 102..=199 => {
                self.state = State::Head(0);
                return Ok(());
            }
            status if exchange.is_some_and(|exchange| exchange.accepts(status)) => {}
            status if exchange.is_some() => return Err(Mismatch::Status(status)),
            200 => {}
            201..=399 if self.size.is_none() => {}
            other => return Err(Mismatch::Status(other)),
        }
        self.reusable &= head.persistent;
        self.state = match head.body {
            _ if exchange.is_some_and(Exchange::is_head) => State::Length(0),
            Body::Length(length) if self.size.is_some_and(|size| size != length) => return Err(WRONG_SIZE),
            Body::Length(length) => State::Length(length),
            Body::Chunked => State::Chunked(Chunked::new(u64::MAX)),
            Body::ToEnd => {
                self.reusable = false;
                State::ToEnd
            }
        };
        Ok(())
    }

    fn check(&mut self, data: &[u8], exchange: Option<&Exchange>) -> Result<(), Mismatch> {
        if let Some(exchange) = exchange
            && let Some(i) = self.course.take(exchange, data)
        {
            return Err(Mismatch::Content { offset: self.content + i as u64 });
        }
        if let Some(size) = self.size {
            let known = (size - self.content).min(data.len() as u64) as usize;
            if let Some(i) = pattern::first_difference(size + self.content, &data[..known]) {
                return Err(Mismatch::Content { offset: self.content + i as u64 });
            }
            if known < data.len() {
                return Err(WRONG_SIZE);
            }
        }
        self.content += data.len() as u64;
        Ok(())
    }

    fn end(&mut self, exchange: Option<&Exchange>) -> Result<Progress, Mismatch> {
        let complete = match self.state {
            State::Idle => true,
            State::ToEnd => self.size.is_none_or(|size| size == self.content),
            State::Head(_) | State::Length(_) | State::Chunked(_) => false,
        };
        if !complete {
            return Err(Mismatch::EarlyEnd { received: self.used + self.seen });
        }
        if !matches!(self.state, State::Idle) {
            self.check_end(exchange)?;
        }
        self.state = State::Idle;
        Ok(Progress::Done { reusable: false })
    }
}
