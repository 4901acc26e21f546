//! Locks that processes share: a file lock, and a mutex in shared memory. Not here: locks between threads, which std has.

use rustix::fs::{FlockOperation, MemfdFlags, Mode, OFlags};
use std::io;
use std::marker::PhantomData;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::ptr::NonNull;

/// A file without a name that processes lock round a critical section (flock(2)).
#[derive(Debug)]
pub struct LockFile(OwnedFd);

impl LockFile {
    /// Makes one in memory (memfd_create(2)): as an unlinked temporary file, without the need of a place for it.
    ///
    /// # Errors
    /// EMFILE, ENFILE, ENOMEM.
    pub fn new() -> io::Result<Self> {
        Ok(Self(rustix::fs::memfd_create("lock", MemfdFlags::CLOEXEC)?))
    }

    /// Opens the same file once more: the lock belongs to the open file, so a process that only inherited it would share the
    /// lock with its parent instead of waiting for it.
    ///
    /// # Errors
    /// Those of open(2); ENOENT without /proc.
    pub fn reopen(&self) -> io::Result<Self> {
        let path = format!("/proc/self/fd/{}", self.0.as_raw_fd());
        Ok(Self(rustix::fs::open(path, OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?))
    }

    /// Waits for the lock. The kernel releases that of a process that dies.
    ///
    /// # Errors
    /// EINTR when a signal comes first, ENOLCK.
    pub fn lock(&self) -> io::Result<FileGuard<'_>> {
        rustix::fs::flock(&self.0, FlockOperation::LockExclusive)?;
        Ok(FileGuard(self))
    }
}

/// Holds the lock until dropped.
#[derive(Debug)]
pub struct FileGuard<'a>(&'a LockFile);

impl Drop for FileGuard<'_> {
    fn drop(&mut self) {
        // Unlocking what is locked cannot fail.
        let _ = rustix::fs::flock(&self.0.0, FlockOperation::Unlock);
    }
}

/// A mutex in memory that forked processes share, robust: when its holder dies, the next in line gets it (pthread_mutexattr_setrobust(3)).
#[derive(Debug)]
pub struct SharedMutex {
    at: NonNull<libc::pthread_mutex_t>,
}

impl SharedMutex {
    /// Makes one; processes that are forked afterwards share it.
    ///
    /// # Errors
    /// Those of mmap(2) and pthread_mutex_init(3).
    pub fn new() -> io::Result<Self> {
        let size = size_of::<libc::pthread_mutex_t>();
        let (access, kind) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_ANONYMOUS);
        // SAFETY: a fresh anonymous mapping touches no memory that is in use.
        let at = unsafe { libc::mmap(std::ptr::null_mut(), size, access, kind, -1, 0) };
        if at == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let mutex = Self { at: NonNull::new(at.cast()).ok_or(io::ErrorKind::OutOfMemory)? };
        let mut attributes = std::mem::MaybeUninit::<libc::pthread_mutexattr_t>::uninit();
        let attributes = attributes.as_mut_ptr();
        // SAFETY: `attributes` has room for them and lives to the end of the function, as in the calls below.
        checked(unsafe { libc::pthread_mutexattr_init(attributes) })?;
        // SAFETY: they are initialised.
        checked(unsafe { libc::pthread_mutexattr_setpshared(attributes, libc::PTHREAD_PROCESS_SHARED) })?;
        // SAFETY: as above.
        checked(unsafe { libc::pthread_mutexattr_setrobust(attributes, libc::PTHREAD_MUTEX_ROBUST) })?;
        // SAFETY: the mapping is aligned to a page, has room for a mutex, and nobody else knows it yet.
        checked(unsafe { libc::pthread_mutex_init(mutex.at.as_ptr(), attributes) })?;
        // SAFETY: they are initialised and not used again.
        checked(unsafe { libc::pthread_mutexattr_destroy(attributes) })?;
        Ok(mutex)
    }

    /// Waits for the mutex, signals or not. A holder that died has left nothing half-done: what is guarded is in the kernel.
    ///
    /// # Errors
    /// ENOTRECOVERABLE after an error of pthread_mutex_consistent(3).
    pub fn lock(&self) -> io::Result<MutexGuard<'_>> {
        // SAFETY: the mutex is initialised and mapped as long as `self` lives.
        let got = unsafe { libc::pthread_mutex_lock(self.at.as_ptr()) };
        if got == libc::EOWNERDEAD {
            // SAFETY: as above, and this thread holds it.
            checked(unsafe { libc::pthread_mutex_consistent(self.at.as_ptr()) })?;
        } else {
            checked(got)?;
        }
        Ok(MutexGuard { mutex: self, _thread: PhantomData })
    }
}

impl Drop for SharedMutex {
    fn drop(&mut self) {
        // Not destroyed, which would break it for the other processes: the memory of each goes, the mutex with the last.
        // SAFETY: the mapping is this value's own and no guard lives, since guards borrow it.
        unsafe { libc::munmap(self.at.as_ptr().cast(), size_of::<libc::pthread_mutex_t>()) };
    }
}

/// Holds the mutex until dropped; stays in the thread that locked it.
#[derive(Debug)]
pub struct MutexGuard<'a> {
    mutex: &'a SharedMutex,
    _thread: PhantomData<*const ()>,
}

impl Drop for MutexGuard<'_> {
    fn drop(&mut self) {
        // SAFETY: the mutex is mapped, and this thread holds it.
        unsafe { libc::pthread_mutex_unlock(self.mutex.at.as_ptr()) };
    }
}

/// The pthread functions return the error instead of setting errno.
fn checked(error: libc::c_int) -> io::Result<()> {
    if error == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(error)) }
}
