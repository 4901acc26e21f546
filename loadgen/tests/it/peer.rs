//! Small servers for the tests: a listener, a thread for each connection, and one way to behave. Not here: how a server should be.

use service::{Output, Protocol as _, Service, Step};
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

/// A server on a port that the kernel chose. Its threads end with the test process.
pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
    /// Connections accepted so far.
    pub(crate) accepted: Arc<AtomicU64>,
}

impl Peer {
    /// Serves each connection with `serve`; what it returns is dropped.
    pub(crate) fn start(serve: impl Fn(TcpStream) -> io::Result<()> + Send + Sync + 'static) -> Self {
        Self::behind(TcpListener::bind("127.0.0.1:0").unwrap(), serve)
    }

    /// The same at an address of the test's choice.
    pub(crate) fn behind(
        listener: TcpListener,
        serve: impl Fn(TcpStream) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        let address = listener.local_addr().unwrap();
        let accepted = Arc::new(AtomicU64::new(0));
        let (serve, count) = (Arc::new(serve), Arc::clone(&accepted));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                count.fetch_add(1, SeqCst);
                let serve = Arc::clone(&serve);
                let _ = stream.set_nodelay(true);
                std::thread::spawn(move || serve(stream));
            }
        });
        Self { address, accepted }
    }

    /// One of the real services.
    pub(crate) fn service(service: impl Service) -> Self {
        Self::start(move |stream| speak(&service, stream))
    }

    /// Sends back what `reply` makes of each piece that comes.
    pub(crate) fn replying(reply: impl Fn(&[u8]) -> Vec<u8> + Send + Sync + 'static) -> Self {
        Self::start(move |mut stream| {
            let mut buffer = [0; 4096];
            loop {
                let n = stream.read(&mut buffer)?;
                if n == 0 {
                    return Ok(());
                }
                stream.write_all(&reply(&buffer[..n]))?;
            }
        })
    }

    pub(crate) fn echo() -> Self {
        Self::service(service::echo::Echo::default())
    }

    /// Reads and never answers.
    pub(crate) fn silent() -> Self {
        Self::replying(|_| Vec::new())
    }

    /// Resets each connection at its first request.
    pub(crate) fn resetting() -> Self {
        Self::start(|mut stream| {
            stream.read_exact(&mut [0])?;
            sys::socket::reset_on_close(stream.as_fd())
        })
    }

    /// Answers half of each message, then closes in good order.
    pub(crate) fn closing_early() -> Self {
        Self::start(|mut stream| {
            let mut buffer = [0; 4096];
            let n = stream.read(&mut buffer)?;
            stream.write_all(&buffer[..n / 2])?;
            stream.shutdown(Shutdown::Write)?;
            io::copy(&mut stream, &mut io::sink()).map(|_| ())
        })
    }

    /// An address where nobody listens.
    pub(crate) fn absent() -> Self {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        Self { address, accepted: Arc::default() }
    }
}

/// A service, driven in the plainest way: one thread, blocking calls.
pub(crate) fn speak(service: &impl Service, mut stream: impl Read + Write) -> io::Result<()> {
    let (mut conn, mut out) = (service.open(), Output::new());
    let mut input = vec![0; 2 * service::MAX_HEAD];
    let (mut start, mut end) = (0, 0);
    let mut step = conn.on_open(&mut out);
    loop {
        send(&mut stream, &mut out, &input)?;
        step = match step {
            Step::Work(work) => {
                sys::clock::sleep(work.duration());
                conn.on_work_done(&mut out)
            }
            Step::Close | Step::Linger | Step::Abort => return Ok(()),
            Step::Read => {
                out.set_base(start);
                let (used, next) = conn.on_input(&input[start..end], &mut out);
                start += used;
                if used == 0 && next == Step::Read {
                    input.copy_within(start..end, 0);
                    (start, end) = (0, end - start);
                    match stream.read(&mut input[end..])? {
                        0 => conn.on_eof(&input[..end], &mut out),
                        n => {
                            end += n;
                            Step::Read
                        }
                    }
                } else {
                    next
                }
            }
        };
    }
}

fn send(stream: &mut impl Write, out: &mut Output, input: &[u8]) -> io::Result<()> {
    while !out.is_empty() {
        let n = stream.write(out.first(input))?;
        out.advance(n);
    }
    Ok(())
}
