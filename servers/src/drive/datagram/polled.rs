//! Datagrams on compio: a task a runtime waits by the ring until the socket is readable, then receives and answers by calls of its own;
//! each answer with handler work is a task. Not here: receives as operations (see `ring`), for which the runtime has neither Unix
//! datagram sockets nor buffers that come back with an address it did not allocate.

use super::tasks::{Leave, Others, Owed, turn};
use super::{Both, Clerk, Figures, send};
use crate::drive::loops::Team;
use crate::endpoint::Endpoint;
use compio::runtime::fd::PollFd;
use compio::runtime::{Runtime, spawn};
use compio::time::sleep;
use service::Work;
use std::future::poll_fn;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};
use sys::signal::Signals;

/// Serves with a runtime a worker, all on one socket, until SIGTERM or SIGINT, then drains.
///
/// # Errors
/// Those of the runtimes and of recvmsg(2) after which nothing more can be served.
pub fn serve<S: Both>(service: S, endpoint: Endpoint) -> io::Result<()> {
    let signals = Signals::new(false)?;
    let Endpoint { listener, url, options, .. } = endpoint;
    let mut team = Team::new(options.counters, options.workers)?;
    for worker in 0..options.workers {
        let socket = listener.try_clone()?;
        let bell = team.stop_bell().as_fd().try_clone_to_owned()?;
        let clerk = Clerk::new(service.clone(), url.family);
        team.start(move |waiting| {
            let runtime = Runtime::new()?;
            waiting.say();
            let figures = runtime.block_on(work(clerk, socket, bell, options.grace))?;
            figures.report(worker);
            Ok(())
        })?;
    }
    team.open(&url, &signals)
}

async fn work<S: Both>(
    mut clerk: Clerk<S>,
    socket: OwnedFd,
    bell: OwnedFd,
    grace: Duration,
) -> io::Result<Figures> {
    let (socket, bell) = (Arc::new(socket), PollFd::new(bell)?);
    let readable = PollFd::new(Arc::clone(&socket))?;
    let others = Arc::new(Others::default());
    let turn = |clerk: &mut Clerk<S>| {
        let start = |owed, leave| spawn(pay(owed, Arc::clone(&socket), leave)).detach();
        turn(clerk, socket.as_fd(), &others, start)
    };
    loop {
        let stop = poll_fn(|cx| match bell.poll_read_ready(cx) {
            Poll::Ready(rung) => Poll::Ready(rung.map(|()| true)),
            Poll::Pending => readable.poll_read_ready(cx).map_ok(|()| false),
        });
        if stop.await? {
            break;
        }
        // Where more is there than a turn takes, the ring says so again at once: the tasks have their turn in between.
        turn(&mut clerk)?;
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

async fn pay(owed: Owed, socket: Arc<OwnedFd>, leave: Leave) {
    match owed.work {
        Work::Spin(time) => sys::clock::spin(time),
        Work::Sleep(time) => sleep(time).await,
    }
    leave.sent(&send(socket.as_fd(), &owed.answer.reply, &owed.message, &owed.route));
}
