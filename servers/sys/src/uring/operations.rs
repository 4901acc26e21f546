//! The operations of a ring, one function each. Not here: their completions.

use super::buffers::GROUP;
use super::{Chunk, Hold, Op, OpId, Outgoing, Ring, UNWATCHED};
use io_uring::{opcode, squeue, types};
use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd, IntoRawFd as _, OwnedFd};
use std::time::Duration;

impl Ring {
    /// Accepts one connection, or, where `multi` is set, one after the other (io_uring_prep_multishot_accept(3)).
    ///
    /// # Errors
    /// Those of io_uring_enter(2), as for all operations.
    pub fn accept(&mut self, listener: BorrowedFd<'_>, multi: bool, key: u64) -> io::Result<OpId> {
        let fd = types::Fd(listener.as_raw_fd());
        let flags = libc::SOCK_CLOEXEC;
        let entry = if multi {
            opcode::AcceptMulti::new(fd).flags(flags).build()
        } else {
            // No address is asked for.
            opcode::Accept::new(fd, std::ptr::null_mut(), std::ptr::null_mut()).flags(flags).build()
        };
        self.start(key, Hold::Accept, |_| entry)
    }

    /// Receives once into `buffer`, over all of its length.
    ///
    /// # Errors
    /// As [`accept`](Self::accept).
    pub fn recv(&mut self, fd: BorrowedFd<'_>, buffer: Vec<u8>, key: u64) -> io::Result<OpId> {
        let fd = types::Fd(fd.as_raw_fd());
        self.start(key, Hold::Receive(buffer), |hold| match hold {
            Hold::Receive(buffer) => {
                let len = u32::try_from(buffer.len()).unwrap_or(u32::MAX);
                opcode::Recv::new(fd, buffer.as_mut_ptr(), len).build()
            }
            _ => opcode::Nop::new().build(),
        })
    }

    /// Receives again and again into provided buffers (io_uring_prep_recv_multishot(3)). Ends with ENOBUFS when there is none left.
    ///
    /// # Errors
    /// As [`accept`](Self::accept).
    pub fn recv_multi(&mut self, fd: BorrowedFd<'_>, key: u64) -> io::Result<OpId> {
        let entry = opcode::RecvMulti::new(types::Fd(fd.as_raw_fd()), GROUP).build();
        self.start(key, Hold::ReceiveProvided, |_| entry)
    }

    /// Sends, without SIGPIPE; may take a part only. One at a time a connection: two under way may be sent in either order
    /// (io_uring_prep_send(3)).
    ///
    /// From a provided buffer it does not wait for room but completes with EAGAIN: a buffer that all connections share must not wait
    /// for one that does not read.
    ///
    /// # Errors
    /// As [`accept`](Self::accept).
    pub fn send(&mut self, fd: BorrowedFd<'_>, what: Outgoing, key: u64) -> io::Result<OpId> {
        let fd = types::Fd(fd.as_raw_fd());
        let plain = |bytes: &[u8], flags: i32| {
            let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
            opcode::Send::new(fd, bytes.as_ptr(), len).flags(libc::MSG_NOSIGNAL | flags).build()
        };
        self.start(key, Hold::Send(what), |hold| match hold {
            Hold::Send(Outgoing::Chunk(chunk, range)) => {
                let wait = if matches!(chunk, Chunk::Provided(_)) { libc::MSG_DONTWAIT } else { 0 };
                plain(&chunk[range.clone()], wait)
            }
            Hold::Send(Outgoing::Gather(gather)) => match gather.single() {
                Some(bytes) => plain(bytes, 0),
                None => opcode::SendMsg::new(fd, gather.message()).flags(libc::MSG_NOSIGNAL as u32).build(),
            },
            _ => opcode::Nop::new().build(),
        })
    }

    /// Completes with ETIME after `time`.
    ///
    /// # Errors
    /// As [`accept`](Self::accept).
    pub fn timeout(&mut self, time: Duration, key: u64) -> io::Result<OpId> {
        let mut place = self.times.pop().unwrap_or_default();
        *place = time.into();
        self.start(key, Hold::Time(place), |hold| match hold {
            Hold::Time(time) => opcode::Timeout::new(&raw const **time).build(),
            _ => opcode::Nop::new().build(),
        })
    }

    /// Completes when `fd` is readable.
    ///
    /// # Errors
    /// As [`accept`](Self::accept).
    pub fn poll_readable(&mut self, fd: BorrowedFd<'_>, key: u64) -> io::Result<OpId> {
        let entry = opcode::PollAdd::new(types::Fd(fd.as_raw_fd()), libc::POLLIN as u32).build();
        self.start(key, Hold::Nothing, |_| entry)
    }

    /// Asks for the end of an operation: its last completion comes soon, with ECANCELED or what it came to before.
    ///
    /// # Errors
    /// As [`accept`](Self::accept).
    pub fn cancel(&mut self, op: OpId) -> io::Result<()> {
        self.push(&unwatched(opcode::AsyncCancel::new(op.0).build()))
    }

    /// Closes a descriptor, behind what was asked for before.
    ///
    /// # Errors
    /// As [`accept`](Self::accept).
    pub fn close(&mut self, fd: OwnedFd) -> io::Result<()> {
        self.push(&unwatched(opcode::Close::new(types::Fd(fd.into_raw_fd())).build()))
    }

    pub(super) fn start(
        &mut self,
        key: u64,
        hold: Hold,
        entry: impl FnOnce(&mut Hold) -> squeue::Entry,
    ) -> io::Result<OpId> {
        self.generation = self.generation.wrapping_add(1) & 0x7FFF_FFFF;
        let index = self.ops.insert(Op { key, generation: self.generation, hold });
        let id = OpId((u64::from(self.generation) << 32) | index as u64);
        let entry = entry(&mut self.ops[index].hold).user_data(id.0);
        match self.push(&entry) {
            Ok(()) => Ok(id),
            Err(error) => {
                self.ops.remove(index);
                Err(error)
            }
        }
    }
}

fn unwatched(entry: squeue::Entry) -> squeue::Entry {
    entry.flags(squeue::Flags::SKIP_SUCCESS).user_data(UNWATCHED)
}
