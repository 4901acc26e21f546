//! What the server, the host and the generator's threads used while a load ran. Not here: how it was read.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a server named by its process id used in the timed window, its descendants included.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Server {
    /// The process that was named.
    pub pid: i32,
    /// Its name (comm).
    pub name: String,
    /// Length of time between the two readings in nanoseconds.
    pub window_ns: u64,
    /// User and system time in nanoseconds: exact for processes that live, in ticks of 10 ms for ended children.
    pub cpu_ns: Option<u64>,
    /// The same per completed request.
    pub cpu_ns_per_request: Option<f64>,
    /// Processors kept busy on average.
    pub cpus: Option<f64>,
    /// Resident memory at the end, pages that are shared counted in each process.
    pub rss_bytes: Option<u64>,
    /// Memory in proportion (PSS) at the end: pages that are shared counted once over all of them.
    pub pss_bytes: Option<u64>,
    /// Largest resident memory that any one of the processes ever had.
    pub peak_rss_bytes: Option<u64>,
    /// Voluntary context switches of the threads that lived at the end.
    pub voluntary_switches: Option<u64>,
    /// Involuntary ones.
    pub involuntary_switches: Option<u64>,
    /// Threads at the end.
    pub threads: u64,
    /// Processes at the end.
    pub processes: u64,
    /// Threads that ended in the window, whose context switches are lost.
    pub threads_ended: u64,
    /// The process was gone at the end.
    pub gone: bool,
}

/// Counters of the kernel that belong to the whole network namespace: other programs count in them too.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Host {
    /// Connections that found a listen queue full (TcpExt ListenOverflows).
    pub listen_overflows: Option<u64>,
    /// Connections that a listener dropped for any reason (TcpExt ListenDrops).
    pub listen_drops: Option<u64>,
    /// Datagrams dropped, since a receive buffer was full (Udp RcvbufErrors).
    pub udp_receive_buffer_errors: Option<u64>,
    /// Datagrams dropped, since a send buffer was full (Udp SndbufErrors).
    pub udp_send_buffer_errors: Option<u64>,
    /// Datagrams that could not be delivered for any reason (Udp InErrors).
    pub udp_errors: Option<u64>,
    /// TCP segments sent again (Tcp RetransSegs).
    pub tcp_retransmits: Option<u64>,
}

/// One thread of the generator in the window.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ThreadUse {
    /// User and system time in nanoseconds.
    pub cpu_ns: u64,
    /// Share of the window in which it was not waiting, 0 to 1.
    pub busy_share: f64,
    /// Time ready to run and not running, in nanoseconds; absent where the kernel does not tell.
    pub run_queue_wait_ns: Option<u64>,
}
