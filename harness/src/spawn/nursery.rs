//! The one thread that starts processes. Not here: preparing or watching them.
//!
//! The kernel ties PR_SET_PDEATHSIG to the *thread* that spawns: a child of a short-lived thread would be killed when that thread
//! ends. So one thread, which lives as long as the process, spawns for all.

use std::io;
use std::process::{Child, Command};
use std::sync::OnceLock;
use std::sync::mpsc::{Sender, channel};

enum Order {
    Spawn(Box<Command>, Sender<io::Result<Child>>),
    Follow(Sender<io::Result<()>>),
}

/// Starts `command` from the thread that lives on.
pub(super) fn spawn(command: Command) -> io::Result<Child> {
    ask(|reply| Order::Spawn(Box::new(command), reply))
}

/// What is started from now on is in the network namespace of the process's first thread, wherever that has moved to.
///
/// # Errors
/// Those of setns(2).
pub fn follow_network() -> io::Result<()> {
    ask(Order::Follow)
}

fn ask<T>(order: impl FnOnce(Sender<io::Result<T>>) -> Order) -> io::Result<T> {
    static ORDERS: OnceLock<io::Result<Sender<Order>>> = OnceLock::new();
    let gone = || io::Error::other("the thread that starts processes has ended");
    let orders = ORDERS.get_or_init(start).as_ref().map_err(|e| io::Error::new(e.kind(), e.to_string()))?;
    let (reply, answer) = channel();
    orders.send(order(reply)).map_err(|_| gone())?;
    answer.recv().map_err(|_| gone())?
}

fn start() -> io::Result<Sender<Order>> {
    let (orders, inbox) = channel::<Order>();
    std::thread::Builder::new().name("nursery".to_owned()).spawn(move || {
        for order in inbox {
            match order {
                // The asker may have gone; then the child is dropped, and killed with this process.
                Order::Spawn(mut command, reply) => drop(reply.send(command.spawn())),
                Order::Follow(reply) => drop(reply.send(sys::netns::follow())),
            }
        }
    })?;
    Ok(orders)
}
