//! io_uring(7) as completions with owned buffers: what an operation reads or writes belongs to the ring until its last completion,
//! so that no caller can free it too early. Not here: what a server does with a completion.
//!
//! Descriptors are borrowed at the call only: the caller keeps one open until the last completion of every operation on it.

mod buffers;
pub mod datagrams;
mod operations;
mod outgoing;
mod probe;
#[cfg(test)]
mod tests;

use buffers::Buffers;
pub use buffers::Provided;
use datagrams::{Envelope, Letter};
use io_uring::{EnterFlags, IoUring, cqueue, squeue, types};
pub use outgoing::{Chunk, Gather, Outgoing, PIECES};
pub use probe::probe;
use slab::Slab;
use std::collections::VecDeque;
use std::io;
use std::os::fd::{FromRawFd as _, OwnedFd};
use std::rc::Rc;
use std::time::Duration;

/// `user_data` of operations whose completion tells nobody anything: cancel and close.
const UNWATCHED: u64 = u64::MAX;

/// Tries of a submission that the kernel has no memory for, a millisecond apart.
const TRIES: usize = 1000;

/// Times kept for use again.
const TIMES: usize = 256;

/// An operation under way. The number holds a generation: a stale one names nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpId(u64);

/// What an operation owns while it is under way.
enum Hold {
    Nothing,
    Accept,
    Receive(Vec<u8>),
    ReceiveProvided,
    Send(Outgoing),
    Time(Box<types::Timespec>),
    Envelope(Box<Envelope>),
    Letter(Box<Letter>),
}

struct Op {
    key: u64,
    generation: u32,
    hold: Hold,
}

/// What a completion hands to the caller.
#[derive(Debug)]
pub enum Load {
    /// Nothing.
    Nothing,
    /// A connection, close-on-exec, blocking (a non-blocking one would complete with EAGAIN instead of waiting).
    Accepted(OwnedFd),
    /// What was received, if anything; a buffer of the caller's comes back in any case.
    Received(Chunk),
    /// What was to be sent, whole: the caller knows from the result how far it came.
    Sent(Outgoing),
    /// A datagram, if the result is a length; the envelope comes back in any case.
    Datagram(Box<Envelope>),
    /// The letter that was to be sent.
    Posted(Box<Letter>),
}

/// The end of an operation, or one of several results of a multishot operation.
#[derive(Debug)]
pub struct Completion {
    /// The caller's key.
    pub key: u64,
    /// The result of the system call, or an error number.
    pub result: Result<u32, i32>,
    /// The operation goes on (IORING_CQE_F_MORE). Where it is false, the operation is over and must be started again if wanted.
    pub more: bool,
    /// What came.
    pub load: Load,
}

/// A submission and a completion queue, used by the thread that made it.
pub struct Ring {
    ring: IoUring,
    buffers: Option<Rc<Buffers>>,
    ops: Slab<Op>,
    generation: u32,
    /// Times for use again.
    #[expect(clippy::vec_box, reason = "the kernel reads a time where it is")]
    times: Vec<Box<types::Timespec>>,
    /// Taken from the completion queue to make room, not yet given to the caller.
    early: VecDeque<cqueue::Entry>,
}

impl std::fmt::Debug for Ring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ring").field("ops", &self.ops.len()).finish_non_exhaustive()
    }
}

impl Ring {
    /// Makes a ring with room for `entries` submissions and sixteen times as many completions.
    ///
    /// SINGLE_ISSUER and DEFER_TASKRUN: completions are made when this thread waits for them, and at no other time. SUBMIT_ALL: an
    /// operation that is refused completes with its error and does not hold up those behind it (io_uring_setup(2)).
    ///
    /// # Errors
    /// EPERM where io_uring is forbidden, EINVAL or ENOSYS where the kernel is too old, ENOMEM, EMFILE.
    pub fn new(entries: u32) -> io::Result<Self> {
        let ring = IoUring::builder()
            .dontfork()
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_submit_all()
            .setup_clamp()
            .setup_cqsize(entries.saturating_mul(16))
            .build(entries)?;
        Ok(Self {
            ring,
            buffers: None,
            ops: Slab::new(),
            generation: 0,
            times: Vec::new(),
            early: VecDeque::new(),
        })
    }

    /// Gives the kernel `count` receive buffers of `size` bytes to choose from; `count` is a power of two of at most 32,768.
    ///
    /// # Errors
    /// EINVAL for another count or an old kernel, EEXIST the second time, ENOMEM.
    pub fn provide(&mut self, count: u16, size: u32) -> io::Result<()> {
        self.buffers = Some(Buffers::register(&self.ring, count, size)?);
        Ok(())
    }

    /// Provided buffers that are not in anybody's hands.
    #[must_use]
    pub fn available(&self) -> u16 {
        self.buffers.as_ref().map_or(0, |buffers| buffers.available())
    }

    fn push(&mut self, entry: &squeue::Entry) -> io::Result<()> {
        loop {
            let mut queue = self.ring.submission();
            // SAFETY: what the entry points to is held in `ops`, on the heap, and untouched until the last completion (`completed`), or
            // for ever where there is none (`drop`).
            if unsafe { queue.push(entry) }.is_ok() {
                return Ok(());
            }
            drop(queue);
            self.submit()?;
        }
    }

