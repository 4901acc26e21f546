//! Signal-driven I/O (fcntl(2), O_ASYNC): the kernel queues a signal for each readiness that begins. Not here: the loop over it.
//!
//! A signal is queued with the number of its descriptor (si_fd) and is read from a signalfd(2), many at a time. Beside the edges of
//! epoll it has four weaknesses, and each has its remedy here:
//! - The queue is bounded (RLIMIT_SIGPENDING, for all processes of a user together). When it is full, the kernel sends a plain SIGIO,
//!   which is one however often it is sent and names nobody: then every descriptor is polled once.
//! - A signal names a number and not a file, and may have been queued for a connection that had the number before. So it is a hint: of
//!   a number that is not watched it is dropped, a hang-up is looked up before it is told, and input or room that is not there costs
//!   its reader one EAGAIN.
//! - What was ready before the descriptor was watched caused no signal: what is new is polled once, unasked.
//! - Not every file can send signals, signalfd(2) and eventfd(2) cannot: those few are polled, beside the signalfd.

use crate::poll::{event, flags, ppoll};
use crate::poller::{Event, Interest, Poller};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

/// Signals taken per read.
const BATCH: usize = 128;

/// Reads per wait: a queue that fills as fast as it is read must not keep the loop from serving.
const READS: usize = 32;

/// How a descriptor is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    /// It is not.
    Absent,
    /// By signals.
    Signals,
    /// By signals, and polled as long as there may be more: a listener.
    Listener,
    /// By poll(2), always.
    Polled(Interest),
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    key: u64,
    how: How,
    /// Was full before it was watched, and so must be written to once more: only then will room cause a signal.
    full: bool,
    /// The wait in which it was last told of, and where its last event stands.
    told: (u64, usize),
    /// Events told in that wait.
    times: u8,
}

const NOBODY: Slot = Slot { key: 0, how: How::Absent, full: false, told: (0, 0), times: 0 };

/// Descriptors whose readiness is told by signals to the thread that made this, which alone may use it.
pub struct SigIo {
    signals: OwnedFd,
    /// By descriptor number.
    slots: Vec<Slot>,
    /// To be tried once without a signal.
    new: Vec<RawFd>,
    /// Polled in the next wait: those that always are, and listeners that may have more.
    polled: Vec<RawFd>,
    list: Vec<libc::pollfd>,
    /// Every descriptor, while all are looked at.
    all: Vec<RawFd>,
    batch: Vec<libc::signalfd_siginfo>,
    /// Number of this wait.
    wait: u64,
    overflows: u64,
}

