//! The one thread that starts processes. Not here: preparing or watching them.
//!
//! The kernel ties PR_SET_PDEATHSIG to the *thread* that spawns: a child of a short-lived thread would be killed when that thread
//! ends. So one thread, which lives as long as the process, spawns for all.

use std::io;
use std::process::{Child, Command};
use std::sync::OnceLock;
use std::sync::mpsc::{Sender, channel};

type Order = (Command, Sender<io::Result<Child>>);

/// Starts `command` from the thread that lives on.
pub(super) fn spawn(command: Command) -> io::Result<Child> {
    static ORDERS: OnceLock<io::Result<Sender<Order>>> = OnceLock::new();
    let gone = || io::Error::other("the thread that starts processes has ended");
    let orders = ORDERS.get_or_init(start).as_ref().map_err(|e| io::Error::new(e.kind(), e.to_string()))?;
    let (reply, answer) = channel();
    orders.send((command, reply)).map_err(|_| gone())?;
    answer.recv().map_err(|_| gone())?
}

fn start() -> io::Result<Sender<Order>> {
    let (orders, inbox) = channel::<Order>();
    std::thread::Builder::new().name("nursery".to_owned()).spawn(move || {
        for (mut command, reply) in inbox {
            // The asker may have gone; then the child is dropped, and killed with this process.
            let _ = reply.send(command.spawn());
        }
    })?;
    Ok(orders)
}