    /// Hands over what was asked for, and does not wait.
    ///
    /// # Errors
    /// Those of io_uring_enter(2).
    pub fn submit(&mut self) -> io::Result<()> {
        for _ in 0..TRIES {
            match self.ring.submit() {
                Ok(_) => return Ok(()),
                // EBUSY: the completion queue has overflown, and the kernel wants it emptied first. EAGAIN: no memory for now.
                Err(error) if may_pass(&error) => {
                    self.early.extend(self.ring.completion());
                    if error.raw_os_error() == Some(libc::EAGAIN) {
                        crate::clock::pause(Duration::from_millis(1));
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Err(io::Error::from_raw_os_error(libc::EAGAIN))
    }

    /// Hands over what was asked for, has the kernel do what can be done (DEFER_TASKRUN: it does so in this call only), and waits for
    /// a completion where `block` is set. A signal ends the wait early.
    ///
    /// # Errors
    /// Those of io_uring_enter(2); one of our own when completions were lost.
    pub fn wait(&mut self, block: bool) -> io::Result<()> {
        let want = usize::from(block && self.early.is_empty());
        let entries = self.ring.submission().len() as u32;
        let (want, flags) = (want as u32, EnterFlags::GETEVENTS.bits());
        // SAFETY: as many entries are in the queue (each as in `push`), and no argument is passed.
        let entered = unsafe { self.ring.submitter().enter::<libc::sigset_t>(entries, want, flags, None) };
        self.entered(entered)
    }

    /// As [`wait`](Self::wait), and waits no longer than `timeout`.
    ///
    /// # Errors
    /// As [`wait`](Self::wait).
    pub fn wait_for(&mut self, timeout: Duration) -> io::Result<()> {
        if timeout.is_zero() || !self.early.is_empty() {
            return self.wait(false);
        }
        let time = types::Timespec::from(timeout);
        let args = types::SubmitArgs::new().timespec(&time);
        let entered = self.ring.submitter().submit_with_args(1, &args);
        self.entered(entered)
    }

    /// Looks at what a wait came to.
    fn entered(&mut self, entered: io::Result<usize>) -> io::Result<()> {
        match entered {
            Ok(_) => {}
            // The caller takes what is there, which makes room, and comes again.
            Err(error) if may_pass(&error) || error.raw_os_error() == Some(libc::ETIME) => {}
            Err(error) => return Err(error),
        }
        // Completions that find no room are kept by the kernel (IORING_FEAT_NODROP), except when it has no memory for them: then an
        // operation never ends, and its connection would hang.
        if self.ring.completion().overflow() > 0 {
            return Err(io::Error::other("io_uring lost completions: no memory for its queue"));
        }
        Ok(())
    }

    /// The next completion that is there.
    pub fn completed(&mut self) -> Option<Completion> {
        loop {
            let entry = self.early.pop_front().or_else(|| self.ring.completion().next())?;
            let (id, more) = (entry.user_data(), cqueue::more(entry.flags()));
            if id == UNWATCHED {
                continue;
            }
            let (index, generation) = ((id & 0xFFFF_FFFF) as usize, (id >> 32) as u32);
            let Some(op) = self.ops.get(index).filter(|op| op.generation == generation) else {
                debug_assert!(false, "a completion of nothing");
                continue;
            };
            let key = op.key;
            let result = u32::try_from(entry.result()).map_err(|_| -entry.result());
            let load = if more {
                self.result_of_many(matches!(op.hold, Hold::Accept), &entry)
            } else {
                let hold = self.ops.remove(index).hold;
                self.last_result(hold, &entry)
            };
            return Some(Completion { key, result, more, load });
        }
    }

    /// What one of several results brings.
    fn result_of_many(&self, accept: bool, entry: &cqueue::Entry) -> Load {
        if accept {
            return accepted(entry.result());
        }
        match (cqueue::buffer_select(entry.flags()), &self.buffers) {
            (Some(id), Some(buffers)) => {
                let len = u32::try_from(entry.result()).unwrap_or(0);
                buffers.lend(id, len).map_or(Load::Nothing, |bytes| Load::Received(Chunk::Provided(bytes)))
            }
            _ => Load::Nothing,
        }
    }

    fn last_result(&mut self, hold: Hold, entry: &cqueue::Entry) -> Load {
        match hold {
            Hold::Nothing => Load::Nothing,
            Hold::Time(time) => {
                if self.times.len() < TIMES {
                    self.times.push(time);
                }
                Load::Nothing
            }
            Hold::Accept | Hold::ReceiveProvided => self.result_of_many(matches!(hold, Hold::Accept), entry),
            Hold::Receive(bytes) => {
                let len = usize::try_from(entry.result()).unwrap_or(0).min(bytes.len());
                Load::Received(Chunk::Own(bytes, len))
            }
            Hold::Send(what) => Load::Sent(what),
            Hold::Envelope(envelope) => match self.result_of_many(false, entry) {
                // Of a multishot operation: the datagram is in a provided buffer.
                Load::Nothing => Load::Datagram(envelope),
                last => last,
            },
            Hold::Letter(letter) => Load::Posted(letter),
        }
    }
}

impl Drop for Ring {
    /// The kernel ends operations some time after the ring is closed, and may touch their memory until then: it is never given back.
    fn drop(&mut self) {
        if !self.ops.is_empty() {
            std::mem::forget(std::mem::take(&mut self.ops));
            std::mem::forget(self.buffers.take());
        }
    }
}

fn accepted(result: i32) -> Load {
    if result < 0 {
        return Load::Nothing;
    }
    // SAFETY: the kernel has just made this descriptor for us, and nobody else knows its number.
    Load::Accepted(unsafe { OwnedFd::from_raw_fd(result) })
}

fn may_pass(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EINTR | libc::EBUSY | libc::EAGAIN))
}
