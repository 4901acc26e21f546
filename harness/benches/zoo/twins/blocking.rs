//! Blocking twins: one connection after the other, and a thread a connection. Not here: pools.

use super::{Says, text};
use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::os::fd::AsFd as _;

/// The model's stack.
const STACK: usize = 256 * 1024;

pub(super) fn iterative(says: Says) {
    let listener = super::listener();
    super::say_ready(&listener);
    loop {
        let (stream, _) = listener.accept().expect("accept");
        // The client's going away is no fault.
        let _ = converse(stream, says);
    }
}

pub(super) fn thread(says: Says) {
    let listener = super::listener();
    super::say_ready(&listener);
    loop {
        let (stream, _) = listener.accept().expect("accept");
        let serve = move || drop(converse(stream, says));
        std::thread::Builder::new().stack_size(STACK).spawn(serve).expect("a thread");
    }
}

fn converse(mut stream: TcpStream, says: Says) -> io::Result<()> {
    if says == Says::Greeting {
        stream.write_all(service::greeting::GREETING)?;
        // As the model: a close with unread input would be a reset.
        let _ = sys::socket::recv_now(stream.as_fd(), &mut [0; 512]);
        return Ok(());
    }
    let mut buffer = [0; 4096];
    loop {
        let n = stream.read(&mut buffer)?;
        if n == 0 {
            return Ok(());
        }
        if says == Says::Echo {
            stream.write_all(&buffer[..n])?;
        } else if buffer[n - 1] == b'\n' {
            stream.write_all(text())?;
        }
    }
}
