//! A ring of receive buffers that the kernel chooses from (io_uring_register_buf_ring(3)): its memory, its tail, and who has
//! which buffer. Not here: the operations that use it.

use io_uring::IoUring;
use io_uring::types::BufRingEntry;
use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous, munmap};
use std::cell::Cell;
use std::io;
use std::ops::Deref;
use std::ptr::NonNull;
use std::rc::Rc;
use std::sync::atomic::{AtomicU16, Ordering};

/// The one group of a ring.
pub(super) const GROUP: u16 = 0;

/// Zeroed memory of its own pages, which is where the kernel wants the entries; given back when dropped. A page that nobody writes to
/// takes no memory: of large buffers with little in them, the rest.
struct Memory {
    at: NonNull<u8>,
    size: usize,
}

impl Memory {
    fn new(size: usize) -> io::Result<Self> {
        let (access, flags) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE);
        // SAFETY: no address is asked for, so nothing that is there is replaced.
        let at = unsafe { mmap_anonymous(std::ptr::null_mut(), size, access, flags) }?;
        let at = NonNull::new(at.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { at, size })
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: mapped with this size, and given back once. It cannot fail for a mapping that is there.
        let _ = unsafe { munmap(self.at.as_ptr().cast(), self.size) };
    }
}

/// `count` buffers of `size` bytes. Each is either the kernel's, or some [`Provided`]'s.
pub(super) struct Buffers {
    entries: Memory,
    data: Memory,
    count: u16,
    size: u32,
    /// Entries ever given to the kernel, modulo 2^16, as the kernel counts them.
    tail: Cell<u16>,
    /// Buffers that are some [`Provided`]'s.
    lent: Cell<u16>,
}

impl Buffers {
    /// Makes the memory and gives all of it to the kernel. `count` is a power of two of at most 32,768.
    pub(super) fn register(ring: &IoUring, count: u16, size: u32) -> io::Result<Rc<Self>> {
        let entries = Memory::new(usize::from(count) * size_of::<BufRingEntry>())?;
        let data = Memory::new(usize::from(count) * size as usize)?;
        let buffers = Rc::new(Self { entries, data, count, size, tail: Cell::new(0), lent: Cell::new(0) });
        let at = buffers.entries.at.as_ptr() as u64;
        // SAFETY: the memory has room for `count` entries and lives as long as the ring has an operation under way (`Ring::drop`).
        unsafe { ring.submitter().register_buf_ring_with_flags(at, count, GROUP, 0) }?;
        for id in 0..count {
            buffers.put(id);
        }
        Ok(buffers)
    }

    /// How many the kernel can choose from; those that a completion has taken and that was not yet seen count as its own.
    pub(super) fn available(&self) -> u16 {
        self.count - self.lent.get()
    }

    /// The buffer that a completion names, with `len` bytes in it. `None` for a number that the kernel cannot have meant.
    pub(super) fn lend(self: &Rc<Self>, id: u16, len: u32) -> Option<Provided> {
        (id < self.count && len <= self.size).then(|| {
            self.lent.set(self.lent.get() + 1);
            Provided { buffers: Rc::clone(self), id, len }
        })
    }

    fn place(&self, id: u16) -> NonNull<u8> {
        // SAFETY: `id` is below `count`, so the place is inside of the allocation.
        unsafe { self.data.at.add(usize::from(id) * self.size as usize) }
    }

    /// Writes an entry and moves the tail, upon which the buffer is the kernel's.
    fn put(&self, id: u16) {
        let first = self.entries.at.cast::<BufRingEntry>();
        let tail = self.tail.get();
        // SAFETY: the index is below `count`, a power of two.
        let mut slot = unsafe { first.add(usize::from(tail & (self.count - 1))) };
        // SAFETY: aligned, zeroed at first, inside of the allocation; the kernel reads no entry at or behind the tail.
        let entry = unsafe { slot.as_mut() };
        entry.set_addr(self.place(id).as_ptr() as u64);
        entry.set_len(self.size);
        entry.set_bid(id);
        let tail = tail.wrapping_add(1);
        self.tail.set(tail);
        // SAFETY: `first` is the first entry of the ring, and initialised.
        let shared = unsafe { BufRingEntry::tail(first.as_ptr()) };
        // SAFETY: aligned, lives as long as `entries`, and the kernel only reads it.
        let shared = unsafe { AtomicU16::from_ptr(shared.cast_mut()) };
        // The kernel must see the entry before it sees the tail (io_uring_buf_ring_advance(3)).
        shared.store(tail, Ordering::Release);
    }
}

/// A buffer with what was received into it; goes back to the kernel when dropped.
pub struct Provided {
    buffers: Rc<Buffers>,
    id: u16,
    len: u32,
}

impl Deref for Provided {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: `len` bytes at this place are inside of the allocation, initialised (zeroed at first), and nobody writes to them
        // until the buffer is put back, which needs this value gone.
        unsafe { std::slice::from_raw_parts(self.buffers.place(self.id).as_ptr(), self.len as usize) }
    }
}

impl Drop for Provided {
    fn drop(&mut self) {
        self.buffers.lent.set(self.buffers.lent.get() - 1);
        self.buffers.put(self.id);
    }
}

impl std::fmt::Debug for Provided {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Provided {{ id: {}, len: {} }}", self.id, self.len)
    }
}
