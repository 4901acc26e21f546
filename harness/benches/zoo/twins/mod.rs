//! Twins: the models `iterative`, `thread`, `epoll` and `async` written straight, without the sans-IO service, and tokio's echo server in
//! the shape of its example. They keep the models' system calls, so that the difference is the abstraction's. Not here: stopping,
//! counters, hostile clients; a twin has no business on a network.

mod blocking;
mod epoll;
mod tasks;

use service::pattern;
use std::io::Write as _;
use std::net::TcpListener;
use std::sync::OnceLock;

/// The word that makes a bench a twin; then come its name, the service, and the size of the replies of `sized`.
pub(crate) const SERVE: &str = "--serve-as-twin";

/// What a twin says on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Says {
    Greeting,
    Echo,
    Sized,
}

/// The reply to every request of `sized`, which are all the same.
static TEXT: OnceLock<Vec<u8>> = OnceLock::new();

fn text() -> &'static [u8] {
    TEXT.get().map_or(&[], Vec::as_slice)
}

/// The reply of `size` bytes, in one piece.
pub(crate) fn reply(size: u64) -> Vec<u8> {
    let mut text = Vec::with_capacity(size as usize);
    while (text.len() as u64) < size {
        let done = text.len() as u64;
        text.extend_from_slice(pattern::piece(size + done, size - done));
    }
    text
}

/// Becomes the twin that the command line asks for, if it asks for one; it then serves until it is killed.
pub(crate) fn serve_if_asked() -> bool {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [word, name, service, size] = &args[..] else { return false };
    if word != SERVE {
        return false;
    }
    let says = match service.as_str() {
        "greeting" => Says::Greeting,
        "echo" => Says::Echo,
        "sized" => Says::Sized,
        other => panic!("no twin says `{other}`"),
    };
    let _ = TEXT.set(reply(size.parse().expect("a size")));
    match name.as_str() {
        "iterative" => blocking::iterative(says),
        "thread" => blocking::thread(says),
        "epoll" => epoll::serve(says),
        "async" => tasks::twin(says),
        "tokio" => tasks::example(),
        other => panic!("there is no twin `{other}`"),
    }
    true
}

/// A listener whose connections have TCP_NODELAY, as those of the models.
fn listener() -> TcpListener {
    let any = "tcp://127.0.0.1:0".parse().expect("a URL");
    sys::listen(&any, 4096, sys::Stack::Dual).expect("a port").fd.into()
}

fn say_ready(listener: &TcpListener) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "listening on tcp://{}", listener.local_addr().expect("address")).expect("ready line");
    out.flush().expect("flush");
}
