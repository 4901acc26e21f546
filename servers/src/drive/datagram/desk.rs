//! What an event loop does with a datagram socket that is ready, whatever told it so: takes what is there, answers, and keeps what has
//! to wait. Not here: how readiness is told.

use super::later::{Later, Waiting};
use super::{BUDGET, Clerk, Figures, Taken, send, work_here};
use crate::drive::helpers::Helpers;
use service::Work;
use service::datagram::{DatagramService, Reply};
use slab::Slab;
use std::io;
use std::os::fd::BorrowedFd;
use std::time::Instant;
use sys::datagram::{Received, Wait};

/// Answers with helpers at a time; one more is not given, and counted.
const MOST: usize = 16 * 1_024;

/// One loop's desk.
#[derive(Debug)]
pub struct Desk<S> {
    clerk: Clerk<S>,
    later: Later,
    helpers: Option<Helpers>,
    /// Answers whose work is with the helpers.
    helped: Slab<Waiting>,
}

impl<S: DatagramService> Desk<S> {
    /// A desk; with `helpers`, handler work is theirs, else spinning is done here and sleeping is waited for by a timer.
    #[must_use]
    pub fn new(clerk: Clerk<S>, helpers: Option<Helpers>) -> Self {
        Self { clerk, later: Later::default(), helpers, helped: Slab::new() }
    }

    /// Takes and answers what is there, at most [`BUDGET`]; true where more may be there.
    ///
    /// # Errors
    /// Those of recvmsg(2) after which nothing more can be served.
    pub fn turn(&mut self, fd: BorrowedFd<'_>) -> io::Result<bool> {
        for _ in 0..BUDGET {
            match self.clerk.take(fd, Wait::No)? {
                Taken::Datagram(received) => self.answer(fd, &received),
                Taken::Empty => return Ok(false),
                Taken::Interrupted => {}
            }
        }
        Ok(true)
    }

    /// Takes one, calls `between`, and answers: for a socket that another thread may then take the next from.
    ///
    /// # Errors
    /// Those of recvmsg(2) after which nothing more can be served, and of `between`.
    pub fn turn_one(
        &mut self,
        fd: BorrowedFd<'_>,
        between: impl FnOnce() -> io::Result<()>,
    ) -> io::Result<()> {
        let taken = self.clerk.take(fd, Wait::No)?;
        between()?;
        if let Taken::Datagram(received) = taken {
            self.answer(fd, &received);
        }
        Ok(())
    }

    /// Answers what the clerk has just received.
    fn answer(&mut self, fd: BorrowedFd<'_>, received: &Received) {
        // Lent for the while: what is considered is not the desk's to change.
        let buffer = std::mem::take(&mut self.clerk.buffer);
        let message = &buffer[..received.len];
        if let Some(reply) = self.consider(message, received) {
            self.clerk.figures.sent(&send(fd, &reply, message, &received.route));
        }
        self.clerk.buffer = buffer;
    }

    /// What is to be sent now in answer to a datagram, whoever has received it: nothing where it may not be answered, or not yet, because
    /// there is work to be done first. Spinning is done in the call, where there are no helpers.
    pub fn consider(&mut self, message: &[u8], received: &Received) -> Option<Reply> {
        if !self.clerk.figures.note(received) {
            return None;
        }
        let answer = self.clerk.service.answer(message);
        let Some(work) = answer.work else { return Some(answer.reply) };
        if let (Work::Spin(_), None) = (work, &self.helpers) {
            work_here(Some(work));
            return Some(answer.reply);
        }
        let waiting = Waiting { message: message.to_vec(), reply: answer.reply, route: received.route };
        let kept = match &self.helpers {
            None => self.later.keep(work.duration(), waiting),
            Some(_) if self.helped.len() >= MOST => false,
            Some(helpers) => {
                helpers.submit(self.helped.insert(waiting) as u64, work);
                true
            }
        };
        self.clerk.figures.unsendable += u64::from(!kept);
        None
    }

    /// Notes what came of an answer that somebody else has sent.
    pub fn sent(&mut self, result: &io::Result<()>) {
        self.clerk.figures.sent(result);
    }

    /// Sends the answers whose time has come.
    pub fn on_time(&mut self, fd: BorrowedFd<'_>) {
        if self.later.is_empty() {
            return;
        }
        let now = Instant::now();
        while let Some(waiting) = self.later.take(now) {
            self.send(fd, &waiting);
        }
    }

    /// Sends the answers whose work the helpers have done.
    ///
    /// # Errors
    /// Those of read(2).
    pub fn on_work_done(&mut self, fd: BorrowedFd<'_>) -> io::Result<()> {
        let Some(helpers) = &mut self.helpers else { return Ok(()) };
        let done = helpers.take_done()?;
        for key in &done {
            if let Some(waiting) = self.helped.try_remove(*key as usize) {
                let sent = send(fd, &waiting.reply, &waiting.message, &waiting.route);
                self.clerk.figures.sent(&sent);
            }
        }
        helpers.give_back(done);
        Ok(())
    }

    fn send(&mut self, fd: BorrowedFd<'_>, waiting: &Waiting) {
        self.clerk.figures.sent(&send(fd, &waiting.reply, &waiting.message, &waiting.route));
    }

    /// When the first answer that waits is due.
    #[must_use]
    pub fn next_time(&self) -> Option<Instant> {
        self.later.next()
    }

    /// True where no answer is owed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.later.is_empty() && self.helped.is_empty()
    }

    /// Rings when the helpers have done something.
    #[must_use]
    pub fn helpers(&self) -> Option<&Helpers> {
        self.helpers.as_ref()
    }

    /// What was done.
    #[must_use]
    pub fn figures(&self) -> &Figures {
        &self.clerk.figures
    }
}
