//! Passing descriptors between processes (unix(7), SCM_RIGHTS). Not here: to whom.

use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
};
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};

/// Two connected sockets that keep the bounds of messages.
///
/// # Errors
/// EMFILE, ENFILE.
pub fn channel() -> io::Result<(OwnedFd, OwnedFd)> {
    let (kind, flags) = (SocketType::SEQPACKET, SocketFlags::CLOEXEC);
    Ok(rustix::net::socketpair(AddressFamily::UNIX, kind, flags, None)?)
}

/// Sends `fd` with a byte, which the kernel wants; never blocks.
///
/// # Errors
/// EAGAIN when the channel is full, EPIPE when nobody is at its other end.
pub fn send(channel: BorrowedFd<'_>, fd: BorrowedFd<'_>) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let rights = [fd];
    control.push(SendAncillaryMessage::ScmRights(&rights));
    let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
    rustix::net::sendmsg(channel, &[IoSlice::new(b"c")], &mut control, flags)?;
    Ok(())
}

/// What has come through a channel.
#[derive(Debug)]
pub enum Passed {
    /// A descriptor, close-on-exec.
    Descriptor(OwnedFd),
    /// A message whose descriptor could not be given a number here (MSG_CTRUNC): it is closed.
    Lost,
    /// The other end is closed, and nothing is left.
    End,
}

/// Waits for a descriptor.
///
/// # Errors
/// EINTR when a signal comes first.
pub fn receive(channel: BorrowedFd<'_>) -> io::Result<Passed> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0; 1];
    let flags = RecvFlags::CMSG_CLOEXEC;
    let got = rustix::net::recvmsg(channel, &mut [IoSliceMut::new(&mut byte)], &mut control, flags)?;
    let passed = control.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut rights) => rights.next(),
        _ => None,
    });
    Ok(match passed {
        Some(fd) => Passed::Descriptor(fd),
        None if got.bytes == 0 => Passed::End,
        None => Passed::Lost,
    })
}