impl SigIo {
    /// Blocks the signals in the calling thread and reads them from now on. Before that they would end the process.
    ///
    /// # Errors
    /// EMFILE, ENFILE, ENOMEM.
    pub fn new() -> io::Result<Self> {
        let set = own_signals();
        // SAFETY: the set is initialised and lives through the call; the old mask is not asked for.
        let blocked = unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut()) };
        if blocked != 0 {
            return Err(io::Error::from_raw_os_error(blocked));
        }
        // SAFETY: as above.
        let fd = unsafe { libc::signalfd(-1, &raw const set, libc::SFD_NONBLOCK | libc::SFD_CLOEXEC) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: all of it are numbers, for which zero is a value.
        let none: libc::signalfd_siginfo = unsafe { std::mem::zeroed() };
        Ok(Self {
            // SAFETY: the kernel has just made this descriptor for us, and nobody else knows its number.
            signals: unsafe { OwnedFd::from_raw_fd(fd) },
            slots: Vec::new(),
            new: Vec::new(),
            polled: Vec::new(),
            list: Vec::new(),
            all: Vec::new(),
            batch: vec![none; BATCH],
            wait: 0,
            overflows: 0,
        })
    }

    /// How often the queue was found to have overflown.
    #[must_use]
    pub fn overflows(&self) -> u64 {
        self.overflows
    }

    fn watched(&mut self, fd: RawFd) -> io::Result<&mut Slot> {
        let slot = self.slots.get_mut(fd as usize).filter(|slot| slot.how != How::Absent);
        slot.ok_or_else(|| io::Error::from_raw_os_error(libc::ENOENT))
    }

    fn watch(&mut self, fd: BorrowedFd<'_>, key: u64, how: How, unable: How) -> io::Result<()> {
        let number = fd.as_raw_fd();
        if self.watched(number).is_ok() {
            return Err(io::Error::from_raw_os_error(libc::EEXIST));
        }
        let how = if ask_for_signals(fd)? { how } else { unable };
        if self.slots.len() <= number as usize {
            self.slots.resize(number as usize + 1, NOBODY);
        }
        self.slots[number as usize] = Slot { key, how, ..NOBODY };
        match how {
            How::Signals => self.look_once(number),
            _ => self.polled.push(number),
        }
        Ok(())
    }

    /// Has the next wait look at it.
    fn look_once(&mut self, fd: RawFd) {
        if !self.new.contains(&fd) {
            self.new.push(fd);
        }
    }

    /// Looks at what is to be looked at without a signal.
    fn look_at_new(&mut self, events: &mut Vec<Event>) {
        if self.new.is_empty() {
            return;
        }
        let mut new = std::mem::take(&mut self.new);
        self.look(&new, events);
        new.retain(|&fd| {
            let slot = self.slots[fd as usize];
            if slot.full {
                self.slots[fd as usize].full = false;
                self.tell(fd, event(slot.key, libc::POLLOUT), events);
            }
            slot.full
        });
        self.new = new;
    }

    /// Tells of a descriptor at most twice per wait: the second time stands for all further ones. A short read means "drained" to the
    /// caller, so that of two signals, for input and for the end behind it, the second must be an event of its own.
    fn tell(&mut self, fd: RawFd, event: Event, events: &mut Vec<Event>) {
        let slot = &mut self.slots[fd as usize];
        if slot.told.0 != self.wait {
            slot.times = 0;
        }
        if slot.times < 2 {
            slot.times += 1;
            slot.told = (self.wait, events.len());
            events.push(event);
        } else {
            let last = &mut events[slot.told.1];
            (last.read, last.write) = (last.read || event.read, last.write || event.write);
            last.hang_up |= event.hang_up;
        }
    }

    /// Reads what is queued; true where the queue has overflown.
    fn take_signals(&mut self, events: &mut Vec<Event>) -> io::Result<bool> {
        let mut overflown = false;
        for _ in 0..READS {
            let size = size_of::<libc::signalfd_siginfo>();
            // SAFETY: the buffer has room for that many bytes, and any bytes are a value of its elements.
            let read =
                unsafe { libc::read(self.signals.as_raw_fd(), self.batch.as_mut_ptr().cast(), BATCH * size) };
            if read < 0 {
                let error = io::Error::last_os_error();
                return if crate::errno::is_retry(&error) { Ok(overflown) } else { Err(error) };
            }
            let taken = read as usize / size;
            for at in 0..taken {
                let signal = self.batch[at];
                if signal.ssi_signo == libc::SIGIO as u32 {
                    overflown = true;
                } else {
                    self.on_signal(signal.ssi_fd, signal.ssi_band, events);
                }
            }
            if taken < BATCH {
                break;
            }
        }
        Ok(overflown)
    }

    fn on_signal(&mut self, fd: RawFd, band: u32, events: &mut Vec<Event>) {
        let Ok(&mut Slot { key, how, .. }) = self.watched(fd) else { return };
        // The kernel's poll flags (EPOLLIN …), which are those of poll(2).
        let band = band as libc::c_short;
        match how {
            How::Listener => {
                if !self.polled.contains(&fd) {
                    self.polled.push(fd);
                    self.tell(fd, event(key, libc::POLLIN), events);
                }
            }
            How::Signals if band & (libc::POLLERR | libc::POLLHUP) != 0 => self.look(&[fd], events),
            How::Signals => self.tell(fd, event(key, band), events),
            How::Absent | How::Polled(_) => {}
        }
    }

    /// Polls each of `fds` once, for anything.
    fn look(&mut self, fds: &[RawFd], events: &mut Vec<Event>) {
        self.list.clear();
        self.list.extend(fds.iter().map(|&fd| libc::pollfd { fd, events: ANYTHING, revents: 0 }));
        // Without a wait there is nothing to interrupt, and no memory for it is rare enough to try again at the next signal.
        let Ok(_) = ppoll(&mut self.list, Some(Duration::ZERO)) else { return };
        for at in 0..self.list.len() {
            let libc::pollfd { fd, revents, .. } = self.list[at];
            if revents == 0 {
                continue;
            }
            let key = self.slots[fd as usize].key;
            self.tell(fd, event(key, revents), events);
            if revents & (libc::POLLRDHUP | libc::POLLHUP | libc::POLLPRI) != 0 {
                // Their signal may be among those that were lost: an end, or urgent data, is told of as edge-triggered epoll does.
                events.push(Event { key, read: false, write: false, hang_up: false });
            }
        }
    }

    /// Signals were lost, and nobody knows whose.
    fn look_at_all(&mut self, events: &mut Vec<Event>) {
        self.overflows += 1;
        let mut all = std::mem::take(&mut self.all);
        all.clear();
        let able = |slot: &Slot| matches!(slot.how, How::Signals | How::Listener);
        all.extend((0..).zip(&self.slots).filter(|(_, slot)| able(slot)).map(|(fd, _)| fd));
        self.look(&all, events);
        for &fd in &all {
            if self.slots[fd as usize].how == How::Listener && !self.polled.contains(&fd) {
                self.polled.push(fd);
            }
        }
        self.all = all;
    }

    /// Waits for signals and for what is polled; tells of the latter. True where there are signals.
    fn sleep(&mut self, events: &mut Vec<Event>, timeout: Option<Duration>) -> io::Result<bool> {
        self.list.clear();
        self.list.push(libc::pollfd { fd: self.signals.as_raw_fd(), events: libc::POLLIN, revents: 0 });
        for &fd in &self.polled {
            let wanted = match self.slots[fd as usize].how {
                How::Polled(interest) => flags(interest),
                _ => libc::POLLIN,
            };
            self.list.push(libc::pollfd { fd, events: wanted, revents: 0 });
        }
        let ready = ppoll(&mut self.list, timeout)?;
        for at in 1..self.list.len() {
            let libc::pollfd { fd, revents, .. } = self.list[at];
            let Slot { key, how, .. } = self.slots[fd as usize];
            if ready > 0 && revents != 0 {
                self.tell(fd, event(key, revents), events);
            } else if how == How::Listener {
                // Its queue is empty: the next connection causes a signal.
                self.polled.retain(|&polled| polled != fd);
            }
        }
        Ok(ready > 0 && self.list[0].revents != 0)
    }
}

