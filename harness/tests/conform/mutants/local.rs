//! A thread a connection on a Unix socket, echo only: for flaws in how such a stream ends. Not here: paths (`datagrams`).

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use sys::signal::OnSigpipe;

/// What is wrong with a server on a Unix socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// Nothing.
    Sound,
    /// An end that has come by the time it has read the data is lost, as from a receive that is not asked again.
    LosesEnd,
    /// Has the default action for SIGPIPE and writes with write(2).
    SigpipeDies,
}

/// Every mutant of this kind by name.
pub(crate) const ALL: &[(&str, Flaw)] = &[
    ("unix-sound", Flaw::Sound),
    ("unix-loses-end", Flaw::LosesEnd),
    ("unix-sigpipe-dies", Flaw::SigpipeDies),
];

pub(super) fn serve(url: &sys::Url, flaw: Flaw) -> io::Result<()> {
    let sys::Address::Path(path) = &url.address else { return Err(io::Error::other("a path is missing")) };
    let listener = UnixListener::bind(path)?;
    sys::signal::sigpipe(if flaw == Flaw::SigpipeDies { OnSigpipe::Die } else { OnSigpipe::Ignore })?;
    let mut out = io::stdout();
    let _ = writeln!(out, "listening on {url}").and_then(|()| out.flush());
    for stream in listener.incoming() {
        let stream = stream?;
        std::thread::spawn(move || echo(stream, flaw));
    }
    Ok(())
}

/// Errors end the connection, which is all that they should.
fn echo(mut stream: UnixStream, flaw: Flaw) -> io::Result<()> {
    // write(2): std's own socket writes are send(2) with MSG_NOSIGNAL.
    let mut file = File::from(stream.as_fd().try_clone_to_owned()?);
    let mut buffer = [0; 4096];
    loop {
        let n = stream.read(&mut buffer)?;
        if n == 0 {
            return Ok(());
        }
        let lost = flaw == Flaw::LosesEnd && ended(&stream)?;
        file.write_all(&buffer[..n])?;
        if lost {
            std::mem::forget((OwnedFd::from(stream), file));
            return Ok(());
        }
    }
}

/// True when the end of input is the next thing to be read.
fn ended(stream: &UnixStream) -> io::Result<bool> {
    use rustix::net::{RecvFlags, recv};
    let mut byte = [0; 1];
    match recv(stream, &mut byte[..], RecvFlags::PEEK | RecvFlags::DONTWAIT) {
        Ok((n, _)) => Ok(n == 0),
        Err(rustix::io::Errno::AGAIN) => Ok(false),
        Err(error) => Err(error.into()),
    }
}
