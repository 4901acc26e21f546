//! One conversation as a state machine that is shown input and says what it wants next. Not here: operations, buffers, sockets.
//!
//! As `drive::conn`, for a driver whose sends are over some time after they were started: nothing is asked of the protocol while
//! one is under way.

use service::{Output, Protocol, Step, Work};
use std::time::Duration;

/// What a conversation wants; it is shown more input, or told that this is done, and asked again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Want {
    /// All of its output is to be taken and sent.
    Send,
    /// A handler sleeps; then [`Talk::wake`].
    Sleep(Duration),
    /// More input, or its end.
    Input,
    /// Everything is sent: the connection is to be closed, lingering or not.
    Leave { linger: bool },
    /// The connection is to be reset.
    Reset,
}

/// A conversation.
#[derive(Debug)]
pub(super) struct Talk<P> {
    protocol: P,
    /// What is to be sent.
    pub(super) out: Output,
    /// Input that came and was not consumed.
    pub(super) held: Vec<u8>,
    /// The peer has said its last word.
    pub(super) over: bool,
    /// The protocol has been told so.
    told: bool,
    work: Option<Work>,
    leaving: Option<Want>,
}

impl<P: Protocol> Talk<P> {
    /// A connection that has just been accepted; a server that speaks first has then something to send.
    pub(super) fn open(protocol: P) -> Self {
        let mut talk = Self {
            protocol,
            out: Output::new(),
            held: Vec::new(),
            over: false,
            told: false,
            work: None,
            leaving: None,
        };
        let step = talk.protocol.on_open(&mut talk.out);
        talk.note(step);
        talk
    }

    /// True between requests: nothing kept, nothing unsent, nothing being done.
    pub(super) fn is_idle(&self) -> bool {
        self.held.is_empty()
            && self.out.is_empty()
            && self.work.is_none()
            && self.leaving.is_none()
            && self.protocol.is_idle()
    }

    /// The handler has slept.
    pub(super) fn wake(&mut self) {
        self.work = None;
        let step = self.protocol.on_work_done(&mut self.out);
        self.note(step);
    }

    fn note(&mut self, step: Step) {
        match step {
            Step::Read => {}
            Step::Work(work) => self.work = Some(work),
            Step::Close => self.leaving = Some(Want::Leave { linger: false }),
            Step::Linger => self.leaving = Some(Want::Leave { linger: true }),
            Step::Abort => self.leaving = Some(Want::Reset),
        }
    }

    /// Goes on from `input[*at..]` until something is wanted; moves `at` behind what was consumed.
    pub(super) fn advance(&mut self, input: &[u8], at: &mut usize) -> Want {
        loop {
            if self.leaving == Some(Want::Reset) {
                return Want::Reset;
            }
            // What was asked before does not wait for this work.
            if let Some(work) = self.work {
                match work {
                    _ if !self.out.is_empty() => return Want::Send,
                    Work::Sleep(time) => return Want::Sleep(time),
                    Work::Spin(time) => {
                        sys::clock::spin(time);
                        self.wake();
                        continue;
                    }
                }
            }
            if self.leaving.is_none() && *at < input.len() && !self.out.is_full() {
                self.out.set_base(*at);
                let (consumed, step) = self.protocol.on_input(&input[*at..], &mut self.out);
                *at += consumed;
                self.note(step);
                if consumed > 0 || step != Step::Read {
                    continue;
                }
            }
            if !self.out.is_empty() {
                return Want::Send;
            }
            if let Some(Want::Leave { linger }) = self.leaving {
                // What was not consumed shows that the peer is sending, whatever the service expected.
                return Want::Leave { linger: linger || *at < input.len() };
            }
            if !self.over || self.told {
                return Want::Input;
            }
            self.told = true;
            let step = match self.protocol.on_eof(&input[*at..], &mut self.out) {
                Step::Read => Step::Close,
                other => other,
            };
            *at = input.len();
            self.note(step);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use service::{Service, pattern};

    /// Everything that is said when `input` comes in pieces of `piece` bytes and then ends.
    fn said(service: &impl Service, input: &[u8], piece: usize) -> (Vec<u8>, Want) {
        let mut talk = Talk::open(service.open());
        let mut pieces = input.chunks(piece);
        let mut said = Vec::new();
        loop {
            let held = std::mem::take(&mut talk.held);
            let mut at = 0;
            let want = talk.advance(&held, &mut at);
            match want {
                Want::Send => said.extend(talk.out.take(&held)),
                Want::Sleep(_) => talk.wake(),
                Want::Input => {}
                Want::Leave { .. } | Want::Reset => return (said, want),
            }
            talk.held = held[at..].to_vec();
            if want == Want::Input {
                match pieces.next() {
                    Some(more) => talk.held.extend_from_slice(more),
                    None => talk.over = true,
                }
            }
        }
    }

    #[test]
    fn says_the_same_however_the_input_is_cut() {
        let echo = service::echo::Echo { work: Some(Work::Sleep(Duration::from_millis(1))) };
        let text = pattern::piece(0, 3_000);
        for piece in [1, 2, 63, 1_000, 3_000] {
            assert!(said(&echo, text, piece).0 == text, "{piece}");
        }
        let sized = service::sized::SizedService { work: None };
        let requests = b"3\n0\n70000\n12 spin=1us\n5 sleep=1us\n1\n";
        let whole = said(&sized, requests, requests.len());
        assert_eq!((whole.0.len(), whole.1), (3 + 70_000 + 12 + 5 + 1, Want::Leave { linger: false }));
        for piece in 1..requests.len() {
            assert!(said(&sized, requests, piece) == whole, "{piece}");
        }
    }

    #[test]
    fn a_bad_request_is_answered_and_then_lingers() {
        let (words, want) = said(&service::sized::SizedService { work: None }, b"1\nnonsense\n", 100);
        assert!(words[1..].starts_with(b"error: ") && want == Want::Leave { linger: true });
        let (words, want) = said(&service::greeting::Greeting { work: None }, b"unasked", 7);
        assert!(!words.is_empty() && want == Want::Leave { linger: false });
    }
}
