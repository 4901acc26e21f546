//! A pool of helper threads that does handler work for an event loop, which never blocks (AMPED: Pai, Druschel, Zwaenepoel 1999).
//! Not here: the loop. The queues have locks, taken for each piece of work and not for each request: that is the model's price.

use service::Work;
use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::Builder;
use sys::Bell;

/// The loop's end of the pool.
#[derive(Debug)]
pub struct Helpers {
    shared: Arc<Shared>,
    /// An empty list to exchange for the next full one.
    spare: Vec<u64>,
}

#[derive(Debug)]
struct Shared {
    /// At most one piece a connection: the connections bound it.
    todo: Mutex<VecDeque<(u64, Work)>>,
    waiting: Condvar,
    done: Mutex<Vec<u64>>,
    bell: Bell,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing panics while it holds one of these.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Helpers {
    /// Starts `count` threads. They end with the process: one may be in the middle of ten seconds of work that nobody waits for.
    ///
    /// # Errors
    /// Those of eventfd(2) and clone(2).
    pub fn start(count: usize) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            todo: Mutex::default(),
            waiting: Condvar::new(),
            done: Mutex::default(),
            bell: Bell::new()?,
        });
        for number in 0..count {
            let shared = Arc::clone(&shared);
            drop(Builder::new().name(format!("helper-{number}")).spawn(move || shared.help())?);
        }
        Ok(Self { shared, spare: Vec::new() })
    }

    /// Rings when work is done.
    #[must_use]
    pub fn bell(&self) -> BorrowedFd<'_> {
        self.shared.bell.as_fd()
    }

    /// Gives `work` to the next helper that is free.
    pub fn submit(&self, key: u64, work: Work) {
        lock(&self.shared.todo).push_back((key, work));
        self.shared.waiting.notify_one();
    }

    /// The keys of what is done; [`give_back`](Self::give_back) the list.
    ///
    /// # Errors
    /// Those of read(2).
    pub fn take_done(&mut self) -> io::Result<Vec<u64>> {
        // Silence first: what is done after the exchange rings again.
        self.shared.bell.hush()?;
        Ok(std::mem::replace(&mut *lock(&self.shared.done), std::mem::take(&mut self.spare)))
    }

    /// Keeps the list's memory for the next time.
    pub fn give_back(&mut self, mut list: Vec<u64>) {
        list.clear();
        self.spare = list;
    }
}

impl Shared {
    fn help(&self) {
        loop {
            let mut todo = lock(&self.todo);
            let (key, work) = loop {
                match todo.pop_front() {
                    Some(piece) => break piece,
                    None => todo = self.waiting.wait(todo).unwrap_or_else(PoisonError::into_inner),
                }
            };
            drop(todo);
            match work {
                Work::Spin(time) => sys::clock::spin(time),
                Work::Sleep(time) => sys::clock::sleep(time),
            }
            let mut done = lock(&self.done);
            done.push(key);
            let first = done.len() == 1;
            drop(done);
            // Whoever finds others there knows that the bell rings already, or is about to.
            if first {
                self.bell.ring();
            }
        }
    }
}
