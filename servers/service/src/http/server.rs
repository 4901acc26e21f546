//! The server side of `http`: one connection's way from head to body to reply. Not here: what heads and bodies look like.

use super::MAX_BODY;
use super::chunked::{BadChunk, Chunked, Part};
use super::head::Search;
use super::reply::{Reply, Status};
use super::request::{Body, Request};
use crate::{Output, Protocol, Service, Step, Work};

/// The server side; see the [module](super) for what it answers.
#[derive(Clone, Copy, Debug, Default)]
pub struct Http {
    /// Work done before each reply with status 200 whose target does not say otherwise.
    pub work: Option<Work>,
}

impl Service for Http {
    type Conn = HttpConn;

    fn open(&self) -> HttpConn {
        HttpConn { work: self.work, state: State::Head(Search::default()) }
    }
}

/// One connection of [`Http`].
#[derive(Debug)]
pub struct HttpConn {
    work: Option<Work>,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Between requests, or within a head.
    Head(Search),
    /// So many bytes of content are still to come.
    Length(u64, Reply),
    Chunked(Chunked, Reply),
    /// The work for this reply is being done.
    Working(Reply),
    /// The last reply is queued; what it ends with.
    Over(Step),
}

impl Protocol for HttpConn {
    fn on_input(&mut self, input: &[u8], out: &mut Output) -> (usize, Step) {
        match &mut self.state {
            State::Head(_) => self.on_head(input, out),
            State::Length(left, reply) => {
                let take = (*left).min(input.len() as u64);
                *left -= take;
                let step = if *left == 0 { Some(*reply) } else { None };
                (take as usize, step.map_or(Step::Read, |reply| self.answer(reply, out)))
            }
            State::Chunked(..) => self.on_chunks(input, out),
            State::Working(_) => (0, Step::Read),
            State::Over(step) => (input.len(), *step),
        }
    }

    fn on_eof(&mut self, rest: &[u8], out: &mut Output) -> Step {
        let cut_short = match &self.state {
            State::Head(_) => !rest.is_empty(),
            State::Length(..) | State::Chunked(..) => true,
            State::Working(_) | State::Over(_) => false,
        };
        if cut_short {
            let _ = Reply::refusal(Status::BadRequest, false).write(out);
        }
        self.state = State::Over(Step::Close);
        Step::Close
    }

    fn on_work_done(&mut self, out: &mut Output) -> Step {
        match self.state {
            State::Working(reply) => self.finish(&reply, out),
            _ => Step::Read,
        }
    }

    fn is_idle(&self) -> bool {
        matches!(self.state, State::Head(_) | State::Over(_))
    }
}

impl HttpConn {
    fn on_head(&mut self, input: &[u8], out: &mut Output) -> (usize, Step) {
        let State::Head(search) = &mut self.state else { return (0, Step::Read) };
        if search.at_start() {
            // Empty lines in front of a request line are passed over (RFC 9112, 2.2).
            match input {
                [] | [b'\r'] => return (0, Step::Read),
                [b'\r', b'\n', ..] => return (2, Step::Read),
                _ => {}
            }
        }
        let head = match search.next(input) {
            Ok(None) => return (0, Step::Read),
            Ok(Some(head)) => head,
            Err(status) => return (input.len(), self.finish(&Reply::refusal(status, false), out)),
        };
        match Request::read(&head, self.work) {
            Err(refusal) => (input.len(), self.finish(&refusal, out)),
            Ok(request) => (head.len, self.begin(&request, out)),
        }
    }

    /// Goes on behind a head.
    fn begin(&mut self, request: &Request, out: &mut Output) -> Step {
        if request.continues {
            // Also where the content is here already: what is sent must not depend on what arrived with what (S1).
            out.fixed(b"HTTP/1.1 100 Continue\r\n\r\n");
        }
        match request.body {
            Body::Length(0) => return self.answer(request.reply, out),
            Body::Length(length) => self.state = State::Length(length, request.reply),
            Body::Chunked => self.state = State::Chunked(Chunked::new(MAX_BODY), request.reply),
        }
        Step::Read
    }

    fn on_chunks(&mut self, input: &[u8], out: &mut Output) -> (usize, Step) {
        let State::Chunked(chunked, reply) = &mut self.state else { return (0, Step::Read) };
        let reply = *reply;
        let mut used = 0;
        loop {
            match chunked.next(&input[used..]) {
                Ok((n, Part::Data(_))) => used += n,
                Ok((n, Part::More)) => return (used + n, Step::Read),
                Ok((n, Part::End)) => return (used + n, self.answer(reply, out)),
                Err(bad) => {
                    let status = match bad {
                        BadChunk::Malformed => Status::BadRequest,
                        BadChunk::TooLarge => Status::ContentTooLarge,
                        BadChunk::TrailersTooLong => Status::FieldsTooLarge,
                    };
                    return (input.len(), self.finish(&Reply::refusal(status, reply.head_only), out));
                }
            }
        }
    }

    /// The request is complete: the work first, where there is some.
    fn answer(&mut self, reply: Reply, out: &mut Output) -> Step {
        match reply.work {
            None => self.finish(&reply, out),
            Some(work) => {
                self.state = State::Working(reply);
                Step::Work(work)
            }
        }
    }

    fn finish(&mut self, reply: &Reply, out: &mut Output) -> Step {
        let step = reply.write(out);
        self.state = match step {
            Step::Read => State::Head(Search::default()),
            step => State::Over(step),
        };
        step
    }
}
