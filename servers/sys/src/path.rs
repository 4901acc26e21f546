//! Paths that Unix sockets are bound to: made, taken over from the dead, removed by whoever made them. Not here: the sockets.
//!
//! A path outlives its socket (unix(7)), so a server that was killed leaves one behind, and bind(2) fails on it. What tells the
//! dead from the living is a connect: only where that is refused is the path removed, and only if it is a socket.
//!
//! Two servers that start at once would both find a dead path, and the second would remove the first's. So looking, removing,
//! binding and listening are done while holding a lock (flock(2)) on the folder, which leaves no file behind; the removal at the
//! end takes it too. Against programs that know nothing of this, the identity of the file is compared right before each removal.

use rustix::fs::{FileType, FlockOperation, Mode, OFlags};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// Most bytes of a path, or of an abstract name without its `@`: sun_path has 108, of which a NUL takes one (unix(7)).
pub const MAX_PATH: usize = 107;

/// How long a folder's lock is waited for. Our servers hold it for microseconds; others may hold it for their own reasons.
const LOCK_WAIT: Duration = Duration::from_secs(2);

/// How often a bind is tried whose path changes under it.
const TRIES: usize = 8;

/// How long a socket may outlive its server. The kernel ends the rings of a killed process some time after the process, and with them
/// the listener on which an accept is under way (io_uring(7)): 10 to 100 ms in which a connect is taken by nobody.
const LEAVING: Duration = Duration::from_secs(1);

/// The first claim of this process, for [`release_first`].
static FIRST: OnceLock<Arc<Made>> = OnceLock::new();

/// The address of a path, or of an abstract name of exactly the length written (`@name`).
///
/// # Errors
/// ENAMETOOLONG beyond [`MAX_PATH`] bytes.
pub fn address(path: &str) -> io::Result<SocketAddrUnix> {
    if path.strip_prefix('@').unwrap_or(path).len() > MAX_PATH {
        return Err(Errno::NAMETOOLONG.into());
    }
    Ok(match path.strip_prefix('@') {
        Some(name) => SocketAddrUnix::new_abstract_name(name.as_bytes())?,
        None => SocketAddrUnix::new(path)?,
    })
}

/// Binds at `path` by `make`, which binds and (for streams) listens; returns the claim on the path, none for an abstract name.
///
/// A path that exists is taken over when it is a socket to which a connect is refused.
///
/// # Errors
/// EADDRINUSE: somebody listens there. EEXIST: it is no socket, and was not touched. `TimedOut`: the folder's lock is not to be
/// had. Else those of `make`.
pub fn bind(
    path: &str,
    make: &dyn Fn(&SocketAddrUnix) -> io::Result<OwnedFd>,
) -> io::Result<(OwnedFd, Option<Claim>)> {
    let address = address(path)?;
    if path.starts_with('@') {
        return match make(&address) {
            Err(error) if is_in_use(&error) && owner(&address) == Owner::Dead => Ok((make(&address)?, None)),
            made => Ok((made?, None)),
        };
    }
    let name = CString::new(path)?;
    let folder = folder_of(path)?;
    let _lock = Lock::take(&folder, LOCK_WAIT)?;
    for _ in 0..TRIES {
        match make(&address) {
            Ok(fd) => return Claim::of(name, folder).map(|claim| (fd, Some(claim))),
            Err(error) if is_in_use(&error) => {}
            Err(error) => return Err(error),
        }
        match Mark::of(&name)? {
            None => {}
            Some(Mark { socket: false, .. }) => return Err(Errno::EXIST.into()),
            Some(found) if owner(&address) == Owner::Dead => found.remove(&name)?,
            Some(_) => break,
        }
    }
    Err(Errno::ADDRINUSE.into())
}

fn is_in_use(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::EADDRINUSE)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owner {
    /// A connect is refused: the socket that had the address is gone.
    Dead,
    /// Anything else: also a full queue (EAGAIN), a socket of another type (EPROTOTYPE), no right to connect (EACCES).
    Alive,
}

/// Who has the address. A server that has ended is given the time to be gone; that it is, the refused connect says, not its end.
fn owner(address: &SocketAddrUnix) -> Owner {
    let end = Instant::now() + LEAVING;
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    loop {
        let probe = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None);
        let Ok(probe) = probe else { return Owner::Alive };
        match rustix::net::connect(&probe, address) {
            Err(Errno::CONNREFUSED) => return Owner::Dead,
            Ok(()) if Instant::now() < end && is_leaving(&probe) => {
                crate::clock::pause(Duration::from_millis(2));
            }
            _ => return Owner::Alive,
        }
    }
}

