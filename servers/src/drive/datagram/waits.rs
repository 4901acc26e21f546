//! Datagrams on smol: one task receives, and answers what needs no work; each answer with handler work is a task of the executor. Not
//! here: tokio (see `tasks`).

use super::tasks::{Leave, Others, Owed, turn};
use super::{Both, Clerk, send};
use crate::endpoint::Endpoint;
use service::Work;
use smol::future::or;
use smol::{Async, Executor, Timer};
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};
use sys::signal::{Received, Signals};

/// Serves until it is told to stop, then drains.
///
/// # Errors
/// Those of epoll(7) and of recvmsg(2) after which nothing more can be served.
pub fn serve<S: Both>(service: S, endpoint: Endpoint) -> io::Result<()> {
    endpoint.set_nonblocking()?;
    // Before any thread, which inherit the mask.
    let signals = Async::new_nonblocking(Signals::new(false)?)?;
    let executor = Arc::new(Executor::new());
    let options = endpoint.options;
    options.counters.shared();
    for _ in 0..endpoint.options.workers {
        let executor = Arc::clone(&executor);
        std::thread::Builder::new().name("worker".to_owned()).spawn(move || {
            options.counters.enter_shared();
            smol::future::block_on(executor.run(std::future::pending::<()>()))
        })?;
    }
    let socket = Arc::new(Async::new_nonblocking(endpoint.listener.try_clone()?)?);
    let mut clerk = Clerk::new(service, endpoint.url.family);
    let others = Arc::new(Others::default());
    options.counters.enter_shared();
    let turn = |clerk: &mut Clerk<S>| {
        let start = |owed, leave| executor.spawn(pay(owed, Arc::clone(&socket), leave)).detach();
        turn(clerk, socket.as_fd(), &others, start)
    };
    endpoint.ready();
    smol::future::block_on(async {
        let stop = async {
            while signals.get_ref().next()? != Some(Received::Stop) {
                signals.readable().await?;
            }
            Ok::<(), io::Error>(())
        };
        let serving = async {
            loop {
                socket.readable().await?;
                while turn(&mut clerk)? {
                    smol::future::yield_now().await;
                }
            }
        };
        or(stop, serving).await
    })?;
    // What was queued before the order to stop is still answered.
    while turn(&mut clerk)? {}
    let end = Instant::now() + options.grace;
    while !others.none_left() && Instant::now() < end {
        sys::clock::pause(Duration::from_millis(1));
    }
    clerk.figures.add(&others.figures());
    clerk.figures.report(0);
    Ok(())
}

async fn pay(owed: Owed, socket: Arc<Async<OwnedFd>>, leave: Leave) {
    match owed.work {
        Work::Spin(time) => sys::clock::spin(time),
        Work::Sleep(time) => {
            Timer::after(time).await;
        }
    }
    leave.sent(&send(socket.as_fd(), &owed.answer.reply, &owed.message, &owed.route));
}
