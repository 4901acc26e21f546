//! Every syscall wrapper and every line of unsafe. Not here: policy; a wrapper does one thing and returns the kernel's error.
//!
//! Unsafe policy: this is the one crate that may use it; each block has its SAFETY line and holds one unsafe operation.
//! Where a kept crate wraps a call safely (rustix, socket2, nix), the wrapper here only narrows it to what the project uses.
#![expect(
    unsafe_code,
    reason = "the one crate that may: fork, select, signal handlers, getsockopt(TCP_INFO) and io_uring have no safe wrapper"
)]

pub mod addr;
pub mod affinity;
pub mod alloc;
pub mod bell;
pub mod clock;
pub mod datagram;
pub mod diag;
pub mod epoll;
pub mod errno;
pub mod inbox;
pub mod listen;
pub mod lock;
pub mod mapped;
pub mod netns;
pub mod option;
pub mod pass;
pub mod path;
pub mod poll;
pub mod poller;
pub mod process;
pub mod select;
pub mod sigio;
pub mod signal;
pub mod silence;
pub mod socket;
pub mod spawn;
pub mod stop;
pub mod terminal;
pub mod uring;
pub mod vanish;
pub mod wake;

pub use addr::{Address, BadUrl, Family, Url};
pub use bell::Bell;
pub use listen::{Listening, Stack, listen};
pub use poller::{Event, Interest, Poller};