const ANYTHING: libc::c_short = libc::POLLIN | libc::POLLOUT | libc::POLLRDHUP | libc::POLLPRI;

/// The signal asked for, and the one that the kernel falls back on.
fn own_signals() -> libc::sigset_t {
    let mut set = std::mem::MaybeUninit::uninit();
    // SAFETY: it initialises the set, which it is given whole.
    unsafe { libc::sigemptyset(set.as_mut_ptr()) };
    // SAFETY: initialised by the call above, which cannot fail.
    let mut set = unsafe { set.assume_init() };
    for signal in [libc::SIGRTMIN(), libc::SIGIO] {
        // SAFETY: the set is initialised, and the number is a signal's.
        unsafe { libc::sigaddset(&raw mut set, signal) };
    }
    set
}

/// Has the kernel send signals to the calling thread for `fd`; false where the file cannot.
fn ask_for_signals(fd: BorrowedFd<'_>) -> io::Result<bool> {
    let number = fd.as_raw_fd();
    let owner = Owner { kind: F_OWNER_TID, id: rustix::thread::gettid().as_raw_nonzero().get() };
    // SAFETY: the kernel reads `owner`, which lives through the call.
    if unsafe { libc::fcntl(number, F_SETOWN_EX, &raw const owner) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: plain system call on numbers.
    if unsafe { libc::fcntl(number, F_SETSIG, libc::SIGRTMIN()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    match set_async(fd, true) {
        Ok(()) => Ok(true),
        Err(error) if error.raw_os_error() == Some(libc::ENOTTY) => Ok(false),
        Err(error) => Err(error),
    }
}

/// O_ASYNC, by the call that says so where a file has none of it: fcntl(F_SETFL) would do nothing and report success.
fn set_async(fd: BorrowedFd<'_>, on: bool) -> io::Result<()> {
    let on = libc::c_int::from(on);
    // SAFETY: the kernel reads `on`, which lives through the call.
    let set = unsafe { libc::ioctl(fd.as_raw_fd(), libc::FIOASYNC, &raw const on) };
    if set == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

// include/uapi/asm-generic/fcntl.h; libc has them for some targets only.
const F_SETSIG: libc::c_int = 10;
const F_SETOWN_EX: libc::c_int = 15;
const F_OWNER_TID: libc::c_int = 0;

/// struct f_owner_ex.
#[repr(C)]
struct Owner {
    kind: libc::c_int,
    id: libc::pid_t,
}

impl Poller for SigIo {
    const EDGE: bool = true;

    fn add(&mut self, fd: BorrowedFd<'_>, key: u64, interest: Interest) -> io::Result<()> {
        self.watch(fd, key, How::Signals, How::Polled(interest))?;
        if interest.write {
            self.slots[fd.as_raw_fd() as usize].full = true;
        }
        Ok(())
    }

    fn add_listener(&mut self, fd: BorrowedFd<'_>, key: u64) -> io::Result<()> {
        self.watch(fd, key, How::Listener, How::Polled(Interest::READ))
    }

    fn modify(&mut self, fd: BorrowedFd<'_>, _key: u64, interest: Interest) -> io::Result<()> {
        // A Unix socket looks whether it is full, and then asks to be told of room: what the peer reads in between causes no signal
        // (sock_alloc_send_pskb in net/core/sock.c). So it is looked at once more.
        if self.watched(fd.as_raw_fd())?.how == How::Signals && interest.write {
            self.look_once(fd.as_raw_fd());
        }
        Ok(())
    }

    fn remove(&mut self, fd: BorrowedFd<'_>) -> io::Result<()> {
        let number = fd.as_raw_fd();
        let how = self.watched(number)?.how;
        let slot = &mut self.slots[number as usize];
        *slot = NOBODY;
        self.new.retain(|&new| new != number);
        if how == How::Signals {
            set_async(fd, false)
        } else {
            self.polled.retain(|&polled| polled != number);
            if how == How::Listener { set_async(fd, false) } else { Ok(()) }
        }
    }

    fn wait(&mut self, events: &mut Vec<Event>, timeout: Option<Duration>) -> io::Result<()> {
        events.clear();
        self.wait += 1;
        self.look_at_new(events);
        let timeout = if events.is_empty() && self.new.is_empty() { timeout } else { Some(Duration::ZERO) };
        if self.sleep(events, timeout)? && self.take_signals(events)? {
            self.look_at_all(events);
        }
        Ok(())
    }

    fn limit(&self) -> Option<RawFd> {
        None
    }
}