/// Whether whoever made the socket at the other end has ended.
fn is_leaving(probe: &OwnedFd) -> bool {
    crate::socket::peer_process(probe.as_fd()).is_ok_and(|pid| pid > 0 && crate::process::has_ended(pid))
}

fn folder_of(path: &str) -> io::Result<CString> {
    let folder = std::path::Path::new(path).parent().and_then(std::path::Path::to_str).unwrap_or("");
    Ok(CString::new(if folder.is_empty() { "." } else { folder })?)
}

/// Which file a path leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Mark {
    device: u64,
    inode: u64,
    /// When it was made: inode numbers are used again at once. A chmod or chown leaves it as it is.
    made: (i64, i64),
    socket: bool,
}

impl Mark {
    #[expect(clippy::unnecessary_cast, reason = "the widths of struct stat differ between architectures")]
    fn of(path: &CStr) -> io::Result<Option<Self>> {
        match rustix::fs::lstat(path) {
            Ok(stat) => Ok(Some(Self {
                device: stat.st_dev as u64,
                inode: stat.st_ino as u64,
                made: (stat.st_mtime as i64, stat.st_mtime_nsec as i64),
                socket: FileType::from_raw_mode(stat.st_mode) == FileType::Socket,
            })),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Removes the path if it still leads to this file.
    fn remove(self, path: &CStr) -> io::Result<()> {
        match Self::of(path)? {
            Some(now) if now == self => Ok(rustix::fs::unlink(path)?),
            _ => Ok(()),
        }
    }
}

/// A folder's lock, held until dropped. `None` inside: a folder that may not be read, or a file system without locks, has none.
struct Lock {
    _folder: Option<OwnedFd>,
}

impl Lock {
    fn take(folder: &CStr, patience: Duration) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let Ok(fd) = rustix::fs::open(folder, flags, Mode::empty()) else {
            return Ok(Self { _folder: None });
        };
        let end = Instant::now() + patience;
        loop {
            match rustix::fs::flock(&fd, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(Self { _folder: Some(fd) }),
                Err(Errno::WOULDBLOCK | Errno::INTR) if Instant::now() < end => {
                    crate::clock::pause(Duration::from_millis(1));
                }
                Err(Errno::WOULDBLOCK | Errno::INTR) => return Err(io::ErrorKind::TimedOut.into()),
                Err(_) => return Ok(Self { _folder: None }),
            }
        }
    }
}

/// A path that this process has made. It is removed when the claim is dropped, unless it leads to another file by then, and never
/// by a process forked off later.
#[derive(Debug)]
pub struct Claim(Arc<Made>);

#[derive(Debug)]
struct Made {
    path: CString,
    folder: CString,
    mark: Mark,
    process: i32,
    released: AtomicBool,
}

impl Claim {
    fn of(path: CString, folder: CString) -> io::Result<Self> {
        let mark = Mark::of(&path)?.ok_or(Errno::NOENT)?;
        let process = rustix::process::getpid().as_raw_nonzero().get();
        let made = Arc::new(Made { path, folder, mark, process, released: AtomicBool::new(false) });
        // Only the first one counts: a server has one.
        let _ = FIRST.set(Arc::clone(&made));
        Ok(Self(made))
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.0.release(LOCK_WAIT);
    }
}

impl Made {
    /// Removes the path. Where it cannot be done the path stays, and whoever starts next takes it over.
    fn release(&self, patience: Duration) {
        let ours = rustix::process::getpid().as_raw_nonzero().get() == self.process;
        if ours
            && !self.released.swap(true, SeqCst)
            && let Ok(_lock) = Lock::take(&self.folder, patience)
        {
            let _ = self.mark.remove(&self.path);
        }
    }
}

/// Removes the first path that this process has claimed, for an end without destructors; safe to call in a signal handler.
///
/// Nothing in it allocates or takes a lock of the process: a load, and system calls without libc's wrappers.
pub(crate) fn release_first() {
    if let Some(made) = FIRST.get() {
        made.release(Duration::ZERO);
    }
}
