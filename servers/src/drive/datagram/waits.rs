//! Datagrams on smol: one task receives, and answers what needs no work; each answer with handler work is a task of the executor. Not
//! here: tokio (see `tasks`).

use super::tasks::{Leave, Others, Owed};
use super::{BUDGET, Both, Clerk, Taken, send};
use crate::endpoint::Endpoint;
use service::Work;
use smol::future::or;
use smol::{Async, Executor, Timer};
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};
use sys::datagram::Wait;
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
    for _ in 0..endpoint.options.workers {
        let executor = Arc::clone(&executor);
        std::thread::Builder::new()
            .name("worker".to_owned())
            .spawn(move || smol::future::block_on(executor.run(std::future::pending::<()>())))?;
    }
    let socket = Arc::new(Async::new_nonblocking(endpoint.listener.try_clone()?)?);
    let options = endpoint.options;
    let mut clerk = Clerk::new(service, endpoint.url.family);
    let others = Arc::new(Others::default());
    options.counters.shared();
    options.counters.enter_shared();
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
                while turn(&mut clerk, &socket, &others, &executor)? {
                    smol::future::yield_now().await;
                }
            }
        };
        or(stop, serving).await
    })?;
    // What was queued before the order to stop is still answered.
    while turn(&mut clerk, &socket, &others, &executor)? {}
    let end = Instant::now() + options.grace;
    while !others.none_left() && Instant::now() < end {
        sys::clock::pause(Duration::from_millis(1));
    }
    clerk.figures.add(&others.figures());
    clerk.figures.report(0);
    Ok(())
}

/// Takes and answers what is there; true where more may be there.
fn turn<S: Both>(
    clerk: &mut Clerk<S>,
    socket: &Arc<Async<OwnedFd>>,
    others: &Arc<Others>,
    executor: &Executor<'static>,
) -> io::Result<bool> {
    for _ in 0..BUDGET {
        match clerk.take(socket.as_fd(), Wait::No)? {
            Taken::Empty => return Ok(false),
            Taken::Interrupted => {}
            Taken::Datagram(received) => {
                let Some(owed) = clerk.answer_or_owe(socket.as_fd(), &received) else { continue };
                match others.enter() {
                    Some(leave) => executor.spawn(pay(owed, Arc::clone(socket), leave)).detach(),
                    None => clerk.figures.unsendable += 1,
                }
            }
        }
    }
    Ok(true)
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
