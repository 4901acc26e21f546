//! The machine that a run was made on, as plain data. Not here: reading it from the system, which the harness does.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What may explain a difference between two machines.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Machine {
    /// Kernel release.
    pub kernel: String,
    /// Processor model.
    pub cpu_model: String,
    /// Processors that the run may use.
    pub cpus: Vec<usize>,
    /// Frequency governor, where there is one.
    pub governor: Option<String>,
    /// Whether a hypervisor is announced.
    pub virtualised: Option<bool>,
    /// Memory in bytes.
    pub memory_bytes: u64,
    /// Descriptor limit: soft, hard.
    pub descriptor_limit: (u64, u64),
    /// Values of sysctls that bear on sockets, by name.
    pub sysctls: BTreeMap<String, String>,
    /// 1-minute load average at the start.
    pub load_average: Option<f64>,
    /// Clock source of the kernel.
    pub clock_source: Option<String>,
}
