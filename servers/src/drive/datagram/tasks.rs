//! Datagrams on tokio: one task receives, and answers what needs no work; each answer with handler work is a task. Not here: smol (see
//! `waits`).

use super::{BUDGET, Both, Clerk, Figures, Taken, send};
use crate::counters::{self, Why};
use crate::drive::loops::Team;
use crate::endpoint::Endpoint;
use service::Work;
use service::datagram::Answer;
use std::future::Future;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed, Ordering::SeqCst};
use std::time::{Duration, Instant};
use sys::datagram::{Route, Wait};
use sys::signal::Signals;
use tokio::io::unix::AsyncFd;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::sleep;

/// Answers with handler work at a time; one more is not given, and counted.
const MOST: usize = 16 * 1_024;

/// What tasks have done together, and how many are under way.
#[derive(Debug, Default)]
pub(super) struct Others {
    under_way: AtomicUsize,
    answered: AtomicU64,
    unsendable: AtomicU64,
}

impl Others {
    /// A place for one more, if there is one.
    pub(super) fn enter(self: &Arc<Self>) -> Option<Leave> {
        let before = self.under_way.fetch_add(1, SeqCst);
        let leave = Leave(Arc::clone(self));
        (before < MOST).then_some(leave)
    }

    pub(super) fn none_left(&self) -> bool {
        self.under_way.load(SeqCst) == 0
    }

    pub(super) fn figures(&self) -> Figures {
        Figures {
            answered: self.answered.load(Relaxed),
            unsendable: self.unsendable.load(Relaxed),
            ..Figures::default()
        }
    }
}

/// A task that is under way, until it is dropped.
pub(super) struct Leave(Arc<Others>);

impl Leave {
    pub(super) fn sent(&self, result: &io::Result<()>) {
        let which = if result.is_ok() { &self.0.answered } else { &self.0.unsendable };
        which.fetch_add(1, Relaxed);
        counters::ended(if result.is_ok() { Why::Service } else { Why::Unsent });
    }
}

impl Drop for Leave {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, SeqCst);
    }
}

/// Serves on the runtime that polls it, until SIGTERM or SIGINT, then drains.
///
/// # Errors
/// Those of recvmsg(2) after which nothing more can be served.
pub async fn serve_until_stopped<S: Both>(service: S, endpoint: Endpoint) -> io::Result<()> {
    endpoint.set_nonblocking()?;
    let mut term = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let stop = async move {
        tokio::select! {
            _ = term.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    let options = endpoint.options;
    options.counters.shared();
    options.counters.enter_shared();
    endpoint.ready();
    let clerk = Clerk::new(service, endpoint.url.family);
    let figures = serve(clerk, endpoint.listener, stop, options.grace).await?;
    figures.report(0);
    Ok(())
}

/// Serves with a single-threaded runtime a worker, all on one socket: the kernel wakes each, and the first has the datagram.
///
/// # Errors
/// Those of the runtimes and of recvmsg(2) after which nothing more can be served.
pub fn per_core<S: Both>(service: S, endpoint: Endpoint) -> io::Result<()> {
    endpoint.set_nonblocking()?;
    let signals = Signals::new(false)?;
    let Endpoint { listener, url, options, .. } = endpoint;
    let mut team = Team::new(options.counters, options.workers)?;
    for worker in 0..options.workers {
        // Each runtime has an epoll of its own, and wants a descriptor of its own.
        let socket = listener.try_clone()?;
        let bell = team.stop_bell().as_fd().try_clone_to_owned()?;
        let clerk = Clerk::new(service.clone(), url.family);
        team.start(move |waiting| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
            let figures = runtime.block_on(async {
                let bell = watch(bell)?;
                waiting.say();
                let stop = async {
                    let _ = bell.readable().await;
                };
                serve(clerk, socket, stop, options.grace).await
            })?;
            figures.report(worker);
            Ok(())
        })?;
    }
    team.open(&url, &signals)
}

async fn serve<S: Both>(
    mut clerk: Clerk<S>,
    socket: OwnedFd,
    stop: impl Future<Output = ()>,
    grace: Duration,
) -> io::Result<Figures> {
    let socket = Arc::new(watch(socket)?);
    let others = Arc::new(Others::default());
    let mut stop = std::pin::pin!(stop);
    let turn = |clerk: &mut Clerk<S>| {
        let start = |owed, leave| drop(tokio::spawn(pay(owed, Arc::clone(&socket), leave)));
        turn(clerk, socket.as_fd(), &others, start)
    };
    loop {
        let mut ready = tokio::select! {
            ready = socket.readable() => ready?,
            () = &mut stop => break,
        };
        if turn(&mut clerk)? {
            tokio::task::yield_now().await;
        } else {
            ready.clear_ready();
        }
    }
    // What was queued before the order to stop is still answered.
    while turn(&mut clerk)? {}
    let end = Instant::now() + grace;
    while !others.none_left() && Instant::now() < end {
        sleep(Duration::from_millis(1)).await;
    }
    clerk.figures.add(&others.figures());
    Ok(clerk.figures)
}

/// Has the runtime watch a descriptor.
#[expect(deprecated, reason = "unsound for descriptors that another may close; an OwnedFd is nobody else's")]
fn watch(fd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::new(fd)
}

/// Takes and answers what is there; true where more may be there. An answer with handler work is `start`ed as a task.
pub(super) fn turn<S: Both>(
    clerk: &mut Clerk<S>,
    fd: BorrowedFd<'_>,
    others: &Arc<Others>,
    start: impl Fn(Owed, Leave),
) -> io::Result<bool> {
    for _ in 0..BUDGET {
        match clerk.take(fd, Wait::No)? {
            Taken::Empty => return Ok(false),
            Taken::Interrupted => {}
            Taken::Datagram(received) => {
                let Some(owed) = clerk.answer_or_owe(fd, &received) else { continue };
                match others.enter() {
                    Some(leave) => start(owed, leave),
                    None => clerk.figures.unsendable += 1,
                }
            }
        }
    }
    Ok(true)
}

/// An answer whose handler work is still to be done.
#[derive(Debug)]
pub struct Owed {
    /// The work.
    pub work: Work,
    /// What it answers.
    pub message: Vec<u8>,
    /// The answer.
    pub answer: Answer,
    /// The way back.
    pub route: Route,
}

async fn pay(owed: Owed, socket: Arc<AsyncFd<OwnedFd>>, leave: Leave) {
    match owed.work {
        Work::Spin(time) => sys::clock::spin(time),
        Work::Sleep(time) => sleep(time).await,
    }
    leave.sent(&send(socket.as_fd(), &owed.answer.reply, &owed.message, &owed.route));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_bounded_and_come_back() {
        let others = Arc::new(Others::default());
        let all: Vec<_> = (0..MOST).map(|_| others.enter().unwrap()).collect();
        assert!(others.enter().is_none());
        all[0].sent(&Ok(()));
        all[1].sent(&Err(io::ErrorKind::NotConnected.into()));
        drop(all);
        assert!(others.none_left() && others.enter().is_some());
        assert_eq!((others.figures().answered, others.figures().unsendable), (1, 1));
    }
}
