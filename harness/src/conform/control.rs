//! The control subject: a server that can be trusted, in this process, driven by the same probes in the same minute. When it misses
//! a bound, the machine is too slow for the bound, and the case says so. Not here: the bounds.
//!
//! One thread a connection, blocking calls, the services of crate `service`: nothing that could be clever.

use super::target::Target;
use super::wire::Wire;
use service::http::Http;
use service::{Kind, Output, Protocol, Service, Step, echo, greeting, sized};
use std::io::{self, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

/// A running control server; ends when dropped.
#[derive(Debug)]
pub struct Control {
    /// How to talk to it.
    pub target: Target,
    listener: TcpListener,
}

/// Exchanges by which the machine's pace is taken.
const SAMPLES: u64 = 8;
/// How much slower than the control a subject may be before it is at fault.
const FACTOR: u32 = 50;
/// The control answers within this, or the machine is too slow to judge by time.
const NOISY: Duration = Duration::from_millis(250);

/// How slow the machine is at the moment.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// The slowest of a few exchanges with the control, each on a connection of its own.
    pub worst: Duration,
}

impl Pace {
    /// `floor`, or more on a slow machine.
    #[must_use]
    pub fn scale(self, floor: Duration) -> Duration {
        floor.max(self.worst * FACTOR).min(floor * 5)
    }

    /// False when time cannot be judged.
    #[must_use]
    pub fn trusted(self) -> bool {
        self.worst <= NOISY
    }
}

impl Control {
    /// Starts one that speaks `kind`.
    ///
    /// # Errors
    /// No socket, no thread.
    pub fn start(kind: Kind, seed: u64) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let ip = listener.local_addr()?;
        let accepting = listener.try_clone()?;
        std::thread::Builder::new().name("control".to_owned()).spawn(move || match kind {
            Kind::Greeting => accept(&accepting, &greeting::Greeting::default()),
            Kind::Echo => accept(&accepting, &echo::Echo::default()),
            Kind::Sized => accept(&accepting, &sized::SizedService::default()),
            Kind::Http => accept(&accepting, &Http::default()),
        })?;
        let host = ip.to_string();
        let url = format!("tcp://{ip}").parse().map_err(io::Error::other)?;
        let target = Target {
            url,
            kind,
            dialogue: None,
            gate: None,
            path: None,
            host,
            reply: Duration::from_secs(5),
            seed,
            wire: Wire::default(),
        };
        Ok(Self { target, listener })
    }

    /// Measures the machine's pace.
    #[must_use]
    pub fn pace(&self) -> Pace {
        let worst = (0..SAMPLES).map(|n| {
            let start = Instant::now();
            // A control that fails is as slow as can be.
            match self.target.canary(n) {
                Ok(()) => start.elapsed(),
                Err(_) => self.target.reply,
            }
        });
        Pace { worst: worst.max().unwrap_or_default() }
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        // accept(2) on a socket that is shut for reading returns EINVAL: the thread ends.
        use std::os::fd::AsFd as _;
        let _ = sys::socket::shutdown(self.listener.as_fd(), sys::socket::Side::Read);
    }
}

fn accept<S: Service>(listener: &TcpListener, service: &S) {
    while let Ok((stream, _)) = listener.accept() {
        let mut conn = service.open();
        // Without a thread the client sees its connection closed, and the control its own miss.
        let _ =
            std::thread::Builder::new().name("control".to_owned()).spawn(move || serve(&stream, &mut conn));
    }
}

fn serve(stream: &TcpStream, conn: &mut impl Protocol) -> io::Result<()> {
    stream.set_nodelay(true)?;
    // A probe that has forgotten its connection must not keep a thread for ever.
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    stream.set_write_timeout(Some(Duration::from_secs(60)))?;
    let mut input = Vec::new();
    let mut out = Output::new();
    let mut step = conn.on_open(&mut out);
    loop {
        flush(stream, &mut out, &input)?;
        match step {
            Step::Read => {}
            Step::Work(work) => {
                sys::clock::pause(work.duration());
                step = conn.on_work_done(&mut out);
                continue;
            }
            Step::Close | Step::Linger | Step::Abort => return Ok(()),
        }
        let (used, next) = conn.on_input(&input, &mut out);
        flush(stream, &mut out, &input)?;
        input.drain(..used);
        step = next;
        if used == 0 && step == Step::Read {
            let mut buffer = [0; 65_536];
            match (&*stream).read(&mut buffer)? {
                0 => step = conn.on_eof(&input, &mut out),
                n => input.extend_from_slice(&buffer[..n]),
            }
        }
    }
}

fn flush(mut stream: &TcpStream, out: &mut Output, input: &[u8]) -> io::Result<()> {
    while !out.is_empty() {
        let n = stream.write(out.first(input))?;
        out.advance(n);
    }
    Ok(())
}
