//! Whether io_uring can be used here, found out by using it. Not here: what to do without.

use super::Ring;
use io_uring::{Probe, opcode};
use std::io;

/// `Ok`, or the reason why the servers over io_uring cannot run here, in words.
///
/// # Errors
/// The reason.
pub fn probe() -> Result<(), String> {
    let mut ring = Ring::new(8).map_err(|error| reason(&error))?;
    if !(ring.ring.params().is_feature_nodrop() && ring.ring.params().is_feature_skip_cqe_on_success()) {
        return Err("this kernel's io_uring lacks features of Linux 5.17".to_owned());
    }
    let mut known = Probe::new();
    ring.ring.submitter().register_probe(&mut known).map_err(|error| reason(&error))?;
    let needed = [
        ("accept", opcode::Accept::CODE),
        ("recv", opcode::Recv::CODE),
        ("send", opcode::Send::CODE),
        ("sendmsg", opcode::SendMsg::CODE),
        ("recvmsg", opcode::RecvMsg::CODE),
        ("timeout", opcode::Timeout::CODE),
        ("poll", opcode::PollAdd::CODE),
        ("cancel", opcode::AsyncCancel::CODE),
        ("close", opcode::Close::CODE),
    ];
    if let Some((name, _)) = needed.iter().find(|(_, code)| !known.is_supported(*code)) {
        return Err(format!("this kernel's io_uring does not know `{name}`"));
    }
    // Multishot accept (5.19) and receive (6.0) cannot be asked for; DEFER_TASKRUN, which the ring has, is younger (6.1).
    ring.provide(2, 64).map_err(|error| reason(&error))
}

fn reason(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) => {
            "io_uring is forbidden here (kernel.io_uring_disabled, or a seccomp filter as that of a container)".to_owned()
        }
        Some(libc::ENOSYS) => "this kernel has no io_uring, or a seccomp filter hides it".to_owned(),
        Some(libc::EINVAL) => "this kernel's io_uring is too old: Linux 6.1 or later is needed".to_owned(),
        _ => format!("io_uring cannot be set up: {error}"),
    }
}
