//! A file as numbers in memory that processes share. Not here: what the numbers mean.

use rustix::fs::MemfdFlags;
use std::io;
use std::ops::Deref;
use std::os::fd::{AsRawFd as _, BorrowedFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering::Acquire};

/// The numbers at the beginning of a file, shared by all who map it (MAP_SHARED). Unmapped when dropped.
///
/// Whoever makes the file shorter afterwards ends the processes that look behind its end (SIGBUS): it is for files that nobody cuts.
#[derive(Debug)]
pub struct Mapped(Mapping);

/// As [`Mapped`], by one who only reads.
#[derive(Debug)]
pub struct View(Mapping);

impl Mapped {
    /// Maps the first `count` numbers of `file`, which is open for both; zeros are appended to one that is shorter.
    ///
    /// # Errors
    /// Those of mmap(2) and ftruncate(2); InvalidInput for no numbers.
    pub fn map(file: BorrowedFd<'_>, count: usize) -> io::Result<Self> {
        let bytes = bytes(count)? as u64;
        if length(file)? < bytes {
            rustix::fs::ftruncate(file, bytes)?;
        }
        Ok(Self(Mapping::make(file, count, libc::PROT_READ | libc::PROT_WRITE)?))
    }
}

impl Deref for Mapped {
    type Target = [AtomicU64];

    fn deref(&self) -> &[AtomicU64] {
        self.0.numbers()
    }
}

impl View {
    /// Maps the first `count` numbers of `file`.
    ///
    /// # Errors
    /// Those of mmap(2); InvalidInput for no numbers, UnexpectedEof for a file that has fewer.
    pub fn map(file: BorrowedFd<'_>, count: usize) -> io::Result<Self> {
        if length(file)? < bytes(count)? as u64 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(Self(Mapping::make(file, count, libc::PROT_READ)?))
    }

    /// The number at `at`, and all that was written before it by whoever wrote it with release; `None` behind the end.
    #[must_use]
    pub fn get(&self, at: usize) -> Option<u64> {
        // A load that acquires is a plain load on the processors that Linux runs this on, so it may read what cannot be written.
        self.0.numbers().get(at).map(|number| number.load(Acquire))
    }
}

fn bytes(count: usize) -> io::Result<usize> {
    Ok(count.checked_mul(size_of::<u64>()).filter(|bytes| *bytes > 0).ok_or(io::ErrorKind::InvalidInput)?)
}

fn length(file: BorrowedFd<'_>) -> io::Result<u64> {
    Ok(u64::try_from(rustix::fs::fstat(file)?.st_size).unwrap_or(0))
}

#[derive(Debug)]
struct Mapping {
    at: NonNull<AtomicU64>,
    count: usize,
}

// SAFETY: the memory is atomics, which any thread may use; only `drop` unmaps it, and `drop` has the value alone.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// The file is as long.
    fn make(file: BorrowedFd<'_>, count: usize, access: libc::c_int) -> io::Result<Self> {
        // SAFETY: the kernel chooses an address where nothing is, so no memory in use is touched.
        let at = unsafe {
            libc::mmap(std::ptr::null_mut(), bytes(count)?, access, libc::MAP_SHARED, file.as_raw_fd(), 0)
        };
        if at == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        Ok(Self { at: NonNull::new(at.cast()).ok_or(io::ErrorKind::OutOfMemory)?, count })
    }

    fn numbers(&self) -> &[AtomicU64] {
        // SAFETY: the mapping begins at a page, has room for `count` numbers, any bits are a number, and it lives as long as `self`.
        unsafe { std::slice::from_raw_parts(self.at.as_ptr(), self.count) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the mapping is this value's own, and what was borrowed from it is gone.
        unsafe { libc::munmap(self.at.as_ptr().cast(), self.count * size_of::<u64>()) };
    }
}

/// A file in memory without a name, gone with its last descriptor and mapping (memfd_create(2)); closed on exec.
///
/// # Errors
/// EMFILE, ENFILE, ENOMEM.
pub fn nameless(purpose: &str) -> io::Result<OwnedFd> {
    Ok(rustix::fs::memfd_create(purpose, MemfdFlags::CLOEXEC)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd as _;
    use std::sync::atomic::Ordering::Relaxed;

    #[test]
    fn who_maps_the_same_file_sees_the_same_numbers() {
        let file = nameless("test").unwrap();
        assert_eq!(View::map(file.as_fd(), 4).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        let one = Mapped::map(file.as_fd(), 600).unwrap();
        let other = View::map(file.as_fd(), 600).unwrap();
        assert!((0..600).all(|at| other.get(at) == Some(0)) && other.get(600).is_none());
        one[599].store(7, Relaxed);
        assert_eq!(other.get(599), Some(7));
        drop(file);
        one[0].store(8, Relaxed);
        assert_eq!(other.get(0), Some(8));
        assert_eq!(
            Mapped::map(nameless("test").unwrap().as_fd(), 0).unwrap_err().kind(),
            io::ErrorKind::InvalidInput
        );
    }
}
