//! Small servers of datagrams for the tests: a socket, a thread, and one way to behave. Not here: how a server should be.

use service::datagram::DatagramService;
use std::io::IoSlice;
use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::thread::JoinHandle;
use std::time::Duration;
use sys::Family;
use sys::datagram::{self, ROOM, Route, Wait};

/// What is sent back, and to whom.
pub(crate) type Letters = Vec<(Route, Vec<u8>)>;

/// A server at an address that the kernel chose; it ends when it is dropped.
pub(crate) struct Postman {
    pub(crate) url: String,
    /// Datagrams received, and answers that could not be sent.
    pub(crate) received: Arc<AtomicU64>,
    pub(crate) returned: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// An address of the family that nobody has.
pub(crate) fn fresh(family: Family) -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    match family {
        Family::Unixgram => {
            format!("unixgram:@loadgen-{}-{}", std::process::id(), NEXT.fetch_add(1, SeqCst))
        }
        _ => "udp://127.0.0.1:0".to_owned(),
    }
}

impl Postman {
    /// Answers datagram number `n` (from 0) with what `answer` makes of it, until it says `None`.
    pub(crate) fn until(
        url: &str,
        mut answer: impl FnMut(u64, &[u8], Route) -> Option<Letters> + Send + 'static,
    ) -> Self {
        let bound = datagram::bind(&url.parse().unwrap(), sys::Stack::Dual).unwrap();
        // Room for a large datagram of each client: here nothing is lost by chance.
        datagram::set_receive_buffer(bound.fd.as_fd(), 4 << 20).unwrap();
        let (url, family) = (bound.url.to_string(), bound.url.family);
        let (received, returned) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let stop = Arc::new(AtomicBool::new(false));
        let (count, lost, over) = (Arc::clone(&received), Arc::clone(&returned), Arc::clone(&stop));
        let serve = move || {
            // All of it: the path goes with it.
            let bound = bound;
            let mut buffer = vec![0; ROOM];
            while !over.load(SeqCst) {
                let wait = Some(Duration::from_millis(20));
                if sys::socket::wait_readable(&[bound.fd.as_fd()], wait).is_err() {
                    return;
                }
                let Ok(got) = datagram::recv(bound.fd.as_fd(), family, &mut buffer, Wait::No) else {
                    continue;
                };
                let n = count.fetch_add(1, SeqCst);
                let Some(letters) = answer(n, &buffer[..got.len], got.route) else { return };
                for (route, bytes) in letters {
                    let sent =
                        datagram::send(bound.fd.as_fd(), &[IoSlice::new(&bytes)], &route, Wait::Socket);
                    lost.fetch_add(u64::from(sent.is_err()), SeqCst);
                }
            }
        };
        Self { url, received, returned, stop, thread: Some(std::thread::spawn(serve)) }
    }

    /// As [`until`](Self::until), without an end.
    pub(crate) fn start(
        family: Family,
        mut answer: impl FnMut(u64, &[u8], Route) -> Letters + Send + 'static,
    ) -> Self {
        Self::until(&fresh(family), move |n, message, route| Some(answer(n, message, route)))
    }

    /// Waits until it has come to its end.
    pub(crate) fn ended(mut self) {
        self.thread.take().unwrap().join().unwrap();
    }

    /// One of the real services.
    pub(crate) fn service(family: Family, service: impl DatagramService) -> Self {
        Self::start(family, move |_, message, route| {
            let reply = service.answer(message).reply;
            vec![(route, reply.pieces(message).concat())]
        })
    }

    pub(crate) fn echo(family: Family) -> Self {
        Self::service(family, service::echo::Echo::default())
    }
}

impl Drop for Postman {
    fn drop(&mut self) {
        self.stop.store(true, SeqCst);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}
